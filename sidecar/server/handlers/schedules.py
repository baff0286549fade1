"""create_schedule, list_schedules, get_schedule, update_schedule, delete_schedule, get_schedule_msg_ids."""

from typing import TYPE_CHECKING, Any, Final, Protocol

from sidecar_protocol.codec import NOTHING
from sidecar_protocol.errors import ErrorCode, ErrorDetail
from sidecar_protocol.schedules import (
    CreateSchedule,
    ListSchedules,
    Schedule,
    ScheduleCreated,
    ScheduleId,
    ScheduleMsgIds,
    SchedulePage,
    UpdateSchedule,
)

from sidecar.server.session import Session

if TYPE_CHECKING:
    from sidecar.schedules.service import ScheduleService

INVALID: Final = 28100
NOT_ALLOWED: Final = 28101
NOT_THERE: Final = 28104
NO_PUSH: Final = 28105
FAULT: Final = 28200
TRY_LATER: Final = 28203
_NUMBERS: Final = {
    ErrorCode.NOT_FOUND: NOT_THERE,
    ErrorCode.UNAUTHORIZED: NOT_ALLOWED,
    ErrorCode.FORBIDDEN: NOT_ALLOWED,
    ErrorCode.MISSING_CREDENTIALS: NOT_ALLOWED,
}


def number_of(error: ErrorDetail) -> int:
    """EngageLab's number of an error."""
    if error.field == "push.content.token" and error.code in _NUMBERS:
        return NOT_ALLOWED
    if error.field and error.field.partition(".")[0] == "push":
        return NO_PUSH
    if error.retryable:
        return TRY_LATER
    return _NUMBERS.get(error.code, FAULT if error.code is ErrorCode.INTERNAL else INVALID)


class Store(Protocol):
    """What schedules need of the store in force."""

    @property
    def schedules(self) -> "ScheduleService":
        """Those of this store. Raises StoreFailed."""


class Stores(Protocol):
    """The store in force, opened at first need."""

    async def get(self) -> Store:
        """Opens it. Raises StoreFailed."""


async def create_schedule(session: Session, stores: Stores, content: CreateSchedule) -> ScheduleCreated:
    """Takes a message to be run once, at a time."""
    messages = (await stores.get()).schedules.messages
    return await messages.create(content, zone=session.zone, account_id=session.account_id)


async def update_schedule(session: Session, stores: Stores, content: UpdateSchedule) -> Schedule:
    """Replaces parts of one."""
    messages = (await stores.get()).schedules.messages
    return await messages.update(content, zone=session.zone, account_id=session.account_id)


async def get_schedule(stores: Stores, content: ScheduleId) -> Schedule:
    """Shows one."""
    return await (await stores.get()).schedules.messages.get(content.schedule_id)


async def list_schedules(stores: Stores, content: ListSchedules) -> SchedulePage:
    """Shows a page of them."""
    return await (await stores.get()).schedules.messages.list(content)


async def delete_schedule(stores: Stores, content: ScheduleId) -> Any:
    """Forgets one."""
    await (await stores.get()).schedules.messages.delete(content.schedule_id)
    return NOTHING


async def get_schedule_msg_ids(stores: Stores, content: ScheduleId) -> ScheduleMsgIds:
    """The jobs that one has made."""
    return await (await stores.get()).schedules.messages.msg_ids(content.schedule_id)
