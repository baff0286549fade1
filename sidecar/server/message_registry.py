"""Every message type with its handler, and how it may run beside others.

The model of each content is in `sidecar_protocol.requests`, under the same name. `cancel` is missing here: it acts on
the dispatcher's own lanes.
"""

import inspect
from dataclasses import replace
from functools import partial
from typing import Final

from sidecar_protocol import codec
from sidecar_protocol.replies import RequestId

from sidecar.server.handlers import cvs, jobs, references, schedules, secrets, session, tasks, tokens, webhooks
from sidecar.server.handlers.context import HandlerContext
from sidecar.server.route import Route


def _pong(request_id: RequestId | None, _: object) -> bytes:
    return codec.encode_pong(request_id)


MESSAGES: Final = {
    "hello": Route(session.hello),
    "ping": Route(session.ping, encode=_pong),
    "set_credentials": Route(session.set_credentials, is_barrier=True),
    "set_multiple_credentials": Route(session.set_credentials, is_barrier=True),
    "set_mock": Route(session.set_mock, is_barrier=True),
    "get_secret": Route(secrets.get_secret),
    "get_users_secret": Route(secrets.get_users_secret),
    "get_user_secret": Route(secrets.get_user_secret),
    "set_cached_reference": Route(references.set_cached_reference, needs_commit=True),
    "set_short_cached_reference": Route(references.set_short_cached_reference, needs_commit=True),
    "has_cached_reference": Route(references.has_cached_reference),
    "send_cv": Route(cvs.send_cv, needs_commit=True),
    "send_job": Route(jobs.send_job, needs_commit=True, takes_request_id=True),
    "job_status": Route(jobs.job_status),
    "list_jobs": Route(jobs.list_jobs),
    "cancel_job": Route(jobs.cancel_job, needs_commit=True),
    "set_webhooks": Route(webhooks.set_webhooks, needs_commit=True),
    "list_deliveries": Route(webhooks.list_deliveries),
    "redeliver": Route(webhooks.redeliver, needs_commit=True),
    "create_schedule": Route(schedules.create_schedule, error_number=schedules.error_number),
    "list_schedules": Route(schedules.list_schedules, error_number=schedules.error_number),
    "get_schedule": Route(schedules.get_schedule, error_number=schedules.error_number),
    "update_schedule": Route(schedules.update_schedule, error_number=schedules.error_number),
    "delete_schedule": Route(schedules.delete_schedule, error_number=schedules.error_number),
    "get_schedule_msg_ids": Route(schedules.get_schedule_msg_ids, error_number=schedules.error_number),
    "create_task": Route(tasks.create_task, needs_commit=True),
    "list_tasks": Route(tasks.list_tasks),
    "get_task": Route(tasks.get_task),
    "update_task": Route(tasks.update_task, needs_commit=True),
    "delete_task": Route(tasks.delete_task, needs_commit=True),
    "get_task_status": Route(tasks.get_task_status),
    "run_task": Route(tasks.run_task, needs_commit=True, takes_request_id=True),
    "start_task": Route(tasks.start_task, needs_commit=True),
    "stop_task": Route(tasks.stop_task, needs_commit=True),
    "test_task": Route(tasks.test_task, takes_request_id=True),
    "list_task_runs": Route(tasks.list_task_runs),
    "issue_token": Route(tokens.issue_token),
}
FLEET_MESSAGES: Final = {**MESSAGES, "has_cached_reference": Route(references.has_shared_reference)}
"""Where several machines share one memory, the others are asked too."""


def routes(context: HandlerContext, *, fleet: bool = False) -> dict[str, Route]:
    """The routes of one session, by message type."""
    messages = FLEET_MESSAGES if fleet else MESSAGES
    return {message_type: _bound(route, context) for message_type, route in messages.items()}


def _bound(route: Route, context: HandlerContext) -> Route:
    is_async = inspect.iscoroutinefunction(route.handler)
    return replace(route, handler=partial(route.handler, context), is_async=is_async)
