"""Submits each due schedule to the queue, exactly once among all processes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Literal

from sidecar_protocol.schedules import ScheduleFired

from sidecar.clock import Clock
from sidecar.errors import CorruptRecord, DecryptionKeyMissing, SidecarError
from sidecar.queue.submission import Submission, is_encrypted
from sidecar.schedules.schedule_manager import MAX_OPEN, ScheduleRecord, decode, encode
from sidecar.schedules.scheduled_messages import ScheduledMessages
from sidecar.storage.agenda import Agenda, Item, defer_corrupt
from sidecar.wall_clock import rfc3339

log = logging.getLogger(__name__)

BATCH_SIZE: Final = 100
"""Schedules submitted concurrently."""
OWNER_SECONDS: Final = 60.0
"""Seconds for the process that encrypted a message to fire it, before others report that they can't."""
RETENTION_SECONDS: Final = 7 * 24 * 3600.0
"""Seconds that a schedule can be read after it was fired or missed."""


class ScheduleDispatcher:
    """Submits due schedules, or marks them missed."""

    def __init__(
        self,
        agenda: Agenda,
        messages: ScheduledMessages,
        submit: Callable[[Submission], Awaitable[str]],
        clock: Clock,
        grace: float,
        on_fired: Callable[[ScheduleFired], None],
    ) -> None:
        """`submit` makes a job and gives its id, the same for the same key. `grace` is in seconds."""
        self._agenda = agenda
        self._messages = messages
        self._submit = submit
        self._now = clock.now
        self._grace = grace
        self._on_fired = on_fired
        self._watched: dict[str, float] = {}

    def watch(self, schedule_id: str, due: float) -> None:
        """Reports this schedule's firing to our own parent, even if another sidecar fires it."""
        self._watched[schedule_id] = due

    async def next_due(self) -> float | None:
        """The earliest time at which something is due, also one that has passed."""
        now = self._now()
        for schedule_id in [one for one, due in self._watched.items() if due <= now]:
            item = await self._agenda.get(schedule_id)
            if item is None or item.due is None:
                del self._watched[schedule_id]
            if item and item.due is None:
                with suppress(CorruptRecord):
                    self._tell(schedule_id, decode(item.document))
        return await self._agenda.next_due()

    async def on_due(self) -> None:
        """Deals with what is due. Raises the first of the failures that may pass, once all have been tried."""
        now = self._now()
        items = await self._agenda.due(now, MAX_OPEN)  # all: a stuck one blocks no other
        ended: list[BaseException | None] = []
        for first in range(0, len(items), BATCH_SIZE):
            some = map(self._process, items[first : first + BATCH_SIZE])
            ended += await asyncio.gather(*some, return_exceptions=True)
        await self._agenda.delete_expired(now)
        for failure in ended:
            if failure is not None:
                raise failure

    async def _process(self, item: Item) -> None:
        """Takes it one step on; what is due still is dealt with again at once."""
        try:
            record = decode(item.document)
        except CorruptRecord:
            await defer_corrupt(self._agenda, "schedule", item, self._now())
            return
        late = self._now() - record.due
        try:
            if record.stage == "firing":
                await self._fire(item, record)
            elif not record.enabled or late > self._grace:
                await self._close(item, record, "missed")
            else:
                self._submission(item, record)  # a process that can't decrypt it leaves it to others
                # changes and deletions from here on are too late, and a crash is recovered from
                await self._agenda.replace(item, encode(record.replace(stage="firing")), item.due)
        except SidecarError as failure:
            if late <= self._retry_window(failure):
                raise
            log.warning("the schedule %s could not be fired: %s", item.id, failure)
            await self._close(item, record.replace(error=failure.detail), "missed")

    async def _fire(self, item: Item, record: ScheduleRecord) -> None:
        submission = self._submission(item, record)
        if await self._agenda.get(item.id) is None:  # deleted since it was read
            return
        msgid = await self._submit(submission)
        fired = record.replace(msgids=(msgid,))
        closed = await self._close(item, fired, "fired")
        if closed or await self._agenda.get(item.id) is None:  # or deleted, too late: its job runs
            self._watched.pop(item.id, None)
            self._tell(item.id, fired)

    def _tell(self, schedule_id: str, record: ScheduleRecord) -> None:
        for msgid in record.msgids:
            due = rfc3339(record.due)
            self._on_fired(ScheduleFired(schedule_id=schedule_id, name=record.name, due=due, msgid=msgid))

    def _submission(self, item: Item, record: ScheduleRecord) -> Submission:
        """Raises DecryptionKeyMissing."""
        return Submission(
            type=record.type,
            content=self._messages.decrypt(record.content),
            key=f"schedule:{item.id}:{rfc3339(record.due)}",
            name=record.name,
            origin=f"schedule:{item.id}",
            webhooks=record.webhooks,
            retries=record.retries,
            timeout=record.timeout,
            account_id=record.scope,
            secret=is_encrypted(record.content),
            notify=True,
        )

    def _retry_window(self, failure: SidecarError) -> float:
        """Seconds during which it is retried."""
        if isinstance(failure, DecryptionKeyMissing):
            return OWNER_SECONDS
        return self._grace if failure.retryable else 0.0

    async def _close(self, item: Item, record: ScheduleRecord, stage: Literal["fired", "missed"]) -> bool:
        """Returns False if another process has done it."""
        closed = encode(record.replace(stage=stage))
        return await self._agenda.replace(item, closed, None, self._now() + RETENTION_SECONDS)
