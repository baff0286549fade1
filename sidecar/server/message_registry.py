"""Message type -> who handles it."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from sidecar_protocol import codec
from sidecar_protocol.replies import RequestId
from sidecar_protocol.session import HelloReply

from sidecar.rtcv.send_cv import ReferenceLocks, send_cv
from sidecar.server.handlers import jobs, references, schedules, secrets, session, tasks, tokens, webhooks
from sidecar.server.route import Handler, Route
from sidecar.server.session import Session


class Store(jobs.Store, schedules.Store, tasks.TaskStore, Protocol):
    """What handlers need of the store in force."""


class Stores(Protocol):
    """The store in force, on disk or in memory."""

    @property
    def opened(self) -> Store | None:
        """The one that is open already."""

    async def get(self) -> Store:
        """Opens it. Raises StoreFailed."""


def routes(
    parts: Session,
    about: Callable[[], HelloReply],
    desk: jobs.Desk,
    stores: Stores,
    reference_locks: ReferenceLocks,
    issuer: Callable[[], tokens.Issuer],
    *,
    fleet: bool = False,
) -> dict[str, Route]:
    """Every message type with its handler, bound to the parts that it works on; in a `fleet` others are asked, too.

    But `cancel`, which acts on the dispatcher's own lanes.
    """
    login = Route(partial(session.set_credentials, parts), waits=True, barrier=True)
    return {
        "hello": Route(partial(session.hello, parts, about)),
        "ping": Route(session.ping, encode=_pong),
        "set_credentials": login,
        "set_multiple_credentials": login,
        "set_mock": Route(partial(session.set_mock, parts), waits=True, barrier=True),
        "get_secret": Route(partial(secrets.get_secret, parts), waits=True),
        "get_users_secret": Route(partial(secrets.get_users_secret, parts), waits=True),
        "get_user_secret": Route(partial(secrets.get_user_secret, parts), waits=True),
        "set_cached_reference": Route(partial(references.set_cached_reference, parts), accepts=True),
        "set_short_cached_reference": Route(partial(references.set_short_cached_reference, parts), accepts=True),
        "has_cached_reference": Route(partial(references.has_cached_reference, parts), waits=fleet),
        "send_cv": Route(partial(send_cv, parts, reference_locks), waits=True, accepts=True),
        "send_job": Route(partial(jobs.send_job, desk), waits=True, accepts=True, told_id=True),
        "job_status": Route(partial(jobs.job_status, desk.stores), waits=True),
        "list_jobs": Route(partial(jobs.list_jobs, desk.stores), waits=True),
        "cancel_job": Route(partial(jobs.cancel_job, desk.stores), waits=True, accepts=True),
        "set_webhooks": Route(partial(webhooks.set_webhooks, parts, stores), waits=True, accepts=True),
        "list_deliveries": Route(partial(webhooks.list_deliveries, stores), waits=True),
        "redeliver": Route(partial(webhooks.redeliver, stores), waits=True, accepts=True),
        **_schedules(parts, stores),
        **_tasks(tasks.TaskDesk(parts, stores, desk.emit)),
        "issue_token": Route(partial(tokens.issue_token, parts, issuer)),
    }


def _schedules(parts: Session, stores: schedules.Stores) -> dict[str, Route]:
    """Their errors carry numbers."""
    handlers: dict[str, Handler] = {
        "create_schedule": partial(schedules.create_schedule, parts, stores),
        "list_schedules": partial(schedules.list_schedules, stores),
        "get_schedule": partial(schedules.get_schedule, stores),
        "update_schedule": partial(schedules.update_schedule, parts, stores),
        "delete_schedule": partial(schedules.delete_schedule, stores),
        "get_schedule_msg_ids": partial(schedules.get_schedule_msg_ids, stores),
    }
    return {kind: Route(handler, waits=True, number=schedules.number_of) for kind, handler in handlers.items()}


def _tasks(desk: tasks.TaskDesk) -> dict[str, Route]:
    return {
        "create_task": Route(partial(tasks.create_task, desk), waits=True, accepts=True),
        "list_tasks": Route(partial(tasks.list_tasks, desk), waits=True),
        "get_task": Route(partial(tasks.get_task, desk), waits=True),
        "update_task": Route(partial(tasks.update_task, desk), waits=True, accepts=True),
        "delete_task": Route(partial(tasks.delete_task, desk), waits=True, accepts=True),
        "get_task_status": Route(partial(tasks.get_task_status, desk), waits=True),
        "run_task": Route(partial(tasks.run_task, desk), waits=True, accepts=True, told_id=True),
        "start_task": Route(partial(tasks.start_task, desk), waits=True, accepts=True),
        "stop_task": Route(partial(tasks.stop_task, desk), waits=True, accepts=True),
        "test_task": Route(partial(tasks.test_task, desk), waits=True, told_id=True),
        "list_task_runs": Route(partial(tasks.list_task_runs, desk), waits=True),
    }


def _pong(request_id: RequestId | None, _: object) -> bytes:
    return codec.encode_pong(request_id)
