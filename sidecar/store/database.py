"""One SQLite file, shared by every sidecar of a state folder: reads on the loop, writes in one thread, in groups."""

import asyncio
import fcntl
import logging
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from sidecar.errors import StoreFailed

log = logging.getLogger(__name__)

T = TypeVar("T")

BUSY_SECONDS: Final = 15.0
"""How long a write waits while another process holds the file."""

MIGRATIONS: Final = (
    """
    CREATE TABLE scope (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE reference (
        scope INTEGER NOT NULL REFERENCES scope (id),
        name TEXT NOT NULL,
        expires REAL NOT NULL,
        PRIMARY KEY (scope, name)
    ) WITHOUT ROWID;
    """,
)
"""Numbered from 1; `PRAGMA user_version` is the number of the last one applied."""


class Batch(Protocol):
    """Changes that were accepted and are written together."""

    def write(self, connection: sqlite3.Connection) -> None:
        """Writes them, in the writer's thread and inside its transaction."""

    def undo(self) -> None:
        """Takes them back in memory, on the loop, when they could not be written."""


class Database:
    """An open database. Use `open`."""

    def __init__(self, path: Path) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        self._path = path
        self._staged: list[Callable[[], Batch]] = []
        self._writer: sqlite3.Connection
        self._reader: sqlite3.Connection

    @classmethod
    async def open(cls, path: Path) -> "Database":
        """Opens or makes the file (0600). A file that is no database is kept aside. Raises StoreFailed."""
        self = cls(path)
        try:
            self._writer = await self._in_thread(lambda: _connect(path))
        except (sqlite3.Error, OSError) as failure:
            self._thread.shutdown(wait=False)
            raise StoreFailed(f"the state folder's database can't be used: {failure}", retryable=True) from None
        self._reader = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        return self

    def stage(self, take: Callable[[], Batch]) -> None:
        """Has `take` called for its batch when the next commit begins."""
        self._staged.append(take)

    def commit(self) -> asyncio.Future[None] | None:
        """Starts one transaction with all that was staged; None if nothing was. Fails with StoreFailed."""
        if not self._staged:
            return None
        batches = [take() for take in self._staged]
        self._staged.clear()
        return asyncio.ensure_future(self._commit(batches))

    async def execute(self, sql: str, *parameters: str | float) -> None:
        """Runs one statement in the writer's thread. Raises StoreFailed."""
        try:
            await self._in_thread(lambda: self._writer.execute(sql, parameters))
        except sqlite3.Error as failure:
            raise StoreFailed(f"could not be stored: {failure}", retryable=True) from None

    def first(self, sql: str, *parameters: str | float) -> tuple[Any, ...] | None:
        """The first row of a short read, on the event loop; None if there is no row. Raises StoreFailed."""
        try:
            row: tuple[Any, ...] | None = self._reader.execute(sql, parameters).fetchone()
        except sqlite3.Error as failure:
            raise StoreFailed(f"the state folder's database can't be read: {failure}", retryable=True) from None
        return row

    async def close(self) -> None:
        """Waits for the writes under way and closes the file."""
        pending = self.commit()
        if pending:
            await asyncio.gather(pending, return_exceptions=True)  # `_commit` has logged what failed
        self._reader.close()
        await self._in_thread(self._writer.close)
        self._thread.shutdown()

    async def _commit(self, batches: list[Batch]) -> None:
        try:
            await self._in_thread(lambda: self._write(batches))
        except sqlite3.Error as failure:
            log.warning("could not write to the database: %s", failure)
            for batch in batches:
                batch.undo()
            raise StoreFailed(f"could not be stored: {failure}", retryable=True) from None

    def _write(self, batches: list[Batch]) -> None:
        connection = self._writer
        connection.execute("BEGIN IMMEDIATE")
        try:
            for batch in batches:
                batch.write(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)


def _connect(path: Path) -> sqlite3.Connection:
    try:
        return _prepare(path)
    except sqlite3.OperationalError:  # locked, full, read-only: the file itself may be sound
        raise
    except sqlite3.DatabaseError:
        return _replace(path)


def _replace(path: Path) -> sqlite3.Connection:
    """Begins a new file and keeps the broken one; unless another sidecar has just done so."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        try:
            return _prepare(path)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as failure:
            aside = path.with_suffix(f".broken-{os.getpid()}-{path.stat().st_mtime_ns}")
            log.warning("%s is not a usable database (%s); it is kept as %s", path.name, failure, aside.name)
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            path.rename(aside)
            return _prepare(path)
    finally:
        os.close(folder)


def _prepare(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # before SQLite makes it with the umask's mode
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        _migrate(connection)
        (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            raise sqlite3.DatabaseError(said)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        for statement in script.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
    connection.execute("COMMIT")
