"""Endpoints of deliveries on disk: documents, leases of the processes that send to them, and failures."""

import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sidecar_protocol.codec import NotJson
from sidecar_protocol.decoding import decode_stored
from sidecar_protocol.encoding import encode

from sidecar.clock import Clock
from sidecar.storage.database import Database

log = logging.getLogger(__name__)

LEASE: Final = 30.0
"""Seconds for which a process may send to an endpoint before it must renew its lease."""

_SAVE: Final = """
    INSERT INTO endpoint (id, kind, document) VALUES (?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET document = excluded.document
"""
_GET: Final = "SELECT id, kind, document, disabled, failures, retry_at FROM endpoint WHERE id = ?"


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """One endpoint; `retry_at` is the Unix time before which nothing is sent after `failures` in a row."""

    id: str
    kind: Literal["webhook", "server"]
    document: str
    """JSON, its secrets encrypted."""
    disabled: int
    failures: int
    retry_at: float


class EndpointRows:
    """The endpoints of one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._now = clock.now
        self._staged: list[tuple[str, Sequence[Any]]] = []

    def save(self, endpoint: str, kind: Literal["webhook", "server"], document: str) -> None:
        """Stages an endpoint; an existing one keeps its state."""
        self._stage(_SAVE, (endpoint, kind, document))

    def enable(self, endpoint: str) -> None:
        """Stages that an endpoint is enabled and has no failures."""
        sql = "UPDATE endpoint SET disabled = 0, failures = 0, retry_at = 0, pause = 0 WHERE id = ?"
        self._stage(sql, (endpoint,))

    def save_login(self, account_id: str, servers: Sequence[str]) -> None:
        """Stages the endpoints of a login's servers, primary first."""
        sql = "INSERT OR REPLACE INTO login (scope, servers) VALUES (?, ?)"
        self._stage(sql, (account_id, encode(servers).decode()))

    def login(self, account_id: str) -> tuple[str, ...]:
        """Returns a login's servers, primary first; empty if unknown or corrupt. Raises StoreFailed."""
        row = self._database.fetch_one("SELECT servers FROM login WHERE scope = ?", account_id)
        try:
            return tuple(decode_stored(list[str], row[0])) if row else ()
        except NotJson:
            log.warning("could not read a stored login; work that needs it waits for set_credentials")
            return ()

    def get(self, endpoint: str) -> EndpointRow | None:
        """Returns one endpoint. Raises StoreFailed, like the methods below."""
        row = self._database.fetch_one(_GET, endpoint)
        return EndpointRow(*row) if row else None

    def ids(self) -> list[str]:
        """Returns every endpoint's id."""
        return [row[0] for row in self._database.fetch_all("SELECT id FROM endpoint")]

    def claim(self, endpoint: str, owner: str, is_alive: Callable[[str], bool]) -> Awaitable[bool]:
        """Acquires the lease of an endpoint for a process, unless another living one holds it."""

        def write(connection: sqlite3.Connection) -> bool:
            now = self._now()  # only now: a lease that another process took while we waited would be from the future
            sql = "SELECT owner, lease, disabled FROM endpoint WHERE id = ?"
            row = connection.execute(sql, (endpoint,)).fetchone()
            if row is None or row[2]:
                return False
            other, lease, _ = row
            # a lease longer than the maximum is from before the clock was set back
            if other not in (None, owner) and now < lease <= now + LEASE and is_alive(other):
                return False
            sql = "UPDATE endpoint SET owner = ?, lease = ? WHERE id = ?"
            connection.execute(sql, (owner, now + LEASE, endpoint))
            return True

        return self._database.write(write)

    def release(self, endpoint: str, owner: str) -> Awaitable[None]:
        """Releases the lease of an endpoint."""
        sql = "UPDATE endpoint SET owner = NULL WHERE id = ? AND owner = ?"
        return self._write(sql, endpoint, owner)

    def record_failure(self, endpoint: str, failures: int, seconds: float) -> Awaitable[None]:
        """Records failures; nothing is sent to the endpoint for `seconds`."""
        sql = "UPDATE endpoint SET failures = ?, retry_at = ?, pause = ? WHERE id = ?"
        return self._write(sql, failures, self._now() + seconds, seconds, endpoint)

    def clear_failures(self, endpoint: str) -> Awaitable[None]:
        """Resets an endpoint's failures."""
        return self._write("UPDATE endpoint SET failures = 0, retry_at = 0, pause = 0 WHERE id = ?", endpoint)

    def disable(self, endpoint: str) -> Awaitable[None]:
        """Disables an endpoint until it is enabled."""
        return self._write("UPDATE endpoint SET disabled = 1 WHERE id = ?", endpoint)

    def _write(self, sql: str, *values: Any) -> Awaitable[None]:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute(sql, values)

        return self._database.write(write)

    def _stage(self, sql: str, values: Sequence[Any]) -> None:
        if not self._staged:
            self._database.stage(self._take_batch)
        self._staged.append((sql, values))

    def _take_batch(self) -> "_StagedStatements":
        staged, self._staged = self._staged, []
        return _StagedStatements(staged)


@dataclass(frozen=True, slots=True)
class _StagedStatements:
    """Statements staged since the last commit."""

    statements: Sequence[tuple[str, Sequence[Any]]]
    durable: bool = True

    def write(self, connection: sqlite3.Connection) -> None:
        """Executes the statements in order."""
        for sql, values in self.statements:
            connection.execute(sql, values)

    def on_rollback(self) -> None:
        """Does nothing: the commit reports the failure."""
