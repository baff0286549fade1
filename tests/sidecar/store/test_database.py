"""The database file: who may read it, who may share it, and what happens to one that is broken."""

import asyncio
import logging
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from sidecar.errors import StoreFailed
from sidecar.store import database as module
from sidecar.store.database import Database
from sidecar.store.references import DiskReferences
from tests.clocks import ManualClock


async def remembered(path: Path, reference: str) -> bool:
    """Opens the file, tells whether it knows the reference, and remembers it."""
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
    """Nobody else reads the database, its log or its shared memory, whatever the umask."""
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
    broken = module._replace

    def late(path: Path) -> sqlite3.Connection:
        broken(path).close()
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("INSERT INTO scope (name) VALUES ('of the first')")
        return broken(path)

    monkeypatch.setattr(module, "_replace", late)
    database = await Database.open(path)
    assert database.first("SELECT name FROM scope") == ("of the first",)
    assert len(kept_aside(tmp_path)) == 1
    await database.close()


async def test_an_empty_file_is_a_new_one(tmp_path: Path) -> None:
    """A machine that died between making the file and writing to it leaves nothing to be kept."""
    path = tmp_path / "sidecar.db"
    path.touch(0o600)
    assert not await remembered(path, "a")
    assert await remembered(path, "a")
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
        assert database.first("SELECT count(*) FROM scope") == (0,)
        other.execute("COMMIT")
        await asyncio.wait_for(writing, 10)
    assert database.first("SELECT count(*) FROM scope") == (1,)
    await database.close()


async def test_a_file_that_stays_locked_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time the write counts as not done."""
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
    assert {database.first("PRAGMA user_version") for database in opened} == {(len(module.MIGRATIONS),)}
    await asyncio.gather(*(database.close() for database in opened))


async def test_nothing_to_write_is_no_commit(tmp_path: Path) -> None:
    """A reply that promises nothing does not wait for the disk."""
    database = await Database.open(tmp_path / "sidecar.db")
    assert database.commit() is None
    await database.close()
