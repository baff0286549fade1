"""A look at stored work, for the command line: jobs, deliveries and tasks are read, nothing is started or changed."""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from sidecar.clock import Clock
from sidecar.encryption import Encryptor
from sidecar.errors import StoreFailed
from sidecar.queue.backend import QueueBackend
from sidecar.queue.job_queue import JobQueue, JobQueueOptions
from sidecar.queue.process_registry import ProcessLock
from sidecar.queue.sqlite_backend import SqliteBackend
from sidecar.queue.sqlite_context import create_context
from sidecar.settings import Settings
from sidecar.storage.agenda import Agenda
from sidecar.storage.database import Database
from sidecar.storage.endpoint_rows import EndpointRows
from sidecar.storage.outbox import Outbox
from sidecar.storage.task_runs import TaskRuns

NEEDS_REDIS: Final = "SIDECAR_QUEUE needs redis: install the sidecar with `pip install '.[fleet]'` in its checkout"


@dataclass(frozen=True, slots=True)
class StoredWork:
    """What is stored in the state folder, or in the fleet's Redis."""

    job_queue: JobQueue
    outbox: Outbox
    endpoints: EndpointRows
    tasks: Agenda
    task_runs: TaskRuns


@asynccontextmanager
async def open_stored_work(settings: Settings, clock: Clock) -> AsyncIterator[StoredWork]:
    """Opens the state folder's database for reading, and the fleet's Redis if there is one. Raises StoreFailed."""
    async with AsyncExitStack() as resources:
        database = Database.open_read_only(settings.state_path() / "sidecar.db")
        resources.push_async_callback(database.close)
        backend = await _open_backend(settings, database, clock)
        resources.push_async_callback(backend.close)
        tasks, task_runs = Agenda(database, "task"), TaskRuns(database)
        if settings.queue and settings.encryption_key() is not None:
            from sidecar.storage.redis_agenda import RedisAgenda  # late: only a fleet has redis installed
            from sidecar.storage.redis_client import connect
            from sidecar.storage.redis_task_runs import RedisTaskRuns

            redis = connect(settings.queue.reveal())
            resources.push_async_callback(redis.aclose)
            tasks, task_runs = RedisAgenda(redis, "task"), RedisTaskRuns(redis)
        yield StoredWork(
            job_queue=JobQueue(backend, Encryptor(), clock, _options(settings)),
            outbox=Outbox(database, clock),
            endpoints=EndpointRows(database, clock),
            tasks=tasks,
            task_runs=task_runs,
        )


async def _open_backend(settings: Settings, database: Database, clock: Clock) -> QueueBackend:
    if not settings.queue:
        return SqliteBackend(create_context(database, ProcessLock(None), clock, alone=True), 0)
    try:
        from sidecar.queue.redis_backend import RedisBackend
    except ImportError:
        raise StoreFailed(NEEDS_REDIS) from None
    return await RedisBackend.open(settings.queue.reveal(), clock)


def _options(settings: Settings) -> JobQueueOptions:
    return JobQueueOptions(
        concurrency=1,
        results_ttl=settings.results_ttl,
        private_secrets=False,
        private_logins=False,
        jitter=random.random,
        on_event=lambda *_: None,
    )
