"""What has to reach somebody: kept on disk until it has, in order for each endpoint and lane."""

import math
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, Literal

import msgspec

from sidecar.clock import Clock
from sidecar.store.database import Database

Kind = Literal["webhook", "result", "cv"]

PAGE: Final = 50
"""Deliveries on one page of `listed`."""
MAX_DEAD: Final = 10_000
MAX_DEAD_BYTES: Final = 256 << 20
MAX_AGE: Final = 30 * 86_400.0
"""Seconds; dead ones that are older, or more, or larger in sum than these limits are dropped, oldest first."""

_WAITING, _DEAD = 0, 1
_NAMES: Final[tuple[Literal["waiting"], Literal["dead"]]] = ("waiting", "dead")
_PUT: Final = """
    INSERT OR IGNORE INTO parcel (id, endpoint, lane, kind, created, body, status, error, due)
    SELECT :id, :endpoint, :lane, :kind, :created, :body, disabled, CASE WHEN disabled THEN 'the endpoint is gone' END,
        CASE WHEN NOT disabled AND NOT EXISTS (
            SELECT 1 FROM parcel WHERE endpoint = :endpoint AND lane = :lane AND status = 0
        ) THEN :created END
    FROM (SELECT coalesce((SELECT disabled FROM endpoint WHERE id = :endpoint), 0) AS disabled)
"""
_PROMOTE: Final = """
    UPDATE parcel SET due = ? WHERE due IS NULL AND number = (
        SELECT min(number) FROM parcel WHERE endpoint = ? AND lane = ? AND status = 0
    )
"""
_HEADS: Final = """
    SELECT number, id, lane, kind, created, attempts, length(body) FROM parcel
    WHERE endpoint = ? AND due <= ? ORDER BY due, number LIMIT ?
"""
_LIST: Final = """
    SELECT id, endpoint, kind, lane, status, length(body), created, attempts, due, error FROM parcel
    WHERE status IN (?, ?) ORDER BY number LIMIT ? OFFSET ?
"""
_COUNTS: Final = """
    SELECT (SELECT count(*) FROM parcel INDEXED BY parcel_lane WHERE status = 0),
        (SELECT count(*) FROM parcel INDEXED BY parcel_dead WHERE status = 1)
"""
_OLD: Final = """
    SELECT id, endpoint, kind, lane, status, length(body), created, attempts, due, error FROM parcel
    WHERE endpoint = ? AND status = 0 AND created <= ? ORDER BY number LIMIT ?
"""
_OLD_LANES: Final = "SELECT DISTINCT lane FROM parcel WHERE endpoint = ? AND status = 0 AND created <= ?"
_BURY_OLD: Final = """
    UPDATE parcel SET status = 1, due = NULL, error = ? WHERE endpoint = ? AND status = 0 AND created <= ?
"""
_NAMED: Final = """
    SELECT number, id, endpoint, lane, kind, body, status FROM parcel
    WHERE id = ?1 AND endpoint = coalesce(?2, endpoint)
"""
_TRIM: Final = """
    DELETE FROM parcel WHERE number IN (
        SELECT number FROM (
            SELECT number, created,
                row_number() OVER (ORDER BY number DESC) AS place,
                sum(length(body)) OVER (ORDER BY number DESC) AS total
            FROM parcel WHERE status = 1
        ) WHERE place > ? OR total > ? OR created < ?
    )
"""


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """One body for one endpoint. Put again under the same id and endpoint while it waits, it is the same parcel."""

    id: str
    """`webhook-id` or `Idempotency-Key`, the same over all attempts."""
    endpoint: str
    """The endpoint's id."""
    lane: str
    """The order is kept within an endpoint's lane: a run's id for webhooks, empty for servers."""
    body: bytes
    kind: Kind = "webhook"


class Head(msgspec.Struct, frozen=True):
    """The first waiting parcel of a lane, without its body."""

    number: int
    id: str
    lane: str
    kind: Kind
    created: float
    attempts: int
    size: int


class Row(msgspec.Struct, frozen=True):
    """A parcel as it is listed; times are Unix seconds."""

    id: str
    endpoint: str
    kind: Kind
    lane: str
    status: Literal["waiting", "dead"]
    size: int
    created: float
    attempts: int
    due: float | None
    error: str | None


class Outbox:
    """The parcels of one database. Whoever sends them is told of new ones by `on_put`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.on_put: Callable[[set[str]], None] = _nobody
        """Called with the ids of the endpoints that something was put for."""
        self._database = database
        self._now = clock.now
        self._staged: list[dict[str, Any]] = []

    def put(self, parcels: Iterable[Parcel]) -> None:
        """Stages parcels; they are on disk with the next commit, in this order."""
        now = self._now()
        new = [{**msgspec.structs.asdict(parcel), "created": now} for parcel in parcels]
        if not new:
            return
        if not self._staged:
            self._database.stage(self._take)
        self._staged += new
        self.on_put({row["endpoint"] for row in new})

    # --- reading, on the loop

    def heads(self, endpoint: str, limit: int) -> list[Head]:
        """The parcels of an endpoint that may go now, one of each lane, the longest due first."""
        return [Head(*row) for row in self._database.all(_HEADS, endpoint, self._now(), limit)]

    def body(self, number: int) -> bytes | None:
        """A parcel's body; None where it has gone."""
        row = self._database.first("SELECT body FROM parcel WHERE number = ? AND status = 0", number)
        return None if row is None else bytes(row[0])

    def next_due(self, endpoint: str) -> float | None:
        """Unix time at which something of this endpoint is due; None where nothing waits."""
        row = self._database.first("SELECT min(due) FROM parcel WHERE endpoint = ? AND due IS NOT NULL", endpoint)
        due: float | None = row[0] if row else None
        return due

    def places(self, parcel: str, endpoint: str | None) -> list[str]:
        """For which endpoints there is a parcel of this id."""
        sql = "SELECT endpoint FROM parcel WHERE id = ?1 AND endpoint = coalesce(?2, endpoint)"
        return [row[0] for row in self._database.all(sql, parcel, endpoint)]

    def listed(self, status: Literal["waiting", "dead"] | None, page: int) -> tuple[int, list[Row]]:
        """How many there are, and those of one page (from 1), oldest first."""
        statuses = (_WAITING, _DEAD) if status is None else (_NAMES.index(status),) * 2
        counts = self._database.first(_COUNTS) or (0, 0)
        found = self._database.all(_LIST, *statuses, PAGE, (page - 1) * PAGE)
        return sum(counts[one] for one in {*statuses}), [_row(one) for one in found]

    async def flushed(self) -> None:
        """Waits until what was put is on disk. Raises StoreFailed."""
        await self._database.flushed()

    # --- changing, in the writer's thread

    def sent(self, endpoint: str, head: Head) -> Awaitable[None]:
        """Drops what has arrived and lets the next of its lane go. Raises StoreFailed, as the others below."""
        now = self._now()

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM parcel WHERE number = ?", (head.number,))
            connection.execute(_PROMOTE, (now, endpoint, head.lane))

        return self._database.write(write)

    def put_off(self, head: Head, error: str, seconds: float) -> Awaitable[None]:
        """Counts a failed attempt; the next is due after so many seconds."""
        values = (self._now() + seconds, seconds, error, head.number)

        def write(connection: sqlite3.Connection) -> None:
            sql = "UPDATE parcel SET attempts = attempts + 1, due = ?, pause = ?, error = ? WHERE number = ?"
            connection.execute(f"{sql} AND status = 0 AND due IS NOT NULL", values)

        return self._database.write(write)

    def bury(self, endpoint: str, head: Head, error: str) -> Awaitable[None]:
        """Gives one up after its last attempt, and lets the next of its lane go."""
        now = self._now()

        def write(connection: sqlite3.Connection) -> None:
            sql = "UPDATE parcel SET status = 1, due = NULL, attempts = attempts + 1, error = ? WHERE number = ?"
            connection.execute(sql, (error, head.number))
            connection.execute(_PROMOTE, (now, endpoint, head.lane))
            _trim(connection, now)

        return self._database.write(write)

    def bury_all(self, endpoint: str, error: str, before: float = math.inf) -> Awaitable[list[Row]]:
        """Gives up what was put for an endpoint before that Unix time; says what that was, at most one page of it."""
        now = self._now()

        def write(connection: sqlite3.Connection) -> list[Row]:
            lanes = connection.execute(_OLD_LANES, (endpoint, before)).fetchall()
            told = connection.execute(_OLD, (endpoint, before, PAGE)).fetchall()
            connection.execute(_BURY_OLD, (error, endpoint, before))
            connection.executemany(_PROMOTE, [(now, endpoint, lane) for (lane,) in lanes])
            _trim(connection, now)
            return [_row(one) for one in told]

        return self._database.write(write)

    def again(self, parcel: str, endpoint: str | None) -> Awaitable[list[str]]:
        """Lets parcels of this id go at once: dead ones go last in their lane. Says for which endpoints."""
        now = self._now()

        def write(connection: sqlite3.Connection) -> list[str]:
            found = connection.execute(_NAMED, (parcel, endpoint)).fetchall()
            for number, name, where, lane, kind, body, status in found:
                if status == _WAITING:
                    sql = "UPDATE parcel SET due = min(due, ?) WHERE number = ?"
                    connection.execute(sql, (now, number))
                else:
                    row = {"id": name, "endpoint": where, "lane": lane, "kind": kind, "body": body, "created": now}
                    connection.execute("DELETE FROM parcel WHERE number = ?", (number,))
                    connection.execute(_PUT, row)
            return [row[2] for row in found]

        return self._database.write(write)

    def settle(self) -> Awaitable[None]:
        """Makes good for a clock that was set back: nothing waits longer from now than it was put off for."""
        now = self._now()

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE parcel SET due = ?1 + pause WHERE due IS NOT NULL AND due > ?1 + pause", (now,))
            connection.execute("UPDATE endpoint SET retry_at = ?1 + pause WHERE retry_at > ?1 + pause", (now,))
            _trim(connection, now)

        return self._database.write(write)

    def _take(self) -> "_Put":
        staged, self._staged = self._staged, []
        return _Put(staged)


class _Put(msgspec.Struct, frozen=True):
    """Parcels put since the last commit."""

    rows: Sequence[dict[str, Any]]
    durable: bool = True

    def write(self, connection: sqlite3.Connection) -> None:
        """Writes them in their order."""
        connection.executemany(_PUT, self.rows)

    def undo(self) -> None:
        """Nothing of them is in memory; the reply that promised them hears of it."""


def _nobody(endpoints: set[str]) -> None:
    """Nobody sends yet."""


def _row(columns: tuple[Any, ...]) -> Row:
    return Row(*columns[:4], _NAMES[columns[4]], *columns[5:])  # type: ignore[call-arg]  # there are as many


def _trim(connection: sqlite3.Connection, now: float) -> None:
    connection.execute(_TRIM, (MAX_DEAD, MAX_DEAD_BYTES, now - MAX_AGE))
