"""Queues on SQLite and on Redis, as several processes see them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from sidecar.clock import Clock
from sidecar.queue.redis_backend import RedisBackend
from sidecar.queue.sqlite_backend import SqliteBackend
from sidecar.storage.database import Database
from tests.redis_server import RedisServer

Jobs = SqliteBackend | RedisBackend
View = Callable[[], Awaitable[Jobs]]
"""Makes one more view of the same store, as another process has it."""


@pytest.fixture(params=["sqlite", "redis"])
async def view(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[View]:
    """An empty store of either kind."""
    opened: list[Jobs] = []
    databases: list[Database] = []

    async def on_sqlite() -> Jobs:
        database = await Database.open(tmp_path / "sidecar.db")
        databases.append(database)
        opened.append(SqliteBackend.open(database, tmp_path, Clock(), 1 << 20))
        return opened[-1]

    async def on_redis() -> Jobs:
        opened.append(await RedisBackend.open(server.url, Clock()))
        return opened[-1]

    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        await (await on_redis())._redis.flushall()  # type: ignore[union-attr]
        yield on_redis
    else:
        yield on_sqlite
    for one in opened:
        await one.close()
    for database in databases:
        await database.close()


@pytest.fixture
async def jobs(view: View) -> Jobs:
    """The store as this process sees it."""
    return await view()
