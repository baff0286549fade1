"""One SQLite file, shared by every sidecar of a state folder: reads on the loop, group commits in one thread."""

import asyncio
import logging
import math
import sqlite3
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Generic, Protocol, Self, TypeVar

from sidecar import files
from sidecar.errors import StoreFailed
from sidecar.storage.database_file import connect
from sidecar.storage.migrations import MIGRATIONS, NewerSchema, check_version, migrate

log = logging.getLogger(__name__)

T = TypeVar("T")
SqlValue = str | float | bytes | None
"""A parameter of a statement, or the value of a column."""

BUSY_SECONDS: Final = 6.0
"""Seconds that a write waits for another process's lock."""
READ_SECONDS: Final = 0.1
"""Seconds that a read waits for a lock. Reads block the loop; they meet a lock only during a repair of the file."""
GROUP_COMMIT_SECONDS: Final = 0.01
"""The longest wait of a staged batch for others to share its transaction."""
RETRY_SECONDS: Final = (0.1, 0.5, 2.0, 5.0)
"""Pauses before batches that must be stored are retried; the last one is repeated."""
MAX_UNACKNOWLEDGED: Final = 4
"""Transactions that the next reply waits for: running ones, and the last failed ones."""


class Batch(Protocol):
    """Accepted changes that are written together.

    Optional members: `durable = True` makes the whole transaction synchronous, so that it survives a loss of power;
    `on_commit()` is called on the loop after the commit; `to_retry()` returns the part that must be stored even if the
    disk refuses it, which joins each next transaction until one commits.
    """

    def write(self, connection: sqlite3.Connection) -> None:
        """Writes the changes, in the writer's thread and inside its transaction."""

    def on_rollback(self) -> None:
        """Reverts the changes in memory, on the loop, after the transaction has failed."""


class _FunctionCall(Generic[T]):
    """One function that runs inside a transaction, in a savepoint of its own."""

    def __init__(self, function: Callable[[sqlite3.Connection], T], durable: bool, until_stored: bool) -> None:
        self.durable = durable
        self._until_stored = until_stored
        self.future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._function = function
        self._outcome: tuple[T] | Exception

    def write(self, connection: sqlite3.Connection) -> None:
        connection.execute("SAVEPOINT one_call")
        try:
            self._outcome = (self._function(connection),)
        except Exception as failure:
            if not connection.in_transaction:  # for example the disk is full: SQLite has rolled back everything
                raise
            connection.execute("ROLLBACK TO one_call")
            self._outcome = _write_failed(failure) if isinstance(failure, sqlite3.Error) else failure
        connection.execute("RELEASE one_call")

    def on_rollback(self) -> None:
        """Does nothing: nothing in memory depends on it."""

    def to_retry(self) -> "Batch | None":
        """Returns itself if it must be stored."""
        return self if self._until_stored else None

    def resolve(self, failure: Exception | None) -> None:
        """Resolves the caller's future, on the loop, after the transaction."""
        if self.future.done():  # cancelled
            return
        if failure or isinstance(self._outcome, Exception):
            self.future.set_exception(failure or self._outcome)  # type: ignore[arg-type]
        else:
            self.future.set_result(self._outcome[0])


class Database:
    """An open database. Use `open` or `in_memory`."""

    def __init__(
        self, writer: sqlite3.Connection, reader: sqlite3.Connection, thread: ThreadPoolExecutor | None
    ) -> None:
        """Opens the file. Without a thread, writes run on the loop, on the reader's connection."""
        self._writer = writer
        self._reader = reader
        self._thread = thread
        self._staged: list[Callable[[], Batch]] = []
        self._uncommitted = False
        self._due = math.inf
        """Latest start of the next transaction, by the loop's clock."""
        self._timer: asyncio.TimerHandle | None = None
        self._unacknowledged: list[asyncio.Future[None]] = []
        self._transactions: set[asyncio.Future[None]] = set()
        self._synchronous = False
        self._retry_batches: list[Batch] = []
        """Batches of failed transactions that must be stored; used by the writer's thread."""
        self._has_retries = False
        self._failures = 0

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Opens or creates the file (0600). A corrupt file is moved aside. Raises StoreFailed."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        try:
            writer = await asyncio.get_running_loop().run_in_executor(thread, connect, path, BUSY_SECONDS)
            reader = sqlite3.connect(path, timeout=READ_SECONDS, isolation_level=None)
        except NewerSchema as newer:
            thread.shutdown(wait=False)
            raise StoreFailed(f"the state folder's database can't be used: {newer}", retryable=False) from None
        except (sqlite3.Error, OSError) as failure:
            thread.shutdown(wait=False)
            raise StoreFailed(f"the state folder's database can't be used: {failure}", retryable=True) from None
        return cls(writer, reader, thread)

    @classmethod
    def open_read_only(cls, path: Path) -> Self:
        """Opens the file for reading; one that is missing is empty. Raises StoreFailed."""
        if not path.exists() or not path.stat().st_size:
            return cls.in_memory()
        try:
            files.reject_symlink(path)
            uri = f"{path.absolute().as_uri()}?mode=ro"
            connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
            if check_version(connection) < len(MIGRATIONS):
                raise StoreFailed(f"{path} was made by an older sidecar: start a session or a worker once")
        except (NewerSchema, sqlite3.Error, OSError) as failure:
            raise StoreFailed(f"the state folder's database can't be read: {failure}") from None
        return cls(connection, connection, None)

    @classmethod
    def in_memory(cls) -> Self:
        """Returns an in-memory database."""
        connection = sqlite3.connect(":memory:", isolation_level=None)
        migrate(connection)
        return cls(connection, connection, None)

    def stage(self, take: Callable[[], Batch], within: float = GROUP_COMMIT_SECONDS) -> None:
        """Stages a batch: the next transaction, within `within` seconds or at `commit`, gets it from `take`."""
        self._staged.append(take)
        self._uncommitted = True
        self._schedule_transaction(asyncio.get_running_loop().time() + within)

    def commit(self) -> asyncio.Future[None] | None:
        """Returns a future of all that was staged since the last call, for a reply to wait for; None if nothing was.

        Only for the writer of replies; others use `flush`. It fails with StoreFailed.
        """
        if self._uncommitted:
            self._begin_transaction()
        unacknowledged, self._unacknowledged = self._unacknowledged, []
        if len(unacknowledged) > 1:
            return asyncio.ensure_future(wait_all(unacknowledged))
        return unacknowledged[0] if unacknowledged else None

    async def flush(self) -> None:
        """Waits until all that was staged is on disk. Raises StoreFailed."""
        if self._staged or self._has_retries:
            self._begin_transaction()
        await wait_all(list(self._transactions))

    async def write(self, function: Callable[[sqlite3.Connection], T], *, durable: bool = False) -> T:
        """Calls a function inside the next transaction, which others share, and returns its result.

        If the function raises, its own changes are rolled back and this raises the same, or StoreFailed for SQLite's.
        """
        return await self.submit(function, durable=durable)

    def submit(
        self, function: Callable[[sqlite3.Connection], T], *, durable: bool = False, until_stored: bool = False
    ) -> "asyncio.Future[T]":
        """Stages a function like `write`: all that is staged in the same loop iteration shares one transaction.

        With `until_stored`, it joins the next transaction if this one fails.
        """
        call = _FunctionCall(function, durable, until_stored)
        self._staged.append(lambda: call)
        self._schedule_transaction(0.0)
        return call.future

    async def execute(self, sql: str, *parameters: SqlValue) -> None:
        """Runs one statement in the next transaction. Raises StoreFailed."""
        await self.write(lambda connection: connection.execute(sql, parameters).rowcount)

    def fetch_one(self, sql: str, *parameters: SqlValue) -> tuple[Any, ...] | None:
        """Returns the first row of a short read on the loop; None if there is none. Raises StoreFailed."""
        try:
            row: tuple[Any, ...] | None = self._reader.execute(sql, parameters).fetchone()
        except sqlite3.Error as failure:
            raise _read_failed(failure) from None
        return row

    def fetch_all(self, sql: str, *parameters: SqlValue) -> list[tuple[Any, ...]]:
        """Returns all rows of a short read on the loop. Raises StoreFailed."""
        try:
            return self._reader.execute(sql, parameters).fetchall()
        except sqlite3.Error as failure:
            raise _read_failed(failure) from None

    async def close(self) -> None:
        """Waits for running writes and closes the file."""
        last = True
        while self._staged or self._transactions or (self._has_retries and last):
            if self._staged or self._has_retries:
                last = bool(self._staged)  # batches that must be stored get one more try
                self._begin_transaction()
            await asyncio.wait(self._transactions)  # `_run_transaction` has logged what failed
        self._reader.close()
        await self._in_thread(self._writer.close)
        if self._thread:
            self._thread.shutdown()

    def _schedule_transaction(self, due: float) -> None:
        if due < self._due:
            self._due = due
            if self._timer:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_at(due, self._begin_if_idle)

    def _begin_if_idle(self) -> None:
        """Starts a transaction, unless one is running: then the next one starts at its end."""
        if self._transactions:
            return
        if self._staged or self._has_retries:
            self._begin_transaction()
        else:
            self._due = math.inf  # the retried batches were part of another transaction

    def _begin_transaction(self) -> None:
        self._due = math.inf
        if self._timer:
            self._timer.cancel()
            self._timer = None
        batches = [take() for take in self._staged]
        self._staged.clear()
        begun = asyncio.ensure_future(self._run_transaction(batches))
        self._transactions.add(begun)
        begun.add_done_callback(self._on_end)
        if self._uncommitted:
            self._uncommitted = False
            # the next reply waits for these, and for earlier ones that are running or have failed
            unacknowledged = [one for one in self._unacknowledged if not one.done() or one.exception()]
            self._unacknowledged = [*unacknowledged[1 - MAX_UNACKNOWLEDGED :], begun]

    def _on_end(self, ended: asyncio.Future[None]) -> None:
        self._transactions.discard(ended)
        if not ended.cancelled():
            ended.exception()  # its waiters get the exception; asyncio need not log it
            if self._due <= asyncio.get_running_loop().time():
                self._begin_if_idle()

    async def _run_transaction(self, batches: list[Batch]) -> None:
        failure: Exception | None = None
        to_retry: list[Batch] = []
        try:
            await self._in_thread(lambda: self._write(batches, to_retry))
        except sqlite3.Error as error:
            log.warning("could not write to the database: %s", error)
            failure = _write_failed(error)
        except Exception as error:
            failure = error
        self._notify_batches(batches, to_retry, failure)
        if failure:
            raise failure

    def _notify_batches(self, batches: list[Batch], to_retry: list[Batch], failure: Exception | None) -> None:
        """Notifies the batches of the outcome, except those that are retried."""
        self._has_retries = bool(to_retry)
        if to_retry:
            pause = RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS) - 1)]
            self._schedule_transaction(asyncio.get_running_loop().time() + pause)
        self._failures = self._failures + 1 if failure else 0
        later = {id(batch) for batch in to_retry}
        for batch in batches:
            if id(batch) in later:
                continue
            if isinstance(batch, _FunctionCall):
                batch.resolve(failure)
            elif failure:
                batch.on_rollback()
            elif on_commit := getattr(batch, "on_commit", None):
                on_commit()

    def _write(self, batches: list[Batch], to_retry: list[Batch]) -> None:
        """Runs one transaction, which starts with batches to retry. Fills `to_retry` if it fails."""
        connection, faulty = self._writer, None
        batches[:0], self._retry_batches = self._retry_batches, []
        try:
            self._set_synchronous(any(getattr(batch, "durable", False) for batch in batches))
            connection.execute("BEGIN IMMEDIATE")
            for batch in batches:
                faulty = batch
                batch.write(connection)
            faulty = None
            connection.execute("COMMIT")
        except BaseException as failure:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if isinstance(failure, sqlite3.OperationalError):
                faulty = None  # the disk or another process is the cause, and it may pass
            for batch in batches:
                if batch is not faulty and (remaining := getattr(batch, "to_retry", lambda: None)()) is not None:
                    to_retry.append(remaining)
            self._retry_batches = list(to_retry)
            raise

    def _set_synchronous(self, synchronous: bool) -> None:
        if self._synchronous != synchronous:
            self._writer.execute(f"PRAGMA synchronous = {'FULL' if synchronous else 'NORMAL'}")
            self._synchronous = synchronous

    async def _in_thread(self, function: Callable[[], T]) -> T:
        if self._thread is None:
            return function()
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)


async def wait_all(transactions: Collection[asyncio.Future[None]]) -> None:
    """Waits for all transactions, then raises the first failure.

    Unlike `asyncio.gather`, cancelling the wait cancels none of them: they are shared.
    """
    if transactions:
        await asyncio.wait(transactions)
    for one in transactions:
        one.result()


def _write_failed(failure: sqlite3.Error) -> StoreFailed:
    return StoreFailed(f"could not be stored: {failure}", retryable=True)


def _read_failed(failure: sqlite3.Error) -> StoreFailed:
    return StoreFailed(f"the state folder's database can't be read: {failure}", retryable=True)
