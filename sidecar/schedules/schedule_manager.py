"""Schedules: create, update, list, delete."""

import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, Literal

from sidecar_protocol import encoding
from sidecar_protocol.codec import NotJson
from sidecar_protocol.decoding import decode_stored, decode_value
from sidecar_protocol.errors import ErrorDetail, FieldError, WireError
from sidecar_protocol.models import Maybe, Sparse
from sidecar_protocol.pages import PAGE_SIZE, page_count, page_offset
from sidecar_protocol.schedules import (
    CreateSchedule,
    ListSchedules,
    Push,
    Schedule,
    ScheduleCreated,
    ScheduleMsgIds,
    SchedulePage,
    Status,
    Trigger,
    UpdateSchedule,
)
from sidecar_protocol.wire_types import UNSET, Raw

from sidecar.clock import Clock
from sidecar.errors import CorruptRecord, InvalidContent, NotFound, mistakes_of
from sidecar.jobs.large_jobs import off_loop
from sidecar.schedules.scheduled_messages import ScheduledMessages
from sidecar.storage.agenda import Agenda, Item
from sidecar.wall_clock import Zone, instant_ahead, load_zone, parse_wall_time, rfc3339

MAX_OPEN: Final = 1_000
"""Schedules whose time has not come."""
MAX_NAME_BYTES: Final = 255
PARENTS_ZONE: Final = 1
"""The `zone_type` of the parent's time zone; all others mean this machine's."""
_TIME: Final = "trigger.single.time"
_ZONE: Final = "trigger.single.zone"


class ScheduleRecord(Sparse):
    """A schedule as stored."""

    raw_parts = (("shown",),)

    name: str
    enabled: bool
    trigger: Trigger
    due: float
    """Unix time."""
    type: str
    content: dict[str, str]
    """The message's content, as it is stored."""
    shown: Raw
    """The content with its secrets replaced."""
    webhooks: str = ""
    """The endpoints in force when it was made, packed."""
    retries: int = 0
    timeout: float = 0
    """Seconds for each attempt."""
    scope: str = ""
    stage: Literal["waiting", "firing", "fired", "missed"] = "waiting"
    """`firing`: a process has begun to submit it; any process continues that."""
    msgids: tuple[str, ...] = ()
    error: ErrorDetail | None = None

    @property
    def status(self) -> Status:
        """The status for the parent."""
        if self.stage == "fired" or self.stage == "missed":
            return self.stage
        return "pending" if self.enabled else "paused"


def encode(record: ScheduleRecord) -> bytes:
    """The entry as a document."""
    return encoding.encode(record)


def decode(document: bytes) -> ScheduleRecord:
    """A document's entry. Raises CorruptRecord."""
    try:
        return decode_stored(ScheduleRecord, document)
    except NotJson:
        raise CorruptRecord("the stored schedule can't be read by this version") from None


class ScheduleManager:
    """The schedules of one store. Every call may raise StoreFailed."""

    def __init__(
        self,
        agenda: Agenda,
        messages: ScheduledMessages,
        clock: Clock,
        host_zone: Zone,
        on_change: Callable[[str, float], None],
        make_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        """`on_change` gets id and Unix time of a created or changed schedule."""
        self._agenda = agenda
        self._messages = messages
        self._now = clock.now
        self._host_zone = host_zone
        self._on_change = on_change
        self._make_id = make_id

    async def create(self, content: CreateSchedule, *, zone: str = "", account_id: str = "") -> ScheduleCreated:
        """Adds one; on disk when this returns. Raises WireError, LimitExceeded.

        `zone` is the IANA name of the parent's time zone, empty for this machine's; `account_id` is empty without a
        login.
        """
        _check_name(content.name)
        if not content.enabled:
            _refuse_disabled()
        due = self._due(content.trigger, zone)
        record = ScheduleRecord(
            name=content.name,
            enabled=True,
            trigger=content.trigger,
            due=due,
            **await off_loop(_content(content.push), partial(self._message_fields, content.push, due, account_id)),
        )
        schedule_id = self._make_id()
        await self._agenda.put_new(schedule_id, encode(record), due, MAX_OPEN)
        self._on_change(schedule_id, due)
        return ScheduleCreated(schedule_id=schedule_id, name=content.name)

    async def update(self, content: UpdateSchedule, *, zone: str = "", account_id: str = "") -> Schedule:
        """Replaces what is given; on disk when this returns; see `create`. Raises WireError, NotFound."""
        if all(part is UNSET for part in (content.name, content.enabled, content.trigger, content.push)):
            raise InvalidContent("nothing to update; give name, enabled, trigger or push", "content")
        while True:
            item, record = await self._find(content.schedule_id)
            if record.stage != "waiting" or record.due <= self._now():
                raise InvalidContent("schedule_id: the schedule has expired and can't be updated", "schedule_id")
            job = _content(content.push), tuple(record.content.values())
            updated = await off_loop(job, partial(self._apply, record, content, zone, account_id))
            if await self._agenda.replace(item, encode(updated), updated.due):
                self._on_change(item.id, updated.due)
                return _to_schedule(item.id, updated)

    def mistakes(self, content: Mapping[str, Any], *, zone: str = "") -> list[FieldError]:
        """The mistakes of the parts of a content, as plain values, that have the right shape; see `create`."""
        found: list[FieldError] = []
        due = self._now()
        if isinstance(name := content.get("name"), str):
            found += mistakes_of(partial(_check_name, name))
        if content.get("enabled") is False and "schedule_id" not in content:
            found += mistakes_of(_refuse_disabled)
        with suppress(WireError):
            trigger = decode_value(Trigger, content.get("trigger"))
            found += mistakes_of(partial(self._due, trigger, zone))
            due = self._due(trigger, zone)
        push = content.get("push")
        if isinstance(push, dict) and isinstance(push.get("type"), str) and "content" in push:
            message = Push(type=push["type"], content=Raw(encoding.encode(push["content"])))
            found += mistakes_of(partial(self._messages.check, message, due, logged_in=True))
        return found

    async def get(self, schedule_id: str) -> Schedule:
        """One of them, also for a while after its time. Raises NotFound."""
        return _to_schedule(*await self._find_record(schedule_id))

    async def list(self, content: ListSchedules) -> SchedulePage:
        """A page of them, the oldest first; a page past the end is empty. Those that can't be read are left out."""
        which: Literal["open", "closed"] = "closed" if content.expired else "open"
        total = await self._agenda.count(which)
        items = []
        if page_offset(content.page) < total:
            items = await self._agenda.page(page_offset(content.page), PAGE_SIZE, which)
        return SchedulePage(
            total_count=total,
            total_pages=page_count(total),
            page=content.page,
            schedules=tuple(one for item in items if (one := _readable(item))),
        )

    async def delete(self, schedule_id: str) -> None:
        """Forgets one, also after its time. Raises NotFound."""
        if not await self._agenda.delete(schedule_id):
            raise _not_found(schedule_id)

    async def msg_ids(self, schedule_id: str) -> ScheduleMsgIds:
        """The jobs that one has made. Raises NotFound."""
        _, record = await self._find_record(schedule_id)
        return ScheduleMsgIds(count=len(record.msgids), msgids=record.msgids)

    async def _find_record(self, schedule_id: str) -> tuple[str, ScheduleRecord]:
        item, record = await self._find(schedule_id)
        return item.id, record

    async def _find(self, schedule_id: str) -> tuple[Item, ScheduleRecord]:
        item = await self._agenda.get(schedule_id)
        if item is None:
            raise _not_found(schedule_id)
        return item, decode(item.document)

    def _apply(self, record: ScheduleRecord, content: UpdateSchedule, zone: str, account_id: str) -> ScheduleRecord:
        """Raises WireError where a part can't be."""
        if content.name is not UNSET:
            _check_name(content.name)
            record = record.replace(name=content.name)
        if content.enabled is not UNSET:
            record = record.replace(enabled=content.enabled)
        if content.trigger is not UNSET:
            if _is_parents(content.trigger) != _is_parents(record.trigger):
                message = "a schedule's time zone can't change between the parent's (1) and the machine's"
                raise InvalidContent(f"{_ZONE}_type: {message}", f"{_ZONE}_type")
            record = record.replace(trigger=content.trigger, due=self._due(content.trigger, zone))
        if content.push is not UNSET:
            record = record.replace(**self._message_fields(content.push, record.due, account_id or record.scope))
        elif content.trigger is not UNSET:
            self._messages.recheck(record.type, record.content, record.due)
        return record

    def _message_fields(self, push: Push, due: float, account_id: str) -> dict[str, Any]:
        """The fields of an entry that a message gives. Raises WireError."""
        checked = self._messages.check(push, due, logged_in=bool(account_id))
        return {
            "type": checked.type,
            "content": self._messages.encrypt(checked),
            "shown": self._messages.redacted(checked),
            "webhooks": checked.webhooks,
            "retries": checked.retries,
            "timeout": checked.timeout,
            "scope": account_id,
        }

    def _due(self, trigger: Trigger, parents_zone: str) -> float:
        single = trigger.single
        wall = parse_wall_time(single.time, _TIME)
        if single.zone is not None and not _is_parents(trigger):
            raise InvalidContent(f"{_ZONE}: allowed only with zone_type {PARENTS_ZONE}", _ZONE)
        name = single.zone or (parents_zone if _is_parents(trigger) else "")
        return instant_ahead(wall, load_zone(name, _ZONE) if name else self._host_zone, self._now(), _TIME)


def _check_name(name: str) -> None:
    # not str.isalnum, which also counts what is neither a letter nor a digit, such as ½
    if not all(one.isalpha() or one.isdecimal() or one in "_ " for one in name):
        raise InvalidContent("name: may hold letters, digits, underscores and spaces", "name")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise InvalidContent(f"name: is longer than {MAX_NAME_BYTES} bytes", "name")


def _content(push: Maybe[Push]) -> bytes:
    """The message's content, as JSON; empty without one."""
    return b"" if push is UNSET or push.content is UNSET else bytes(push.content)


def _refuse_disabled() -> None:
    raise InvalidContent("enabled: must be true for a new schedule", "enabled")


def _is_parents(trigger: Trigger) -> bool:
    return trigger.single.zone_type == PARENTS_ZONE


def _to_schedule(schedule_id: str, record: ScheduleRecord) -> Schedule:
    return Schedule(
        schedule_id=schedule_id,
        name=record.name,
        enabled=record.enabled,
        trigger=record.trigger,
        push=Push(type=record.type, content=record.shown),
        status=record.status,
        due=rfc3339(record.due),
        error=record.error,
    )


def _readable(item: Item) -> Schedule | None:
    try:
        return _to_schedule(item.id, decode(item.document))
    except CorruptRecord:
        return None


def _not_found(schedule_id: str) -> NotFound:
    return NotFound(f"there is no schedule {schedule_id!r}")
