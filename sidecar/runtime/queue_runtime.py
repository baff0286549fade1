"""The job queue of one storage, and what executes its jobs; built at first use."""

import logging
import random
from collections.abc import Awaitable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from sidecar_protocol.jobs import SendJob
from sidecar_protocol.session import Credentials

from sidecar.browser.steps.plan import PlannedStep
from sidecar.clock import Clock
from sidecar.deliveries.endpoint_registry import EndpointRegistry
from sidecar.deliveries.server_forwarder import ServerForwarder
from sidecar.encryption import Encryptor
from sidecar.errors import StoreFailed
from sidecar.jobs.background import BackgroundExecutor
from sidecar.jobs.run_listeners import ListenerFactory
from sidecar.jobs.run_updates import RunListeners
from sidecar.queue.backend import QueueBackend
from sidecar.queue.job_queue import JobQueue, JobQueueOptions
from sidecar.queue.sqlite_backend import SqliteBackend
from sidecar.queue.submission import JobRun, Submission
from sidecar.rtcv.fleet_logins import SharedLogins
from sidecar.rtcv.login import LoginContext, References
from sidecar.rtcv.servers import RtcvServer, RtcvServers
from sidecar.rtcv.stored_logins import StoredLogins
from sidecar.runtime.runtime_context import RuntimeContext
from sidecar.schedules.service import ScheduleService
from sidecar.settings import MiB, host_zone
from sidecar.storage.agenda import Agenda
from sidecar.storage.database import Database
from sidecar.storage.memory_references import MemoryReferences

log = logging.getLogger(__name__)

KEPT_SECONDS: Final = 0.5
"""How long a job of a fleet waits before a disk that did not take what it leaves is asked again."""


class Store(Protocol):
    """What a store has ready before it has a queue."""

    database: Database
    encryptor: Encryptor
    endpoints: EndpointRegistry
    listener_factory: ListenerFactory
    forwarder: ServerForwarder
    logins: SharedLogins | None
    """Those of a fleet whose machines can all open them."""

    def schedule_agenda(self) -> Agenda:
        """Where the schedules are."""

    async def references(self, account_id: str) -> References:
        """Those of a login. Raises StoreFailed."""


class QueueRuntime:
    """The job queue, its executor and the schedules."""

    def __init__(self, store: Store, folder: Path | None, context: RuntimeContext, fleet: QueueBackend | None) -> None:
        """`folder` is the state folder; None for a mock session, which is alone with its memory."""
        self._database = store.database
        self._references_of = store.references
        self._endpoints = store.endpoints
        self._listener_factory = store.listener_factory
        self._forwarder = store.forwarder
        self._shared_logins = store.logins
        self._context = context
        self._mock = folder is None
        self._ends_elsewhere = fleet is not None
        self._logins = StoredLogins(
            context.session, self._credentials, self._connect, self._references, store.forwarder.result
        )
        browsers = context.browsers
        self.background = BackgroundExecutor(
            browsers.run_service(), browsers.reference_locks, self._login, self._listeners, context.clock
        )
        options = JobQueueOptions(
            concurrency=context.settings.concurrency,
            results_ttl=context.settings.results_ttl,
            private_secrets=not store.encryptor.persistent and not self._mock,
            private_logins=fleet is not None and store.logins is None,
            jitter=random.random,
            on_event=context.on_event,
        )
        self.job_queue = JobQueue(
            fleet or _embedded(store.database, folder, context), store.encryptor, context.clock, options
        )
        self.schedules = ScheduleService(
            store.schedule_agenda(),
            store.encryptor,
            self.background.supports,
            self._submit,
            clock=context.clock,
            host_zone=host_zone(),
            grace=context.settings.misfire_grace,
            check_job=self._check_scheduled,
            pack=lambda urls: store.listener_factory.pack(store.listener_factory.endpoints(urls)),
            on_event=context.on_event,
        )

    async def perform(self, run: JobRun) -> bytes:
        """Executes a stored message. Raises what the message would.

        In a fleet the job's end is stored in Redis: only after everything that the run leaves here is on disk.
        """
        try:
            return await self.background.perform(run)
        finally:
            if self._ends_elsewhere:
                await self._kept()

    async def _kept(self) -> None:
        while True:
            try:
                return await self._database.flush()
            except StoreFailed as refusal:
                log.warning("the end of a job is stored later: %s", refusal)
                await self._context.clock.sleep(KEPT_SECONDS)

    async def close(self) -> None:
        """Requeues what runs, and closes."""
        await self.schedules.close()
        await self.job_queue.close()
        await self._logins.close()

    def _check_scheduled(self, job: SendJob, due: float) -> Sequence[PlannedStep]:
        """Checks a job and that its token is valid when it runs; returns its steps. Raises WireError."""
        steps = self._context.browsers.run_service().plan(job)
        self._context.browsers.visit_tokens().check(job, due)
        return steps

    async def _submit(self, submission: Submission) -> str:
        """Returns once the job is on disk. Raises StoreFailed."""
        job_id = await self.job_queue.submit(submission)
        await self._database.flush()
        return job_id

    async def _login(self, account_id: str) -> LoginContext:
        return self._context.session if self._mock else await self._logins.context(account_id)

    def _listeners(self, run: JobRun) -> RunListeners:
        return self._listener_factory.create(
            self._endpoints.unpack(run.webhooks), run.emit, run.progress, until_stored=True
        )

    async def _credentials(self, account_id: str) -> Sequence[Credentials]:
        shared = self._shared_logins
        return await shared.credentials(account_id) if shared else self._endpoints.credentials(account_id)

    def _connect(self, account_id: str, credentials: Sequence[Credentials]) -> RtcvServers:
        http = self._context.network.server_client()
        servers = [RtcvServer(http, one) for one in credentials]
        return RtcvServers(http, servers, 0, partial(self._forwarder.copy, account_id, until_stored=True))

    def _references(self, account_id: str) -> Awaitable[References]:
        return self._references_of(account_id) if account_id else _of_no_login(self._context.clock)


def _embedded(database: Database, folder: Path | None, context: RuntimeContext) -> QueueBackend:
    return SqliteBackend.open(database, folder, context.clock, context.settings.results_max_mb * MiB)


async def _of_no_login(clock: Clock) -> References:
    """They end with the process, as before any login."""
    return MemoryReferences(clock)
