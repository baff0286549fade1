"""Documents by id and by when they are due, shared by several sidecars."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sidecar.errors import Conflict, LimitExceeded, StoreFailed
from sidecar.storage.agenda import Agenda, Item
from sidecar.storage.database import Database
from sidecar.storage.pending_work import PendingWork, has_pending
from sidecar.storage.redis_agenda import RedisAgenda
from sidecar.storage.redis_client import connect


@asynccontextmanager
async def opened(path: Path, kind: str = "schedule") -> AsyncIterator[Agenda]:
    """An agenda as a process of its own sees it."""
    database = await Database.open(path)
    yield Agenda(database, "task" if kind == "task" else "schedule")
    await database.close()


@pytest.fixture(params=["disk", "memory", "redis"])
async def agenda(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Agenda]:
    """An agenda on disk, in memory as in mock mode, and in Redis as in a fleet."""
    if request.param == "disk":
        async with opened(tmp_path / "sidecar.db") as one:
            yield one
    elif request.param == "redis":
        redis = connect(request.getfixturevalue("redis_server").url)
        await redis.flushall()
        yield RedisAgenda(redis, "schedule")
        await redis.aclose()
    else:
        database = Database.in_memory()
        yield Agenda(database, "schedule")
        await database.close()


async def got(agenda: Agenda, id: str) -> Item:  # noqa: A002
    """The entry, which must be there."""
    item = await agenda.get(id)
    assert item
    return item


async def test_what_is_put_is_found(agenda: Agenda) -> None:
    """An entry is found by its id, byte for byte."""
    await agenda.put_new("a", b'{"x":"\\u0000"}', 5.5)
    assert await agenda.get("a") == Item(1, 1, "a", b'{"x":"\\u0000"}', 5.5, None)
    assert await agenda.get("b") is None


async def test_an_id_is_used_once(agenda: Agenda) -> None:
    """An id can be used again after its entry is deleted."""
    await agenda.put_new("a", b"1", None)
    with pytest.raises(Conflict):
        await agenda.put_new("a", b"2", None)
    assert (await got(agenda, "a")).document == b"1"
    assert await agenda.delete("a")
    assert not await agenda.delete("a")
    await agenda.put_new("a", b"2", None)
    assert (await got(agenda, "a")).document == b"2"


async def test_open_ones_are_limited(agenda: Agenda) -> None:
    """Closed ones count no more; also where many come at once."""
    ended = await asyncio.gather(*(agenda.put_new(str(n), b"", 1, 3) for n in range(5)), return_exceptions=True)
    assert [type(one) for one in ended if one] == [LimitExceeded, LimitExceeded]
    assert await agenda.count("open") == 3
    item = (await agenda.page(0, 1))[0]
    assert await agenda.replace(item, b"", None, drop_at=9)
    await agenda.put_new("another", b"", 1, 3)
    with pytest.raises(LimitExceeded):
        await agenda.put_new("one too many", b"", 1, 3)


async def test_only_the_first_change_of_a_version_counts(agenda: Agenda) -> None:
    """The others learn that somebody was quicker."""
    await agenda.put_new("a", b"0", 1)
    item = await got(agenda, "a")
    changed = await asyncio.gather(*(agenda.replace(item, str(n).encode(), n) for n in range(1, 6)))
    assert changed == [True, False, False, False, False]
    assert await got(agenda, "a") == Item(item.number, 2, "a", b"1", 1.0, None)


async def test_what_was_deleted_is_not_changed(agenda: Agenda) -> None:
    """A change of a deleted entry fails, even if a new entry has the same id."""
    await agenda.put_new("a", b"old", 1)
    old = await got(agenda, "a")
    await agenda.delete("a")
    assert not await agenda.replace(old, b"changed", 2)
    await agenda.put_new("a", b"new", 1)
    assert not await agenda.replace(old, b"changed", 2)
    assert (await got(agenda, "a")).document == b"new"


async def test_pages_are_in_the_order_of_making(agenda: Agenda) -> None:
    """Open and closed ones together or apart; none past the end."""
    for n in range(7):
        await agenda.put_new(str(n), b"", 100 - n)
    for n in (1, 4):
        await agenda.replace(await got(agenda, str(n)), b"", None, drop_at=5)
    assert [item.id for item in await agenda.page(0, 3)] == ["0", "1", "2"]
    assert [item.id for item in await agenda.page(6, 3)] == ["6"]
    assert await agenda.page(7, 3) == []
    assert [item.id for item in await agenda.page(1, 3, "open")] == ["2", "3", "5"]
    assert [item.id for item in await agenda.page(0, 3, "closed")] == ["1", "4"]
    assert [await agenda.count(which) for which in ("all", "open", "closed")] == [7, 5, 2]


async def test_due_entries_come_in_order(agenda: Agenda) -> None:
    """Due entries include those due now, and exclude those without a time."""
    assert await agenda.next_due() is None
    for id_, due in (("c", 30.0), ("none", None), ("a", 10.0), ("b", 10.0), ("d", 40.0)):
        await agenda.put_new(id_, b"", due)
    assert await agenda.next_due() == 10.0
    assert [item.id for item in await agenda.due(9.999, 10)] == []
    assert [item.id for item in await agenda.due(30.0, 10)] == ["a", "b", "c"]
    assert [item.id for item in await agenda.due(30.0, 2)] == ["a", "b"]


async def test_closed_ones_are_dropped_in_time(agenda: Agenda) -> None:
    """Closed entries are deleted after a while, open ones never."""
    for id_, drop_at in (("a", 10.0), ("b", 20.0), ("c", None)):
        await agenda.put_new(id_, b"", None)
        await agenda.replace(await got(agenda, id_), b"", None, drop_at)
    assert await agenda.delete_expired(10.0) == 1
    assert [item.id for item in await agenda.page(0, 9)] == ["b", "c"]


async def test_processes_share_one_agenda_and_kinds_do_not(tmp_path: Path) -> None:
    """Entries of one process can be read and changed by another, and outlive both."""
    path = tmp_path / "sidecar.db"
    async with opened(path) as one, opened(path) as two, opened(path, "task") as tasks:
        await one.put_new("a", b"1", 5)
        await tasks.put_new("a", b"task", 3)
        item = await got(two, "a")
        assert item.document == b"1"
        assert await two.replace(item, b"2", 7)
        assert not await one.replace(item, b"3", 8)
        assert await one.next_due() == 7.0
        assert await tasks.delete("a")
    async with opened(path) as again:
        assert (await got(again, "a")).document == b"2"
        assert await again.count() == 1


async def test_what_is_due_soon_is_pending_work(tmp_path: Path) -> None:
    """Pending work makes a new sidecar open the store, and load the queue shortly before it is due."""
    path = tmp_path / "sidecar.db"
    assert not has_pending(path)
    database = await Database.open(path)
    agenda, pending = Agenda(database, "schedule"), PendingWork(database.fetch_one)
    await agenda.put_new("without a time", b"", None)
    assert not has_pending(path)
    await agenda.put_new("a", b"", 50.0)
    assert has_pending(path)
    assert [pending.due_by(moment) for moment in (49.0, 50.0, 51.0)] == [False, True, True]
    await database.close()


async def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    """A full disk is an error, and nothing was accepted."""
    database = await Database.open(tmp_path / "sidecar.db")
    agenda = Agenda(database, "schedule")
    await database.write(lambda connection: connection.execute("PRAGMA max_page_count = 1").fetchone())
    with pytest.raises(StoreFailed):
        await agenda.put_new("a", b"x" * 100_000, 1)
    assert await agenda.get("a") is None
    await database.close()
