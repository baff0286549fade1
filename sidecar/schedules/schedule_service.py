"""The schedules of one store: their manager, their dispatcher and the timer that calls it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from sidecar_protocol.jobs import SendJob

from sidecar.clock import Clock
from sidecar.due_timer import DueTimer
from sidecar.encryption import Encryptor
from sidecar.queue.submission import Submission
from sidecar.rtcv.documents import DocumentLoader
from sidecar.schedules.schedule_dispatcher import ScheduleDispatcher
from sidecar.schedules.schedule_manager import ScheduleManager
from sidecar.schedules.scheduled_messages import ScheduledMessages
from sidecar.storage.agenda import Agenda
from sidecar.wall_clock import Zone

if TYPE_CHECKING:
    from sidecar.browser.steps.plan import PlannedStep


class ScheduleService:
    """Wires the parts; `manager` serves the handlers."""

    def __init__(
        self,
        agenda: Agenda,
        encryptor: Encryptor,
        supports: Callable[[str], bool],
        submit: Callable[[Submission], Awaitable[str]],
        flush: Callable[[], Awaitable[None]],
        *,
        clock: Clock,
        host_zone: Zone,
        grace: float,
        check_job: "Callable[[SendJob, float], Sequence[PlannedStep]]",
        documents: DocumentLoader,
        pack: Callable[[Sequence[str]], str],
        check_push: Callable[[], None],
        on_event: Callable[[str, Any], None],
    ) -> None:
        """`flush` returns once what was submitted is on disk; `grace` is `misfire_grace` in seconds.

        For the other arguments see ScheduledMessages.
        """
        self._submit = submit
        self._flush = flush
        scheduled = ScheduledMessages(encryptor, supports, check_job, documents, pack, check_push)
        self._dispatcher = ScheduleDispatcher(
            agenda,
            scheduled,
            self._submit_durably,
            clock,
            grace,
            on_fired=lambda fired: on_event("schedule_fired", fired),
        )
        self._timer = DueTimer(clock, self._dispatcher.next_due, self._dispatcher.on_due)
        self.manager = ScheduleManager(agenda, scheduled, clock, host_zone, self._on_change)

    def start(self) -> None:
        """Begins to fire what is due."""
        self._timer.start()

    async def close(self) -> None:
        """Stops firing; the next process continues started ones."""
        await self._timer.close()

    async def _submit_durably(self, submission: Submission) -> str:
        """Returns a job's id once it is on disk. Raises StoreFailed."""
        job_id = await self._submit(submission)
        await self._flush()
        return job_id

    def _on_change(self, schedule_id: str, due: float) -> None:
        self._dispatcher.watch(schedule_id, due)
        self._timer.changed()
