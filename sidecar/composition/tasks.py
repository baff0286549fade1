"""The periodic tasks of one storage."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sidecar.composition.process_context import ProcessContext
from sidecar.tasks.task_service import TaskService

if TYPE_CHECKING:
    from sidecar.composition.storage import StorageServices
    from sidecar.storage.agenda import Agenda
    from sidecar.tasks.task_dispatcher import TaskDispatcher
    from sidecar.tasks.task_manager import TaskManager

MAX_SCRIPTS: Final = 8
"""Scripts that run at the same time: each has a process of its own."""


def build_tasks(storage: "StorageServices", context: ProcessContext) -> TaskService:
    """Everything but the timer is built once a task is due or asked for."""
    agenda = storage.agenda("task")
    return TaskService(agenda, context.clock, lambda on_change: _build(storage, agenda, context, on_change))


def _build(
    storage: "StorageServices", agenda: "Agenda", context: ProcessContext, on_change: Callable[[], None]
) -> "tuple[TaskManager, TaskDispatcher]":
    from sidecar.browser.sandbox.task_session import (  # late: scripts bring playwright with them
        TaskLimits,
        TaskScriptRunner,
    )
    from sidecar.tasks.script_host import HostAllowlist
    from sidecar.tasks.script_sources import ScriptSources
    from sidecar.tasks.task_dispatcher import TaskDispatcher
    from sidecar.tasks.task_manager import TaskManager
    from sidecar.tasks.task_record import TaskRecords
    from sidecar.tasks.task_runner import RunnerDependencies, TaskRunner

    settings, clock, browsers, queue = context.settings, context.clock, context.browsers, storage.job_queue
    task_runs = storage.task_runs()
    allow_private, recorder = settings.allow_private_network, context.network.recording
    requests = storage.public_http()
    scripts = ScriptSources(requests, settings.scripts_path, allow_private=allow_private, recorder=recorder)
    plan, check_token = browsers.run_service().plan, browsers.visit_tokens().check
    records = TaskRecords(storage.encryptor, scripts, queue.process, plan, check_token, settings.max_line)
    limits = TaskLimits(timeout=settings.script_timeout)
    dependencies = RunnerDependencies(
        scripts=scripts,
        requests=requests,
        hosts=HostAllowlist(settings.script_hosts),
        runner=lambda: TaskScriptRunner(browsers.sandbox_pool(), limits, MAX_SCRIPTS),
        listeners_of=storage.listener_factory.for_run,
        perform=storage.background.perform,
        job_slots=asyncio.Semaphore(settings.concurrency),
    )
    runner = TaskRunner(records, task_runs, dependencies, clock, queue.process)
    dispatcher = TaskDispatcher(
        agenda,
        task_runs,
        records,
        runner,
        queue,
        clock,
        is_alive=queue.is_alive,
        wants_events=lambda: context.session.notifications,
        keep_local=bool(settings.queue) and not storage.encryptor.persistent,
    )
    return TaskManager(agenda, task_runs, records, runner, dispatcher, scripts, clock, on_change), dispatcher
