"""Everything that outlives a session, over one database: on disk, or in memory for a mock session."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from sidecar_protocol.session import Credentials

from sidecar import files
from sidecar.deliveries.delivery_manager import DeliveryServices, open_deliveries
from sidecar.encryption import Encryptor
from sidecar.errors import NotFound, SidecarError, StoreFailed
from sidecar.jobs.interrupted_runs import ELSEWHERE, InterruptedRuns
from sidecar.jobs.run_listeners import ListenerFactory
from sidecar.rtcv.fleet_logins import SharedLogins
from sidecar.rtcv.login import References
from sidecar.runtime.runtime_context import RuntimeContext
from sidecar.runtime.task_runtime import TaskRuntime
from sidecar.shutdown import cancel_and_wait
from sidecar.storage.agenda import Agenda, Kind
from sidecar.storage.database import Database
from sidecar.storage.disk_references import DiskReferences
from sidecar.storage.open_runs import OpenRuns
from sidecar.storage.pending_work import PENDING_JOBS, PendingWork
from sidecar.storage.task_runs import TaskRuns

if TYPE_CHECKING:
    from sidecar.jobs.background import BackgroundExecutor
    from sidecar.queue.backend import QueueBackend
    from sidecar.queue.job_queue import JobQueue
    from sidecar.runtime.queue_runtime import QueueRuntime
    from sidecar.schedules.service import ScheduleService
    from sidecar.storage.redis_references import ReferencePublisher
    from sidecar.tasks.task_manager import TaskManager

log = logging.getLogger(__name__)

LAST_WORDS_SECONDS: Final = 2.0
"""What telling the fleet of the last references may take."""
INTERRUPTED_SECONDS: Final = 15.0
"""How long a run of a process that has died may go unnoticed."""
LOOK_SECONDS: Final = 10.0
"""How long jobs that another process has left may lie before we begin to work on them."""
WARM_SECONDS: Final = 2 * LOOK_SECONDS
"""How long before a schedule or task is due what it needs is loaded; it must not be late for that."""


class StorageRuntime:
    """Storage, deliveries, queue, schedules and tasks over one database, opened in order and closed in reverse.

    Use `open` or `in_memory`, then `start`. The queue is opened when something first needs it.
    """

    def __init__(
        self,
        database: Database,
        encryptor: Encryptor,
        folder: Path | None,
        context: RuntimeContext,
        fleet: "QueueBackend | None" = None,
    ) -> None:
        """`folder` is None for a mock session; `fleet` is the queue that several machines share."""
        self.database = database
        self.encryptor = encryptor
        self._folder = folder
        self._fleet = fleet
        self._publisher: ReferencePublisher | None = None
        self._context = context
        self._queue_runtime: QueueRuntime | None = None
        self._watching: asyncio.Task[None] | None = None
        self._resting = False
        self._closing = AsyncExitStack()
        self._closing.push_async_callback(database.close)
        settings, clock = context.settings, context.clock
        self.public_http = context.network.public_client()
        self._closing.push_async_callback(self.public_http.close)
        self.delivery_services = self._open_deliveries()
        self.outbox, self.endpoints = self.delivery_services.outbox, self.delivery_services.endpoints
        self.forwarder = self.delivery_services.forwarder
        self.logins: SharedLogins | None = None
        if fleet:
            self._share()
        self._reporting: asyncio.Task[None] | None = None
        runs = OpenRuns(database, self.outbox, encryptor)
        self._interrupted_runs = InterruptedRuns(runs, self._process, clock) if folder else None
        self.listener_factory = ListenerFactory(
            self.endpoints, self.outbox, settings.max_stdouterr_size, self._interrupted_runs
        )
        self.task_runtime = TaskRuntime(self, context)
        self._closing.push_async_callback(self.task_runtime.close)

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

    def _share(self) -> None:
        """Connects references and logins with those of the fleet."""
        from sidecar.storage import redis_logins, redis_references  # late: only a fleet has redis installed

        self._publisher = redis_references.ReferencePublisher(self._context.settings.queue.reveal())
        self._closing.push_async_callback(self._publisher.close, LAST_WORDS_SECONDS)
        if self.encryptor.persistent:
            self.logins = SharedLogins(redis_logins.RedisLogins(self._publisher.redis), self.encryptor, self.endpoints)

    @classmethod
    async def open(cls, context: RuntimeContext) -> Self:
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
    def in_memory(cls, context: RuntimeContext) -> Self:
        """The same without a disk, for a mock session."""
        return cls(Database.in_memory(), Encryptor(), None, context)

    @property
    def job_queue(self) -> "JobQueue":
        """The queue. Raises StoreFailed."""
        return self._queue().job_queue

    @property
    def background(self) -> "BackgroundExecutor":
        """What can be done without a parent that waits. Raises StoreFailed."""
        return self._queue().background

    @property
    def task_manager(self) -> "TaskManager":
        """Periodic tasks. Raises StoreFailed."""
        return self.task_runtime.task_manager

    @property
    def schedules(self) -> "ScheduleService":
        """What is run once, at a time. Raises StoreFailed."""
        return self._queue().schedules

    def schedule_agenda(self) -> Agenda:
        """Where schedules are."""
        return self.agenda("schedule")

    def agenda(self, kind: Kind) -> Agenda:
        """Where schedules or tasks are: in a fleet with all of them, if every machine can open what is sealed."""
        if self._publisher is None or not self.encryptor.persistent:
            return Agenda(self.database, kind)
        from sidecar.storage.redis_agenda import RedisAgenda

        return RedisAgenda(self._publisher.redis, kind)

    def task_runs(self) -> TaskRuns:
        """The task_runs of tasks, where the tasks are."""
        if self._publisher is None or not self.encryptor.persistent:
            return TaskRuns(self.database)
        from sidecar.storage.redis_task_runs import RedisTaskRuns

        return RedisTaskRuns(self._publisher.redis)

    async def references(self, account_id: str, seed: Iterable[str] = (), ttl: float = 0) -> References:
        """Those of a login; `seed` is remembered for `ttl` seconds. Raises StoreFailed."""
        own = await DiskReferences.open(self.database, self._context.clock, account_id, seed, ttl)
        if self._publisher is None:
            return own
        from sidecar.storage.redis_references import RedisReferences

        return RedisReferences(own, self._publisher, account_id)

    async def log_in(self, account_id: str, credentials: Sequence[Credentials], primary: int) -> None:
        """Makes the servers of a login known, to all machines of a fleet if they can open it. Raises StoreFailed."""
        if self.logins:
            others = [one for index, one in enumerate(credentials) if index != primary]
            await self.logins.share(account_id, [credentials[primary], *others])
        self.endpoints.log_in(account_id, credentials, primary)

    def serve(self) -> None:
        """Starts to run jobs, even if there are none yet. Raises StoreFailed."""
        self._queue()

    def start_sending(self) -> None:
        """Starts to send stored and new deliveries, also while everything else stops."""
        self.delivery_services.manager.start()
        if self._context.session.webhooks:
            self.endpoints.set_session(self._context.session.webhooks)

    def start(self) -> None:
        """Starts to work on what is stored."""
        self.task_runtime.start()
        if self._interrupted_runs:
            self._reporting = asyncio.create_task(self._tell_interrupted(self._interrupted_runs))
            self._closing.push_async_callback(cancel_and_wait, self._reporting)
        if self._fleet:
            self.serve()
        elif self._folder:
            self._watching = asyncio.create_task(self._look())
            self._closing.push_async_callback(cancel_and_wait, self._watching)

    def stop_starting(self) -> None:
        """Only stores and sends from now on: jobs, schedules and tasks wait for the next process."""
        self._resting = True

    async def rest(self, seconds: float) -> None:
        """Starts nothing more, and gives running work `seconds` to finish."""
        self.stop_starting()
        await self.task_runtime.rest()
        await cancel_and_wait(self._watching, self._reporting)
        if self._queue_runtime:
            await self._queue_runtime.schedules.close()
            await asyncio.gather(self._queue_runtime.job_queue.stop(seconds), self.task_runtime.requeue_waiting())

    async def drain(self, seconds: float) -> None:
        """Sends what is due, for at most `seconds`."""
        await self.delivery_services.manager.drain(seconds)

    async def close(self) -> None:
        """Closes everything in reverse."""
        await self._closing.aclose()

    def _queue(self) -> "QueueRuntime":
        if self._queue_runtime is None:
            from sidecar.runtime.queue_runtime import QueueRuntime  # late: saq and playwright take their time to import

            self._queue_runtime = QueueRuntime(self, self._folder, self._context, self._fleet)
            self._queue_runtime.background.register("run_task", self.task_runtime.perform)
            self._closing.push_async_callback(self._queue_runtime.close)
            if not self._resting:
                self._queue_runtime.job_queue.start(self._queue_runtime.perform)
                self._queue_runtime.schedules.start()
        return self._queue_runtime

    def _process(self) -> str:
        """What other processes of this machine know this one by. Raises StoreFailed."""
        return self.delivery_services.manager.process_lock().process

    async def _tell_interrupted(self, interrupted_runs: InterruptedRuns) -> None:
        """Reports the end of runs whose process has died, again and again."""
        while True:
            try:
                await interrupted_runs.report(
                    lambda process: self.delivery_services.manager.process_lock().is_alive(process), self._status
                )
            except SidecarError as failure:
                log.warning("could not look for runs that were interrupted: %s", failure)
            await asyncio.sleep(INTERRUPTED_SECONDS)

    async def _status(self, run: str) -> str:
        """The status of the queue's job of that id; empty where there is none."""
        try:
            status: str = (await self.job_queue.status(run)).status
        except NotFound:
            return ""
        # another machine that has run it since has told its end
        return ELSEWHERE if self._fleet and status != "pending" else status

    async def _look(self) -> None:
        """Opens the queue once jobs of earlier processes wait, or something is due soon."""
        pending = PendingWork(self.database.fetch_one)
        while self._queue_runtime is None:
            try:
                if pending.any(PENDING_JOBS) or pending.due_by(self._context.clock.now() + WARM_SECONDS):
                    self._queue()
            except SidecarError as failure:
                log.warning("could not look for jobs: %s", failure)
            await asyncio.sleep(LOOK_SECONDS)


async def _join_fleet(context: RuntimeContext) -> "QueueBackend | None":
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
