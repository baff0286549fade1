"""The messages about periodic tasks."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from sidecar_protocol.codec import NOTHING
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

from sidecar.server.session import Session

if TYPE_CHECKING:
    from sidecar.jobs.run_listeners import ListenerFactory
    from sidecar.tasks.task_manager import TaskManager


class Tasking(Protocol):
    """The tasks of a store."""

    @property
    def periodic(self) -> "TaskManager":
        """Put together when first asked for. Raises StoreFailed."""


class TaskStore(Protocol):
    """What tasks need of the store in force."""

    @property
    def tasking(self) -> Tasking:
        """The tasks."""

    @property
    def listener_factory(self) -> "ListenerFactory":
        """Who is told of runs."""


class TaskStores(Protocol):
    """The store in force, opened at first need."""

    async def get(self) -> TaskStore:
        """Opens it. Raises StoreFailed."""


@dataclass(frozen=True, slots=True)
class TaskDesk:
    """Where tasks are handed in."""

    session: Session
    stores: TaskStores
    emit: Callable[[RequestId | None, str, Any], None]
    """Writes an event to the parent: the request that it belongs to, its name, its content."""


async def create_task(desk: TaskDesk, content: CreateTask) -> Task:
    """Adds a task, with the webhooks and the login that are in force."""
    store = await desk.stores.get()
    return await store.tasking.periodic.create(content, _webhooks(store), desk.session.account_id)


async def list_tasks(desk: TaskDesk, content: ListTasks) -> TaskPage:
    """One page of the tasks that match."""
    return await (await _tasks(desk)).list(content)


async def get_task(desk: TaskDesk, content: TaskRef) -> Task:
    """One task."""
    return await (await _tasks(desk)).get(content)


async def update_task(desk: TaskDesk, content: UpdateTask) -> Task:
    """Replaces parts of a task."""
    return await (await _tasks(desk)).update(content)


async def delete_task(desk: TaskDesk, content: TaskRef) -> Any:
    """Forgets a task."""
    await (await _tasks(desk)).delete(content)
    return NOTHING


async def get_task_status(desk: TaskDesk, content: TaskRef) -> TaskStatus:
    """What a task does and did."""
    return await (await _tasks(desk)).status(content)


async def run_task(desk: TaskDesk, request_id: RequestId | None, content: TaskRef) -> RunTaskReply:
    """Runs a task once, now."""
    store = await desk.stores.get()
    return await store.tasking.periodic.run_now(content, _webhooks(store), _tell(desk, request_id))


async def start_task(desk: TaskDesk, content: TaskRef) -> TaskStatus:
    """Has a task run at its times again."""
    return await (await _tasks(desk)).set_running(content, True)


async def stop_task(desk: TaskDesk, content: TaskRef) -> TaskStatus:
    """Has a task run no more."""
    return await (await _tasks(desk)).set_running(content, False)


async def test_task(desk: TaskDesk, request_id: RequestId | None, content: TestTask) -> RunTaskReply:
    """Runs a script that is not kept."""
    store = await desk.stores.get()
    tell = _tell(desk, request_id)
    return await store.tasking.periodic.test(content, _webhooks(store), desk.session.account_id, tell)


async def list_task_runs(desk: TaskDesk, content: ListTaskRuns) -> TaskRunPage:
    """The last runs of a task."""
    return await (await _tasks(desk)).runs(content)


async def _tasks(desk: TaskDesk) -> "TaskManager":
    return (await desk.stores.get()).tasking.periodic


def _webhooks(store: TaskStore) -> str:
    return store.listener_factory.pack(store.listener_factory.endpoints(()))


def _tell(desk: TaskDesk, request_id: RequestId | None) -> Callable[[str, Any], None] | None:
    return partial(desk.emit, request_id) if desk.session.notifications else None
