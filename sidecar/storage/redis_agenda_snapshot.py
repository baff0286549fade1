"""The same look as `agenda_snapshot`, at what a fleet has planned and what ran on any of its machines."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, get_args

from redis.asyncio import Redis

from sidecar.storage.agenda import Agenda, Item, Kind
from sidecar.storage.agenda_snapshot import RunSummary, ScheduledEntry
from sidecar.storage.redis_agenda import RedisAgenda
from sidecar.storage.redis_references import connect
from sidecar.storage.redis_task_runs import RedisTaskRuns
from sidecar.storage.task_runs import KEPT

AT_ONCE: Final = 500


async def look_at_fleet(url: str, since: float) -> tuple[list[ScheduledEntry], list[RunSummary]]:
    """What is planned, the oldest first; the runs since a Unix time, and the last of each task. Raises StoreFailed."""
    async with _connected(url) as redis:
        planned = [
            ScheduledEntry(kind, item.id, item.due, item.document)
            for kind in get_args(Kind)
            async for item in _every(RedisAgenda(redis, kind))
        ]
        runs = RedisTaskRuns(redis)
        ran: list[RunSummary] = []
        for task in (one.id for one in planned if one.kind == "task"):
            of_task = await runs.page(task, 0, KEPT)
            kept = [run for index, run in enumerate(of_task) if index == 0 or run.started >= since]
            ran += [RunSummary(run.task, run.status, run.due, run.started, run.ended) for run in reversed(kept)]
    return planned, ran


async def _every(agenda: Agenda) -> AsyncIterator[Item]:
    for offset in range(0, await agenda.count(), AT_ONCE):
        for item in await agenda.page(offset, AT_ONCE):
            yield item


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Redis]:
    redis = connect(url)
    try:
        yield redis
    finally:
        await redis.aclose()
