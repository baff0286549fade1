"""What runs leave behind in SQLite: their results, within a bound, and messages for other processes' parents."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from typing import Final

from sidecar.clock import Clock
from sidecar.errors import StoreFailed
from sidecar.storage.database import Database

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.25
"""How long a message from another process may lie."""
MESSAGE_TTL: Final = 600.0
"""Seconds after which a message that nobody fetched is thrown away."""

Result = tuple[bytes, float]
"""Its body, and the Unix time when it expires."""

# a result that was kept first stays: a later one comes from an attempt that has lost its job meanwhile
_KEEP: Final = """
    INSERT INTO result (id, body, size, expires) VALUES (?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET body = excluded.body, size = excluded.size, expires = excluded.expires
    WHERE result.expires <= ?
"""
_OLDEST: Final = "SELECT number, size FROM result WHERE size > 0 ORDER BY number"


class ResultStore:
    """Results and messages of one database."""

    def __init__(self, database: Database, clock: Clock, process: str, max_bytes: int) -> None:
        """`max_bytes` is what all results may take together."""
        self._database = database
        self._now = clock.now
        self._process = process
        self._max_bytes = max_bytes
        self._kept: dict[str, Result] = {}
        self._unwritten: dict[str, Result] = {}
        self._unchecked = max_bytes  # bytes that may have been added since the whole was last measured: unknown yet
        self._looking: asyncio.Task[None] | None = None

    def keep(self, key: str, body: bytes, ttl: int) -> None:
        """Stages a result that is kept for `ttl` seconds."""
        self._unwritten[key] = body, self._now() + ttl
        self._stage({key: self._unwritten[key]})

    def result(self, key: str) -> bytes | None:
        """A kept result; empty where it had to make room for others. Raises StoreFailed."""
        row = self._unwritten.get(key) or self._database.first("SELECT body, expires FROM result WHERE id = ?", key)
        if row is None or row[1] <= self._now():
            return None
        body: bytes = row[0]
        return body

    async def tell(self, process: str, line: bytes) -> None:
        """Leaves a message for a process. Raises StoreFailed."""
        await self._database.execute(
            "INSERT INTO message (process, line, expires) VALUES (?, ?, ?)", process, line, self._now() + MESSAGE_TTL
        )

    def listen(self, told: Callable[[bytes], None] | None) -> None:
        """Has messages for this process handed to `told`; None stops that."""
        if self._looking:
            self._looking.cancel()
        self._looking = asyncio.create_task(self._look(told)) if told else None

    async def _look(self, told: Callable[[bytes], None]) -> None:
        while True:
            try:
                await self._fetch(told)
            except StoreFailed as failure:
                log.warning("could not look for messages of other sidecars: %s", failure)
            await asyncio.sleep(LOOK_SECONDS)

    async def _fetch(self, told: Callable[[bytes], None]) -> None:
        rows = self._database.all("SELECT id, line FROM message WHERE process = ? ORDER BY id", self._process)
        if rows:
            sql = "DELETE FROM message WHERE (process = ? AND id <= ?) OR expires <= ?"
            await self._database.execute(sql, self._process, rows[-1][0], self._now())
        for _, line in rows:
            told(line)

    def _stage(self, kept: dict[str, Result]) -> None:
        if not self._kept:
            self._database.stage(self._take)
        self._kept.update(kept)

    def _take(self) -> "_Kept":
        kept, self._kept = self._kept, {}
        return _Kept(self, kept, self._now())

    def write(self, connection: sqlite3.Connection, kept: dict[str, Result], now: float) -> None:
        """Writes results, and makes room for them. In the writer's thread."""
        rows = [(key, body, len(body), expires, now) for key, (body, expires) in kept.items()]
        connection.executemany(_KEEP, rows)
        self._unchecked += sum(row[2] for row in rows)
        if self._unchecked < self._max_bytes // 16:
            return
        self._unchecked = 0
        connection.execute("DELETE FROM result WHERE expires <= ?", (now,))
        (total,) = connection.execute("SELECT total(size) FROM result").fetchone()
        too_much = int(total) - self._max_bytes
        if too_much > 0:
            self._make_room(connection, too_much + self._max_bytes // 16)

    def written(self, kept: dict[str, Result]) -> None:
        """They are on disk."""
        for key, result in kept.items():
            if self._unwritten.get(key) is result:
                del self._unwritten[key]

    def _make_room(self, connection: sqlite3.Connection, wanted: int) -> None:
        dropped = []
        for number, size in connection.execute(_OLDEST):
            dropped.append((number,))
            wanted -= size
            if wanted <= 0:
                break
        connection.executemany("UPDATE result SET body = x'', size = 0 WHERE number = ?", dropped)


class _Kept:
    """Results that were kept since the last commit."""

    def __init__(self, leavings: ResultStore, kept: dict[str, Result], now: float) -> None:
        self._leavings = leavings
        self._kept = kept
        self._now = now

    def write(self, connection: sqlite3.Connection) -> None:
        """Writes them."""
        self._leavings.write(connection, self._kept, self._now)

    def written(self) -> None:
        """They need not be kept in memory any more."""
        self._leavings.written(self._kept)

    def owed(self) -> "_Kept":
        """All of them: they belong to the ends of their jobs, and are stored with those."""
        return self

    def undo(self) -> None:
        """They can't be stored, whatever the disk does: nobody keeps them in memory for ever."""
        self._leavings.written(self._kept)
