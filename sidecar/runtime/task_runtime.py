"""The periodic tasks of one store: their alarm from the start, all else when the first of them is due or asked for."""

import asyncio
from typing import TYPE_CHECKING, Protocol

from sidecar_protocol.tasks import RunTaskReply

from sidecar.due_timer import DueTimer
from sidecar.encryption import Encryptor
from sidecar.queue.submission import JobRun
from sidecar.runtime.runtime_context import RuntimeContext
from sidecar.storage.agenda import Agenda, Kind

if TYPE_CHECKING:
    from sidecar.deliveries.endpoint_registry import EndpointRegistry
    from sidecar.jobs.background import BackgroundExecutor
    from sidecar.jobs.run_listeners import ListenerFactory
    from sidecar.net.public_http import PublicHttpClient
    from sidecar.queue.job_queue import JobQueue
    from sidecar.storage.task_runs import TaskRuns
    from sidecar.tasks.task_dispatcher import TaskDispatcher
    from sidecar.tasks.task_manager import TaskManager

SCRIPTS_AT_ONCE = 8
"""Scripts that run at the same time: each has a process of its own."""


class Store(Protocol):
    """What tasks need of their store."""

    encryptor: Encryptor
    public_http: "PublicHttpClient"
    endpoints: "EndpointRegistry"
    listener_factory: "ListenerFactory"

    def agenda(self, kind: Kind) -> Agenda:
        """Where tasks are."""

    def task_runs(self) -> "TaskRuns":
        """Where their runs are noted."""

    @property
    def job_queue(self) -> "JobQueue":
        """The queue. Raises StoreFailed."""

    @property
    def background(self) -> "BackgroundExecutor":
        """What can be done without a parent that waits. Raises StoreFailed."""


class TaskRuntime:
    """Use `start`, then `task_manager`."""

    def __init__(self, store: Store, context: RuntimeContext) -> None:
        self._store = store
        self._context = context
        self._agenda = store.agenda("task")
        self._timer = DueTimer(context.clock, self._agenda.next_due, self._on_due)
        self._login: tuple[TaskManager, TaskDispatcher] | None = None
        self._rests = False

    @property
    def task_manager(self) -> "TaskManager":
        """The tasks. Raises StoreFailed."""
        return self._open()[0]

    def start(self) -> None:
        """Begins to watch the clock."""
        self._timer.start()

    async def rest(self) -> None:
        """Hands nothing more to the queue."""
        if not self._rests:
            self._rests = True
            await self._timer.close()

    async def requeue_waiting(self) -> None:
        """Keeps nobody who ends waiting for runs that have not had their turn."""
        if self._login:
            self._login[0].requeue_waiting()

    async def close(self) -> None:
        """Waits for what is still to be noted of runs that were stopped."""
        await self.rest()
        if self._login:
            await self._login[0].close()

    async def perform(self, run: JobRun) -> RunTaskReply:
        """A run that comes out of the queue. Raises what the run raises."""
        return await self.task_manager.perform(run)

    async def _on_due(self) -> None:
        await self._open()[1].on_due()

    def _open(self) -> "tuple[TaskManager, TaskDispatcher]":
        if self._login is None:
            self._login = self._build()
        return self._login

    def _build(self) -> "tuple[TaskManager, TaskDispatcher]":
        from sidecar.browser.sandbox.task_session import (  # late: scripts bring playwright with them
            TaskLimits,
            TaskScriptRunner,
        )
        from sidecar.tasks.script_host import HostAllowlist, ScriptSources
        from sidecar.tasks.task_dispatcher import TaskDispatcher
        from sidecar.tasks.task_manager import TaskManager
        from sidecar.tasks.task_record import TaskRecords
        from sidecar.tasks.task_runner import RunnerDependencies, TaskRunner

        store, context = self._store, self._context
        settings, clock, engine = context.settings, context.clock, store.job_queue
        task_runs = store.task_runs()
        scripts = ScriptSources(store.public_http, settings.scripts_path, allow_private=settings.allow_private_network)
        plan, check_token = context.browsers.run_service().plan, context.browsers.visit_tokens().check
        records = TaskRecords(store.encryptor, scripts, engine.process, plan, check_token, settings.max_line)
        limits = TaskLimits(timeout=settings.script_timeout)
        dependencies = RunnerDependencies(
            scripts=scripts,
            requests=store.public_http,
            hosts=HostAllowlist(settings.script_hosts),
            runner=lambda: TaskScriptRunner(context.browsers.sandbox_pool(), limits, SCRIPTS_AT_ONCE),
            listeners_of=lambda run: store.listener_factory.create(
                store.endpoints.unpack(run.webhooks), run.emit, run.progress, until_stored=True
            ),
            perform=store.background.perform,
            job_slots=asyncio.Semaphore(settings.concurrency),
        )
        runner = TaskRunner(records, task_runs, dependencies, clock, engine.process)
        dispatcher = TaskDispatcher(
            self._agenda,
            task_runs,
            records,
            runner,
            engine,
            clock,
            is_alive=engine.is_alive,
            wants_events=lambda: context.session.notifications,
            keep_local=bool(settings.queue) and not store.encryptor.persistent,
        )
        return TaskManager(self._agenda, task_runs, records, runner, dispatcher, clock, self._timer.changed), dispatcher
