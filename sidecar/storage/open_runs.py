"""Runs whose webhooks have heard of their beginning and not yet of their end, so that the next process can say it."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from sidecar.encryption import Encryptor
from sidecar.errors import DecryptionKeyMissing
from sidecar.storage.database import Database
from sidecar.storage.outbox import Outbox, OutboxMessage

_SAVE: Final = "INSERT OR REPLACE INTO open_run (id, owner, document, sealed) VALUES (?, ?, ?, ?)"
_CLOSE: Final = "DELETE FROM open_run WHERE id = ?"
_TAKE: Final = "DELETE FROM open_run WHERE id = ? AND owner = ?"


class OpenRun(msgspec.Struct, frozen=True):
    """A run as it was told of last."""

    id: str
    owner: str
    """The process that runs it."""
    document: bytes
    """JSON, whose shape belongs to who tells."""


class OpenRuns:
    """The open runs of one database. What is noted or closed is written with the letters that say so."""

    def __init__(self, database: Database, outbox: Outbox, encryptor: Encryptor) -> None:
        """Documents are sealed where the seal lasts: they hold what pages say of people."""
        self._database = database
        self._outbox = outbox
        self._encryptor = encryptor if encryptor.persistent else None
        self._staged: dict[str, _Change] = {}

    def save(self, run: OpenRun, *, until_stored: bool) -> None:
        """Stages what was told last; `until_stored` as in `Outbox.put`."""
        document = self._encryptor.encrypt_bytes(run.document) if self._encryptor else run.document
        self._stage(run.id, _Change(_SAVE, (run.id, run.owner, document, self._encryptor is not None), until_stored))

    def close(self, run: str, *, until_stored: bool) -> None:
        """Stages that its end was told."""
        self._stage(run, _Change(_CLOSE, (run,), until_stored))

    def fetch_all(self) -> list[OpenRun]:
        """Every open run that can be opened. Raises StoreFailed."""
        rows = self._database.fetch_all("SELECT id, owner, document, sealed FROM open_run")
        return [run for row in rows if (run := self._decrypt(*row)) is not None]

    async def end(self, run: OpenRun, messages: Sequence[OutboxMessage]) -> None:
        """Closes a run and puts what tells its end, in one transaction, unless another has. Raises StoreFailed."""

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
        if self._encryptor is None:  # whoever has the key tells its end
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
    """What was noted since the last commit."""

    changes: Sequence[_Change]

    def write(self, connection: sqlite3.Connection) -> None:
        """Writes it."""
        for one in self.changes:
            connection.execute(one.sql, one.values)

    def to_retry(self) -> "_StagedChanges | None":
        """What goes with letters that are owed."""
        kept = tuple(one for one in self.changes if one.until_stored)
        return _StagedChanges(kept) if kept else None

    def on_rollback(self) -> None:
        """As the letters that it belongs to."""
