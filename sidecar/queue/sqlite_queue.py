"""SAQ's queue on our database: several processes on one file, woken without polling inside each."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, Final

from saq.job import TERMINAL_STATUSES, Job, Status
from saq.utils import now as milliseconds

from sidecar.errors import StoreFailed
from sidecar.queue import job_rows
from sidecar.queue.dequeue_lock import DequeueLock
from sidecar.queue.job_completion import CompletingQueue
from sidecar.queue.job_meta import dump, stamped
from sidecar.queue.job_rows import New, Row
from sidecar.queue.sqlite_context import SqliteContext
from sidecar.queue.sqlite_queries import SqliteQueries
from sidecar.queue.stall_detector import StallDetector

log = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS: Final = 5.0
"""After so long whoever waits for a job looks at the clock again, which may have been set."""
REFUSED_SECONDS: Final = (0.1, 0.5, 2.0, 5.0)
"""Pauses while the disk refuses; the last one is repeated."""


class SqliteQueue(CompletingQueue, SqliteQueries):
    """One queue of a database. What a call has changed is written when it returns."""

    def __init__(self, local: SqliteContext, name: str = "default") -> None:
        super().__init__(local, name)
        self._stuck = StallDetector(local.clock.monotonic)
        self._turn = DequeueLock(local.clock.monotonic)
        self._begun: set[tuple[str, int]] = set()

    # --- what goes in

    async def _enqueue(self, job: Job) -> Job | None:
        new = self.new(job)
        entered = await self._local.write(lambda connection: job_rows.insert_again(connection, new), durable=True)
        return job if entered else None

    def new(self, job: Job) -> New:
        """The row of a job that is to be stored."""
        return New(self.name, job.key, job.scheduled, job.attempts, dump(job.to_dict()))

    async def schedule(self, _lock: int = 1) -> list[str]:
        """Gives the jobs whose time has come their place, which `dequeue` does by itself, too; their keys."""
        now = self._now()
        if not self._local.database.first(job_rows.ANY_DUE, self.name, now):
            return []
        return await self._local.write(lambda connection: job_rows.promote(connection, self.name, now))

    # --- what comes out

    async def dequeue(self, timeout: float = 0.0, poll_interval: float = 0.0) -> Job | None:  # noqa: ARG002, ASYNC109
        """The next job, active from now on; None after `timeout` seconds. Waits while the disk refuses."""
        async with self._turn.until(timeout) as seconds:
            return await self._next(seconds) if seconds > 0 else None

    async def _next(self, seconds: float) -> Job | None:
        monotonic = self._local.clock.monotonic
        deadline = monotonic() + seconds
        refusals = 0
        while not self._local.closed:
            try:
                seconds = self._seconds_to_next()
                job = await self._take() if seconds <= 0 else None
                refusals = 0
            except StoreFailed as refusal:
                log.warning("no job can be taken: %s", refusal)
                seconds, job = _pause(refusals), None
                refusals += 1
            if job is not None:
                return job
            if (left := deadline - monotonic()) <= 0:
                return None
            if seconds > 0:
                await self._local.bell.wait(min(seconds, left))
        return None

    def _seconds_to_next(self) -> float:
        now = self._now()
        found = self._local.database.first(job_rows.NEXT, self.name, now)
        return min(found[0] - now, LONGEST_WAIT_SECONDS) if found else LONGEST_WAIT_SECONDS

    async def _take(self) -> Job | None:
        taking = asyncio.ensure_future(self._taken())
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            job = await taking
            if job is not None:
                self._local.held.discard((job.key, job.attempts + 1))
                self._begun.discard((job.key, job.attempts + 1))
                await self._local.write(lambda connection: job_rows.give_back(connection, self.name, job.key))
            raise

    async def _taken(self) -> Job | None:
        owner, now = self._local.presence.process, self._now()

        def begun(document: bytes) -> bytes:
            stamp = milliseconds()
            return stamped(document, started=stamp, touched=stamp)

        row = await self._local.write(lambda connection: job_rows.take(connection, self.name, owner, now, begun))
        if row is None:
            return None
        self._local.held.add((row.key, row.attempts))
        self._begun.add((row.key, row.attempts))
        job = self.decoded(row)
        job.attempts -= 1  # whoever takes it counts the attempt
        return job

    # --- what becomes of it

    async def _update(self, job: Job, status: Status | None = None, **kwargs: Any) -> None:  # noqa: ARG002
        if status == Status.ACTIVE and (job.key, job.attempts) in self._begun:
            self._begun.discard((job.key, job.attempts))  # the worker says what taking it has stored already
            return
        document = dump(job.to_dict())
        owner = self._local.presence.process

        def update(connection: sqlite3.Connection) -> None:
            row = self._own(connection, job)
            if row is None:
                return
            stored = Status(row.status)
            # what somebody is stopping, or what has ended, is not brought back by the one who runs it
            settled = stored in TERMINAL_STATUSES or (stored == Status.ABORTING and status == Status.ACTIVE)
            job_rows.change(connection, row, stored if settled else status or stored, document, row.owner or owner)

        try:
            await self._local.write(update)
        except StoreFailed as refusal:  # the next one brings the same news and more
            log.warning("a job's progress is not stored: %s", refusal)

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
            row = self._own(connection, job)
            if row is not None and Status(row.status) not in TERMINAL_STATUSES:
                job_rows.end(connection, row, status, document, job.ttl, now)

        await self._insist(lambda: self._local.put(finish, durable=True))
        self._local.held.discard((job.key, job.attempts))

    async def _retry(self, job: Job, error: str | None) -> None:  # noqa: ARG002
        document, now, delay = dump(job.to_dict()), self._now(), job.next_retry_delay()
        stopped = dump({**job.to_dict(), "completed": milliseconds()})

        def again(connection: sqlite3.Connection) -> None:
            row = self._own(connection, job)
            if row is None or row.status in (Status.COMPLETE, Status.FAILED):
                return
            if row.status == Status.ABORTING and self.decoded(row).error != self.swept_error_message:
                job_rows.end(connection, row, Status.ABORTED, stopped, job.ttl, now)  # whoever cancelled it was first
            else:
                job_rows.queue_again(connection, row, document, (now, now + delay) if delay > 0 else None)

        await self._insist(lambda: self._local.put(again))
        self._local.held.discard((job.key, job.attempts))

    async def abort(self, job: Job, error: str, ttl: float = 5) -> None:  # noqa: ARG002
        """Ends a job that waits; has one that runs stopped by whoever runs it; leaves one that ended as it is."""
        now = self._now()
        ended = {**job.to_dict(), "error": error, "completed": milliseconds()}

        def abort(connection: sqlite3.Connection) -> Status | None:
            row = job_rows.get(connection, self.name, job.key)
            if row is None or Status(row.status) in TERMINAL_STATUSES:
                return None
            if row.status == Status.QUEUED:
                job_rows.end(connection, row, Status.ABORTED, dump(ended), job.ttl, now)
                return Status.ABORTED
            job_rows.change(connection, row, Status.ABORTING, stamped(row.document, error=error), row.owner)
            return Status.ABORTING

        status = await self._local.write(abort, durable=True)
        if status is not None:
            job.status, job.error = status, error
            self.aborted += status == Status.ABORTED

    async def holds(self, job: Job) -> bool:
        """Whether this attempt is still the one that counts."""
        row = self.row(job.key)
        return row is not None and row.attempts == job.attempts and row.status == Status.ACTIVE

    # --- what nobody looks after

    async def sweep(self, lock: int = 60, abort: float = 5.0) -> list[str]:  # noqa: ARG002
        """Forgets what has expired, and puts back, or gives up, what nobody runs any more; their keys."""
        now = self._now()
        if self._local.database.first(job_rows.ANY_TO_DROP, now):
            await self._local.write(lambda connection: job_rows.drop(connection, now))
        running = [Row(*row) for row in self._local.database.all(job_rows.RUNNING, self.name)]
        self._stuck.look(running)
        swept = []
        for row in running:
            if (row.key, row.attempts) in self._local.held:
                continue
            job = self.decoded(row)
            if not self._local.presence.lives(row.owner or "") or self._stuck.silent(row, job):
                swept.append(row.key)
                await self._put_back(row, job)
            elif self._stuck.late(row, job):
                swept.append(row.key)
                await self._stop(row, job, abort)
        return swept

    async def _stop(self, row: Row, job: Job, seconds: float) -> None:
        """Asks the one who runs it to stop, before somebody else runs it."""
        await self.abort(job, self.swept_error_message)
        try:
            await job.refresh(seconds)
        except TimeoutError:
            log.info("could not abort job %s", job.key)
        if job.status != Status.COMPLETE:
            await self._put_back(row, job)

    async def _put_back(self, row: Row, job: Job) -> None:
        """Has an attempt that is given up done again, unless it was being stopped or was the last."""
        job.error = job.error if row.status == Status.ABORTING else self.swept_error_message
        if job.retryable and row.status == Status.ACTIVE:
            await self.retry(job, error=job.error)
        else:
            await self.finish(job, Status.ABORTED, error=job.error)

    def _own(self, connection: sqlite3.Connection, job: Job) -> Row | None:
        """The job's row, unless a later attempt has it."""
        row = job_rows.get(connection, self.name, job.key)
        return row if row is not None and row.attempts == job.attempts else None

    async def _insist(self, write: Callable[[], Awaitable[None]]) -> None:
        """Writes it however long the disk refuses: what a job came to must not be lost."""
        refusals = 0
        while True:
            try:
                return await write()
            except StoreFailed as refusal:
                log.warning("what a job came to is not stored yet: %s", refusal)
                await self._local.clock.sleep(_pause(refusals))
                refusals += 1


def _pause(refusals: int) -> float:
    return REFUSED_SECONDS[min(refusals, len(REFUSED_SECONDS) - 1)]
