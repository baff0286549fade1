"""The queue on SQLite: what it does when processes die, clocks move and the disk refuses."""

import asyncio
import signal
import sqlite3
import sys
import time as real_time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from saq.job import Job, Status

from sidecar.clock import Clock
from sidecar.errors import StoreFailed
from sidecar.queue.notifier import ChangeNotifier
from sidecar.queue.process_registry import FOLDER, ProcessLock
from sidecar.queue.sqlite_backend import SqliteBackend
from sidecar.queue.sqlite_queue import SqliteQueue
from sidecar.storage import database as database_module
from sidecar.storage.database import Database
from tests.clocks import ManualClock
from tests.sidecar.queue.test_semantics import SECONDS, known, swept, taken, until

TAKER = """
import asyncio, sys
from pathlib import Path
from saq.job import Status
from sidecar.clock import Clock
from sidecar.queue.sqlite_backend import SqliteBackend
from sidecar.storage.database import Database

async def main():
    folder = Path(sys.argv[1])
    jobs = SqliteBackend.open(await Database.open(folder / "sidecar.db"), folder, Clock(), 1 << 20)
    job = await jobs.queue("default").dequeue()
    job.attempts += 1
    await job.update(status=Status.ACTIVE)
    print(job.key, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await job.finish(Status.COMPLETE, result="of the other process")
    print("done", flush=True)

asyncio.run(main())
"""
"""Another process: takes a job, says so, and ends it when its stdin ends."""


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """An open database."""
    opened = await Database.open(tmp_path / "sidecar.db")
    yield opened
    await opened.close()


@pytest.fixture
async def jobs(database: Database, tmp_path: Path) -> AsyncIterator[SqliteBackend]:
    """Every queue of it."""
    opened = SqliteBackend.open(database, tmp_path, Clock(), 1 << 20)
    yield opened
    await opened.close()


@pytest.fixture
def queue(jobs: SqliteBackend) -> SqliteQueue:
    """An empty queue."""
    return jobs.queue("default")


@pytest.fixture
async def taker(tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The other process."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", TAKER, str(tmp_path), stdin=pipe, stdout=pipe)
    yield process
    if process.returncode is None:
        process.kill()
    await process.communicate()


async def said(process: asyncio.subprocess.Process) -> str:
    """The process's next line."""
    assert process.stdout
    return (await asyncio.wait_for(process.stdout.readline(), SECONDS)).decode().strip()


async def test_a_killed_process_loses_its_job_at_once(
    queue: SqliteQueue, taker: asyncio.subprocess.Process, tmp_path: Path
) -> None:
    """The first look finds it, long before any lease would end; nothing of the dead is left lying about."""
    await queue.enqueue("f", key="a", retries=5, heartbeat=3600)
    assert await said(taker) == "a"
    assert await queue.sweep() == []
    taker.kill()
    await taker.wait()
    assert await queue.sweep() == ["a"]
    assert (await taken(queue)).attempts == 2
    ProcessLock(tmp_path).close()
    assert [path.name for path in (tmp_path / FOLDER).iterdir()] == [queue._context.process_lock.process]


async def test_a_frozen_process_loses_its_job_when_its_lease_ends(
    queue: SqliteQueue, taker: asyncio.subprocess.Process
) -> None:
    """A frozen process loses its job when its lease ends; its later changes have no effect."""
    await queue.enqueue("f", key="a", retries=5, heartbeat=1)
    assert await said(taker) == "a"
    taker.send_signal(signal.SIGSTOP)
    assert await swept(queue) == "a"
    new = await taken(queue)
    taker.send_signal(signal.SIGCONT)
    assert taker.stdin
    taker.stdin.close()
    assert await said(taker) == "done"
    assert known(await queue.job("a")).status is Status.ACTIVE
    await new.finish(Status.COMPLETE, result="ours")
    assert known(await queue.job("a")).result == "ours"


async def test_what_runs_here_is_never_swept(queue: SqliteQueue) -> None:
    """A process does not sweep its own jobs, since it may have been frozen itself."""
    await queue.enqueue("f", key="a", retries=5, heartbeat=1, timeout=1)
    job = await taken(queue)
    begun = real_time.monotonic()
    while real_time.monotonic() < begun + 1.5:
        assert await queue.sweep() == []
        await asyncio.sleep(0.1)
    await job.finish(Status.COMPLETE)


async def test_news_wakes_one_of_those_who_wait(
    jobs: SqliteBackend, queue: SqliteQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One waiter of a process looks for a job, whatever the number of waiters."""
    looks = 0
    look = SqliteQueue._seconds_to_next

    def counted(waits: SqliteQueue) -> float:
        nonlocal looks
        looks += waits is queue
        return look(waits)

    monkeypatch.setattr(SqliteQueue, "_seconds_to_next", counted)
    waiting = [asyncio.ensure_future(queue.dequeue()) for _ in range(50)]
    for number in range(10):
        await jobs.queue("other").enqueue("f", key=str(number))
    assert looks <= 20  # some by the clock, where this takes long; were all woken, it would be hundreds
    for one in waiting:
        one.cancel()
    await asyncio.wait(waiting)


async def test_beginning_a_job_is_one_change(queue: SqliteQueue) -> None:
    """Taking it has stored that it is active, since when, and whose it is: the worker's own note adds nothing."""
    await queue.enqueue("f", key="a")
    job = known(await queue.dequeue(SECONDS))
    version = queue.row("a").version  # type: ignore[union-attr]
    job.attempts += 1
    await job.update(status=Status.ACTIVE)
    assert queue.row("a").version == version  # type: ignore[union-attr]
    stored = known(await queue.job("a"))
    assert (stored.status, stored.attempts, stored.started > 0) == (Status.ACTIVE, 1, True)
    await job.update(progress=0.5)
    assert known(await queue.job("a")).progress == 0.5


async def test_put_is_seen_at_once_and_taken_once_committed(jobs: SqliteBackend, database: Database) -> None:
    """Found by its key before it is on disk, and twice is once."""
    assert await jobs.put(Job("f", key="a", kwargs={"x": 1}), "default")
    assert not await jobs.put(Job("f", key="a"), "other")
    assert known(await jobs.find("a")).kwargs == {"x": 1}
    assert database.fetch_one("SELECT count(*) FROM job") == (0,)
    committed = database.commit()
    assert not await jobs.put(Job("f", key="a"), "default")
    assert known(await jobs.find("a")).status is Status.QUEUED
    assert committed
    await committed
    assert known(await jobs.queue("default").dequeue(SECONDS)).key == "a"


async def test_a_failed_put_leaves_nothing(jobs: SqliteBackend, database: Database, tmp_path: Path) -> None:
    """The reply hears of it, and the same key may be tried again."""
    with closing(sqlite3.connect(tmp_path / "sidecar.db", isolation_level=None)) as other:
        other.execute("CREATE TRIGGER refuse BEFORE INSERT ON job BEGIN SELECT RAISE(ABORT, 'no space left'); END")
        assert await jobs.put(Job("f", key="a"), "default")
        committed = database.commit()
        assert committed
        with pytest.raises(StoreFailed, match="no space left"):
            await committed
        assert await jobs.find("a") is None
        other.execute("DROP TRIGGER refuse")
    assert await jobs.put(Job("f", key="a"), "default")
    await database.flush()
    assert known(await jobs.find("a")).key == "a"


async def test_a_refused_end_is_tried_until_it_is_stored(database: Database, tmp_path: Path) -> None:
    """A job's outcome outlives a full disk; the pauses grow."""
    time = ManualClock()
    jobs = SqliteBackend.open(database, tmp_path, time.clock, 1 << 20)
    queue = jobs.queue("default")
    await queue.enqueue("f", key="a", ttl=0)
    job = await taken(queue)
    with closing(sqlite3.connect(tmp_path / "sidecar.db", isolation_level=None)) as other:
        other.execute("CREATE TRIGGER refuse BEFORE UPDATE ON job BEGIN SELECT RAISE(ABORT, 'no space left'); END")
        await job.update(progress=0.5)
        finishing = asyncio.create_task(job.finish(Status.COMPLETE, result="kept"))

        async def refused() -> bool:
            return len(time.slept) >= 5

        await until(refused)
        other.execute("DROP TRIGGER refuse")
    await asyncio.wait_for(finishing, SECONDS)
    assert known(await queue.job("a")).result == "kept"
    assert time.slept[:5] == [0.1, 0.5, 2.0, 5.0, 5.0]
    await jobs.close()


async def test_taking_waits_while_the_disk_refuses(queue: SqliteQueue, tmp_path: Path) -> None:
    """Dequeueing on a full disk neither raises nor spins."""
    await queue.enqueue("f", key="a")
    with closing(sqlite3.connect(tmp_path / "sidecar.db", isolation_level=None)) as other:
        other.execute("CREATE TRIGGER refuse BEFORE UPDATE ON job BEGIN SELECT RAISE(ABORT, 'no space left'); END")
        taking = asyncio.create_task(queue.dequeue(SECONDS))
        done, _ = await asyncio.wait([taking], timeout=0.3)
        assert not done
        other.execute("DROP TRIGGER refuse")
    assert known(await taking).key == "a"


async def test_a_locked_file_loses_nothing(
    jobs: SqliteBackend, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs put, looked up and taken while another process holds the file for five seconds."""
    assert database_module.BUSY_SECONDS > 5
    queue = jobs.queue("default")
    await queue.enqueue("f", key="before")
    with closing(sqlite3.connect(tmp_path / "sidecar.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        taking = asyncio.create_task(queue.dequeue(SECONDS))
        await jobs.put(Job("f", key="meanwhile"), "default")
        begun = real_time.monotonic()
        while real_time.monotonic() < begun + 5:
            assert known(await jobs.find("before")).status is Status.QUEUED
            assert known(await jobs.find("meanwhile")).status is Status.QUEUED
            await asyncio.sleep(0.01)
        other.execute("COMMIT")
    assert known(await taking).key == "before"
    assert known(await queue.dequeue(SECONDS)).key == "meanwhile"


# --- clocks


@pytest.fixture
def time() -> ManualClock:
    """Time that tests move."""
    return ManualClock(real_time.time())


@pytest.fixture
async def moved(database: Database, tmp_path: Path, time: ManualClock) -> AsyncIterator[SqliteQueue]:
    """A queue whose clock is set by the test; what counts durations goes on as it does."""
    clock = Clock(now=time.clock.now)
    jobs = SqliteBackend.open(database, tmp_path, clock, 1 << 20)
    yield jobs.queue("default")
    await jobs.close()


async def test_a_clock_set_back_wedges_nothing(moved: SqliteQueue, time: ManualClock) -> None:
    """Queued jobs are taken, and retries don't wait for the lost hour."""
    await moved.enqueue("f", key="new")
    await moved.enqueue("f", key="again", retries=5, retry_delay=60)
    first = await taken(moved)
    await (await taken(moved)).retry("broken")
    await moved.enqueue("f", key="newer")
    assert known(await moved.dequeue(SECONDS)).key == "newer"
    assert await moved.dequeue(0.05) is None
    time.advance(-3600)
    assert known(await moved.dequeue(SECONDS)).key == "again"
    await first.finish(Status.COMPLETE)
    assert known(await moved.job("new")).status is Status.COMPLETE


async def test_a_clock_set_forward_sweeps_nothing(
    moved: SqliteQueue, time: ManualClock, database: Database, tmp_path: Path
) -> None:
    """A lease counts the time that passes, not what a clock shows."""
    other = SqliteBackend.open(database, tmp_path, Clock(), 1 << 20)
    await moved.enqueue("f", key="a", heartbeat=30, timeout=3600)
    await taken(other.queue("default"))
    assert await moved.sweep() == []
    time.advance(24 * 3600)
    assert await moved.sweep() == []
    await other.close()


async def test_a_time_of_day_is_waited_for(moved: SqliteQueue, time: ManualClock) -> None:
    """A job scheduled for a time comes at that time, and a clock set back makes it wait."""
    due = int(time.time) + 100
    await moved.enqueue("f", key="a", scheduled=due)
    time.advance(-3600)
    assert await moved.dequeue(0.02) is None
    time.advance(3600 + 99)
    assert await moved.dequeue(0.02) is None
    time.advance(2)
    assert known(await moved.dequeue(SECONDS)).key == "a"


# --- process locks and notifiers


def test_a_process_lock_shows_which_processes_are_alive(tmp_path: Path) -> None:
    """A process is alive until it ends; unknown names are not alive."""
    one, other = ProcessLock(tmp_path), ProcessLock(tmp_path)
    assert one.is_alive(other.process)
    assert one.is_alive(one.process)
    assert not one.is_alive("nobody")
    other.close()
    assert not one.is_alive(other.process)
    alone = ProcessLock(None)
    assert alone.is_alive(alone.process)
    assert not alone.is_alive("anybody")
    alone.close()
    one.close()


async def test_a_notifier_polls_only_while_there_are_waiters() -> None:
    """Polling slows down, and reports a change that came between two waits."""
    looks: list[float] = []
    version = 0

    def look() -> int:
        looks.append(real_time.monotonic())
        return version

    notifier = ChangeNotifier(look)
    await notifier.wait(0.5)
    assert 2 <= len(looks) <= 8
    version = 1
    seen = len(looks)
    await asyncio.wait_for(notifier.wait(SECONDS), SECONDS / 2)
    assert len(looks) > seen
    notifier.close()
    seen = len(looks)
    await asyncio.sleep(0.3)
    assert len(looks) == seen
