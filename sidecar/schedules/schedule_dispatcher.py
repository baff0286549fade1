"""What happens when schedules are due: each is handed to the queue once, whoever gets to it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Literal

import msgspec
from sidecar_protocol.schedules import ScheduleFired

from sidecar.clock import Clock
from sidecar.errors import CorruptRecord, DecryptionKeyMissing, SidecarError
from sidecar.queue.submission import Submission
from sidecar.schedules.schedule_manager import MAX_OPEN, Entry, decode, encode
from sidecar.schedules.scheduled_messages import ScheduledMessages
from sidecar.storage.agenda import Agenda, Item, defer_corrupt
from sidecar.wall_clock import rfc3339

log = logging.getLogger(__name__)

AT_ONCE: Final = 100
"""Schedules that are handed over together."""
OWNERS_TURN: Final = 60.0
"""Seconds that the process that sealed a message gets to fire it, before others say that it can't be."""
KEPT: Final = 7 * 24 * 3600.0
"""Seconds that a schedule can be looked at after it was fired or missed."""


class ScheduleDispatcher:
    """Hands what is due to the queue, or marks it missed."""

    def __init__(
        self,
        agenda: Agenda,
        pushes: ScheduledMessages,
        submit: Callable[[Submission], Awaitable[str]],
        clock: Clock,
        grace: float,
        on_fired: Callable[[ScheduleFired], None],
    ) -> None:
        """`submit` makes a job and gives its id, the same for the same key. `grace` is in seconds."""
        self._agenda = agenda
        self._pushes = pushes
        self._submit = submit
        self._now = clock.now
        self._grace = grace
        self._on_fired = on_fired
        self._watched: dict[str, float] = {}

    def watch(self, schedule_id: str, due: float) -> None:
        """Has our own parent told when this one is fired, also where another sidecar does it."""
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

    async def ring(self) -> None:
        """Deals with what is due. Raises the first of the failures that may pass, once all have been tried."""
        now = self._now()
        items = await self._agenda.due(now, MAX_OPEN)  # all: those that can't go on must not keep out the others
        ended: list[BaseException | None] = []
        for first in range(0, len(items), AT_ONCE):
            some = map(self._deal_with, items[first : first + AT_ONCE])
            ended += await asyncio.gather(*some, return_exceptions=True)
        await self._agenda.delete_expired(now)
        for failure in ended:
            if failure is not None:
                raise failure

    async def _deal_with(self, item: Item) -> None:
        """Takes it one step on; what is due still is dealt with again at once."""
        try:
            entry = decode(item.document)
        except CorruptRecord:
            await defer_corrupt(self._agenda, "schedule", item, self._now())
            return
        late = self._now() - entry.due
        try:
            if entry.stage == "firing":
                await self._fire(item, entry)
            elif not entry.enabled or late > self._grace:
                await self._close(item, entry, "missed")
            else:
                self._submission(item, entry)  # whoever can't open it leaves it to others
                # whoever changes or deletes it from here on comes too late, and a crash from here on is made up for
                await self._agenda.replace(item, encode(msgspec.structs.replace(entry, stage="firing")), item.due)
        except SidecarError as failure:
            if late <= self._patience(failure):
                raise
            log.warning("the schedule %s could not be fired: %s", item.id, failure)
            await self._close(item, msgspec.structs.replace(entry, error=failure.detail), "missed")

    async def _fire(self, item: Item, entry: Entry) -> None:
        submission = self._submission(item, entry)
        if await self._agenda.get(item.id) is None:  # deleted since it was read
            return
        msgid = await self._submit(submission)
        fired = msgspec.structs.replace(entry, msgids=(msgid,))
        closed = await self._close(item, fired, "fired")
        if closed or await self._agenda.get(item.id) is None:  # or deleted, too late: its job runs
            self._watched.pop(item.id, None)
            self._tell(item.id, fired)

    def _tell(self, schedule_id: str, entry: Entry) -> None:
        for msgid in entry.msgids:
            due = rfc3339(entry.due)
            self._on_fired(ScheduleFired(schedule_id=schedule_id, name=entry.name, due=due, msgid=msgid))

    def _submission(self, item: Item, entry: Entry) -> Submission:
        """Raises DecryptionKeyMissing."""
        return Submission(
            type=entry.type,
            content=self._pushes.open(entry.content),
            key=f"schedule:{item.id}:{rfc3339(entry.due)}",
            name=entry.name,
            origin=f"schedule:{item.id}",
            webhooks=entry.webhooks,
            retries=entry.retries,
            timeout=entry.timeout,
            account_id=entry.scope,
            notify=True,
        )

    def _patience(self, failure: SidecarError) -> float:
        """For how many seconds it is tried again."""
        if isinstance(failure, DecryptionKeyMissing):
            return OWNERS_TURN
        return self._grace if failure.retryable else 0.0

    async def _close(self, item: Item, entry: Entry, stage: Literal["fired", "missed"]) -> bool:
        """False where somebody else has dealt with it."""
        closed = encode(msgspec.structs.replace(entry, stage=stage))
        return await self._agenda.replace(item, closed, None, self._now() + KEPT)
