"""The job queue of one storage, what executes its jobs, and the schedules that submit to it; built at first use."""

import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar_protocol.session import Credentials

from sidecar.composition.process_context import ProcessContext
from sidecar.jobs.background_executor import BackgroundExecutor
from sidecar.queue.backend import QueueBackend
from sidecar.queue.job_queue import JobQueue, JobQueueOptions
from sidecar.queue.sqlite_backend import SqliteBackend
from sidecar.rtcv.servers import RtcvServers
from sidecar.rtcv.stored_logins import SessionLogin, StoredLogins
from sidecar.schedules.schedule_service import ScheduleService
from sidecar.settings import MiB, host_zone

if TYPE_CHECKING:
    from sidecar.composition.storage import StorageServices


@dataclass(frozen=True, slots=True)
class QueueServices:
    """The queue, its executor and the schedules of one storage."""

    job_queue: JobQueue
    background: BackgroundExecutor
    schedules: ScheduleService


def build_queue(
    storage: "StorageServices", folder: Path | None, context: ProcessContext, resources: AsyncExitStack
) -> QueueServices:
    """`folder` is the state folder; None for a mock session. `resources` closes what is opened. Raises StoreFailed."""
    settings, clock, browsers = context.settings, context.clock, context.browsers
    fleet, is_mock = storage.fleet, folder is None
    logins = SessionLogin(context.session) if is_mock else _stored_logins(storage, context)
    resources.push_async_callback(logins.close)
    background = BackgroundExecutor(
        browsers.run_service(),
        browsers.reference_locks,
        browsers.documents(),
        logins.context,
        storage.listener_factory.for_run,
        clock,
        storage.pushes.forward,
        flush=storage.database.flush if fleet else None,
    )
    options = JobQueueOptions(
        concurrency=settings.concurrency,
        results_ttl=settings.results_ttl,
        private_secrets=not storage.encryptor.persistent and not is_mock,
        private_logins=fleet is not None and not storage.encryptor.persistent,
        jitter=random.random,
        on_event=context.on_event,
    )
    job_queue = JobQueue(fleet or _sqlite_backend(storage, folder, context), storage.encryptor, clock, options)
    resources.push_async_callback(job_queue.close)
    schedules = ScheduleService(
        storage.agenda("schedule"),
        storage.encryptor,
        background.supports,
        job_queue.submit,
        storage.database.flush,
        clock=clock,
        host_zone=host_zone(),
        grace=settings.misfire_grace,
        check_job=browsers.run_service().check,
        documents=browsers.documents(),
        pack=lambda urls: storage.listener_factory.pack(storage.listener_factory.endpoints(urls)),
        check_push=storage.pushes.check,
        on_event=context.on_event,
    )
    resources.push_async_callback(schedules.close)
    return QueueServices(job_queue, background, schedules)


def _sqlite_backend(storage: "StorageServices", folder: Path | None, context: ProcessContext) -> QueueBackend:
    return SqliteBackend.open(storage.database, folder, context.clock, context.settings.results_max_mb * MiB)


def _stored_logins(storage: "StorageServices", context: ProcessContext) -> StoredLogins:
    def connect(account_id: str, credentials: Sequence[Credentials]) -> RtcvServers:
        copy = partial(storage.forwarder.copy, account_id, until_stored=True)
        return RtcvServers.connect(context.network.server_client(), credentials, 0, copy)

    return StoredLogins(
        context.session,
        storage.credentials.credentials,
        connect,
        storage.references.open,
        storage.forwarder.result,
    )
