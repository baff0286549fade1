"""The history of tasks: what is kept, counted and forgotten; the same on SQLite and in a fleet's Redis."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.errors import StoreFailed
from sidecar.storage import redis_task_runs
from sidecar.storage.database import Database
from sidecar.storage.redis_client import connect
from sidecar.storage.redis_task_runs import RedisTaskRuns
from sidecar.storage.task_runs import MAX_RUNS, StoredRun, TaskRuns
from tests.redis_server import RedisServer


@pytest.fixture(params=["sqlite", "redis"])
async def history(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TaskRuns]:
    """One on each store."""
    if request.param == "sqlite":
        database = Database.in_memory()
        yield TaskRuns(database)
        await database.close()
        return
    with RedisServer(tmp_path) as server:
        redis = connect(server.url)
        yield RedisTaskRuns(redis)
        await redis.aclose()


def begun(number: int, task: str = "t") -> StoredRun:
    """A run that goes on."""
    return StoredRun(f"r{number}", task, "interval", "me", number / 8, number + 0.5, None, "running", None)


def ended(run: StoredRun, status: str = "success") -> StoredRun:
    """Returns the run at its end."""
    return replace(run, ended=run.started + 1, status=status, outcome=b'{"result":"\xc3\xa9"}')


async def test_runs_are_kept_and_counted(history: TaskRuns) -> None:
    """Runs are listed latest first, in pages, and only those of the task."""
    for number in range(3):
        await history.begin(begun(number))
    await history.begin(begun(9, "other"))
    await history.end(ended(begun(1), "failed"))
    await history.end(ended(begun(2)))
    assert await history.page("t", 0, 10) == [ended(begun(2)), ended(begun(1), "failed"), begun(0)]
    assert await history.page("t", 1, 1) == [ended(begun(1), "failed")]
    assert await history.page("t", 3, 10) == []
    assert await history.page("t", 0, 0) == []
    assert (await history.kept("t"), await history.counts("t")) == (3, (3, 1))
    assert (await history.kept("none"), await history.counts("none")) == (0, (0, 0))


async def test_a_run_that_begins_again_is_the_same_run(history: TaskRuns) -> None:
    """A restarted run keeps its place and is counted once."""
    for number in range(2):
        await history.begin(begun(number))
    again = replace(begun(0), owner="another", started=7.5)
    await history.begin(again)
    assert await history.page("t", 0, 10) == [begun(1), again]
    assert await history.counts("t") == (2, 0)


async def test_the_oldest_make_room(history: TaskRuns) -> None:
    """Counts go on."""
    for number in range(MAX_RUNS + 2):
        await history.begin(begun(number))
    kept = await history.page("t", 0, MAX_RUNS + 2)
    assert [run.id for run in kept] == [f"r{number}" for number in range(MAX_RUNS + 1, 1, -1)]
    assert (await history.kept("t"), await history.counts("t")) == (MAX_RUNS, (MAX_RUNS + 2, 0))
    await history.end(ended(begun(0), "failed"))
    assert await history.counts("t") == (MAX_RUNS + 2, 0)


async def test_what_is_forgotten_does_not_come_back(history: TaskRuns) -> None:
    """A run that ends after its task was deleted is not noted."""
    await history.begin(begun(0))
    await history.forget("t")
    await history.end(ended(begun(0), "failed"))
    assert (await history.kept("t"), await history.counts("t")) == (0, (0, 0))


async def test_a_redis_that_comes_back_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run's outcome survives a restart of Redis; a longer outage is reported."""
    monkeypatch.setattr(redis_task_runs, "RETRY_SECONDS", 0.05)
    with RedisServer(tmp_path, lasting=True) as server:
        redis = connect(server.url)
        history = RedisTaskRuns(redis)
        await history.begin(begun(0))
        server.stop()
        with pytest.raises(StoreFailed):
            await history.page("t", 0, 1)
        with pytest.raises(StoreFailed):
            await history.begin(begun(1))
        monkeypatch.setattr(redis_task_runs, "MAX_ATTEMPTS", 10_000)
        ending = asyncio.ensure_future(history.end(ended(begun(0))))
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(20):
            await ending
        assert await history.page("t", 0, 1) == [ended(begun(0))]
        await redis.aclose()
