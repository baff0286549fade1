"""The transactional outbox: messages are stored until they are delivered, in order by endpoint and ordering key."""

import asyncio
import math
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sidecar_protocol.pages import PAGE_SIZE, page_offset

from sidecar.clock import Clock
from sidecar.encryption import Encryptor
from sidecar.errors import DecryptionKeyMissing, StoreFailed
from sidecar.storage import outbox_sql
from sidecar.storage.database import Database

Kind = Literal["webhook", "result", "cv", "full_cv", "cvs_list", "push"]

MAX_DEAD: Final = 10_000
MAX_DEAD_BYTES: Final = 256 << 20
MAX_DEAD_AGE: Final = 30 * 86_400.0
"""Seconds. Dead messages beyond these limits of number, total size and age are deleted, oldest first."""
TRIM_COUNT: Final = 100
TRIM_BYTES: Final = 16 << 20
"""Trim after this many new dead messages, or this many bytes: trimming reads them all."""
GROUP_COMMIT_SECONDS: Final = 0.05
"""The longest wait of new or delivered messages for others to share their transaction."""

_WAITING, _DEAD = 0, 1
_STATUS_NAMES: Final[tuple[Literal["waiting"], Literal["dead"]]] = ("waiting", "dead")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxMessage:
    """One message to one endpoint. Id and endpoint together are unique while it is pending."""

    id: str
    """`webhook-id` or `Idempotency-Key`, the same in all attempts."""
    endpoint: str
    """The endpoint's id."""
    ordering_key: str
    """Messages of one endpoint with the same key are delivered in order: a run's id for webhooks, empty for servers."""
    body: bytes
    kind: Kind = "webhook"


@dataclass(frozen=True, slots=True)
class PendingMessage:
    """A pending message, without its body."""

    number: int
    id: str
    ordering_key: str
    kind: Kind
    created: float
    attempts: int
    size: int


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A message as listed; times are Unix seconds."""

    id: str
    endpoint: str
    kind: Kind
    ordering_key: str
    status: Literal["waiting", "dead"]
    size: int
    created: float
    attempts: int
    due: float | None
    error: str | None


class Outbox:
    """The messages of one database. `on_put` notifies the sender of new ones."""

    def __init__(self, database: Database, clock: Clock, encryptor: Encryptor | None = None) -> None:
        """Bodies are encrypted if the key is persistent: they contain personal data."""
        self.on_put: Callable[[set[str]], None] = _no_sender
        """Called with the endpoints' ids of new messages, once they are on disk."""
        self._database = database
        self._encryptor = encryptor
        self._now = clock.now
        self._new: list[_NewRow] = []
        self._sent: list[_Sent] = []
        self._died = self._died_bytes = 0
        """Dead messages since the last trim; used by the writer's thread."""

    def put(self, messages: Iterable[OutboxMessage], *, until_stored: bool = False) -> None:
        """Stages messages; they are on disk with the next commit, in this order.

        `until_stored`: retries while the disk refuses them, because no reply would report the failure.
        """
        now = self._now()
        new = [_NewRow(_new_row(message, now), until_stored) for message in messages]
        if new:
            self._stage()
            self._new += new

    def put_in_transaction(self, connection: sqlite3.Connection, messages: Iterable[OutboxMessage]) -> None:
        """Inserts messages inside a transaction; the caller calls `on_put` after the commit."""
        new = [_NewRow(_new_row(message, self._now()), until_stored=False) for message in messages]
        self._batch(new, []).write(connection)

    def mark_sent(self, endpoint: str, message: PendingMessage) -> asyncio.Future[None]:
        """Stages that a message was delivered: deletes it and makes the next of its key due. Fails with StoreFailed."""
        self._stage()
        recorded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sent.append(_Sent(endpoint, message, self._now(), recorded))
        return recorded

    # --- reading, on the loop

    def due(self, endpoint: str, limit: int) -> list[PendingMessage]:
        """Returns the due messages of an endpoint, one for each ordering key, earliest first."""
        return [PendingMessage(*row) for row in self._database.fetch_all(outbox_sql.DUE, endpoint, self._now(), limit)]

    def pending(self, endpoint: str, ordering_key: str, limit: int) -> list[PendingMessage]:
        """Returns the first messages of an ordering key, in order, due or not."""
        return [
            PendingMessage(*row) for row in self._database.fetch_all(outbox_sql.PENDING, endpoint, ordering_key, limit)
        ]

    def body(self, number: int) -> bytes | None:
        """Returns a message's body; None if it is gone. Raises DecryptionKeyMissing."""
        row = self._database.fetch_one("SELECT body, sealed FROM parcel WHERE number = ? AND status = 0", number)
        if row is None:
            return None
        body, sealed = row
        if not sealed:
            return bytes(body)
        if self._encryptor is None:
            raise DecryptionKeyMissing
        return self._encryptor.decrypt_bytes(body)

    def next_due(self, endpoint: str) -> float | None:
        """Returns the Unix time at which the endpoint's next message is due; None if none is pending."""
        row = self._database.fetch_one("SELECT min(due) FROM parcel WHERE endpoint = ? AND due IS NOT NULL", endpoint)
        due: float | None = row[0] if row else None
        return due

    def endpoints_of(self, message_id: str, endpoint: str | None) -> list[str]:
        """Returns the endpoints of the messages with this id."""
        sql = "SELECT endpoint FROM parcel WHERE id = ?1 AND endpoint = coalesce(?2, endpoint)"
        return [row[0] for row in self._database.fetch_all(sql, message_id, endpoint)]

    def page(self, status: Literal["waiting", "dead"] | None, page: int) -> tuple[int, list[OutboxRow]]:
        """Returns how many messages there are, and one page of them (from 1), oldest first."""
        statuses = (_WAITING, _DEAD) if status is None else (_STATUS_NAMES.index(status),) * 2
        counts = self._database.fetch_one(outbox_sql.COUNTS) or (0, 0)
        found = self._database.fetch_all(outbox_sql.LIST, *statuses, PAGE_SIZE, page_offset(page))
        return sum(counts[one] for one in {*statuses}), [_row(one) for one in found]

    async def flush(self) -> None:
        """Waits until staged messages are on disk. Raises StoreFailed."""
        await self._database.flush()

    # --- changing, in the writer's thread

    def reschedule(
        self, endpoint: str, message: PendingMessage, error: str, seconds: float, *, detach: bool = False
    ) -> Awaitable[None]:
        """Counts a failed attempt; the next is due in `seconds`. Raises StoreFailed, like the methods below.

        `detach`: its id becomes its ordering key, so that it no longer blocks the messages behind it.
        """
        now = self._now()
        values = (now + seconds, seconds, error, message.id if detach else message.ordering_key, message.number)

        def write(connection: sqlite3.Connection) -> None:
            sql = "UPDATE parcel SET attempts = attempts + 1, due = ?, pause = ?, error = ?, lane = ? WHERE number = ?"
            connection.execute(f"{sql} AND status = 0 AND due IS NOT NULL", values)
            if detach:
                connection.execute(outbox_sql.MAKE_NEXT_DUE, (now, endpoint, message.ordering_key))

        return self._database.write(write)

    def mark_dead(self, endpoint: str, message: PendingMessage, error: str) -> Awaitable[None]:
        """Marks a message as dead after its last attempt, and makes the next of its key due."""
        now = self._now()

        def write(connection: sqlite3.Connection) -> None:
            sql = "UPDATE parcel SET status = 1, due = NULL, attempts = attempts + 1, error = ? WHERE number = ?"
            connection.execute(sql, (error, message.number))
            connection.execute(outbox_sql.MAKE_NEXT_DUE, (now, endpoint, message.ordering_key))
            self._died += 1
            self._died_bytes += message.size
            if self._died >= TRIM_COUNT or self._died_bytes >= TRIM_BYTES:
                self._died = self._died_bytes = 0
                _trim(connection, now)

        return self._database.write(write)

    def mark_all_dead(self, endpoint: str, error: str, before: float = math.inf) -> Awaitable[list[OutboxRow]]:
        """Marks an endpoint's messages from before a Unix time as dead; returns the first page of them."""
        now = self._now()

        def write(connection: sqlite3.Connection) -> list[OutboxRow]:
            keys = connection.execute(outbox_sql.OLDER_KEYS, (endpoint, before)).fetchall()
            found = connection.execute(outbox_sql.OLDER, (endpoint, before, PAGE_SIZE)).fetchall()
            connection.execute(outbox_sql.MARK_OLDER_DEAD, (error, endpoint, before))
            connection.executemany(
                outbox_sql.MAKE_NEXT_DUE, [(now, endpoint, ordering_key) for (ordering_key,) in keys]
            )
            _trim(connection, now)
            return [_row(one) for one in found]

        return self._database.write(write)

    def redeliver(self, message_id: str, endpoint: str | None) -> Awaitable[list[str]]:
        """Makes messages with this id due now, dead ones last in their order; returns their endpoints."""
        now = self._now()

        def write(connection: sqlite3.Connection) -> list[str]:
            found = connection.execute(outbox_sql.BY_ID, (message_id, endpoint)).fetchall()
            for number, name, where, ordering_key, kind, body, sealed, status in found:
                if status == _WAITING:
                    sql = "UPDATE parcel SET due = min(due, ?) WHERE number = ?"
                    connection.execute(sql, (now, number))
                else:
                    row = {"id": name, "endpoint": where, "ordering_key": ordering_key, "kind": kind, "created": now}
                    row |= {"body": body, "sealed": sealed}
                    connection.execute("DELETE FROM parcel WHERE number = ?", (number,))
                    connection.execute(outbox_sql.INSERT, row)
            return [row[2] for row in found]

        return self._database.write(write)

    def repair_due_times(self) -> Awaitable[None]:
        """Repairs due times after the clock was set back: no message waits longer than its delay."""
        now = self._now()

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE parcel SET due = ?1 + pause WHERE due IS NOT NULL AND due > ?1 + pause", (now,))
            connection.execute("UPDATE endpoint SET retry_at = ?1 + pause WHERE retry_at > ?1 + pause", (now,))
            _trim(connection, now)

        return self._database.write(write)

    def _stage(self) -> None:
        if not self._new and not self._sent:
            self._database.stage(self._take_batch, GROUP_COMMIT_SECONDS)

    def _take_batch(self) -> "_Staged":
        put, self._new = self._new, []
        sent, self._sent = self._sent, []
        return self._batch(put, sent)

    def _batch(self, put: "list[_NewRow]", sent: "list[_Sent]") -> "_Staged":
        return _Staged(
            put, sent, self._encryptor if self._encryptor and self._encryptor.persistent else None, self.on_put
        )


@dataclass(frozen=True, slots=True)
class _Sent:
    """A message that was delivered at the Unix time `at`."""

    endpoint: str
    message: PendingMessage
    at: float
    recorded: asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class _NewRow:
    """A new message's row."""

    row: dict[str, Any]
    until_stored: bool


@dataclass(frozen=True, slots=True)
class _Staged:
    """New and delivered messages since the last commit."""

    put: Sequence[_NewRow]
    sent: Sequence[_Sent]
    encryptor: Encryptor | None
    on_put: Callable[[set[str]], None]

    @property
    def durable(self) -> bool:
        """Whether it must survive a loss of power: a delivery that was not recorded is only repeated."""
        return bool(self.put)

    def write(self, connection: sqlite3.Connection) -> None:
        """Inserts new messages and deletes delivered ones."""
        connection.executemany(outbox_sql.INSERT, map(self._to_row, self.put))
        connection.executemany("DELETE FROM parcel WHERE number = ?", [(one.message.number,) for one in self.sent])
        keys = {(one.endpoint, one.message.ordering_key): one.at for one in self.sent}
        connection.executemany(outbox_sql.MAKE_NEXT_DUE, [(at, *ordering_key) for ordering_key, at in keys.items()])

    def _to_row(self, new: _NewRow) -> dict[str, Any]:
        if self.encryptor is None:
            return {**new.row, "sealed": 0}
        return {**new.row, "body": self.encryptor.encrypt_bytes(new.row["body"]), "sealed": 1}

    def on_commit(self) -> None:
        """Notifies the sender and the waiters."""
        for one in self.sent:
            if not one.recorded.done():
                one.recorded.set_result(None)
        if self.put:
            self.on_put({new.row["endpoint"] for new in self.put})

    def to_retry(self) -> "_Staged | None":
        """Returns the messages that must be stored."""
        kept = [new for new in self.put if new.until_stored]
        return _Staged(kept, (), self.encryptor, self.on_put) if kept else None

    def on_rollback(self) -> None:
        """Fails the waiters; the replies that promised the new messages fail with the commit."""
        for one in self.sent:
            if not one.recorded.done():
                one.recorded.set_exception(StoreFailed("could not be recorded as sent", retryable=True))
                one.recorded.exception()  # the waiter may be gone; asyncio need not log it


def _no_sender(endpoints: set[str]) -> None:
    """Does nothing: there is no sender yet."""


def _new_row(message: OutboxMessage, created: float) -> dict[str, Any]:
    columns = ("id", "endpoint", "ordering_key", "body", "kind")
    return {**{column: getattr(message, column) for column in columns}, "created": created}


def _row(columns: tuple[Any, ...]) -> OutboxRow:
    return OutboxRow(*columns[:4], _STATUS_NAMES[columns[4]], *columns[5:])  # type: ignore[call-arg]  # there are as many


def _trim(connection: sqlite3.Connection, now: float) -> None:
    connection.execute(outbox_sql.TRIM, (MAX_DEAD, MAX_DEAD_BYTES, now - MAX_DEAD_AGE))
