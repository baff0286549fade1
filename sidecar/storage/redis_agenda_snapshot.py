"""A read-only snapshot of a fleet's schedules, tasks and runs, like `agenda_snapshot`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, get_args

from redis.asyncio import Redis

from sidecar.storage.agenda import Agenda, Item, Kind
from sidecar.storage.agenda_snapshot import RunSummary, ScheduledEntry
from sidecar.storage.redis_agenda import RedisAgenda
from sidecar.storage.redis_client import connect
from sidecar.storage.redis_task_runs import RedisTaskRuns
from sidecar.storage.task_runs import MAX_RUNS

PAGE_SIZE: Final = 500


async def read_fleet_snapshot(url: str, since: float) -> tuple[list[ScheduledEntry], list[RunSummary]]:
    """Returns all entries, oldest first, and the runs since a Unix time plus each task's last. Raises StoreFailed."""
    async with _connected(url) as redis:
        scheduled = [
            ScheduledEntry(kind, item.id, item.due, item.document)
            for kind in get_args(Kind)
            async for item in _iterate(RedisAgenda(redis, kind))
        ]
        runs = RedisTaskRuns(redis)
        summaries: list[RunSummary] = []
        for task in (one.id for one in scheduled if one.kind == "task"):
            of_task = await runs.page(task, 0, MAX_RUNS)
            kept = [run for index, run in enumerate(of_task) if index == 0 or run.started >= since]
            summaries += [RunSummary(run.task, run.status, run.due, run.started, run.ended) for run in reversed(kept)]
    return scheduled, summaries


async def _iterate(agenda: Agenda) -> AsyncIterator[Item]:
    for offset in range(0, await agenda.count(), PAGE_SIZE):
        for item in await agenda.page(offset, PAGE_SIZE):
            yield item


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Redis]:
    redis = connect(url)
    try:
        yield redis
    finally:
        await redis.aclose()
