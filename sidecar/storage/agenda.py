"""The agenda: one document for each schedule and task, found by its id or by its next due time."""

import logging
import sqlite3
from dataclasses import dataclass
from typing import Final, Literal

from sidecar.errors import Conflict, LimitExceeded
from sidecar.storage.database import Database

log = logging.getLogger(__name__)

CORRUPT_RETRY_SECONDS: Final = 3600.0
"""The delay before an entry that can't be decoded is tried again."""
Kind = Literal["schedule", "task"]
ItemState = Literal["all", "open", "closed"]

_INSERT: Final = "INSERT INTO agenda (kind, id, version, document, due) VALUES (?, ?, 1, ?, ?)"
_REPLACE: Final = """
    UPDATE agenda SET version = version + 1, document = ?, due = ?, drop_at = ? WHERE number = ? AND version = ?
"""
_GET: Final = "SELECT number, version, id, document, due, drop_at FROM agenda WHERE kind = ? AND id = ?"
_PAGE: Final = """
    SELECT number, version, id, document, due, drop_at FROM agenda
    WHERE kind = ? AND coalesce((drop_at IS NULL) = ?, TRUE) ORDER BY number LIMIT ? OFFSET ?
"""
_DUE: Final = """
    SELECT number, version, id, document, due, drop_at FROM agenda
    WHERE kind = ? AND due <= ? ORDER BY due, number LIMIT ?
"""
_NEXT_DUE: Final = "SELECT due FROM agenda WHERE kind = ? AND due IS NOT NULL ORDER BY due LIMIT 1"
_COUNT: Final = "SELECT count(*) FROM agenda WHERE kind = ? AND coalesce((drop_at IS NULL) = ?, TRUE)"
_OPEN: Final[dict[ItemState, bool | None]] = {"all": None, "open": True, "closed": False}


@dataclass(frozen=True, slots=True)
class Item:
    """One entry as it was read; `Agenda.replace` fails if it was changed since (optimistic locking)."""

    number: int
    """Grows with every new entry and is never reused."""
    version: int
    id: str
    document: bytes
    """JSON in the owner's format."""
    due: float | None
    """Unix time at which it is due next; None for never."""
    drop_at: float | None
    """Unix time from which it may be deleted; None while it is open."""


class Agenda:
    """The entries of one kind, shared by every sidecar on the same store. Every call may raise StoreFailed."""

    def __init__(self, database: Database, kind: Kind) -> None:
        self._database = database
        self._kind = kind

    async def put_new(self, id: str, document: bytes, due: float | None, limit: int | None = None) -> None:  # noqa: A002
        """Adds an open entry, on disk when this returns. Raises Conflict, and LimitExceeded at `limit` open ones."""

        def insert(connection: sqlite3.Connection) -> None:
            if connection.execute(_GET, (self._kind, id)).fetchone():
                raise Conflict(f"the {self._kind} {id!r} already exists")
            if limit is not None and connection.execute(_COUNT, (self._kind, True)).fetchone()[0] >= limit:
                raise LimitExceeded(f"there may be at most {limit} {self._kind}s")
            connection.execute(_INSERT, (self._kind, id, document, due))

        await self._database.write(insert, durable=True)

    async def replace(self, item: Item, document: bytes, due: float | None, drop_at: float | None = None) -> bool:
        """Changes an entry; returns False if it was changed or deleted since `item` was read.

        With `drop_at` it is closed: it no longer counts, and `delete_expired` deletes it from then on.
        """
        return await self._execute(_REPLACE, document, due, drop_at, item.number, item.version) == 1

    async def delete(self, id: str) -> bool:  # noqa: A002
        """Deletes an entry; returns whether there was one."""
        return await self._execute("DELETE FROM agenda WHERE kind = ? AND id = ?", self._kind, id) == 1

    async def delete_expired(self, now: float) -> int:
        """Deletes expired closed entries; returns how many."""
        return await self._execute("DELETE FROM agenda WHERE kind = ? AND drop_at <= ?", self._kind, now)

    async def get(self, id: str) -> Item | None:  # noqa: A002
        """Returns the entry with that id."""
        row = self._database.fetch_one(_GET, self._kind, id)
        return Item(*row) if row else None

    async def page(self, offset: int, limit: int, state: ItemState = "all") -> list[Item]:
        """Returns up to `limit` entries, oldest first."""
        return self._fetch(_PAGE, _OPEN[state], limit, offset)

    async def count(self, state: ItemState = "all") -> int:
        """Counts the entries."""
        row = self._database.fetch_one(_COUNT, self._kind, _OPEN[state])
        return int(row[0]) if row else 0

    async def next_due(self) -> float | None:
        """Returns the earliest due time, which may have passed."""
        row = self._database.fetch_one(_NEXT_DUE, self._kind)
        return float(row[0]) if row else None

    async def due(self, now: float, limit: int) -> list[Item]:
        """Returns up to `limit` due entries, earliest first."""
        return self._fetch(_DUE, now, limit)

    def _fetch(self, sql: str, *values: float | None) -> list[Item]:
        return [Item(*row) for row in self._database.fetch_all(sql, self._kind, *values)]

    async def _execute(self, sql: str, *values: str | float | bytes | None) -> int:
        """Executes a statement; returns how many rows it has changed."""
        return await self._database.write(lambda connection: connection.execute(sql, values).rowcount, durable=True)


async def defer_corrupt(agenda: Agenda, what: str, item: Item, now: float) -> None:
    """Defers an entry that can't be decoded, unchanged, so that it blocks no other.

    It may be damaged, or written by a newer sidecar that can still read it.
    """
    log.warning("could not read the %s %s; retrying in an hour", what, item.id)
    await agenda.replace(item, item.document, now + CORRUPT_RETRY_SECONDS, item.drop_at)
