"""The queue backend of a fleet: all queues of one Redis that many machines share."""

import asyncio
import logging
import uuid
from collections.abc import Iterable
from typing import Final, Self

from redis.asyncio import Redis
from saq.job import TERMINAL_STATUSES, Job, Status
from saq.utils import now as milliseconds

from sidecar.clock import Clock
from sidecar.errors import StoreFailed
from sidecar.queue.backend import MessageHandler
from sidecar.queue.redis_context import RETRY_SECONDS, RedisContext
from sidecar.queue.redis_queue import FleetQueue
from sidecar.queue.store_retry import retry_until_stored
from sidecar.shutdown import best_effort, cancel_and_wait
from sidecar.storage.redis_client import BLOCK_SECONDS, call, connect, redis_errors

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS: Final = 4.0
HEARTBEAT_TTL: Final = 15
"""Seconds without a heartbeat after which a process counts as dead."""
SCAN_SIZE: Final = 200
_GROUPS: Final = {
    frozenset(Status): "all",
    frozenset(Status) - TERMINAL_STATUSES: "pending",
    **{frozenset({status}): status.value for status in TERMINAL_STATUSES},
}


class RedisBackend:
    """Use `open`. Everything may raise StoreFailed."""

    def __init__(self, redis: "Redis", clock: Clock) -> None:
        self.process = uuid.uuid4().hex
        self._redis = redis
        self._context = RedisContext(redis, clock, self.process, self._find_alive)
        self._queues: dict[str, FleetQueue] = {}
        self._publish_lock = asyncio.Lock()
        self._heartbeat: asyncio.Task[None] | None = None
        self._subscription: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, url: str, clock: Clock) -> Self:
        """Connects to `redis://…` or `rediss://…`. Raises StoreFailed."""
        redis = connect(url)
        self = cls(redis, clock)
        try:
            await self._send_heartbeat()
        except BaseException:
            await best_effort(redis.aclose())
            raise
        self._heartbeat = asyncio.create_task(self._send_heartbeats())
        return self

    def queue(self, name: str) -> FleetQueue:
        """Returns the queue of that name."""
        if name not in self._queues:
            self._queues[name] = FleetQueue(self._context, name)
        return self._queues[name]

    async def put(self, job: Job, name: str) -> bool:
        """Enqueues a job unless any queue has one with its key. It is stored when this returns."""
        job.queue = queue = self.queue(name)
        job.queued = milliseconds()
        job.status = Status.QUEUED
        return await queue.enter(job, once=True)

    async def find(self, key: str) -> Job | None:
        """Returns the job with that key, from any queue."""
        name = await call(self._redis.get(f"sidecar:key:{key}"))
        return await self.queue(name.decode()).job(key) if name else None

    async def page(self, statuses: frozenset[Status], offset: int, limit: int) -> tuple[int, list[Job]]:
        """Returns how many jobs have these statuses, in all queues, and one page of them, newest first.

        `statuses` are the unfinished ones, one finished one, or all.
        """
        group = f"sidecar:jobs:{_GROUPS[statuses]}"
        total = await call(self._redis.zcard(group))
        keys = await call(self._redis.zrevrange(group, offset, offset + limit - 1)) if limit > 0 else []
        return total, await self._find_all([key.decode() for key in keys])

    async def orphans(self, prefix: str) -> list[Job]:
        """Returns unfinished jobs of queues named after dead processes: `prefix` and the process."""
        names = {name.decode() for name in await call(self._redis.smembers("sidecar:queues"))}
        owners = {name: name[len(prefix) :] for name in names if name.startswith(prefix)}
        alive = await self._find_alive(owners.values())
        found: list[Job] = []
        for name in (name for name, owner in owners.items() if owner not in alive):
            queue = self.queue(name)
            ids = await call(self._redis.zrange(queue.namespace("incomplete"), 0, SCAN_SIZE - 1))
            found += [job for job in await queue.jobs(queue.job_key_from_id(one.decode()) for one in ids) if job]
            if not ids:
                await call(self._redis.srem("sidecar:queues", name))
        return found

    async def store_result(self, key: str, body: bytes, ttl: int) -> None:
        """Stores a job's result for `ttl` seconds unless it has one. Retries while Redis is unavailable."""
        name, seconds = f"sidecar:result:{key}", max(ttl, 1)
        await retry_until_stored(
            lambda: call(self._redis.set(name, body, ex=seconds, nx=True)), self._context.clock, RETRY_SECONDS
        )

    async def get_result(self, key: str) -> bytes | None:
        """Returns a stored result; None if there is none."""
        body: bytes | None = await call(self._redis.get(f"sidecar:result:{key}"))
        return body

    async def is_alive(self, process: str) -> bool:
        """Whether a process of this store is alive."""
        return process in await self._find_alive([process])

    async def publish(self, process: str, message: bytes) -> None:
        """Publishes a message to a process, in order; it is lost if the process is not subscribed."""
        async with self._publish_lock:
            await call(self._redis.publish(f"sidecar:tell:{process}", message))

    def subscribe(self, handler: MessageHandler | None) -> None:
        """Passes messages for this process to `handler`; None unsubscribes."""
        if self._subscription:
            self._subscription.cancel()
        self._subscription = asyncio.create_task(self._receive_messages(handler)) if handler else None

    async def close(self) -> None:
        """Counts as dead for other processes from now on, and closes every connection."""
        self._context.closed = True
        await cancel_and_wait(self._heartbeat, self._subscription)
        await asyncio.gather(*(best_effort(queue.disconnect()) for queue in self._queues.values()))
        await best_effort(self._redis.delete(f"sidecar:process:{self.process}"))
        await best_effort(self._redis.aclose())

    async def _find_all(self, keys: list[str]) -> list[Job]:
        """Returns the jobs of these keys that still exist, in that order."""
        if not keys:
            return []
        names = await call(self._redis.mget([f"sidecar:key:{key}" for key in keys]))
        of_queue: dict[str, list[str]] = {}
        for key, name in zip(keys, names, strict=True):
            if name is not None:
                of_queue.setdefault(name.decode(), []).append(key)
        found = [job for name, some in of_queue.items() for job in await self.queue(name).jobs(some) if job]
        return sorted(found, key=lambda job: keys.index(job.key))

    async def _find_alive(self, processes: Iterable[str]) -> set[str]:
        names = list(processes)
        if not names:
            return set()
        heartbeats = await call(self._redis.mget([f"sidecar:process:{process}" for process in names]))
        return {process for process, heartbeat in zip(names, heartbeats, strict=True) if heartbeat is not None}

    async def _send_heartbeat(self) -> None:
        await call(self._redis.set(f"sidecar:process:{self.process}", b"", ex=HEARTBEAT_TTL))

    async def _send_heartbeats(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            try:
                await self._send_heartbeat()
            except StoreFailed as failure:
                log.warning("Redis is unavailable: %s", failure)

    async def _receive_messages(self, handler: MessageHandler) -> None:
        while True:
            try:
                with redis_errors():
                    await self._handle_messages(handler)
            except StoreFailed as failure:
                log.warning("could not receive events of other sidecars: %s", failure)
                await asyncio.sleep(1)

    async def _handle_messages(self, handler: MessageHandler) -> None:
        async with self._redis.pubsub() as channel:
            await channel.subscribe(f"sidecar:tell:{self.process}")
            while True:
                message = await channel.get_message(ignore_subscribe_messages=True, timeout=BLOCK_SECONDS)
                if message:
                    handler(message["data"])
