"""Every message type with its handler, and how it may run concurrently.

The model of each content is in `sidecar_protocol.requests`, under the same name. `cancel` is missing here: it acts on
the dispatcher itself. A handler is imported with the first message that it is for, and its models with it.
"""

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, Final

from sidecar_protocol import codec
from sidecar_protocol.errors import WireError
from sidecar_protocol.replies import RequestId

from sidecar.errors import add_mistakes
from sidecar.server.handlers.context import HandlerContext
from sidecar.server.route import Handler, Route


@dataclass(frozen=True, slots=True)
class Message:
    """A message type, as long as none has come."""

    handler: Handler | str
    """The handler, or its module among the handlers and its name."""
    is_barrier: bool = False
    needs_commit: bool = False
    takes_request_id: bool = False
    is_job: bool = False
    """Whether it brings a browser job, which something can be begun for before its content is read."""
    error_number: str = ""
    mistakes: str = ""
    """The function among the handlers that finds all mistakes of a content."""
    encode: Callable[[RequestId | None, Any], bytes] = codec.encode_ok

    def route(self, context: HandlerContext) -> Route:
        """The message's route in a session."""
        if self.is_job:
            context.expect_job()
        handler = _imported(self.handler) if isinstance(self.handler, str) else self.handler
        return Route(
            partial(handler, context),
            is_async=inspect.iscoroutinefunction(handler),
            is_barrier=self.is_barrier,
            needs_commit=self.needs_commit,
            takes_request_id=self.takes_request_id,
            error_number=_imported(self.error_number) if self.error_number else None,
            encode=self.encode,
            find_mistakes=partial(_find_mistakes, self.mistakes, context) if self.mistakes else None,
        )


class Routes(dict[str, Route]):
    """The routes of one session, by message type; each is made when it is first asked for."""

    def __init__(self, messages: Mapping[str, Message], context: HandlerContext) -> None:
        super().__init__()
        self._messages = messages
        self._context = context

    def __missing__(self, message_type: str) -> Route:
        route = self[message_type] = self._messages[message_type].route(self._context)
        return route


def _pong(request_id: RequestId | None, _: object) -> bytes:
    return codec.encode_pong(request_id)


def _imported(name: str) -> Any:
    module, _, member = name.partition(".")
    return getattr(import_module(f"sidecar.server.handlers.{module}"), member)


async def _find_mistakes(finder: str, context: HandlerContext, content: bytes, error: WireError) -> None:
    with suppress(codec.NotJson, WireError):  # the mistake that is known is said in any case
        add_mistakes(error, await _imported(finder)(context, codec.plain(content)))


MESSAGES: Final = {
    "hello": Message("session.hello"),
    "ping": Message("ping.ping", encode=_pong),
    "set_credentials": Message("session.set_credentials", is_barrier=True, mistakes="mistakes.of_credentials"),
    "set_multiple_credentials": Message("session.set_credentials", is_barrier=True, mistakes="mistakes.of_credentials"),
    "set_mock": Message("session.set_mock", is_barrier=True),
    "get_secret": Message("secrets.get_secret"),
    "get_users_secret": Message("secrets.get_users_secret"),
    "get_user_secret": Message("secrets.get_user_secret"),
    "set_cached_reference": Message("references.set_cached_reference", needs_commit=True),
    "set_short_cached_reference": Message("references.set_short_cached_reference", needs_commit=True),
    "has_cached_reference": Message("references.has_cached_reference"),
    "send_cv": Message("cvs.send_cv", needs_commit=True),
    "send_full_cv": Message("cvs.send_full_cv", needs_commit=True),
    "send_cvs_list": Message("cvs.send_cvs_list", needs_commit=True),
    "send_job": Message(
        "jobs.send_job", needs_commit=True, takes_request_id=True, is_job=True, mistakes="mistakes.of_job"
    ),
    "job_status": Message("jobs.job_status"),
    "list_jobs": Message("jobs.list_jobs"),
    "cancel_job": Message("jobs.cancel_job", needs_commit=True),
    "set_webhooks": Message("webhooks.set_webhooks", needs_commit=True, mistakes="mistakes.of_webhooks"),
    "list_deliveries": Message("webhooks.list_deliveries"),
    "redeliver": Message("webhooks.redeliver", needs_commit=True),
    "create_schedule": Message(
        "schedules.create_schedule", error_number="schedules.error_number", mistakes="mistakes.of_schedule"
    ),
    "list_schedules": Message("schedules.list_schedules", error_number="schedules.error_number"),
    "get_schedule": Message("schedules.get_schedule", error_number="schedules.error_number"),
    "update_schedule": Message(
        "schedules.update_schedule", error_number="schedules.error_number", mistakes="mistakes.of_schedule"
    ),
    "delete_schedule": Message("schedules.delete_schedule", error_number="schedules.error_number"),
    "get_schedule_msg_ids": Message("schedules.get_schedule_msg_ids", error_number="schedules.error_number"),
    "create_task": Message("tasks.create_task", needs_commit=True, mistakes="mistakes.of_task"),
    "list_tasks": Message("tasks.list_tasks"),
    "get_task": Message("tasks.get_task"),
    "update_task": Message("tasks.update_task", needs_commit=True, mistakes="mistakes.of_task_update"),
    "delete_task": Message("tasks.delete_task", needs_commit=True),
    "get_task_status": Message("tasks.get_task_status"),
    "run_task": Message("tasks.run_task", needs_commit=True, takes_request_id=True),
    "start_task": Message("tasks.start_task", needs_commit=True),
    "stop_task": Message("tasks.stop_task", needs_commit=True),
    "test_task": Message("tasks.test_task", takes_request_id=True),
    "list_task_runs": Message("tasks.list_task_runs"),
    "issue_token": Message("tokens.issue_token"),
}
FLEET_MESSAGES: Final = {**MESSAGES, "has_cached_reference": Message("references.has_shared_reference")}
"""The messages of a fleet, in which machines share references."""


def routes(context: HandlerContext, *, fleet: bool = False) -> Routes:
    """The routes of one session."""
    return Routes(FLEET_MESSAGES if fleet else MESSAGES, context)
