"""What can be asked of a queue on SQLite: short reads on the loop, which never wait for a writer."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final

import msgspec
from saq.job import Job, Status
from saq.queue.base import Queue
from saq.types import CountKind, ListenCallback, QueueInfo, WorkerInfo

from sidecar.clock import within
from sidecar.queue import job_rows
from sidecar.queue.job_meta import decode_job, dump, load
from sidecar.queue.job_rows import Row
from sidecar.queue.sqlite_context import SqliteContext

_WRITE_INFO: Final = "INSERT OR REPLACE INTO worker (queue, id, info, expires) VALUES (?, ?, ?, ?)"
_READ_INFO: Final = "SELECT id, info FROM worker WHERE queue = ? AND expires > ?"


class SqliteQueries(Queue):
    """The half of SAQ's interface that changes no job. Everything may raise StoreFailed."""

    def __init__(self, context: SqliteContext, name: str) -> None:
        super().__init__(name=name, dump=dump, load=load)
        self._context = context

    async def disconnect(self) -> None:
        """Nothing to let go of: the database is somebody else's."""

    async def job(self, job_key: str) -> Job | None:
        """The job of that key; None once it is forgotten."""
        row = self.row(job_key)
        return self.decode(row) if row else None

    async def jobs(self, job_keys: Iterable[str]) -> list[Job | None]:
        """One for each key, in their order."""
        return [await self.job(key) for key in job_keys]

    async def iter_jobs(
        self,
        statuses: list[Status] = list(Status),  # noqa: B006  SAQ's own
        batch_size: int = 100,
    ) -> AsyncIterator[Job]:
        """Every job with one of these statuses, oldest first."""
        wanted = set(statuses)
        after = 0
        while found := self._context.database.fetch_all(job_rows.AFTER, self.name, after, self._now(), batch_size):
            for *fields, after in found:  # noqa: B007  the last one counts
                job = self.decode(Row(*fields))
                if job.status in wanted:
                    yield job

    async def count(self, kind: CountKind) -> int:
        """How many are `queued` (and due), `active`, or `incomplete` (waiting for their time, queued, active)."""
        if kind not in job_rows.COUNTS:
            raise ValueError(f"Can't count unknown type {kind}")
        row = self._context.database.fetch_one(job_rows.COUNTS[kind], self.name, self._now())
        return int(row[0]) if row else 0

    async def info(self, jobs: bool = False, offset: int = 0, limit: int = 10) -> QueueInfo:
        """Workers, counts, and some of the jobs that have not ended, those that run first."""
        workers: dict[str, WorkerInfo] = {
            worker: msgspec.json.decode(info)
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
        """Keeps what a worker says of itself for `ttl` seconds."""
        values = (self.name, worker_id, msgspec.json.encode(info), self._now() + ttl)
        await self._context.database.execute(_WRITE_INFO, *values)

    async def listen(
        self,
        job_keys: Iterable[str],
        callback: ListenCallback,
        timeout: float | None = 10,  # noqa: ASYNC109  SAQ's own
        poll_interval: float = 0.5,
    ) -> None:
        """Calls back with a key and its status as they are now and after each change, until it gives something true.

        Raises TimeoutError after `timeout` seconds, where there is one.
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
        """A job as it is stored."""
        row = self._context.database.fetch_one(job_rows.GET, key, self.name, self._now())
        return Row(*row) if row else None

    def decode(self, row: Row) -> Job:
        """The job of a row. What the row says counts more than what the document says."""
        job = decode_job(self, row.key, row.document, row.status)
        job.attempts = row.attempts
        return job

    def _now(self) -> float:
        return self._context.clock.now()
