"""SAQ's queue on SQLite: several processes share one file; waiters of one process are notified without polling."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

import orjson
from saq.job import TERMINAL_STATUSES, Job, Status
from saq.types import CountKind, ListenCallback, QueueInfo, WorkerInfo
from saq.utils import now as milliseconds

from sidecar.clock import within
from sidecar.errors import StoreFailed
from sidecar.queue import job_rows
from sidecar.queue.dequeue_lock import DequeueLock
from sidecar.queue.job_completion import CompletingQueue
from sidecar.queue.job_meta import decode_job, dump, load, with_fields
from sidecar.queue.job_rows import NewRow, Row
from sidecar.queue.sqlite_context import SqliteContext
from sidecar.queue.stall_detector import StallDetector
from sidecar.queue.store_retry import retry_delay, retry_until_stored
from sidecar.storage.database import RETRY_SECONDS

log = logging.getLogger(__name__)

_WRITE_INFO: Final = "INSERT OR REPLACE INTO worker (queue, id, info, expires) VALUES (?, ?, ?, ?)"
_READ_INFO: Final = "SELECT id, info FROM worker WHERE queue = ? AND expires > ?"
MAX_WAIT_SECONDS: Final = 5.0
"""The longest wait for a due time: the clock may be set meanwhile."""


class SqliteQueue(CompletingQueue):
    """One queue of a database. A call's changes are stored when it returns."""

    def __init__(self, context: SqliteContext, name: str = "default") -> None:
        super().__init__(name=name, dump=dump, load=load)
        self._context = context
        self._stall_detector = StallDetector(context.clock.monotonic)
        self._dequeue_lock = DequeueLock(context.clock.monotonic)
        self._just_claimed: set[tuple[str, int]] = set()

    # --- enqueue

    async def _enqueue(self, job: Job) -> Job | None:
        new_row = self.new_row(job)
        entered = await self._context.write(
            lambda connection: job_rows.insert_or_replace(connection, new_row), durable=True
        )
        return job if entered else None

    def new_row(self, job: Job) -> NewRow:
        """Returns the row of a new job."""
        return NewRow(self.name, job.key, job.scheduled, job.attempts, dump(job.to_dict()))

    async def schedule(self, _lock: int = 1) -> list[str]:
        """Queues scheduled jobs that are due, as `dequeue` does too; returns their keys."""
        now = self._now()
        if not self._context.database.fetch_one(job_rows.ANY_DUE, self.name, now):
            return []
        return await self._context.write(lambda connection: job_rows.promote(connection, self.name, now))

    # --- dequeue

    async def dequeue(self, timeout: float = 0.0, poll_interval: float = 0.0) -> Job | None:  # noqa: ARG002, ASYNC109
        """Returns the next job, now active; None after `timeout` seconds. Retries while the disk refuses."""
        async with self._dequeue_lock.acquire(timeout) as seconds:
            return await self._next(seconds) if seconds > 0 else None

    async def _next(self, seconds: float) -> Job | None:
        monotonic = self._context.clock.monotonic
        deadline = monotonic() + seconds
        failures = 0
        while not self._context.closed:
            try:
                seconds = self._seconds_to_next()
                job = await self._claim() if seconds <= 0 else None
                failures = 0
            except StoreFailed as failure:
                log.warning("could not dequeue a job: %s", failure)
                seconds, job = retry_delay(RETRY_SECONDS, failures), None
                failures += 1
            if job is not None:
                return job
            if (left := deadline - monotonic()) <= 0:
                return None
            if seconds > 0:
                await self._context.notifier.wait(min(seconds, left))
        return None

    def _seconds_to_next(self) -> float:
        now = self._now()
        found = self._context.database.fetch_one(job_rows.NEXT_DUE, self.name, now)
        return min(found[0] - now, MAX_WAIT_SECONDS) if found else MAX_WAIT_SECONDS

    async def _claim(self) -> Job | None:
        claiming = asyncio.ensure_future(self._claim_next())
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            job = await claiming
            if job is not None:
                self._context.running.discard((job.key, job.attempts + 1))
                self._just_claimed.discard((job.key, job.attempts + 1))
                await self._context.write(lambda connection: job_rows.release(connection, self.name, job.key))
            raise

    async def _claim_next(self) -> Job | None:
        owner, now = self._context.process_lock.process, self._now()

        def started(document: bytes) -> bytes:
            stamp = milliseconds()
            return with_fields(document, started=stamp, touched=stamp)

        row = await self._context.write(lambda connection: job_rows.claim(connection, self.name, owner, now, started))
        if row is None:
            return None
        self._context.running.add((row.key, row.attempts))
        self._just_claimed.add((row.key, row.attempts))
        job = self.decode(row)
        job.attempts -= 1  # SAQ's worker counts the attempt
        return job

    # --- changes

    async def _update(self, job: Job, status: Status | None = None, **kwargs: Any) -> None:  # noqa: ARG002
        if status == Status.ACTIVE and (job.key, job.attempts) in self._just_claimed:
            self._just_claimed.discard((job.key, job.attempts))  # `claim` has stored it already
            return
        document = dump(job.to_dict())
        owner = self._context.process_lock.process

        def update(connection: sqlite3.Connection) -> None:
            row = self._current_row(connection, job)
            if row is None:
                return
            stored = Status(row.status)
            # a job that is being aborted or has ended does not become active again
            settled = stored in TERMINAL_STATUSES or (stored == Status.ABORTING and status == Status.ACTIVE)
            job_rows.update(connection, row, stored if settled else status or stored, document, row.owner or owner)

        try:
            await self._context.write(update)
        except StoreFailed as failure:  # the next update repeats it
            log.warning("could not store a job's progress: %s", failure)

    async def _finish(
        self,
        job: Job,
        status: Status,
        *,
        result: Any = None,  # noqa: ARG002
        error: str | None = None,  # noqa: ARG002
    ) -> None:
        document, now = dump(job.to_dict()), self._now()

        def finish(connection: sqlite3.Connection) -> None:
            row = self._current_row(connection, job)
            if row is not None and Status(row.status) not in TERMINAL_STATUSES:
                job_rows.finish(connection, row, status, document, job.ttl, now)

        await retry_until_stored(lambda: self._context.put(finish, durable=True), self._context.clock, RETRY_SECONDS)
        self._context.running.discard((job.key, job.attempts))

    async def _retry(self, job: Job, error: str | None) -> None:  # noqa: ARG002
        document, now, delay = dump(job.to_dict()), self._now(), job.next_retry_delay()
        stopped = dump({**job.to_dict(), "completed": milliseconds()})

        def retry(connection: sqlite3.Connection) -> None:
            row = self._current_row(connection, job)
            if row is None or row.status in (Status.COMPLETE, Status.FAILED):
                return
            if row.status == Status.ABORTING and self.decode(row).error != self.swept_error_message:
                job_rows.finish(connection, row, Status.ABORTED, stopped, job.ttl, now)  # it was cancelled first
            else:
                job_rows.requeue(connection, row, document, (now, now + delay) if delay > 0 else None)

        await retry_until_stored(lambda: self._context.put(retry), self._context.clock, RETRY_SECONDS)
        self._context.running.discard((job.key, job.attempts))

    async def abort(self, job: Job, error: str, ttl: float = 5) -> None:  # noqa: ARG002
        """Aborts a queued job; marks a running one, which its worker then stops; ignores one that has ended."""
        now = self._now()
        ended = {**job.to_dict(), "error": error, "completed": milliseconds()}

        def abort(connection: sqlite3.Connection) -> Status | None:
            row = job_rows.get(connection, self.name, job.key)
            if row is None or Status(row.status) in TERMINAL_STATUSES:
                return None
            if row.status == Status.QUEUED:
                job_rows.finish(connection, row, Status.ABORTED, dump(ended), job.ttl, now)
                return Status.ABORTED
            job_rows.update(connection, row, Status.ABORTING, with_fields(row.document, error=error), row.owner)
            return Status.ABORTING

        status = await self._context.write(abort, durable=True)
        if status is not None:
            job.status, job.error = status, error
            self.aborted += status == Status.ABORTED

    async def is_current(self, job: Job) -> bool:
        """Whether this is still the job's current attempt."""
        row = self.row(job.key)
        return row is not None and row.attempts == job.attempts and row.status == Status.ACTIVE

    # --- queries: short reads on the loop, which never wait for a writer

    async def disconnect(self) -> None:
        """Does nothing: the database is closed by its owner."""

    async def job(self, job_key: str) -> Job | None:
        """Returns the job with that key; None if it is gone."""
        row = self.row(job_key)
        return self.decode(row) if row else None

    async def jobs(self, job_keys: Iterable[str]) -> list[Job | None]:
        """Returns one job or None for each key, in order."""
        return [await self.job(key) for key in job_keys]

    async def iter_jobs(
        self,
        statuses: list[Status] = list(Status),  # noqa: B006  SAQ's own
        batch_size: int = 100,
    ) -> AsyncIterator[Job]:
        """Iterates over the jobs with one of these statuses, oldest first."""
        wanted = set(statuses)
        after = 0
        while found := self._context.database.fetch_all(job_rows.AFTER, self.name, after, self._now(), batch_size):
            for *fields, after in found:  # noqa: B007  the last one counts
                job = self.decode(Row(*fields))
                if job.status in wanted:
                    yield job

    async def count(self, kind: CountKind) -> int:
        """Counts jobs that are `queued` (and due), `active`, or `incomplete` (scheduled, queued, active)."""
        if kind not in job_rows.COUNTS:
            raise ValueError(f"Can't count unknown type {kind}")
        row = self._context.database.fetch_one(job_rows.COUNTS[kind], self.name, self._now())
        return int(row[0]) if row else 0

    async def info(self, jobs: bool = False, offset: int = 0, limit: int = 10) -> QueueInfo:
        """Returns workers, counts, and a page of unfinished jobs, running ones first."""
        workers: dict[str, WorkerInfo] = {
            worker: orjson.loads(info)
            for worker, info in self._context.database.fetch_all(_READ_INFO, self.name, self._now())
        }
        queued, active, incomplete = [await self.count(kind) for kind in ("queued", "active", "incomplete")]
        found = self._context.database.fetch_all(job_rows.INCOMPLETE, self.name, limit, offset) if jobs else []
        return {
            "workers": workers,
            "name": self.name,
            "queued": queued,
            "active": active,
            "scheduled": incomplete - queued - active,
            "jobs": [self.decode(Row(*row)).to_dict() for row in found],
        }

    async def write_worker_info(self, worker_id: str, info: WorkerInfo, ttl: int) -> None:
        """Stores a worker's info for `ttl` seconds."""
        values = (self.name, worker_id, orjson.dumps(info), self._now() + ttl)
        await self._context.database.execute(_WRITE_INFO, *values)

    async def listen(
        self,
        job_keys: Iterable[str],
        callback: ListenCallback,
        timeout: float | None = 10,  # noqa: ASYNC109  SAQ's own
        poll_interval: float = 0.5,
    ) -> None:
        """Calls `callback` with a key and its current status, and after each change, until it returns something true.

        Raises TimeoutError after `timeout` seconds, if there is a timeout.
        """
        keys = list(job_keys)
        async with within(timeout or None):
            seen: dict[str, int] = {}
            while keys:
                for row in filter(None, map(self.row, keys)):
                    if seen.get(row.key) == row.version:
                        continue
                    seen[row.key] = row.version
                    stop = callback(row.key, Status(row.status))
                    if asyncio.iscoroutine(stop):
                        stop = await stop
                    if stop:
                        return
                await self._context.notifier.wait(poll_interval)

    def row(self, key: str) -> Row | None:
        """Returns a job's row."""
        row = self._context.database.fetch_one(job_rows.GET, key, self.name, self._now())
        return Row(*row) if row else None

    def decode(self, row: Row) -> Job:
        """Decodes the job of a row. The row's status and attempts override the document's."""
        job = decode_job(self, row.key, row.document, row.status)
        job.attempts = row.attempts
        return job

    # --- abandoned and expired jobs

    async def sweep(self, lock: int = 60, abort: float = 5.0) -> list[str]:  # noqa: ARG002
        """Deletes expired jobs, and requeues or fails abandoned ones; returns the keys of those."""
        now = self._now()
        if self._context.database.fetch_one(job_rows.ANY_EXPIRED, now):
            await self._context.write(lambda connection: job_rows.delete_expired(connection, now))
        active = [Row(*row) for row in self._context.database.fetch_all(job_rows.RUNNING, self.name)]
        self._stall_detector.observe(active)
        swept = []
        for row in active:
            if (row.key, row.attempts) in self._context.running:
                continue
            job = self.decode(row)
            if not self._context.process_lock.is_alive(row.owner or "") or self._stall_detector.missed_heartbeat(
                row, job
            ):
                swept.append(row.key)
                await self._retry_or_finish(row, job)
            elif self._stall_detector.timed_out(row, job):
                swept.append(row.key)
                await self._abort_attempt(row, job, abort)
        return swept

    async def _abort_attempt(self, row: Row, job: Job, seconds: float) -> None:
        """Makes its worker stop the attempt before another worker runs the job."""
        await self.abort(job, self.swept_error_message)
        try:
            await job.refresh(seconds)
        except TimeoutError:
            log.info("could not abort job %s", job.key)
        if job.status != Status.COMPLETE:
            await self._retry_or_finish(row, job)

    async def _retry_or_finish(self, row: Row, job: Job) -> None:
        """Retries an abandoned attempt, unless it was being aborted or was the last."""
        job.error = job.error if row.status == Status.ABORTING else self.swept_error_message
        if job.retryable and row.status == Status.ACTIVE:
            await self.retry(job, error=job.error)
        else:
            await self.finish(job, Status.ABORTED, error=job.error)

    def _current_row(self, connection: sqlite3.Connection, job: Job) -> Row | None:
        """Returns the job's row, unless a later attempt has it."""
        row = job_rows.get(connection, self.name, job.key)
        return row if row is not None and row.attempts == job.attempts else None

    def _now(self) -> float:
        return self._context.clock.now()
