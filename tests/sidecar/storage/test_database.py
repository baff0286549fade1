"""The database file: who may read it, who may share it, and what happens to one that is broken."""

import asyncio
import logging
import os
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from time import monotonic

import pytest

from sidecar.errors import StoreFailed
from sidecar.storage import database as module
from sidecar.storage import database_file
from sidecar.storage.agenda_snapshot import read_snapshot
from sidecar.storage.database import Database
from sidecar.storage.disk_references import DiskReferences
from sidecar.storage.migrations import MIGRATIONS
from tests.clocks import ManualClock


async def remembered(path: Path, reference: str) -> bool:
    """Opens the file, prints whether it knows the reference, and remembers it."""
    database = await Database.open(path)
    references = await DiskReferences.open(database, ManualClock().clock, "scope", (), 1)
    known = references.has(reference)
    references.remember(reference, 3600)
    await database.close()
    return known


def kept_aside(folder: Path) -> list[Path]:
    """The broken files."""
    return list(folder.glob("sidecar.broken-*"))


async def test_the_file_is_its_owners(tmp_path: Path) -> None:
    """Only the owner can read the database, its log and its shared memory, whatever the umask."""
    path = tmp_path / "sidecar.db"
    database = await Database.open(path)
    await database.execute("INSERT INTO scope (name) VALUES ('a')")
    modes = [stat.S_IMODE((tmp_path / f"sidecar.db{end}").stat().st_mode) for end in ("", "-wal", "-shm")]
    assert modes == [0o600, 0o600, 0o600]
    await database.close()


def garbage(path: Path) -> None:
    """Something that never was a database."""
    path.write_bytes(b"this is not a database " * 1000)


def cut(path: Path) -> None:
    """Half of a database."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def middle(path: Path) -> None:
    """A database with a hole; its first page is as it was."""
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\x5a" * 4096 + whole[8192:])


def beginning(path: Path) -> None:
    """A database without its first bytes."""
    path.write_bytes(b"\0" * 100 + path.read_bytes()[100:])


@pytest.mark.parametrize("spoil", [garbage, cut, middle, beginning])
async def test_a_broken_file_is_kept_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None]
) -> None:
    """The sidecar goes on with a new file, says so once, and throws nothing away."""
    path = tmp_path / "sidecar.db"
    assert not await remembered(path, "a")
    spoil(path)
    broken = path.read_bytes()
    with caplog.at_level(logging.WARNING):
        assert not await remembered(path, "a")
        assert await remembered(path, "a")
    [aside] = kept_aside(tmp_path)
    assert aside.read_bytes() == broken
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    assert [record.getMessage().endswith(f"it is kept as {aside.name}") for record in caplog.records] == [True]


async def test_a_file_that_another_process_replaced_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two sidecars that find the same broken file, the second uses what the first has put in its place."""
    path = tmp_path / "sidecar.db"
    garbage(path)
    broken = database_file._replace

    def late(path: Path, busy_seconds: float) -> sqlite3.Connection:
        broken(path, busy_seconds).close()
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("INSERT INTO scope (name) VALUES ('of the first')")
        return broken(path, busy_seconds)

    monkeypatch.setattr(database_file, "_replace", late)
    database = await Database.open(path)
    assert database.fetch_one("SELECT name FROM scope") == ("of the first",)
    assert len(kept_aside(tmp_path)) == 1
    await database.close()


async def test_an_empty_file_is_a_new_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A machine that died between making the file and writing to it leaves nothing to be kept, and is reported."""
    path = tmp_path / "sidecar.db"
    path.touch(0o600)
    os.utime(path, (1, 1))
    assert not await remembered(path, "a")
    assert "sidecar.db is empty" in caplog.text
    caplog.clear()
    assert await remembered(path, "a")
    assert caplog.text == ""
    assert kept_aside(tmp_path) == []


async def test_a_file_of_a_newer_sidecar_is_refused(tmp_path: Path) -> None:
    """The file is not touched, and the error says what to do and is not retryable."""
    path = tmp_path / "sidecar.db"
    assert not await remembered(path, "a")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 2}")
    before = path.read_bytes()
    with pytest.raises(StoreFailed, match=f"schema is number {len(MIGRATIONS) + 2}.*set SIDECAR_HOME") as failed:
        await Database.open(path)
    assert not failed.value.retryable
    with pytest.raises(StoreFailed, match="newer sidecar"):
        read_snapshot(path, 0)
    assert path.read_bytes() == before
    assert kept_aside(tmp_path) == []


async def test_a_place_without_a_disk(tmp_path: Path) -> None:
    """A folder in the file's place, or a file in the folder's, is an error of ours, and may pass."""
    (tmp_path / "sidecar.db").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "sidecar.db", tmp_path / "file" / "sidecar.db", tmp_path / "nowhere" / "sidecar.db"):
        with pytest.raises(StoreFailed, match="the state folder's database can't be used") as failed:
            await Database.open(path)
        assert failed.value.retryable


async def test_a_locked_file_is_waited_for(tmp_path: Path) -> None:
    """Another process may hold the file for a while: the loop goes on, and the write succeeds after it."""
    path = tmp_path / "sidecar.db"
    database = await Database.open(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(database.execute("INSERT INTO scope (name) VALUES ('a')"))
        for _ in range(100):
            await asyncio.sleep(0.001)  # the loop turns
        assert not writing.done()
        assert database.fetch_one("SELECT count(*) FROM scope") == (0,)
        other.execute("COMMIT")
        await asyncio.wait_for(writing, 10)
    assert database.fetch_one("SELECT count(*) FROM scope") == (1,)
    await database.close()


ASK = """
import sqlite3, sys
try:
    sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None).execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as refused:
    print(refused)
"""


async def test_opening_it_twice_ends_no_lock(tmp_path: Path) -> None:
    """Opening the file twice keeps its locks, although closing any descriptor of a file drops all locks."""
    path = tmp_path / "sidecar.db"
    first = await Database.open(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        opening = asyncio.create_task(Database.open(path))
        asked = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ASK, str(path), stdout=asyncio.subprocess.PIPE
        )
        said, _ = await asked.communicate()
        assert said == b"database is locked\n"
        holder.execute("COMMIT")
        second = await opening
    await second.close()
    await first.close()


async def test_a_file_that_stays_locked_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that waits too long for a lock is an error and not done."""
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)
    path = tmp_path / "sidecar.db"
    database = await Database.open(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFailed, match="could not be stored: database is locked") as failed:
            await database.execute("INSERT INTO scope (name) VALUES ('a')")
    assert failed.value.retryable
    await database.close()


async def test_many_open_a_new_file_at_once(tmp_path: Path) -> None:
    """Each migration runs once."""
    opened = await asyncio.gather(*(Database.open(tmp_path / "sidecar.db") for _ in range(8)))
    assert {database.fetch_one("PRAGMA user_version") for database in opened} == {(len(MIGRATIONS),)}
    await asyncio.gather(*(database.close() for database in opened))


async def test_nothing_to_write_is_no_commit(tmp_path: Path) -> None:
    """A reply that promises nothing does not wait for the disk."""
    database = await Database.open(tmp_path / "sidecar.db")
    assert database.commit() is None
    await database.close()


async def names(database: Database) -> list[str]:
    """The names that the tests have written."""
    return [row[0] for row in database.fetch_all("SELECT name FROM scope ORDER BY id")]


def add(name: str) -> Callable[[sqlite3.Connection], int | None]:
    """A change: one more row, whose id it gives."""
    return lambda connection: connection.execute("INSERT INTO scope (name) VALUES (?)", (name,)).lastrowid


class Names:
    """A batch of rows."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.ended: list[str] = []

    def write(self, connection: sqlite3.Connection) -> None:
        """Adds them."""
        for name in self.names:
            add(name)(connection)

    def on_commit(self) -> None:
        """Notes it."""
        self.ended.append("written")

    def on_rollback(self) -> None:
        """Notes it."""
        self.ended.append("undone")


@pytest.fixture(params=["disk", "memory"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An open database of either kind."""
    disk = request.param == "disk"
    opened = await Database.open(tmp_path / "sidecar.db") if disk else Database.in_memory()
    yield opened
    await opened.close()


async def test_a_write_gives_its_result(database: Database) -> None:
    """Many at once share a transaction, in their order."""
    assert await asyncio.gather(*(database.write(add(f"n{number}")) for number in range(50))) == list(range(1, 51))
    assert await names(database) == [f"n{number}" for number in range(50)]


async def test_a_failed_write_fails_no_other(database: Database) -> None:
    """A failed write is rolled back; the others of the transaction are kept."""

    def fails(connection: sqlite3.Connection) -> None:
        add("of the one that fails")(connection)
        raise KeyError("mine")

    one, failed, refused, two = await asyncio.gather(
        database.write(add("one")),
        database.write(fails),
        database.write(lambda connection: connection.execute("INSERT INTO nowhere VALUES (1)").rowcount),
        database.write(add("two"), durable=True),
        return_exceptions=True,
    )
    assert (one, two) == (1, 2)
    assert isinstance(failed, KeyError)
    assert isinstance(refused, StoreFailed)
    assert await names(database) == ["one", "two"]


async def test_what_is_staged_is_written_soon(database: Database) -> None:
    """Staged changes are written even without a request for a commit."""
    batch = Names("a")
    database.stage(lambda: batch)
    async with asyncio.timeout(10):
        while not batch.ended:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert batch.ended == ["written"]
    assert await names(database) == ["a"]


@pytest.mark.parametrize("hurried", ["staged", "written", "during"])
async def test_what_may_wait_goes_with_what_may_not(database: Database, hurried: str) -> None:
    """A patient change joins the next transaction, in any order; alone it waits, also when another one ends."""
    patient, first = Names("patient"), asyncio.create_task(database.write(add("first")))
    async with asyncio.timeout(10):
        while hurried == "during" and not database._transactions:  # noqa: ASYNC110
            await asyncio.sleep(0)
    database.stage(lambda: patient, 600)
    if hurried == "staged":
        database.stage(lambda: Names("second"))
    await first
    if hurried == "during":
        await asyncio.sleep(0)
        assert (await names(database), patient.ended) == (["first"], [])
        await database.write(add("second"))
    async with asyncio.timeout(10):
        while not patient.ended:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert "patient" in await names(database)


async def test_what_is_staged_is_waited_for(database: Database) -> None:
    """Any caller can wait for a commit."""
    database.stage(lambda: Names("a"))
    await database.flush()
    assert await names(database) == ["a"]
    await database.flush()


async def test_staged_and_written_keep_their_order(database: Database) -> None:
    """Staged and written changes keep their order."""
    database.stage(lambda: Names("first"))
    second = asyncio.create_task(database.write(add("second")))
    await asyncio.sleep(0)
    database.stage(lambda: Names("third"))
    await second
    await database.flush()
    assert await names(database) == ["first", "second", "third"]


async def test_a_reply_waits_for_what_others_have_begun(tmp_path: Path) -> None:
    """A write takes along what a reply promises; the reply still hears how it ended."""
    database = await Database.open(tmp_path / "sidecar.db")
    with closing(sqlite3.connect(tmp_path / "sidecar.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        database.stage(lambda: Names("promised"))
        writing = asyncio.create_task(database.write(add("by another")))
        for _ in range(3):
            await asyncio.sleep(0)
        committed = database.commit()
        assert committed is not None
        assert not committed.done()
        other.execute("COMMIT")
        await asyncio.wait_for(committed, 10)
    await writing
    assert await names(database) == ["promised", "by another"]
    assert database.commit() is None
    await database.close()


async def test_a_reply_hears_of_a_failure_that_came_before_it(database: Database) -> None:
    """A reply learns of a failure that came before it is sent."""
    batch = Names("twice", "twice")
    database.stage(lambda: batch)
    with pytest.raises(StoreFailed):
        await database.flush()
    assert batch.ended == ["undone"]
    committed = database.commit()
    assert committed is not None
    with pytest.raises(StoreFailed, match="could not be stored"):
        await committed
    assert database.commit() is None
    assert await names(database) == []


class Owed(Names):
    """A batch that has to be written all the same."""

    def to_retry(self) -> "Owed":
        """All of it."""
        return self


async def limit(database: Database, pages: int) -> None:
    """Limits the database to that many pages, like a full disk."""
    await database._in_thread(lambda: database._writer.execute(f"PRAGMA max_page_count = {pages}"))


async def test_what_the_disk_owes_is_one_transaction(database: Database) -> None:
    """Changes with `until_stored` are stored together, in order, once the disk works; others fail."""
    pages = database.fetch_one("PRAGMA page_count")
    assert pages is not None
    await limit(database, pages[0])
    owed, refused, large = Owed("a"), Names("b"), "c" * 100_000
    database.stage(lambda: owed)
    database.stage(lambda: refused)
    end = database.submit(add(large), until_stored=True)
    with pytest.raises(StoreFailed):
        await database.flush()
    with pytest.raises(StoreFailed):
        await database.write(add("d" * 100_000))
    assert (owed.ended, refused.ended, end.done()) == ([], ["undone"], False)
    assert await names(database) == []
    await limit(database, 1_000_000)
    async with asyncio.timeout(20):
        await end
    assert await names(database) == ["a", large]
    assert owed.ended == ["written"]


class Fussy(Owed):
    """The disk refuses it once."""

    def write(self, connection: sqlite3.Connection) -> None:
        """Fails, and then adds them."""
        if not self.ended:
            self.ended.append("refused")
            raise sqlite3.OperationalError("database or disk is full")
        super().write(connection)


async def test_unstored_writes_join_the_next_transaction(tmp_path: Path) -> None:
    """Unstored writes join even a transaction that has started; afterwards staged changes are written soon again."""
    database = await Database.open(tmp_path / "sidecar.db")
    owed = Fussy("a")
    database.stage(lambda: owed)
    first = database.commit()
    database.stage(lambda: Names("b"))
    second = database.commit()
    assert first is not None
    assert second is not None
    with pytest.raises(StoreFailed):
        await first
    await second
    assert (await names(database), owed.ended) == (["a", "b"], ["refused", "written"])
    await asyncio.sleep(2 * module.RETRY_SECONDS[0])  # the time for another try comes, and there is nothing to do
    later = Names("c")
    database.stage(lambda: later)
    async with asyncio.timeout(20):
        while not later.ended:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    await database.close()


async def test_a_write_that_fails_by_itself_is_not_retried(database: Database) -> None:
    """A batch that the disk rejects blocks no other."""
    faulty, fine = Owed("twice", "twice"), Owed("fine")
    database.stage(lambda: fine)
    database.stage(lambda: faulty)
    with pytest.raises(StoreFailed):
        await database.flush()
    async with asyncio.timeout(20):
        await database.flush()
    assert (faulty.ended, fine.ended) == (["undone"], ["written"])
    assert await names(database) == ["fine"]


async def test_a_wait_that_is_cancelled_breaks_off_nothing(tmp_path: Path) -> None:
    """One of several who wait for a transaction goes away: the others still hear how it ended, and all is written."""
    database = await Database.open(tmp_path / "sidecar.db")
    with closing(sqlite3.connect(tmp_path / "sidecar.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        batch = Names("a")
        database.stage(lambda: batch)
        writing = asyncio.create_task(database.write(add("b")))
        tired, patient = asyncio.create_task(database.flush()), asyncio.create_task(database.flush())
        for _ in range(3):
            await asyncio.sleep(0)
        committed = database.commit()
        assert committed is not None
        tired.cancel()
        with pytest.raises(asyncio.CancelledError):
            await tired
        assert [one.done() for one in (patient, committed, writing)] == [False] * 3
        other.execute("COMMIT")
        async with asyncio.timeout(10):
            await asyncio.gather(patient, committed, writing)
    assert (await names(database), batch.ended) == (["a", "b"], ["written"])
    await database.close()


async def test_an_abandoned_write_is_still_done(database: Database) -> None:
    """Cancelling the wait is not cancelling the change."""
    writing = asyncio.create_task(database.write(add("a")))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    await database.flush()
    assert await names(database) == ["a"]


async def test_closing_writes_the_rest(tmp_path: Path) -> None:
    """Closing writes accepted changes."""
    database = await Database.open(tmp_path / "sidecar.db")
    database.stage(lambda: Names("a"))
    writing = asyncio.create_task(database.write(add("b")))
    await asyncio.sleep(0)
    await database.close()
    await writing
    again = await Database.open(tmp_path / "sidecar.db")
    assert await names(again) == ["a", "b"]
    await again.close()


async def test_durable_is_synchronous(tmp_path: Path) -> None:
    """Only transactions that ask for it wait for the disk itself."""
    database = await Database.open(tmp_path / "sidecar.db")
    durable, plain = Names("a"), Names("b")
    durable.durable = True  # type: ignore[attr-defined]
    seen = []
    for batch in (durable, plain):
        database.stage(lambda batch=batch: batch)  # type: ignore[misc]
        await database.flush()
        seen.append(database._writer.execute("PRAGMA synchronous").fetchone()[0])
    assert seen == [2, 1]
    await database.close()


async def test_reading_goes_on_while_the_file_is_locked(tmp_path: Path) -> None:
    """While another process locks the file no read waits, and no write is lost."""
    path = tmp_path / "sidecar.db"
    database = await Database.open(path)
    await database.write(add("before"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        writing = [asyncio.create_task(database.write(add(f"n{number}"))) for number in range(10)]
        database.stage(lambda: Names("staged"))
        slowest, deadline = 0.0, monotonic() + 5
        while (begun := monotonic()) < deadline:
            assert await names(database) == ["before"]
            await asyncio.sleep(0.001)
            slowest = max(slowest, monotonic() - begun)
        other.execute("COMMIT")
    await asyncio.gather(*writing)
    await database.flush()
    assert len(await names(database)) == 12
    assert slowest < 2, "the loop stood still"
    await database.close()
