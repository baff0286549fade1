"""create_schedule, list_schedules, get_schedule, update_schedule, delete_schedule, get_schedule_msg_ids."""

from typing import TYPE_CHECKING, Any, Final

from sidecar_protocol.codec import NO_CONTENT
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

from sidecar.server.handlers.context import HandlerContext

if TYPE_CHECKING:
    from sidecar.schedules.schedule_manager import ScheduleManager

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


def error_number(error: ErrorDetail) -> int:
    """EngageLab's number of an error."""
    if error.field == "push.content.token" and error.code in _NUMBERS:
        return NOT_ALLOWED
    if error.field and error.field.partition(".")[0] == "push":
        return NO_PUSH
    if error.retryable:
        return TRY_LATER
    return _NUMBERS.get(error.code, FAULT if error.code is ErrorCode.INTERNAL else INVALID)


async def create_schedule(context: HandlerContext, content: CreateSchedule) -> ScheduleCreated:
    """Takes a message to be run once, at a time."""
    messages = await _schedules(context)
    return await messages.create(content, zone=context.session.zone, account_id=context.session.account_id)


async def update_schedule(context: HandlerContext, content: UpdateSchedule) -> Schedule:
    """Replaces parts of one."""
    messages = await _schedules(context)
    return await messages.update(content, zone=context.session.zone, account_id=context.session.account_id)


async def get_schedule(context: HandlerContext, content: ScheduleId) -> Schedule:
    """Shows one."""
    return await (await _schedules(context)).get(content.schedule_id)


async def list_schedules(context: HandlerContext, content: ListSchedules) -> SchedulePage:
    """Shows a page of them."""
    return await (await _schedules(context)).list(content)


async def delete_schedule(context: HandlerContext, content: ScheduleId) -> Any:
    """Forgets one."""
    await (await _schedules(context)).delete(content.schedule_id)
    return NO_CONTENT


async def get_schedule_msg_ids(context: HandlerContext, content: ScheduleId) -> ScheduleMsgIds:
    """The jobs that one has made."""
    return await (await _schedules(context)).msg_ids(content.schedule_id)


async def _schedules(context: HandlerContext) -> "ScheduleManager":
    return (await context.storage.get()).schedules.manager
