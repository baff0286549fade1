"""Runs whose webhooks were sent a start and no end yet, so that another process can send it after a crash."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sidecar.encryption import Encryptor
from sidecar.errors import DecryptionKeyMissing
from sidecar.storage.database import Database
from sidecar.storage.outbox import Outbox, OutboxMessage

_SAVE: Final = "INSERT OR REPLACE INTO open_run (id, owner, document, sealed) VALUES (?, ?, ?, ?)"
_CLOSE: Final = "DELETE FROM open_run WHERE id = ?"
_TAKE: Final = "DELETE FROM open_run WHERE id = ? AND owner = ?"


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run as of its last update."""

    id: str
    owner: str
    """The process that runs it."""
    document: bytes
    """JSON in the owner's format."""


class OpenRuns:
    """The open runs of one database. Changes are committed with the webhook messages that report them."""

    def __init__(self, database: Database, outbox: Outbox, encryptor: Encryptor) -> None:
        """Documents are encrypted if the key is persistent: they may contain personal data."""
        self._database = database
        self._outbox = outbox
        self._encryptor = encryptor if encryptor.persistent else None
        self._staged: dict[str, _Change] = {}

    def save(self, run: OpenRun, *, until_stored: bool) -> None:
        """Stages a run's last update; `until_stored` as in `Outbox.put`."""
        document = self._encryptor.encrypt_bytes(run.document) if self._encryptor else run.document
        self._stage(run.id, _Change(_SAVE, (run.id, run.owner, document, self._encryptor is not None), until_stored))

    def close(self, run: str, *, until_stored: bool) -> None:
        """Stages that a run's end was sent."""
        self._stage(run, _Change(_CLOSE, (run,), until_stored))

    def fetch_all(self) -> list[OpenRun]:
        """Returns every open run that can be decrypted. Raises StoreFailed."""
        rows = self._database.fetch_all("SELECT id, owner, document, sealed FROM open_run")
        return [run for row in rows if (run := self._decrypt(*row)) is not None]

    async def end(self, run: OpenRun, messages: Sequence[OutboxMessage]) -> None:
        """Closes a run and enqueues its last messages in one transaction, unless it is closed. Raises StoreFailed."""

        def write(connection: sqlite3.Connection) -> bool:
            taken = connection.execute(_TAKE, (run.id, run.owner)).rowcount == 1
            if taken:
                self._outbox.put_in_transaction(connection, messages)
            return taken

        if await self._database.write(write, durable=True) and messages:
            self._outbox.on_put({one.endpoint for one in messages})

    def _decrypt(self, run: str, owner: str, document: bytes, sealed: int) -> OpenRun | None:
        if not sealed:
            return OpenRun(run, owner, document)
        if self._encryptor is None:  # a process that has the key sends its end
            return None
        try:
            return OpenRun(run, owner, self._encryptor.decrypt_bytes(document))
        except DecryptionKeyMissing:
            return None

    def _stage(self, run: str, change: "_Change") -> None:
        if not self._staged:
            self._database.stage(self._take_batch)
        self._staged[run] = change

    def _take_batch(self) -> "_StagedChanges":
        staged, self._staged = self._staged, {}
        return _StagedChanges(tuple(staged.values()))


@dataclass(frozen=True, slots=True)
class _Change:
    sql: str
    values: tuple[Any, ...]
    until_stored: bool


@dataclass(frozen=True, slots=True)
class _StagedChanges:
    """Changes staged since the last commit."""

    changes: Sequence[_Change]

    def write(self, connection: sqlite3.Connection) -> None:
        """Writes the changes."""
        for one in self.changes:
            connection.execute(one.sql, one.values)

    def to_retry(self) -> "_StagedChanges | None":
        """Returns the changes that must be stored, with the messages they belong to."""
        kept = tuple(one for one in self.changes if one.until_stored)
        return _StagedChanges(kept) if kept else None

    def on_rollback(self) -> None:
        """Does nothing: the messages they belong to are rolled back, too."""
