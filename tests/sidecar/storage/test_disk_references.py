"""References in memory and on disk: their lifetime, their owner, and failures of the disk."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.errors import StoreFailed
from sidecar.storage import memory_references
from sidecar.storage.database import Database
from sidecar.storage.disk_references import DiskReferences
from sidecar.storage.memory_references import MemoryReferences
from tests.clocks import ManualClock

HOUR = 3600.0
ODD_NAMES = [
    "a'b\"c`d",
    "NUL \u0000 inside",
    "\u0000",
    "é€😀\u2028\ufffe",
    "a\\u0000b",
    "x" * 100_000,
    " ",
    "null",
    "1",
]


@pytest.fixture
def time() -> ManualClock:
    """The references' time."""
    return ManualClock()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """An open database."""
    opened = await Database.open(tmp_path / "sidecar.db")
    yield opened
    await opened.close()


async def opened(database: Database, time: ManualClock, scope: str = "scope", *seed: str) -> DiskReferences:
    """The references of a scope."""
    return await DiskReferences.open(database, time.clock, scope, seed, 72 * HOUR)


async def commit(database: Database) -> None:
    """Writes what was accepted."""
    committed = database.commit()
    assert committed is not None
    await committed


async def test_three_days_and_twelve_hours(database: Database, time: ManualClock) -> None:
    """A reference is known up to its end and not at it, in memory and on disk."""
    for references in (MemoryReferences(time.clock), await opened(database, time)):
        references.remember("long", 72 * HOUR)
        references.remember("short", 12 * HOUR)
        time.advance(12 * HOUR - 1)
        assert references.has("short")
        time.advance(1)
        assert not references.has("short")
        assert references.has("long")
        time.advance(60 * HOUR - 1)
        assert references.has("long")
        time.advance(1)
        assert not references.has("long")


@pytest.mark.parametrize(("first", "second", "known"), [(72.0, 12.0, 12.0), (12.0, 72.0, 72.0)])
async def test_the_last_call_counts(
    database: Database, time: ManualClock, first: float, second: float, known: float
) -> None:
    """A short lifetime after a long one shortens it, also for readers of the disk."""
    here, elsewhere, memory = (
        await opened(database, time),
        await opened(database, time),
        MemoryReferences(time.clock),
    )
    for references in (here, memory):
        references.remember("a", first * HOUR)
    await commit(database)
    for references in (here, memory):
        references.remember("a", second * HOUR)
    await commit(database)
    time.advance(known * HOUR - 1)
    assert (here.has("a"), memory.has("a"), elsewhere.has("a")) == (True, True, True)
    time.advance(1)
    assert (here.has("a"), memory.has("a"), elsewhere.has("a")) == (False, False, False)


async def test_scopes_are_apart(database: Database, time: ManualClock) -> None:
    """References of one server and key are unknown to another."""
    one, other = await opened(database, time, "one", "seeded"), await opened(database, time, "other")
    one.remember("a", HOUR)
    await commit(database)
    again = await opened(database, time, "one")
    for name in ("a", "seeded"):
        assert (one.has(name), again.has(name), other.has(name)) == (True, True, False)


async def test_a_seed_lasts_three_days(database: Database, time: ManualClock) -> None:
    """Seeded references are on disk before the login's reply."""
    await opened(database, time, "scope", *(f"ref-{number}" for number in range(1000)))
    again = await opened(database, time)
    time.advance(72 * HOUR - 1)
    assert all(again.has(f"ref-{number}") for number in range(1000))
    time.advance(1)
    assert not any(again.has(f"ref-{number}") for number in range(1000))


async def test_they_outlive_the_database(tmp_path: Path, time: ManualClock) -> None:
    """A file that is closed and opened again knows what it knew."""
    for turn in range(2):
        database = await Database.open(tmp_path / "sidecar.db")
        references = await opened(database, time)
        assert references.has("a") is (turn == 1)
        references.remember("a", HOUR)
        await database.close()  # writes what was accepted


async def test_what_has_expired_leaves_the_disk(database: Database, time: ManualClock, tmp_path: Path) -> None:
    """The next login drops it, whatever scope it is of."""
    references = await opened(database, time)
    references.remember("a", HOUR)
    references.remember("b", 3 * HOUR)
    await commit(database)
    time.advance(2 * HOUR)
    await opened(database, time, "another")
    with closing(sqlite3.connect(tmp_path / "sidecar.db")) as connection:
        assert connection.execute("SELECT name FROM reference").fetchall() == [("b",)]


@pytest.mark.parametrize("together", [True, False])
async def test_any_string_is_a_name(database: Database, time: ManualClock, together: bool) -> None:
    """Quotes, NUL, other planes and 100 KB, each known under itself alone."""
    references = await opened(database, time)
    for name in ODD_NAMES:
        references.remember(name, HOUR)
        if not together:
            await commit(database)
    if together:
        await commit(database)
    again = await opened(database, time)
    assert [name for name in ODD_NAMES if not again.has(name)] == []
    assert [name for name in ("NUL ", "a'b", "x", "", "a\u0000b", "a'b\"c`d ") if again.has(name)] == []


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20), min_size=1, max_size=8))
def test_names_are_kept_apart(tmp_path_factory: pytest.TempPathFactory, names: set[str]) -> None:
    """Exactly the names that were remembered come back from the disk."""

    async def check() -> None:
        time = ManualClock()
        database = await Database.open(tmp_path_factory.mktemp("names") / "sidecar.db")
        references = await opened(database, time)
        for name in names:
            references.remember(name, HOUR)
        await commit(database)
        again = await opened(database, time)
        assert all(again.has(name) for name in names)
        assert not any(again.has(name + "x") for name in names if name + "x" not in names)
        await database.close()

    asyncio.run(check())


async def test_a_hundred_thousand(tmp_path: Path, time: ManualClock) -> None:
    """Accepted at once, written in one commit, and all of them there after it."""
    database = await Database.open(tmp_path / "sidecar.db")
    references = await opened(database, time)
    for number in range(100_000):
        references.remember(f"reference-{number}", HOUR)
    await commit(database)
    again = await opened(database, time)
    assert all(again.has(f"reference-{number}") for number in range(0, 100_000, 97))
    assert database.fetch_one("SELECT count(*) FROM reference") == (100_000,)
    await database.close()


async def test_memory_holds_a_bounded_number(
    database: Database, time: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk knows the rest; what is not on disk yet stays in memory."""
    monkeypatch.setattr("sidecar.storage.disk_references.MAX_CACHED", 10)
    references = await opened(database, time)
    for number in range(35):
        references.remember(f"a{number}", HOUR)
    assert all(references.has(f"a{number}") for number in range(35))
    await commit(database)
    for number in range(35, 45):
        references.remember(f"a{number}", HOUR)
    assert all(references.has(f"a{number}") for number in range(45))


async def test_what_is_being_written_stays_known(
    database: Database, time: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory that runs over during a commit forgets nothing that is in the commit."""
    monkeypatch.setattr("sidecar.storage.disk_references.MAX_CACHED", 10)
    references = await opened(database, time)
    references.remember("first", HOUR)
    committed = database.commit()
    assert committed is not None
    for number in range(35):
        references.remember(f"a{number}", HOUR)
    assert references.has("first")
    await committed
    await commit(database)
    assert references.has("first")


async def test_two_processes_share_one_file(tmp_path: Path, time: ManualClock) -> None:
    """A reference that one process has committed is known to the other."""
    one, other = [await Database.open(tmp_path / "sidecar.db") for _ in range(2)]
    here, there = await opened(one, time), await opened(other, time)
    assert not there.has("a")
    here.remember("a", HOUR)
    assert not there.has("a")
    await commit(one)
    assert there.has("a")
    await asyncio.gather(one.close(), other.close())


class Refusal:
    """Makes the disk refuse writes and allow them again, from another connection."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)

    def begin(self) -> None:
        """Makes further writes of references fail."""
        self._connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON reference BEGIN SELECT RAISE(ABORT, 'no space left'); END"
        )

    def end(self) -> None:
        """All is well again."""
        self._connection.execute("DROP TRIGGER refuse")

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


@pytest.fixture
def refusal(database: Database, tmp_path: Path) -> Iterator[Refusal]:
    """A disk that can refuse."""
    made = Refusal(tmp_path / "sidecar.db")
    yield made
    made.close()


async def test_what_could_not_be_written_is_forgotten(database: Database, time: ManualClock, refusal: Refusal) -> None:
    """A reference that could not be written is unknown, and can be remembered later."""
    references = await opened(database, time)
    references.remember("before", HOUR)
    await commit(database)
    refusal.begin()
    references.remember("a", HOUR)
    references.remember("before", 3 * HOUR)
    with pytest.raises(StoreFailed, match="could not be stored: no space left") as failed:
        await commit(database)
    assert failed.value.retryable
    assert (references.has("a"), references.has("before")) == (False, True)
    time.advance(2 * HOUR)
    assert not references.has("before")
    refusal.end()
    references.remember("a", HOUR)
    await commit(database)
    assert (await opened(database, time)).has("a")


async def test_an_unstored_reference_is_written_later(
    database: Database, time: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reference that no reply promises stays known while the disk is full, and is stored later."""
    monkeypatch.setattr("sidecar.storage.disk_references.MAX_CACHED", 10)
    references = await opened(database, time)
    pages = database.fetch_one("PRAGMA page_count")[0]  # type: ignore[index]
    await database.write(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    large = "x" * 100_000
    references.remember(f"owed {large}", HOUR, until_stored=True)
    references.remember(f"promised {large}", HOUR)
    with pytest.raises(StoreFailed):
        await commit(database)
    references.remember(f"owed {large}", 2 * HOUR)  # which its reply says was not stored
    with pytest.raises(StoreFailed):
        await commit(database)
    for number in range(15):
        references.remember(f"a{number}", HOUR)
    assert (references.has(f"owed {large}"), references.has(f"promised {large}")) == (True, False)
    await database._in_thread(lambda: database._writer.execute("PRAGMA max_page_count = 100000").fetchone())
    await database.flush()
    again = await opened(database, time)
    assert (again.has(f"owed {large}"), again.has(f"promised {large}")) == (True, False)
    time.advance(1.5 * HOUR)
    assert (again.has(f"owed {large}"), references.has(f"owed {large}")) == (False, False)


async def test_a_later_acceptance_survives_an_earlier_failure(
    database: Database, time: ManualClock, refusal: Refusal
) -> None:
    """A reference that is accepted again while the first write fails is stored by itself."""
    references = await opened(database, time)
    refusal.begin()
    references.remember("a", HOUR)
    first = database.commit()
    time.advance(1)
    references.remember("a", HOUR)
    assert first is not None
    with pytest.raises(StoreFailed):
        await first
    refusal.end()
    assert references.has("a")
    await commit(database)
    assert (await opened(database, time)).has("a")


async def test_a_seed_that_can_not_be_written_fails_the_login(
    database: Database, time: ManualClock, refusal: Refusal
) -> None:
    """Better no login than one that sends CVs twice."""
    refusal.begin()
    with pytest.raises(StoreFailed):
        await opened(database, time, "scope", "seeded")
    refusal.end()
    assert not (await opened(database, time)).has("seeded")


async def test_a_disk_that_can_not_be_read_is_an_error_of_ours(
    database: Database, time: ManualClock, tmp_path: Path
) -> None:
    """An unreadable disk is an error, since an unknown answer is not `false`."""
    references = await opened(database, time)
    with closing(sqlite3.connect(tmp_path / "sidecar.db")) as connection:
        connection.execute("DROP TABLE reference")
    with pytest.raises(StoreFailed, match="can't be read") as failed:
        references.has("a")
    assert failed.value.retryable


async def test_a_process_that_lives_long_sweeps_the_disk(database: Database, time: ManualClock) -> None:
    """Expired references are deleted with later writes, not only at the next login."""
    references = await opened(database, time)
    references.remember("short", HOUR / 2)
    references.remember("long", 9 * HOUR)
    await database.flush()
    time.advance(2 * HOUR)
    references.remember("later", HOUR)
    await database.flush()
    assert database.fetch_all("SELECT name FROM reference ORDER BY name") == [("later",), ("long",)]


def test_memory_sweeps_itself(time: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expired references don't pile up: they are deleted once there are many."""
    monkeypatch.setattr(memory_references, "FIRST_SWEEP", 10)
    references = MemoryReferences(time.clock)
    for number in range(1_000):
        references.remember(str(number), HOUR)
        time.advance(HOUR / 4)
    assert len(references._expires) <= 20
    assert references.has("999")


def test_memory_lets_go_of_what_has_expired(time: ManualClock) -> None:
    """Asking for it is enough."""
    references = MemoryReferences(time.clock)
    references.remember("a", HOUR)
    time.advance(HOUR)
    assert not references.has("a")
    assert references._expires == {}
