"""Everything that outlives a session, over one database: on disk, or in memory for a mock session."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from sidecar import files
from sidecar.composition.process_context import ProcessContext
from sidecar.composition.tasks import build_tasks
from sidecar.deliveries.delivery_manager import DeliveryServices, open_deliveries
from sidecar.deliveries.push_forwarder import PushForwarder
from sidecar.encryption import Encryptor
from sidecar.errors import SidecarError, StoreFailed
from sidecar.jobs.interrupted_runs import InterruptedRuns
from sidecar.jobs.run_listeners import ListenerFactory
from sidecar.rtcv.credential_store import CredentialStore
from sidecar.shutdown import cancel_and_wait
from sidecar.storage.agenda import Agenda, Kind
from sidecar.storage.database import Database
from sidecar.storage.open_runs import OpenRuns
from sidecar.storage.pending_work import SCAN_SECONDS, PendingWork
from sidecar.storage.reference_store import ReferenceStore
from sidecar.storage.task_runs import TaskRuns

if TYPE_CHECKING:
    from sidecar.composition.queue import QueueServices
    from sidecar.jobs.background_executor import BackgroundExecutor
    from sidecar.net.public_http import PublicHttpClient
    from sidecar.queue.backend import QueueBackend
    from sidecar.queue.job_queue import JobQueue
    from sidecar.schedules.schedule_service import ScheduleService
    from sidecar.storage.redis_references import ReferencePublisher
    from sidecar.tasks.task_manager import TaskManager

log = logging.getLogger(__name__)

PUBLISH_SECONDS: Final = 2.0
"""Seconds at shutdown for publishing the last references to the fleet."""


class StorageServices:
    """Storage, deliveries, queue, schedules and tasks over one database, opened in order and closed in reverse.

    Use `open` or `in_memory`, then `start`. The queue is opened when something first needs it.
    """

    def __init__(
        self,
        database: Database,
        encryptor: Encryptor,
        folder: Path | None,
        context: ProcessContext,
        fleet: "QueueBackend | None" = None,
    ) -> None:
        """`folder` is None for a mock session; `fleet` is the queue that several machines share."""
        self.database = database
        self.encryptor = encryptor
        self.fleet = fleet
        self._folder = folder
        self._context = context
        self._queue: QueueServices | None = None
        self._background_tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._closing = AsyncExitStack()
        self._closing.push_async_callback(database.close)
        settings, clock = context.settings, context.clock
        self._public_http: PublicHttpClient | None = None
        self._closing.push_async_callback(self._close_public_http)
        self.delivery_services = self._open_deliveries()
        self.outbox, self.endpoints = self.delivery_services.outbox, self.delivery_services.endpoints
        self.forwarder = self.delivery_services.forwarder
        self.pushes = PushForwarder(self.endpoints, self.outbox, settings.push_url)
        self._publisher = self._open_publisher() if fleet else None
        self.references = ReferenceStore(database, clock, self._publisher)
        self.credentials = self._open_credentials()
        runs = OpenRuns(database, self.outbox, encryptor)
        self._interrupted_runs = (
            InterruptedRuns(runs, self._process, clock, fleet=fleet is not None) if folder else None
        )
        self.listener_factory = ListenerFactory(
            self.endpoints, self.outbox, settings.max_stdouterr_size, self._interrupted_runs
        )
        self.tasks = build_tasks(self, context)
        self._closing.push_async_callback(self.tasks.close)

    def _open_deliveries(self) -> DeliveryServices:
        settings = self._context.settings
        services = open_deliveries(
            self.database,
            self.encryptor,
            self._folder,
            self.public_http,
            self._context.network.server_client,
            self._context.clock,
            self._context.on_event,
            timeout=settings.request_timeout,
            stdouterr_size=settings.max_stdouterr_size,
            allow_private=settings.allow_private_network,
        )
        self._closing.push_async_callback(services.manager.close)
        return services

    def public_http(self) -> "PublicHttpClient":
        """The client for URLs from messages, made where something first needs it."""
        if self._public_http is None:
            self._public_http = self._context.network.public_client()
        return self._public_http

    async def _close_public_http(self) -> None:
        if self._public_http:
            await self._public_http.close()

    def _open_publisher(self) -> "ReferencePublisher":
        from sidecar.storage.redis_references import ReferencePublisher  # late: only a fleet has redis installed

        publisher = ReferencePublisher(self._context.settings.queue.reveal())
        self._closing.push_async_callback(publisher.close, PUBLISH_SECONDS)
        return publisher

    def _open_credentials(self) -> CredentialStore:
        if self._publisher is None or not self.encryptor.persistent:
            return CredentialStore(self.endpoints, self.encryptor)
        from sidecar.storage.redis_logins import RedisLogins

        return CredentialStore(self.endpoints, self.encryptor, RedisLogins(self._publisher.redis))

    @classmethod
    async def open(cls, context: ProcessContext) -> Self:
        """Opens what is on disk in the state folder. Raises StoreFailed."""
        try:
            folder = context.settings.state_folder()
        except OSError as failure:
            raise StoreFailed(f"the state folder can't be used: {failure.strerror}", retryable=True) from None
        if wide := files.permission_warning(folder):
            log.warning("%s", wide)
        database = await Database.open(folder / "sidecar.db")
        try:
            fleet = await _join_fleet(context)
            return cls(database, Encryptor(context.settings.encryption_key()), folder, context, fleet)
        except BaseException as failure:
            await database.close()
            if isinstance(failure, OSError):
                raise StoreFailed(f"the state folder can't be used: {failure.strerror}", retryable=True) from None
            raise

    @classmethod
    def in_memory(cls, context: ProcessContext) -> Self:
        """Opens the storage in memory, for a mock session."""
        return cls(Database.in_memory(), Encryptor(), None, context)

    @property
    def job_queue(self) -> "JobQueue":
        """The queue. Raises StoreFailed."""
        return self._open_queue().job_queue

    @property
    def background(self) -> "BackgroundExecutor":
        """The executor of the queue's jobs. Raises StoreFailed."""
        return self._open_queue().background

    @property
    def schedules(self) -> "ScheduleService":
        """Messages that run once, at a time. Raises StoreFailed."""
        return self._open_queue().schedules

    @property
    def task_manager(self) -> "TaskManager":
        """Periodic tasks. Raises StoreFailed."""
        return self.tasks.manager

    def agenda(self, kind: Kind) -> Agenda:
        """The agenda of schedules or tasks; a fleet's own if all its machines can decrypt it."""
        if self._publisher is None or not self.encryptor.persistent:
            return Agenda(self.database, kind)
        from sidecar.storage.redis_agenda import RedisAgenda

        return RedisAgenda(self._publisher.redis, kind)

    def task_runs(self) -> TaskRuns:
        """The runs of tasks, stored where the tasks are."""
        if self._publisher is None or not self.encryptor.persistent:
            return TaskRuns(self.database)
        from sidecar.storage.redis_task_runs import RedisTaskRuns

        return RedisTaskRuns(self._publisher.redis)

    def start(self) -> None:
        """Starts deliveries, also those of earlier processes, and unless `accept_only` was called, stored work."""
        self.delivery_services.manager.start()
        if self._context.session.webhooks:
            self.endpoints.set_session(self._context.session.webhooks)
        if self._stopping:
            return
        self.tasks.start()
        if self._interrupted_runs:
            watching = self._interrupted_runs.watch(
                lambda process: self.delivery_services.manager.process_lock().is_alive(process), self._job_status
            )
            self._start_in_background(watching)
        if self.fleet:
            self.start_queue()
        elif self._folder:
            self._start_in_background(self._start_queue_when_pending())

    def start_queue(self) -> None:
        """Starts to run jobs, even if there are none yet. Raises StoreFailed."""
        self._open_queue()

    def accept_only(self) -> None:
        """Only stores work from now on, and sends deliveries: jobs, schedules and tasks wait for the next process."""
        self._stopping = True

    async def stop(self, seconds: float) -> None:
        """Starts nothing more, and gives running work `seconds` to finish."""
        self.accept_only()
        await self.tasks.stop()
        await cancel_and_wait(*self._background_tasks)
        if self._queue:
            await self._queue.schedules.close()
            await asyncio.gather(self._queue.job_queue.stop(seconds), self.tasks.requeue_waiting())

    async def drain(self, seconds: float) -> None:
        """Sends what is due, for at most `seconds`."""
        await self.delivery_services.manager.drain(seconds)

    async def close(self) -> None:
        """Closes everything in reverse."""
        await self._closing.aclose()

    def _open_queue(self) -> "QueueServices":
        if self._queue is None:
            from sidecar.composition.queue import build_queue  # late: saq takes its time to import

            self._queue = build_queue(self, self._folder, self._context, self._closing)
            self._queue.background.register("run_task", self.tasks.perform)
            if not self._stopping:
                self._queue.job_queue.start(self._queue.background.perform)
                self._queue.schedules.start()
        return self._queue

    def _start_in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background_tasks.append(task)
        self._closing.push_async_callback(cancel_and_wait, task)

    async def _start_queue_when_pending(self) -> None:
        pending = PendingWork(self.database.fetch_one)
        while self._queue is None:
            await pending.wait(self._context.clock)
            try:
                self._open_queue()
            except SidecarError as failure:
                log.warning("could not open the queue: %s", failure)
                await self._context.clock.sleep(SCAN_SECONDS)

    def _process(self) -> str:
        """This process's id in the store. Raises StoreFailed."""
        return self.delivery_services.manager.process_lock().process

    async def _job_status(self, job_id: str) -> str:
        """Raises NotFound and StoreFailed."""
        return (await self.job_queue.status(job_id)).status


async def _join_fleet(context: ProcessContext) -> "QueueBackend | None":
    url = context.settings.queue.reveal()
    if not url:
        return None
    try:
        from sidecar.queue.redis_backend import RedisBackend  # late: only a fleet has redis installed
    except ImportError:
        raise StoreFailed(
            "SIDECAR_QUEUE needs redis: install the sidecar with `pip install '.[fleet]'` in its checkout"
        ) from None

    return await RedisBackend.open(url, context.clock)
