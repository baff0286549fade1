"""Every queue of one database: jobs are put, found and listed whatever queue they are in."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec
from saq.job import Job, Status
from saq.utils import now as milliseconds

from sidecar.clock import Clock
from sidecar.errors import StoreFailed
from sidecar.queue import job_rows
from sidecar.queue.job_rows import New, Row
from sidecar.queue.process_registry import ProcessLock
from sidecar.queue.results import ResultStore
from sidecar.queue.sqlite_context import SqliteContext, join
from sidecar.queue.sqlite_queue import SqliteQueue
from sidecar.storage.database import Database


class SqliteBackend:
    """Use `open`. Everything may raise StoreFailed."""

    def __init__(self, local: SqliteContext, max_bytes: int) -> None:
        self.process = local.presence.process
        self._local = local
        self._leavings = ResultStore(local.database, local.clock, self.process, max_bytes)
        self._queues: dict[str, SqliteQueue] = {}
        self._accepted: dict[str, New] = {}
        self._being_written: dict[str, New] = {}

    @classmethod
    def open(cls, database: Database, folder: Path | None, clock: Clock, max_bytes: int) -> Self:
        """`folder` is where processes that share the database see each other; None where it is in memory.

        `max_bytes` is what all results may take.
        """
        try:
            presence = ProcessLock(folder)
        except OSError as failure:
            raise StoreFailed(f"the state folder can't be used: {failure.strerror}", retryable=True) from None
        return cls(join(database, presence, clock, alone=folder is None), max_bytes)

    def queue(self, name: str) -> SqliteQueue:
        """The queue of that name."""
        if name not in self._queues:
            self._queues[name] = SqliteQueue(self._local, name)
        return self._queues[name]

    async def lives(self, process: str) -> bool:
        """Whether a process of this store still runs."""
        return self._local.presence.lives(process)

    async def put(self, job: Job, name: str) -> bool:
        """Enqueues a job unless one with its key is kept in any queue; it is on disk with the next commit.

        It never waits. Where the disk refuses, it counts as not put.
        """
        if job.key in self._accepted or job.key in self._being_written or self._row(job.key):
            return False
        job.queue = queue = self.queue(name)
        job.queued = milliseconds()
        job.status = Status.QUEUED
        if not self._accepted:
            self._local.database.stage(self._take)
        self._accepted[job.key] = queue.new(job)
        return True

    async def find(self, key: str) -> Job | None:
        """The job with that key, in any queue; also one that was only just put."""
        new = self._accepted.get(key) or self._being_written.get(key)
        if new is not None:
            return self._job(Row(new.queue, key, Status.QUEUED, new.attempts, new.document, None, 0))
        row = self._row(key)
        return self._job(row) if row else None

    async def page(self, statuses: frozenset[Status], offset: int, limit: int) -> tuple[int, list[Job]]:
        """How many jobs have these statuses, and some of them, newest first, of all queues."""
        if self._accepted or self._being_written:
            await self._local.database.flushed()
        wanted = msgspec.json.encode(sorted(status.value for status in statuses)).decode()
        now = self._local.clock.now()
        total = self._local.database.first(job_rows.COUNT, wanted, now)
        found = self._local.database.all(job_rows.PAGE, wanted, now, limit, offset)
        return total[0] if total else 0, [self._job(Row(*row)) for row in found]

    async def orphans(self, prefix: str) -> list[Job]:
        """Jobs that have not ended in queues named after processes that are gone: `prefix` and the process."""
        found = [Row(*row) for row in self._local.database.all(job_rows.WAITING, prefix, prefix + "\U0010ffff")]
        gone = {name for name in {row.queue for row in found} if not self._local.presence.lives(name[len(prefix) :])}
        return [self._job(row) for row in found if row.queue in gone]

    async def keep_result(self, key: str, body: bytes, ttl: int) -> None:
        """With the next commit."""
        self._leavings.keep(key, body, ttl)

    async def result(self, key: str) -> bytes | None:
        """A kept result; empty where it had to make room for others. Raises StoreFailed."""
        return self._leavings.result(key)

    async def tell(self, process: str, line: bytes) -> None:
        """Leaves a message for a process. Raises StoreFailed."""
        await self._leavings.tell(process, line)

    def listen(self, told: Callable[[bytes], None] | None) -> None:
        """Has messages for this process handed to `told`; None stops that."""
        self._leavings.listen(told)

    async def close(self) -> None:
        """Wakes who waits for jobs, and counts as gone for other processes; the database stays open."""
        self._local.closed = True
        self._local.bell.close()
        self._local.presence.close()

    def _row(self, key: str) -> Row | None:
        row = self._local.database.first(job_rows.FIND, key, self._local.clock.now())
        return Row(*row) if row else None

    def _job(self, row: Row) -> Job:
        return self.queue(row.queue).decoded(row)

    def _take(self) -> "_Put":
        news, self._accepted = self._accepted, {}
        self._being_written.update(news)
        return _Put(self, news, self._local.clock.now())

    def written(self, news: dict[str, New]) -> None:
        """The batch is on disk, or refused."""
        for key in news:
            self._being_written.pop(key, None)
        self._local.bell.ring()


class _Put:
    """Jobs accepted since the last commit."""

    durable = True

    def __init__(self, jobs: SqliteBackend, news: dict[str, New], now: float) -> None:
        self._jobs = jobs
        self._news = news
        self._now = now

    def write(self, connection: sqlite3.Connection) -> None:
        """Stores each, unless another process was quicker."""
        for new in self._news.values():
            job_rows.insert_once(connection, new, self._now)

    def written(self) -> None:
        """They can be taken now."""
        self._jobs.written(self._news)

    def undo(self) -> None:
        """They were never accepted."""
        self._jobs.written(self._news)
