"""Schedules: a message that is run once, at a time given in advance. Source: EngageLab's scheduled tasks."""

from typing import Annotated, Any, Final, Literal

from sidecar_protocol.errors import ErrorDetail
from sidecar_protocol.models import Bound, Either, Maybe, Model, Sparse
from sidecar_protocol.wire_types import UNSET, Raw

DEVICE_PUSH: Final = "push"
"""The type of pushes in EngageLab's own form, which schedules alone have: no message of the wire is called so."""
ScheduleName = Annotated[str, Bound(min_length=1, max_length=255)]
"""1 to 255 bytes of letters (Chinese ones, too), digits, underscores and spaces."""
NonEmpty = Annotated[str, Bound(min_length=1)]
ScheduleKey = Annotated[str, Bound(min_length=1, max_length=255)]
"""The id that `create_schedule` returned."""
Page = Annotated[int, Bound(ge=1, le=1_000_000_000)]
Status = Literal["pending", "paused", "fired", "missed"]
Members = Annotated[dict[str, Any], Bound(min_length=1)]
"""An object that is not empty."""


class Single(Sparse):
    """A single point in time."""

    time: str
    """`YYYY-MM-DD HH:MM:SS`, zero-padded, in the future, at most one year ahead."""
    zone_type: int
    """1: the parent's time zone; anything else: that of the machine the sidecar runs on."""
    zone: NonEmpty | None = None
    """IANA name of the parent's zone, only with `zone_type` 1; default `hello`'s, then the machine's."""


class Trigger(Model):
    """The trigger of a schedule."""

    single: Single


class Push(Model):
    """A message that can run without a parent that waits for the reply."""

    type: Annotated[str, Bound(min_length=1, max_length=255)]
    content: Maybe[Raw] = UNSET


class DevicePush(Model):
    """A push in EngageLab's own form, the content of a push of the type `push`: it is posted as it came."""

    sender: str | None = Bound(default=None, alias="from")
    to: Annotated[NonEmpty | Members, Either("str", "object")]
    """`all`, or an object that names devices."""
    body: Members
    """`platform`, `notification` or `message`, `options`."""
    request_id: str | None = None
    custom_args: Any = None


class CreateSchedule(Model):
    """Content of `create_schedule`."""

    raw_parts = (("push", "content"),)

    name: ScheduleName
    enabled: bool
    """Must be true."""
    trigger: Trigger
    push: Push


class UpdateSchedule(Model):
    """Content of `update_schedule`: what is given is replaced as a whole."""

    raw_parts = (("push", "content"),)

    schedule_id: ScheduleKey
    name: Maybe[ScheduleName] = UNSET
    enabled: Maybe[bool] = UNSET
    trigger: Maybe[Trigger] = UNSET
    push: Maybe[Push] = UNSET


class ScheduleId(Model):
    """Content of `get_schedule`, `delete_schedule` and `get_schedule_msg_ids`."""

    schedule_id: ScheduleKey


class ListSchedules(Model):
    """Content of `list_schedules`."""

    page: Page = 1
    expired: bool = False
    """Lists fired and missed schedules instead of pending and paused ones."""


class ScheduleCreated(Model):
    """Content of the reply to `create_schedule`."""

    schedule_id: str
    name: str


class Schedule(Sparse):
    """One schedule, as `get_schedule`, `update_schedule` and `list_schedules` show it."""

    schedule_id: str
    name: str
    enabled: bool
    trigger: Trigger
    push: Push
    """The given content, with secrets replaced."""
    status: Status
    """`paused` is not enabled; `missed` is a time that passed without a run."""
    due: str
    """The trigger's time in UTC, RFC 3339."""
    error: ErrorDetail | None = None
    """Why it was missed, where it could not be run."""


class SchedulePage(Model):
    """Content of the reply to `list_schedules`: at most 50, the oldest first."""

    total_count: int
    total_pages: int
    page: int
    schedules: tuple[Schedule, ...]


class ScheduleMsgIds(Model):
    """Content of the reply to `get_schedule_msg_ids`: the jobs that a schedule made, for `job_status`."""

    count: int
    msgids: tuple[str, ...]


class ScheduleFired(Model):
    """Content of the event `schedule_fired`."""

    schedule_id: str
    name: str
    due: str
    """RFC 3339, UTC."""
    msgid: str
    """The job that it made."""
