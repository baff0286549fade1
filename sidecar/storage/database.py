"""One SQLite file, shared by every sidecar of a state folder: reads on the loop, writes in one thread, in groups."""

import asyncio
import logging
import math
import sqlite3
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Generic, Protocol, Self, TypeVar

from sidecar.errors import StoreFailed
from sidecar.storage.database_file import connect
from sidecar.storage.migrations import NewerSchema, migrate

log = logging.getLogger(__name__)

T = TypeVar("T")
Value = str | float | bytes | None
"""What a statement takes and a column holds."""

BUSY_SECONDS: Final = 8.0
"""How long a write waits while another process holds the file."""
READ_SECONDS: Final = 0.1
"""The same for a read, which holds up everything else: it only ever meets a lock while the file is being repaired."""
STAGED_SECONDS: Final = 0.01
"""How long something staged waits at most for company."""
REFUSED_SECONDS: Final = (0.1, 0.5, 2.0, 5.0)
"""Pauses before what is owed to a disk that refuses is tried again by itself; the last one is repeated."""
MAX_UNHEARD: Final = 4
"""Transactions kept in mind for the next reply: those under way, and the last that failed."""


class Batch(Protocol):
    """Changes that were accepted and are written together.

    One with an attribute `durable = True` also outlives a loss of power: the whole transaction is synchronous then.
    One with a method `written()` has it called on the loop once the transaction has ended well. One with a method
    `owed()` says what of it has to be written all the same where the disk refuses: that goes with the next transaction,
    and with the one after it, until it is on disk.
    """

    def write(self, connection: sqlite3.Connection) -> None:
        """Writes them, in the writer's thread and inside its transaction."""

    def undo(self) -> None:
        """Takes them back in memory, on the loop, when they could not be written."""


class _Call(Generic[T]):
    """One function that runs inside a transaction, apart from what else is in it."""

    def __init__(self, function: Callable[[sqlite3.Connection], T], durable: bool, insists: bool) -> None:
        self.durable = durable
        self._insists = insists
        self.written: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._function = function
        self._outcome: tuple[T] | Exception

    def write(self, connection: sqlite3.Connection) -> None:
        connection.execute("SAVEPOINT one_call")
        try:
            self._outcome = (self._function(connection),)
        except Exception as failure:
            if not connection.in_transaction:  # the disk is full, say: SQLite has taken all of it back
                raise
            connection.execute("ROLLBACK TO one_call")
            self._outcome = _unwritten(failure) if isinstance(failure, sqlite3.Error) else failure
        connection.execute("RELEASE one_call")

    def undo(self) -> None:
        """Nothing in memory depends on it."""

    def owed(self) -> "Batch | None":
        """All of it, where it insists."""
        return self if self._insists else None

    def settle(self, failure: Exception | None) -> None:
        """Tells the caller, on the loop, once the transaction has ended."""
        if self.written.done():  # cancelled
            return
        if failure or isinstance(self._outcome, Exception):
            self.written.set_exception(failure or self._outcome)  # type: ignore[arg-type]
        else:
            self.written.set_result(self._outcome[0])


class Database:
    """An open database. Use `open` or `in_memory`."""

    def __init__(
        self, writer: sqlite3.Connection, reader: sqlite3.Connection, thread: ThreadPoolExecutor | None
    ) -> None:
        """Without a thread, writes are done on the loop, by the connection that reads."""
        self._writer = writer
        self._reader = reader
        self._thread = thread
        self._staged: list[Callable[[], Batch]] = []
        self._promises = False
        self._due = math.inf
        """When the next transaction begins at the latest, by the loop's clock."""
        self._timer: asyncio.TimerHandle | None = None
        self._unheard: list[asyncio.Future[None]] = []
        self._under_way: set[asyncio.Future[None]] = set()
        self._synchronous = False
        self._owed: list[Batch] = []
        """What failed transactions have left; the writer's thread has it."""
        self._owes = False
        self._refusals = 0

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Opens or makes the file (0600). A file that is no database is kept aside. Raises StoreFailed."""
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
    def in_memory(cls) -> Self:
        """A database that ends with the process and touches no disk."""
        connection = sqlite3.connect(":memory:", isolation_level=None)
        migrate(connection)
        return cls(connection, connection, None)

    def stage(self, take: Callable[[], Batch], within: float = STAGED_SECONDS) -> None:
        """Has `take` called for its batch when the next transaction begins: within so many seconds, or at `commit`."""
        self._staged.append(take)
        self._promises = True
        self._begin_by(asyncio.get_running_loop().time() + within)

    def commit(self) -> asyncio.Future[None] | None:
        """What a reply has to wait for: all that was staged since the last call. None if that is nothing.

        For the one writer of replies alone; others wait with `flushed`, or not at all. Fails with StoreFailed.
        """
        if self._promises:
            self._begin()
        unheard, self._unheard = self._unheard, []
        if len(unheard) > 1:
            return asyncio.ensure_future(all_of(unheard))
        return unheard[0] if unheard else None

    async def flushed(self) -> None:
        """Waits until all that was staged is on disk. Raises StoreFailed."""
        if self._staged or self._owes:
            self._begin()
        await all_of(list(self._under_way))

    async def write(self, function: Callable[[sqlite3.Connection], T], *, durable: bool = False) -> T:
        """Calls a function inside the next transaction, which it shares with others, and gives its result.

        What the function raises undoes its own changes alone, and comes out here; SQLite's errors as StoreFailed.
        """
        return await self.put(function, durable=durable)

    def put(
        self, function: Callable[[sqlite3.Connection], T], *, durable: bool = False, insists: bool = False
    ) -> "asyncio.Future[T]":
        """The same, staged when this returns: with all that is staged in the same turn it is one transaction.

        Where it insists, a transaction that the disk refuses is no failure of it: it goes with the next one.
        """
        call = _Call(function, durable, insists)
        self._staged.append(lambda: call)
        self._begin_by(0.0)
        return call.written

    async def execute(self, sql: str, *parameters: Value) -> None:
        """Runs one statement in the next transaction. Raises StoreFailed."""
        await self.write(lambda connection: connection.execute(sql, parameters).rowcount)

    def first(self, sql: str, *parameters: Value) -> tuple[Any, ...] | None:
        """The first row of a short read, on the event loop; None if there is no row. Raises StoreFailed."""
        try:
            row: tuple[Any, ...] | None = self._reader.execute(sql, parameters).fetchone()
        except sqlite3.Error as failure:
            raise _unread(failure) from None
        return row

    def all(self, sql: str, *parameters: Value) -> list[tuple[Any, ...]]:
        """Every row of a short read, on the event loop. Raises StoreFailed."""
        try:
            return self._reader.execute(sql, parameters).fetchall()
        except sqlite3.Error as failure:
            raise _unread(failure) from None

    async def close(self) -> None:
        """Waits for the writes under way and closes the file."""
        last = True
        while self._staged or self._under_way or (self._owes and last):
            if self._staged or self._owes:
                last = bool(self._staged)  # what is owed gets one more try of its own
                self._begin()
            await asyncio.wait(self._under_way)  # `_transact` has logged what failed
        self._reader.close()
        await self._in_thread(self._writer.close)
        if self._thread:
            self._thread.shutdown()

    def _begin_by(self, due: float) -> None:
        if due < self._due:
            self._due = due
            if self._timer:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_at(due, self._flush)

    def _flush(self) -> None:
        """Begins a transaction, unless one is under way: then the next one begins at its end."""
        if self._under_way:
            return
        if self._staged or self._owes:
            self._begin()
        else:
            self._due = math.inf  # what was owed has gone with another one

    def _begin(self) -> None:
        self._due = math.inf
        if self._timer:
            self._timer.cancel()
            self._timer = None
        batches = [take() for take in self._staged]
        self._staged.clear()
        begun = asyncio.ensure_future(self._transact(batches))
        self._under_way.add(begun)
        begun.add_done_callback(self._on_end)
        if self._promises:
            self._promises = False
            # the next reply hears of these, also where they have ended by then and it was not their cause
            unheard = [one for one in self._unheard if not one.done() or one.exception()]
            self._unheard = [*unheard[1 - MAX_UNHEARD :], begun]

    def _on_end(self, ended: asyncio.Future[None]) -> None:
        self._under_way.discard(ended)
        if not ended.cancelled():
            ended.exception()  # those who wait for it hear of it; asyncio need not
            if self._due <= asyncio.get_running_loop().time():
                self._flush()

    async def _transact(self, batches: list[Batch]) -> None:
        failure: Exception | None = None
        carried: list[Batch] = []
        try:
            await self._in_thread(lambda: self._write(batches, carried))
        except sqlite3.Error as refusal:
            log.warning("could not write to the database: %s", refusal)
            failure = _unwritten(refusal)
        except Exception as unforeseen:
            failure = unforeseen
        self._settle(batches, carried, failure)
        if failure:
            raise failure

    def _settle(self, batches: list[Batch], carried: list[Batch], failure: Exception | None) -> None:
        """Tells everybody what became of theirs; what is carried on hears of it later."""
        self._owes = bool(carried)
        if carried:
            pause = REFUSED_SECONDS[min(self._refusals, len(REFUSED_SECONDS) - 1)]
            self._begin_by(asyncio.get_running_loop().time() + pause)
        self._refusals = self._refusals + 1 if failure else 0
        later = {id(batch) for batch in carried}
        for batch in batches:
            if id(batch) in later:
                continue
            if isinstance(batch, _Call):
                batch.settle(failure)
            elif failure:
                batch.undo()
            elif written := getattr(batch, "written", None):
                written()

    def _write(self, batches: list[Batch], carried: list[Batch]) -> None:
        """One transaction, which begins with what those before it owe. Fills `carried` where it fails."""
        connection, faulty = self._writer, None
        batches[:0], self._owed = self._owed, []
        try:
            self._be_synchronous(any(getattr(batch, "durable", False) for batch in batches))
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
                faulty = None  # the disk's fault, or another process's: it may pass
            owed = [batch.owed() for batch in batches if batch is not faulty and hasattr(batch, "owed")]
            carried += [one for one in owed if one is not None]
            self._owed = list(carried)
            raise

    def _be_synchronous(self, synchronous: bool) -> None:
        if self._synchronous != synchronous:
            self._writer.execute(f"PRAGMA synchronous = {'FULL' if synchronous else 'NORMAL'}")
            self._synchronous = synchronous

    async def _in_thread(self, function: Callable[[], T]) -> T:
        if self._thread is None:
            return function()
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)


async def all_of(transactions: Collection[asyncio.Future[None]]) -> None:
    """Waits for every one of them, and then raises the first failure.

    They are everybody's: whoever stops waiting stops none of them, as `asyncio.gather` would.
    """
    if transactions:
        await asyncio.wait(transactions)
    for one in transactions:
        one.result()


def _unwritten(failure: sqlite3.Error) -> StoreFailed:
    return StoreFailed(f"could not be stored: {failure}", retryable=True)


def _unread(failure: sqlite3.Error) -> StoreFailed:
    return StoreFailed(f"the state folder's database can't be read: {failure}", retryable=True)
