"""The queue on SQLite, with all that the engine needs of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Self

from sidecar.clock import Clock
from sidecar.queue.leavings import Leavings
from sidecar.queue.sqlite import SqliteJobs
from sidecar.store.database import Database


class SqliteBackend(SqliteJobs):
    """Jobs, results and messages of one database."""

    _leavings: Leavings

    @classmethod
    def bounded(cls, database: Database, folder: Path | None, clock: Clock, max_bytes: int) -> Self:
        """`folder` is where processes see each other; `max_bytes` is what all results may take. Raises StoreFailed."""
        self = cls.open(database, folder, clock)
        self._leavings = Leavings(database, clock, self.process, max_bytes)
        return self

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
