"""References on disk, separate for each server and key, shared by every sidecar of the store."""

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

import orjson

from sidecar.clock import Clock
from sidecar.errors import StoreFailed
from sidecar.storage.database import Database

MAX_CACHED: Final = 200_000
"""References cached in memory; all are on disk."""

SWEEP_SECONDS: Final = 3600.0
"""Seconds between deletions of expired references while new ones are added."""

_FIND: Final = "SELECT expires FROM reference WHERE scope = ? AND name = ?"
_INSERT_ONE: Final = "INSERT OR REPLACE INTO reference (scope, name, expires) VALUES (?, ?, ?)"
_SWEEP: Final = "DELETE FROM reference WHERE expires <= ?"
_INSERT_ALL: Final = "INSERT OR REPLACE INTO reference (scope, name, expires) SELECT ?, key, value FROM json_each(?)"


class DiskReferences:
    """The references of one scope. A cache holds those that this process has seen; a miss reads the disk."""

    def __init__(self, database: Database, clock: Clock, scope: int) -> None:
        self._database = database
        self._now = clock.now
        self._scope = scope
        self._expires: dict[str, float] = {}
        self._staged: dict[str, float] = {}
        self._committing: dict[str, float] = {}
        self._unstored: dict[str, float] = {}
        """Staged with `until_stored` and not committed yet: they stay known."""
        self._last_sweep = clock.monotonic()
        self._monotonic = clock.monotonic

    @classmethod
    async def open(
        cls, database: Database, clock: Clock, scope: str, seed: Iterable[str], ttl: float
    ) -> "DiskReferences":
        """Opens a scope, deletes expired references, and remembers `seed` for `ttl` seconds. Raises StoreFailed."""
        await database.execute("INSERT OR IGNORE INTO scope (name) VALUES (?)", scope)
        await database.execute(_SWEEP, clock.now())
        row = database.fetch_one("SELECT id FROM scope WHERE name = ?", scope)
        if row is None:
            raise StoreFailed("the state folder's database does not keep what is written to it", retryable=True)
        self = cls(database, clock, row[0])
        for reference in seed:
            self.remember(reference, ttl)
        await database.flush()
        return self

    def has(self, reference: str) -> bool:
        """Whether the reference is remembered and has not expired."""
        now = self._now()
        expires = self._expires.get(reference)
        if expires is None or expires <= now:
            found = self._database.fetch_one(_FIND, self._scope, reference)
            if found is None or found[0] <= now:
                return False
            self._cache(reference, found[0])
        return True

    async def known(self, reference: str) -> bool:
        """Whether any process has remembered the reference; all share the file."""
        return self.has(reference)

    def remember(self, reference: str, ttl: float, *, until_stored: bool = False) -> None:
        """Remembers a reference for `ttl` seconds; it is on disk after the database's next commit.

        If that commit fails it is forgotten; with `until_stored` it joins each next transaction until one commits.
        """
        if not self._staged:
            self._database.stage(self._take_batch)
        expires = self._now() + ttl
        self._staged[reference] = expires
        if until_stored:
            self._unstored[reference] = expires
        self._cache(reference, expires)

    def _cache(self, reference: str, expires: float) -> None:
        if len(self._expires) >= MAX_CACHED:
            self._expires = self._committing | self._unstored | self._staged  # uncommitted ones must stay
        self._expires[reference] = expires

    def _take_batch(self) -> "_StagedReferences":
        self._committing, self._staged = self._staged, {}
        retried = {
            reference: self._unstored[reference] for reference in self._committing.keys() & self._unstored.keys()
        }
        return _StagedReferences(
            self._scope, self._committing, retried, self._forget, self._on_stored, self._sweep_before()
        )

    def _sweep_before(self) -> float | None:
        """Returns the current time once an hour, to delete references that expired before it; else None."""
        passed = self._monotonic()
        if passed - self._last_sweep < SWEEP_SECONDS:
            return None
        self._last_sweep = passed
        return self._now()

    def _forget(self, accepted: dict[str, float]) -> None:
        for reference, expires in accepted.items():
            if self._expires.get(reference) != expires:
                continue
            if reference in self._unstored:
                self._expires[reference] = self._unstored[reference]
            else:
                del self._expires[reference]

    def _on_stored(self, stored: dict[str, float]) -> None:
        for reference, expires in stored.items():
            if self._unstored.get(reference) == expires:
                del self._unstored[reference]


@dataclass(frozen=True, slots=True)
class _StagedReferences:
    """References staged since the last commit."""

    scope: int
    accepted: dict[str, float]
    retried: dict[str, float]
    """References staged with `until_stored`."""
    forget: Callable[[dict[str, float]], None]
    on_stored: Callable[[dict[str, float]], None]
    sweep_before: float | None

    def write(self, connection: sqlite3.Connection) -> None:
        """Writes them with one statement, which runs without the GIL."""
        rows = orjson.dumps(self.accepted)
        if b"\\u0000" in rows:  # SQLite's JSON functions end a string there
            values = [(self.scope, name, expires) for name, expires in self.accepted.items()]
            connection.executemany(_INSERT_ONE, values)
        else:
            connection.execute(_INSERT_ALL, (self.scope, rows.decode()))
        if self.sweep_before is not None:
            connection.execute(_SWEEP, (self.sweep_before,))

    def to_retry(self) -> "_StagedReferences | None":
        """Returns those staged with `until_stored`."""
        return replace(self, accepted=self.retried) if self.retried else None

    def on_commit(self) -> None:
        """Retries them no more."""
        self.on_stored(self.retried)

    def on_rollback(self) -> None:
        """Removes them from the cache, except those to retry: they are not on disk."""
        self.forget(self.accepted)
