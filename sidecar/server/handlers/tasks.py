"""The messages about periodic tasks."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from sidecar_protocol.codec import NO_CONTENT
from sidecar_protocol.replies import RequestId
from sidecar_protocol.tasks import (
    CreateTask,
    ListTaskRuns,
    ListTasks,
    RunTaskReply,
    Task,
    TaskPage,
    TaskRef,
    TaskRunPage,
    TaskStatus,
    TestTask,
    UpdateTask,
)

from sidecar.server.handlers.context import HandlerContext, OpenStorage

if TYPE_CHECKING:
    from sidecar.tasks.task_manager import TaskManager


async def create_task(context: HandlerContext, content: CreateTask) -> Task:
    """Adds a task, with the webhooks and the login that are in force."""
    storage = await context.storage.get()
    return await storage.task_manager.create(content, _webhooks(storage), context.session.account_id)


async def list_tasks(context: HandlerContext, content: ListTasks) -> TaskPage:
    """One page of the tasks that match."""
    return await (await _tasks(context)).list(content)


async def get_task(context: HandlerContext, content: TaskRef) -> Task:
    """One task."""
    return await (await _tasks(context)).get(content)


async def update_task(context: HandlerContext, content: UpdateTask) -> Task:
    """Replaces parts of a task."""
    return await (await _tasks(context)).update(content)


async def delete_task(context: HandlerContext, content: TaskRef) -> Any:
    """Forgets a task."""
    await (await _tasks(context)).delete(content)
    return NO_CONTENT


async def get_task_status(context: HandlerContext, content: TaskRef) -> TaskStatus:
    """The state and the counts of a task."""
    return await (await _tasks(context)).status(content)


async def run_task(context: HandlerContext, request_id: RequestId | None, content: TaskRef) -> RunTaskReply:
    """Runs a task once, now."""
    storage = await context.storage.get()
    return await storage.task_manager.run_now(content, _webhooks(storage), _tell(context, request_id))


async def start_task(context: HandlerContext, content: TaskRef) -> TaskStatus:
    """Starts a task: it runs at its times again."""
    return await (await _tasks(context)).set_running(content, True)


async def stop_task(context: HandlerContext, content: TaskRef) -> TaskStatus:
    """Stops a task: it no longer runs at its times."""
    return await (await _tasks(context)).set_running(content, False)


async def test_task(context: HandlerContext, request_id: RequestId | None, content: TestTask) -> RunTaskReply:
    """Runs a script that is not kept."""
    storage = await context.storage.get()
    report = _tell(context, request_id)
    return await storage.task_manager.test(content, _webhooks(storage), context.session.account_id, report)


async def list_task_runs(context: HandlerContext, content: ListTaskRuns) -> TaskRunPage:
    """The last runs of a task."""
    return await (await _tasks(context)).runs(content)


async def _tasks(context: HandlerContext) -> "TaskManager":
    return (await context.storage.get()).task_manager


def _webhooks(storage: OpenStorage) -> str:
    return storage.listener_factory.pack(storage.listener_factory.endpoints(()))


def _tell(context: HandlerContext, request_id: RequestId | None) -> Callable[[str, Any], None] | None:
    return partial(context.emit, request_id) if context.session.notifications else None
