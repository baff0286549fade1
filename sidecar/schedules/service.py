"""The schedules of one store: what parents ask of them, and the alarm that fires them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sidecar_protocol.jobs import SendJob

from sidecar.clock import Clock
from sidecar.due_timer import DueTimer
from sidecar.encryption import Encryptor
from sidecar.queue.submission import Submission
from sidecar.schedules.schedule_dispatcher import ScheduleDispatcher
from sidecar.schedules.schedule_manager import ScheduleManager
from sidecar.schedules.scheduled_messages import Messages, ScheduledMessages
from sidecar.storage.agenda import Agenda
from sidecar.wall_clock import Zone


class ScheduleService:
    """Put together; `manager` are for the handlers."""

    def __init__(
        self,
        agenda: Agenda,
        encryptor: Encryptor,
        messages: Messages,
        submit: Callable[[Submission], Awaitable[str]],
        *,
        clock: Clock,
        host_zone: Zone,
        grace: float,
        check_job: Callable[[SendJob, float], object],
        pack: Callable[[Sequence[str]], str],
        on_event: Callable[[str, Any], None],
    ) -> None:
        """`submit` returns once the job is on disk; `grace` is `misfire_grace`. For the others see Pushes."""
        scheduled = ScheduledMessages(encryptor, messages, check_job, pack)
        self._dispatcher = ScheduleDispatcher(
            agenda, scheduled, submit, clock, grace, on_fired=lambda fired: on_event("schedule_fired", fired)
        )
        self._timer = DueTimer(clock, self._dispatcher.next_due, self._dispatcher.on_due)
        self.manager = ScheduleManager(agenda, scheduled, clock, host_zone, self._on_change)

    def start(self) -> None:
        """Begins to fire what is due."""
        self._timer.start()

    async def close(self) -> None:
        """Fires no more; what was begun is gone on with by the next who starts."""
        await self._timer.close()

    def _on_change(self, schedule_id: str, due: float) -> None:
        self._dispatcher.watch(schedule_id, due)
        self._timer.changed()
