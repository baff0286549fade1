"""Results on a real database, also on one that refuses for a while."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidecar.errors import StoreFailed
from sidecar.queue.result_store import ResultStore
from sidecar.storage.database import Database
from tests.clocks import ManualClock

DAY = 86_400
PAUSE = 0.01
LOOKS = 1000


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """An empty one."""
    opened = await Database.open(tmp_path / "sidecar.db")
    yield opened
    await opened.close()


def of(database: Database, time: ManualClock | None = None) -> ResultStore:
    """The results as one process sees them."""
    return ResultStore(database, (time or ManualClock()).clock, 1 << 20)


async def test_a_result_is_there_at_once_and_for_others_after_the_commit(database: Database) -> None:
    """The first one stays: a second comes from an attempt that has lost its job."""
    mine, others = of(database), of(database)
    mine.store("a", b"1", DAY)
    assert mine.get("a") == b"1"
    assert others.get("a") is None
    await database.flush()
    mine.store("a", b"2", DAY)
    await database.flush()
    assert mine.get("a") == others.get("a") == b"1"
    assert mine.get("b") is None


async def test_a_result_expires(database: Database) -> None:
    """A result expires, and its key can be used again."""
    time = ManualClock()
    mine = of(database, time=time)
    mine.store("a", b"1", DAY)
    await database.flush()
    time.advance(DAY)
    assert mine.get("a") is None
    mine.store("a", b"2", DAY)
    await database.flush()
    assert mine.get("a") == b"2"


async def test_a_refused_result_is_not_lost(tmp_path: Path, database: Database) -> None:
    """A refused result can be read, and is on disk when the disk works again."""
    with sqlite3.connect(tmp_path / "sidecar.db", isolation_level=None) as other:
        other.execute("ALTER TABLE result RENAME TO elsewhere")
        mine, others = of(database), of(database)
        mine.store("a", b"1", DAY)
        with pytest.raises(StoreFailed):
            await database.flush()
        assert mine.get("a") == b"1"
        other.execute("ALTER TABLE elsewhere RENAME TO result")
    other.close()
    for _ in range(LOOKS):
        if others.get("a"):
            break
        await asyncio.sleep(PAUSE)
    assert others.get("a") == b"1"
