"""The last runs of a fleet's tasks in Redis, like `task_runs.TaskRuns`."""

import asyncio
import base64
import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

import orjson
from redis.asyncio import Redis

from sidecar.errors import StoreFailed
from sidecar.storage.redis_client import RETRY_SECONDS, call
from sidecar.storage.task_runs import MAX_RUNS, StoredRun, TaskRuns

log = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 20
"""Attempts to record a run while Redis is unavailable, a second apart."""
_BEGIN: Final = """
-- order, runs, count; id, run, how many are kept
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0 then
    redis.call('ZADD', KEYS[1], redis.call('HINCRBY', KEYS[3], 'runs', 1), ARGV[1])
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
while redis.call('ZCARD', KEYS[1]) > tonumber(ARGV[3]) do
    redis.call('HDEL', KEYS[2], redis.call('ZPOPMIN', KEYS[1])[1])
end
"""
_END: Final = """
-- order, runs, count; id, run, whether it failed
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then
    redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
    redis.call('HINCRBY', KEYS[3], 'failed', ARGV[3])
end
"""


class RedisTaskRuns(TaskRuns):
    """The history of every task of a fleet. Every call may raise StoreFailed."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def begin(self, run: StoredRun) -> None:
        """Records that a run has started, and deletes the oldest. Retries for a while if Redis is unavailable."""
        values = (run.id, _encode(run), MAX_RUNS)
        await self._write(lambda: self._redis.eval(_BEGIN, 3, *_keys(run.task), *values))

    async def end(self, run: StoredRun) -> None:
        """Records a run's outcome, unless its task was deleted meanwhile. Retries as `begin` does."""
        values = (run.id, _encode(run), int(run.status == "failed"))
        await self._write(lambda: self._redis.eval(_END, 3, *_keys(run.task), *values))

    async def forget(self, task: str) -> None:
        """Deletes all runs of a task."""
        await call(self._redis.delete(*_keys(task)))

    async def page(self, task: str, offset: int, limit: int) -> list[StoredRun]:
        """Returns up to `limit` runs, latest first."""
        order, runs, _ = _keys(task)
        ids = await call(self._redis.zrevrange(order, offset, offset + limit - 1)) if limit > 0 else []
        found = await call(self._redis.hmget(runs, ids)) if ids else []
        return [_decode(run) for run in found if run is not None]

    async def kept(self, task: str) -> int:
        """Counts the stored runs."""
        return int(await call(self._redis.zcard(_keys(task)[0])))

    async def counts(self, task: str) -> tuple[int, int]:
        """Returns how many runs there ever were, and how many of them failed."""
        runs, failed = await call(self._redis.hmget(_keys(task)[2], ["runs", "failed"]))
        return int(runs or 0), int(failed or 0)

    async def _write(self, write: Callable[[], Any]) -> None:
        for _ in range(MAX_ATTEMPTS - 1):
            try:
                await call(write())
                return
            except StoreFailed as failure:
                log.warning("a task run is not recorded yet: %s", failure)
                await asyncio.sleep(RETRY_SECONDS)
        await call(write())


def _encode(run: StoredRun) -> bytes:
    """A run as JSON, which has no bytes: its outcome is written in base64."""
    outcome = None if run.outcome is None else base64.b64encode(run.outcome).decode()
    return orjson.dumps({**asdict(run), "outcome": outcome})


def _decode(document: bytes) -> StoredRun:
    members = orjson.loads(document)
    outcome = members["outcome"]
    return StoredRun(**{**members, "outcome": None if outcome is None else base64.b64decode(outcome)})


def _keys(task: str) -> tuple[str, str, str]:
    return (f"sidecar:runs:order:{task}", f"sidecar:runs:documents:{task}", f"sidecar:runs:count:{task}")
