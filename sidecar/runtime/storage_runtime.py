"""What outlives a session, over one database: on disk, or in memory for a mock session."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from sidecar_protocol.session import Credentials

from sidecar import files
from sidecar.deliveries.delivery_manager import open_mail
from sidecar.encryption import Encryptor
from sidecar.errors import NotFound, SidecarError, StoreFailed
from sidecar.jobs.interrupted_runs import ELSEWHERE, InterruptedRuns
from sidecar.jobs.run_listeners import ListenerFactory
from sidecar.net.public_http import PublicHttpClient
from sidecar.rtcv.fleet_logins import SharedLogins
from sidecar.rtcv.login import References
from sidecar.runtime.runtime_context import RuntimeContext
from sidecar.runtime.task_runtime import TaskRuntime
from sidecar.shutdown import stopped
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
    """The parts that keep going when a session ends, opened in order and closed in reverse.

    Use `open` or `in_memory`, then `start`. The queue is opened when something first needs it.
    """

    def __init__(
        self,
        database: Database,
        encryptor: Encryptor,
        folder: Path | None,
        around: RuntimeContext,
        fleet: "QueueBackend | None" = None,
    ) -> None:
        """Without a folder it is a mock session's; `fleet` is the queue that many machines share."""
        self.database = database
        self.encryptor = encryptor
        self._folder = folder
        self._fleet = fleet
        self._told: ReferencePublisher | None = None
        self._around = around
        self._queueing: QueueRuntime | None = None
        self._looking: asyncio.Task[None] | None = None
        self._resting = False
        self._closing = AsyncExitStack()
        self._closing.push_async_callback(database.close)
        settings, clock, size = around.settings, around.clock, around.settings.max_stdouterr_size
        self.public_http = PublicHttpClient(clock, settings.allow_private_network)
        self._closing.push_async_callback(self.public_http.close)
        self.mail = open_mail(
            database,
            encryptor,
            folder,
            self.public_http,
            clock,
            around.on_event,
            timeout=settings.request_timeout,
            stdouterr_size=size,
            allow_private=settings.allow_private_network,
        )
        self._closing.push_async_callback(self.mail.deliveries.close)
        self.outbox, self.endpoints, self.forwarding = self.mail.outbox, self.mail.endpoints, self.mail.forwarding
        self.logins: SharedLogins | None = None
        if fleet:
            self._share()
        self._telling: asyncio.Task[None] | None = None
        runs = OpenRuns(database, self.outbox, encryptor)
        self._interruptions = InterruptedRuns(runs, self._process, clock) if folder else None
        self.listener_factory = ListenerFactory(self.endpoints, self.outbox, size, self._interruptions)
        self.tasking = TaskRuntime(self, around)
        self._closing.push_async_callback(self.tasking.close)

    def _share(self) -> None:
        """Connects references and logins with those of the fleet."""
        from sidecar.storage import redis_logins, redis_references  # late: only a fleet has redis installed

        self._told = redis_references.ReferencePublisher(self._around.settings.queue.reveal())
        self._closing.push_async_callback(self._told.close, LAST_WORDS_SECONDS)
        if self.encryptor.persistent:
            self.logins = SharedLogins(redis_logins.RedisLogins(self._told.redis), self.encryptor, self.endpoints)

    @classmethod
    async def open(cls, around: RuntimeContext) -> Self:
        """Opens what is on disk in the state folder. Raises StoreFailed."""
        try:
            folder = around.settings.state_folder()
        except OSError as failure:
            raise StoreFailed(f"the state folder can't be used: {failure.strerror}", retryable=True) from None
        if wide := files.too_wide(folder):
            log.warning("%s", wide)
        database = await Database.open(folder / "sidecar.db")
        try:
            fleet = await _join_fleet(around)
            return cls(database, Encryptor(around.settings.seal_key()), folder, around, fleet)
        except BaseException as failure:
            await database.close()
            if isinstance(failure, OSError):
                raise StoreFailed(f"the state folder can't be used: {failure.strerror}", retryable=True) from None
            raise

    @classmethod
    def in_memory(cls, around: RuntimeContext) -> Self:
        """The same without a disk, for a mock session."""
        return cls(Database.in_memory(), Encryptor(), None, around)

    @property
    def engine(self) -> "JobQueue":
        """The queue. Raises StoreFailed."""
        return self._queue().engine

    @property
    def background(self) -> "BackgroundExecutor":
        """What can be done without a parent that waits. Raises StoreFailed."""
        return self._queue().background

    @property
    def schedules(self) -> "ScheduleService":
        """What is run once, at a time. Raises StoreFailed."""
        return self._queue().schedules

    def schedule_agenda(self) -> Agenda:
        """Where schedules are."""
        return self.agenda("schedule")

    def agenda(self, kind: Kind) -> Agenda:
        """Where schedules or tasks are: in a fleet with all of them, if every machine can open what is sealed."""
        if self._told is None or not self.encryptor.persistent:
            return Agenda(self.database, kind)
        from sidecar.storage.redis_agenda import RedisAgenda

        return RedisAgenda(self._told.redis, kind)

    def task_runs(self) -> TaskRuns:
        """The history of tasks, where the tasks are."""
        if self._told is None or not self.encryptor.persistent:
            return TaskRuns(self.database)
        from sidecar.storage.redis_task_runs import RedisTaskRuns

        return RedisTaskRuns(self._told.redis)

    async def references(self, account_id: str, seed: Iterable[str] = (), ttl: float = 0) -> References:
        """Those of a login; `seed` is remembered for `ttl` seconds. Raises StoreFailed."""
        own = await DiskReferences.open(self.database, self._around.clock, account_id, seed, ttl)
        if self._told is None:
            return own
        from sidecar.storage.redis_references import RedisReferences

        return RedisReferences(own, self._told, account_id)

    async def log_in(self, account_id: str, credentials: Sequence[Credentials], primary: int) -> None:
        """Makes the servers of a login known, to all machines of a fleet if they can open it. Raises StoreFailed."""
        if self.logins:
            others = [one for index, one in enumerate(credentials) if index != primary]
            await self.logins.share(account_id, [credentials[primary], *others])
        self.endpoints.log_in(account_id, credentials, primary)

    def serve(self) -> None:
        """Begins to run jobs, also where there are none yet. Raises StoreFailed."""
        self._queue()

    def start_sending(self) -> None:
        """Begins to send what is stored, and what is put from now on; also where all else is at its end."""
        self.mail.deliveries.start()
        if self._around.session.webhooks:
            self.endpoints.set_session(self._around.session.webhooks)

    def start(self) -> None:
        """Begins to work on what is stored."""
        self.tasking.start()
        if self._interruptions:
            self._telling = asyncio.create_task(self._tell_interrupted(self._interruptions))
            self._closing.push_async_callback(stopped, self._telling)
        if self._fleet:
            self.serve()
        elif self._folder:
            self._looking = asyncio.create_task(self._look())
            self._closing.push_async_callback(stopped, self._looking)

    def begin_nothing(self) -> None:
        """Only stores and sends from now on: jobs, schedules and tasks wait for another process."""
        self._resting = True

    async def rest(self, seconds: float) -> None:
        """Begins nothing more, and lets what runs finish for so many seconds."""
        self.begin_nothing()
        await self.tasking.rest()
        await stopped(self._looking, self._telling)
        if self._queueing:
            await self._queueing.schedules.close()
            await asyncio.gather(self._queueing.engine.stop(seconds), self.tasking.put_back())

    async def drain(self, seconds: float) -> None:
        """Sends what can be sent right now, for so many seconds at most."""
        await self.mail.deliveries.drain(seconds)

    async def close(self) -> None:
        """Closes everything in reverse."""
        await self._closing.aclose()

    def _queue(self) -> "QueueRuntime":
        if self._queueing is None:
            from sidecar.runtime.queue_runtime import QueueRuntime  # late: saq and playwright take their time to import

            self._queueing = QueueRuntime(self, self._folder, self._around, self._fleet)
            self._queueing.background.register("run_task", self.tasking.perform)
            self._closing.push_async_callback(self._queueing.close)
            if not self._resting:
                self._queueing.engine.start(self._queueing.perform)
                self._queueing.schedules.start()
        return self._queueing

    def _process(self) -> str:
        """What other processes of this machine know this one by. Raises StoreFailed."""
        return self.mail.deliveries.presence().process

    async def _tell_interrupted(self, interruptions: InterruptedRuns) -> None:
        """Runs of processes that have died, whenever they did, come to an end at their webhooks."""
        while True:
            try:
                await interruptions.report(
                    lambda process: self.mail.deliveries.presence().is_alive(process), self._status
                )
            except SidecarError as failure:
                log.warning("could not look for runs that were interrupted: %s", failure)
            await asyncio.sleep(INTERRUPTED_SECONDS)

    async def _status(self, run: str) -> str:
        """The status of the queue's job of that id; empty where there is none."""
        try:
            status: str = (await self.engine.status(run)).status
        except NotFound:
            return ""
        # another machine that has run it since has told its end
        return ELSEWHERE if self._fleet and status != "pending" else status

    async def _look(self) -> None:
        """Jobs that wait are work for us too, whoever has left them."""
        pending = PendingWork(self.database.fetch_one)
        while self._queueing is None:
            try:
                if pending.any(PENDING_JOBS) or pending.due_by(self._around.clock.now() + WARM_SECONDS):
                    self._queue()
            except SidecarError as failure:
                log.warning("could not look for jobs: %s", failure)
            await asyncio.sleep(LOOK_SECONDS)


async def _join_fleet(around: RuntimeContext) -> "QueueBackend | None":
    url = around.settings.queue.reveal()
    if not url:
        return None
    try:
        from sidecar.queue.redis_backend import RedisBackend  # late: only a fleet has redis installed
    except ImportError:
        raise StoreFailed(
            "SIDECAR_QUEUE needs redis: install the sidecar with `pip install '.[fleet]'` in its checkout"
        ) from None

    return await RedisBackend.open(url, around.clock)
