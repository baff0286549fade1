"""SAQ's queue on Redis for a fleet: attempts that lost their job change nothing, and Redis may be unavailable."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import suppress
from typing import Any, Final, TypeVar

from saq.job import Job, Status
from saq.queue.redis import RedisQueue
from saq.types import WorkerInfo

from sidecar.errors import StoreFailed
from sidecar.queue import redis_scripts as scripts
from sidecar.queue.dequeue_lock import DequeueLock
from sidecar.queue.job_completion import CompletingQueue
from sidecar.queue.job_meta import decode_job, dump, load
from sidecar.queue.job_rows import Row
from sidecar.queue.redis_context import RETRY_SECONDS, RedisContext
from sidecar.queue.stall_detector import StallDetector
from sidecar.queue.store_retry import retry_delay, retry_until_stored
from sidecar.shutdown import STOP_SECONDS, cancel_and_wait
from sidecar.storage.redis_client import BLOCK_SECONDS, call, call_uncancelled, redis_errors

log = logging.getLogger(__name__)

T = TypeVar("T")

UNCLAIMED_SECONDS: Final = 5
"""Seconds after which a job that was moved and not claimed is requeued: a response was lost."""


class FleetQueue(CompletingQueue, RedisQueue):
    """One queue of a Redis that many machines share."""

    def __init__(self, context: RedisContext, name: str = "default") -> None:
        super().__init__(context.redis, name, dump, load, max_concurrent_ops=1000)
        self._context = context
        self._stall_detector = StallDetector(context.clock.monotonic)
        self._dequeue_lock = DequeueLock(context.clock.monotonic)
        self._returning: set[asyncio.Task[None]] = set()

    async def disconnect(self) -> None:
        """Stops listening; the connections are shared with other queues."""
        if self._returning:
            await asyncio.wait(set(self._returning), timeout=STOP_SECONDS)
        await cancel_and_wait(*self._returning)
        await self._pubsub.close()
        await self._pubsub.pubsub.aclose()  # type: ignore[no-untyped-call]

    # --- enqueue and dequeue

    async def _enqueue(self, job: Job) -> Job | None:
        return job if await self.enter(job, once=False) else None

    async def enter(self, job: Job, *, once: bool) -> bool:
        """Stores a new job; `once`: unless any queue has one with its key. Raises StoreFailed."""
        document = dump(job.to_dict())
        arguments = (self.name, job.key, document, job.scheduled, job.attempts, int(once))
        return bool(await self._context.run(scripts.ENTER, *arguments))

    async def schedule(self, lock: int = 1) -> list[str]:
        """Calls SAQ's own; logs a Redis error."""
        return await self._or_default(super().schedule(lock), [])

    async def dequeue(self, timeout: float = 0.0, poll_interval: float = 0.0) -> Job | None:  # noqa: ARG002, ASYNC109
        """Returns the next job, now active; None after `timeout` seconds. Retries while Redis is unavailable."""
        async with self._dequeue_lock.acquire(timeout) as seconds:
            return await self._next(seconds)

    async def _next(self, seconds: float) -> Job | None:
        monotonic = self._context.clock.monotonic
        deadline = monotonic() + seconds
        failures = 0
        while not self._context.closed and (left := deadline - monotonic()) > 0:
            try:
                job = await self._take(min(left, BLOCK_SECONDS))
                failures = 0
            except StoreFailed as failure:
                log.warning("could not dequeue a job: %s", failure)
                await self._context.clock.sleep(retry_delay(RETRY_SECONDS, failures))
                job, failures = None, failures + 1
            if job is not None:
                return job
        return None

    async def _take(self, seconds: float) -> Job | None:
        """Claims the first job, waiting up to `seconds`; a job that was moved and not claimed is swept later."""
        moved = await self._move(seconds)
        if moved is None:
            return None
        claiming = asyncio.ensure_future(self._claim(self.job_key_from_id(moved.decode())))
        try:
            await asyncio.wait([claiming])
        except asyncio.CancelledError:
            with suppress(StoreFailed):
                if job := await claiming:
                    job.attempts += 1
                    await self._retry(job, None)
            raise
        return claiming.result()

    async def _move(self, seconds: float) -> bytes | None:
        moved = self.redis.blmove(self._queued, self._active, seconds, "LEFT", "RIGHT")  # type: ignore[arg-type]
        moving = asyncio.ensure_future(call_uncancelled(moved))
        try:
            await asyncio.wait([moving])
        except asyncio.CancelledError:
            moving.cancel()
            returning = asyncio.create_task(self._undo_move(moving))
            self._returning.add(returning)
            returning.add_done_callback(self._returning.discard)
            raise
        found: bytes | None = moving.result()
        return found

    async def _undo_move(self, moving: "asyncio.Future[bytes | None]") -> None:
        """Returns a job that arrived after the cancellation: Redis' client sometimes loses one."""
        with suppress(asyncio.CancelledError, StoreFailed):
            if moved := await moving:
                await self._context.run(scripts.RETURN, self.name, self.job_key_from_id(moved.decode()))

    async def _claim(self, key: str) -> Job | None:
        claimed = await self._context.run(scripts.CLAIM, self.name, key, self._context.process)
        if claimed is None:
            return None
        document, attempts = claimed
        self._context.running.add((key, attempts))
        return self._decode(key, (document, b"active", attempts - 1, None))  # SAQ's worker counts the attempt

    # --- changes

    async def _update(self, job: Job, status: Status | None = None, **kwargs: Any) -> None:  # noqa: ARG002
        new = status.value if status else ""
        arguments = (self.name, job.key, job.attempts, dump(job.to_dict()), new, self._context.process)
        await self._or_default(self._context.run(scripts.CHANGE, *arguments), None)  # the next update repeats it

    async def _finish(
        self,
        job: Job,
        status: Status,
        *,
        result: Any = None,  # noqa: ARG002
        error: str | None = None,  # noqa: ARG002
    ) -> None:
        document, now = dump(job.to_dict()), self._context.clock.now()
        arguments = (self.name, job.key, job.attempts, document, status.value, job.ttl, now)
        await retry_until_stored(
            lambda: self._context.run(scripts.FINISH, *arguments), self._context.clock, RETRY_SECONDS
        )
        self._context.running.discard((job.key, job.attempts))

    async def _retry(self, job: Job, error: str | None) -> None:  # noqa: ARG002
        now, delay, document = self._context.clock.now(), job.next_retry_delay(), dump(job.to_dict())
        aborted = dump({**job.to_dict(), "status": Status.ABORTED, "completed": int(now * 1000)})
        score = now + delay if delay > 0 else 0
        rest = (score, self.swept_error_message, aborted, job.ttl, now)
        arguments = (self.name, job.key, job.attempts, document, *rest)
        await retry_until_stored(
            lambda: self._context.run(scripts.RETRY, *arguments), self._context.clock, RETRY_SECONDS
        )
        self._context.running.discard((job.key, job.attempts))

    async def abort(self, job: Job, error: str, ttl: float = 5) -> None:  # noqa: ARG002
        """Aborts a queued job; marks a running one, which its worker then stops. Raises StoreFailed."""
        now = self._context.clock.now()
        ended = dump({**job.to_dict(), "status": Status.ABORTED, "error": error, "completed": int(now * 1000)})
        said = await self._context.run(scripts.ABORT, self.name, job.key, error, ended, job.ttl, now)
        if said:
            job.status, job.error = Status(said.decode()), error
            self.aborted += job.status == Status.ABORTED

    async def is_current(self, job: Job) -> bool:
        """Whether this is still the job's current attempt. Raises StoreFailed."""
        [(_, status, attempts, *_rest)] = await self._read([job.key])
        return status == b"active" and int(attempts) == job.attempts

    # --- queries

    async def job(self, job_key: str) -> Job | None:
        """Returns the job with that key; None if it is gone. Raises StoreFailed."""
        [row] = await self._read([job_key])
        return self._decode(job_key, row)

    async def jobs(self, job_keys: Iterable[str]) -> list[Job | None]:
        """Returns one job or None for each key, in order. Raises StoreFailed."""
        keys = list(job_keys)
        if not keys:
            return []
        return [self._decode(key, row) for key, row in zip(keys, await self._read(keys), strict=True)]

    async def write_worker_info(self, worker_id: str, info: WorkerInfo, ttl: int) -> None:
        """Calls SAQ's own; logs a Redis error."""
        await self._or_default(super().write_worker_info(worker_id, info, ttl), None)

    async def _read(self, keys: list[str]) -> list[Any]:
        found: list[Any] = await self._context.run(scripts.LOOK, self.name, *keys)
        return found

    def _decode(self, key: str, row: Any) -> Job | None:
        document, status, attempts, error, *_ = row
        if document is None or status is None:
            return None
        job = decode_job(self, key, document, status.decode())
        job.attempts = int(attempts)
        job.error = error.decode() if error is not None else job.error
        return job

    # --- abandoned jobs

    async def sweep(self, lock: int = 60, abort: float = 5.0) -> list[str]:
        """Requeues or fails abandoned jobs; returns their keys. One process of the fleet does it at a time."""
        try:
            if not await call(self.redis.set(self._sweep, self._context.process, nx=True, ex=max(lock, 1))):
                return []
            await self._context.run(scripts.FORGET, self._context.clock.now())
            listed = await call(self.redis.lrange(self._active, 0, -1))
            listed += await call(self.redis.smembers(self.namespace("aborting")))
            keys = [self.job_key_from_id(one.decode()) for one in listed]
            return [key async for key in self._sweep_keys(keys, abort)] if keys else []
        except StoreFailed as failure:
            log.warning("could not sweep abandoned jobs: %s", failure)
            return []

    async def _sweep_keys(self, keys: list[str], abort: float) -> AsyncIterator[str]:
        found = dict(zip(keys, await self._read(keys), strict=True))
        active = {key: self._row(key, row) for key, row in found.items() if row[0] is not None}
        self._stall_detector.observe(active.values())
        alive = await self._context.find_alive({row.owner for row in active.values() if row.owner})
        for key, row in active.items():
            job = self._decode(key, found[key])
            if job is None or (key, row.attempts) in self._context.running:
                continue
            if job.status == Status.QUEUED:
                job.heartbeat = UNCLAIMED_SECONDS
            gone = bool(row.owner) and row.owner not in alive
            if gone or self._stall_detector.missed_heartbeat(row, job):
                yield key
                await self._retry_or_finish(job)
            elif self._stall_detector.timed_out(row, job):
                yield key
                await self._abort_attempt(job, abort)
        for key in keys:
            if key not in active:
                await call(self.redis.lrem(self._active, 0, self.job_id(key)))

    def _row(self, key: str, row: Any) -> Row:
        document, status, attempts, _, owner, version = row
        return Row(
            self.name, key, status.decode(), int(attempts), document, owner.decode() if owner else None, int(version)
        )

    async def _abort_attempt(self, job: Job, seconds: float) -> None:
        """Makes its worker stop the attempt before another worker runs the job."""
        await self.abort(job, self.swept_error_message)
        try:
            await job.refresh(seconds)
        except TimeoutError:
            log.info("could not abort job %s", job.key)
        if job.status != Status.COMPLETE:
            job.status = Status.ACTIVE
            await self._retry_or_finish(job)

    async def _retry_or_finish(self, job: Job) -> None:
        """Retries an abandoned attempt, unless it was being aborted or was the last."""
        if job.status == Status.ABORTING:
            await self.finish(job, Status.ABORTED, error=job.error)
        elif job.retryable:
            await self.retry(job, error=self.swept_error_message)
        else:
            await self.finish(job, Status.ABORTED, error=self.swept_error_message)

    async def _or_default(self, operation: Awaitable[T], default: T) -> T:
        try:
            with redis_errors():
                return await operation
        except StoreFailed as failure:
            log.warning("Redis is unavailable: %s", failure)
            return default
