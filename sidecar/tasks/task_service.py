"""The periodic tasks of one store: their timer from the start, the rest once a task is due or asked for."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from sidecar_protocol.tasks import RunTaskReply

from sidecar.clock import Clock
from sidecar.due_timer import DueTimer
from sidecar.queue.submission import JobRun
from sidecar.storage.agenda import Agenda

if TYPE_CHECKING:
    from sidecar.tasks.task_dispatcher import TaskDispatcher
    from sidecar.tasks.task_manager import TaskManager

Build = Callable[[Callable[[], None]], "tuple[TaskManager, TaskDispatcher]"]
"""Builds both; they call the argument after each change of a due time. Raises StoreFailed."""


class TaskService:
    """Use `start`, then `manager`."""

    def __init__(self, agenda: Agenda, clock: Clock, build: Build) -> None:
        self._build = build
        self._timer = DueTimer(clock, agenda.next_due, self._on_due)
        self._parts: tuple[TaskManager, TaskDispatcher] | None = None
        self._stopped = False

    @property
    def manager(self) -> "TaskManager":
        """The tasks. Raises StoreFailed."""
        return self._open()[0]

    def start(self) -> None:
        """Starts to submit what is due."""
        self._timer.start()

    async def stop(self) -> None:
        """Submits nothing more."""
        if not self._stopped:
            self._stopped = True
            await self._timer.close()

    async def requeue_waiting(self) -> None:
        """Requeues runs that still wait for a slot, so that shutdown need not wait for them."""
        if self._parts:
            self._parts[0].requeue_waiting()

    async def close(self) -> None:
        """Waits until the end of stopped runs is recorded."""
        await self.stop()
        if self._parts:
            await self._parts[0].close()

    async def perform(self, run: JobRun) -> RunTaskReply:
        """Executes a run out of the queue. Raises what the run raises."""
        return await self.manager.perform(run)

    async def _on_due(self) -> None:
        await self._open()[1].on_due()

    def _open(self) -> "tuple[TaskManager, TaskDispatcher]":
        if self._parts is None:
            self._parts = self._build(self._timer.changed)
        return self._parts
