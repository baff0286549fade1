"""Results of jobs in SQLite, within a bound on their total size."""

import sqlite3
from typing import Final

from sidecar.clock import Clock
from sidecar.storage.database import Database

Result = tuple[bytes, float]
"""The body, and the Unix time at which it expires."""

# the first result stays: a later one is of an attempt that has lost its job meanwhile
_STORE: Final = """
    INSERT INTO result (id, body, size, expires) VALUES (?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET body = excluded.body, size = excluded.size, expires = excluded.expires
    WHERE result.expires <= ?
"""
_OLDEST: Final = "SELECT number, size FROM result WHERE size > 0 ORDER BY number"


class ResultStore:
    """The results of one database."""

    def __init__(self, database: Database, clock: Clock, max_bytes: int) -> None:
        """`max_bytes` is the most that all results may take together."""
        self._database = database
        self._now = clock.now
        self._max_bytes = max_bytes
        self._staged: dict[str, Result] = {}
        self._uncommitted: dict[str, Result] = {}
        self._unmeasured = max_bytes  # bytes added since the total was last measured; at first unknown

    def store(self, key: str, body: bytes, ttl: int) -> None:
        """Stages a result, to be kept for `ttl` seconds."""
        self._uncommitted[key] = body, self._now() + ttl
        self._stage({key: self._uncommitted[key]})

    def get(self, key: str) -> bytes | None:
        """Returns a stored result; empty if it was evicted. Raises StoreFailed."""
        row = self._uncommitted.get(key) or self._database.fetch_one(
            "SELECT body, expires FROM result WHERE id = ?", key
        )
        if row is None or row[1] <= self._now():
            return None
        body: bytes = row[0]
        return body

    def _stage(self, results: dict[str, Result]) -> None:
        if not self._staged:
            self._database.stage(self._take_batch)
        self._staged.update(results)

    def _take_batch(self) -> "_StagedResults":
        results, self._staged = self._staged, {}
        return _StagedResults(self, results, self._now())

    def write(self, connection: sqlite3.Connection, results: dict[str, Result], now: float) -> None:
        """Writes results and evicts old ones. Runs in the writer's thread."""
        rows = [(key, body, len(body), expires, now) for key, (body, expires) in results.items()]
        connection.executemany(_STORE, rows)
        self._unmeasured += sum(row[2] for row in rows)
        if self._unmeasured < self._max_bytes // 16:
            return
        self._unmeasured = 0
        connection.execute("DELETE FROM result WHERE expires <= ?", (now,))
        (total,) = connection.execute("SELECT total(size) FROM result").fetchone()
        too_much = int(total) - self._max_bytes
        if too_much > 0:
            self._make_room(connection, too_much + self._max_bytes // 16)

    def on_commit(self, results: dict[str, Result]) -> None:
        """Drops committed results from memory."""
        for key, result in results.items():
            if self._uncommitted.get(key) is result:
                del self._uncommitted[key]

    def _make_room(self, connection: sqlite3.Connection, wanted: int) -> None:
        dropped = []
        for number, size in connection.execute(_OLDEST):
            dropped.append((number,))
            wanted -= size
            if wanted <= 0:
                break
        connection.executemany("UPDATE result SET body = x'', size = 0 WHERE number = ?", dropped)


class _StagedResults:
    """Results that were staged since the last commit."""

    def __init__(self, store: ResultStore, results: dict[str, Result], now: float) -> None:
        self._store = store
        self._staged = results
        self._now = now

    def write(self, connection: sqlite3.Connection) -> None:
        """Writes the results."""
        self._store.write(connection, self._staged, self._now)

    def on_commit(self) -> None:
        """Drops them from memory."""
        self._store.on_commit(self._staged)

    def to_retry(self) -> "_StagedResults":
        """Returns all of them: they must be stored with the ends of their jobs."""
        return self

    def on_rollback(self) -> None:
        """Drops them from memory: they can't be stored at all."""
        self._store.on_commit(self._staged)
