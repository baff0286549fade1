"""The queue backend of one machine: all queues of one database."""

import sqlite3
from pathlib import Path
from typing import Self

import orjson
from saq.job import Job, Status
from saq.utils import now as milliseconds

from sidecar.clock import Clock
from sidecar.errors import StoreFailed
from sidecar.queue import job_rows
from sidecar.queue.backend import MessageHandler
from sidecar.queue.job_rows import NewRow, Row
from sidecar.queue.message_store import MessageStore
from sidecar.queue.process_registry import ProcessLock
from sidecar.queue.result_store import ResultStore
from sidecar.queue.sqlite_context import SqliteContext, create_context
from sidecar.queue.sqlite_queue import SqliteQueue
from sidecar.storage.database import Database


class SqliteBackend:
    """Use `open`. Everything may raise StoreFailed."""

    def __init__(self, context: SqliteContext, max_bytes: int) -> None:
        self.process = context.process_lock.process
        self._context = context
        self._results = ResultStore(context.database, context.clock, max_bytes)
        self._messages = MessageStore(context.database, context.clock, self.process)
        self._queues: dict[str, SqliteQueue] = {}
        self._staged: dict[str, NewRow] = {}
        self._committing: dict[str, NewRow] = {}

    @classmethod
    def open(cls, database: Database, folder: Path | None, clock: Clock, max_bytes: int) -> Self:
        """`folder` holds the locks of processes that share the database; None if it is in memory.

        `max_bytes` is the most that all results may take together.
        """
        try:
            process_lock = ProcessLock(folder)
        except OSError as failure:
            raise StoreFailed(f"the state folder can't be used: {failure.strerror}", retryable=True) from None
        return cls(create_context(database, process_lock, clock, alone=folder is None), max_bytes)

    def queue(self, name: str) -> SqliteQueue:
        """Returns the queue of that name."""
        if name not in self._queues:
            self._queues[name] = SqliteQueue(self._context, name)
        return self._queues[name]

    async def is_alive(self, process: str) -> bool:
        """Whether a process of this store is alive."""
        return self._context.process_lock.is_alive(process)

    async def put(self, job: Job, name: str) -> bool:
        """Enqueues a job unless any queue has one with its key; it is on disk with the next commit.

        It never waits. If the commit fails, the job was not enqueued.
        """
        if job.key in self._staged or job.key in self._committing or self._row(job.key):
            return False
        job.queue = queue = self.queue(name)
        job.queued = milliseconds()
        job.status = Status.QUEUED
        if not self._staged:
            self._context.database.stage(self._take_batch)
        self._staged[job.key] = queue.new_row(job)
        return True

    async def find(self, key: str) -> Job | None:
        """Returns the job with that key, from any queue and also if it is not committed yet."""
        new_row = self._staged.get(key) or self._committing.get(key)
        if new_row is not None:
            return self._job(Row(new_row.queue, key, Status.QUEUED, new_row.attempts, new_row.document, None, 0))
        row = self._row(key)
        return self._job(row) if row else None

    async def page(self, statuses: frozenset[Status], offset: int, limit: int) -> tuple[int, list[Job]]:
        """Returns how many jobs have these statuses, in all queues, and one page of them, newest first."""
        if self._staged or self._committing:
            await self._context.database.flush()
        wanted = orjson.dumps(sorted(status.value for status in statuses)).decode()
        now = self._context.clock.now()
        total = self._context.database.fetch_one(job_rows.COUNT, wanted, now)
        found = self._context.database.fetch_all(job_rows.PAGE, wanted, now, limit, offset)
        return total[0] if total else 0, [self._job(Row(*row)) for row in found]

    async def orphans(self, prefix: str) -> list[Job]:
        """Returns unfinished jobs of queues named after dead processes: `prefix` and the process."""
        found = [
            Row(*row) for row in self._context.database.fetch_all(job_rows.UNFINISHED, prefix, prefix + "\U0010ffff")
        ]
        gone = {
            name
            for name in {row.queue for row in found}
            if not self._context.process_lock.is_alive(name[len(prefix) :])
        }
        return [self._job(row) for row in found if row.queue in gone]

    async def store_result(self, key: str, body: bytes, ttl: int) -> None:
        """Stages a job's result, to be kept for `ttl` seconds."""
        self._results.store(key, body, ttl)

    async def get_result(self, key: str) -> bytes | None:
        """Returns a stored result; empty if it was evicted. Raises StoreFailed."""
        return self._results.get(key)

    async def publish(self, process: str, message: bytes) -> None:
        """Sends a message to a process. Raises StoreFailed."""
        await self._messages.publish(process, message)

    def subscribe(self, handler: MessageHandler | None) -> None:
        """Passes messages for this process to `handler`; None unsubscribes."""
        self._messages.subscribe(handler)

    async def close(self) -> None:
        """Wakes all waiters and counts as dead for other processes; the database stays open."""
        self._context.closed = True
        self._context.notifier.close()
        self._context.process_lock.close()

    def _row(self, key: str) -> Row | None:
        row = self._context.database.fetch_one(job_rows.FIND, key, self._context.clock.now())
        return Row(*row) if row else None

    def _job(self, row: Row) -> Job:
        return self.queue(row.queue).decode(row)

    def _take_batch(self) -> "_StagedJobs":
        rows, self._staged = self._staged, {}
        self._committing.update(rows)
        return _StagedJobs(self, rows, self._context.clock.now())

    def on_commit(self, rows: dict[str, NewRow]) -> None:
        """Drops a batch from memory once it is committed or rolled back."""
        for key in rows:
            self._committing.pop(key, None)
        self._context.notifier.notify()


class _StagedJobs:
    """Jobs staged since the last commit."""

    durable = True

    def __init__(self, jobs: SqliteBackend, rows: dict[str, NewRow], now: float) -> None:
        self._jobs = jobs
        self._rows = rows
        self._now = now

    def write(self, connection: sqlite3.Connection) -> None:
        """Stores each job, unless another process has stored its key first."""
        for new_row in self._rows.values():
            job_rows.insert_once(connection, new_row, self._now)

    def on_commit(self) -> None:
        """Makes the jobs available."""
        self._jobs.on_commit(self._rows)

    def on_rollback(self) -> None:
        """Drops the jobs: they were not enqueued."""
        self._jobs.on_commit(self._rows)
