"""Every message a parent may send, by its type. Models are imported when a message first needs them."""

from importlib import import_module
from typing import Any, Final

TEXT: Final = "text"
RAW: Final = "raw"

CONTENTS: Final[dict[str, str | None]] = {
    "hello": "session.Hello",
    "ping": None,
    "cancel": "session.Cancel",
    "set_credentials": "session.Login",
    "set_multiple_credentials": "session.Servers",
    "set_mock": "session.MockOptions",
    "get_secret": "secrets.SecretRequest",
    "get_users_secret": "secrets.SecretRequest",
    "get_user_secret": "secrets.SecretRequest",
    "set_cached_reference": TEXT,
    "set_short_cached_reference": TEXT,
    "has_cached_reference": TEXT,
    "send_cv": RAW,
    "send_full_cv": "cv_documents.SendFullCv",
    "send_cvs_list": RAW,
    "send_job": "jobs.SendJob",
    "job_status": "job_status.JobId",
    "list_jobs": "job_status.ListJobs",
    "cancel_job": "job_status.JobId",
    "create_schedule": "schedules.CreateSchedule",
    "list_schedules": "schedules.ListSchedules",
    "get_schedule": "schedules.ScheduleId",
    "update_schedule": "schedules.UpdateSchedule",
    "delete_schedule": "schedules.ScheduleId",
    "get_schedule_msg_ids": "schedules.ScheduleId",
    "create_task": "tasks.CreateTask",
    "list_tasks": "tasks.ListTasks",
    "get_task": "tasks.TaskRef",
    "update_task": "tasks.UpdateTask",
    "delete_task": "tasks.TaskRef",
    "get_task_status": "tasks.TaskRef",
    "run_task": "tasks.TaskRef",
    "start_task": "tasks.TaskRef",
    "stop_task": "tasks.TaskRef",
    "test_task": "tasks.TestTask",
    "list_task_runs": "tasks.ListTaskRuns",
    "set_webhooks": "webhooks.Webhooks",
    "list_deliveries": "webhooks.ListDeliveries",
    "redeliver": "webhooks.Redeliver",
    "issue_token": "tokens.IssueToken",
}
"""Message type -> module and name of its content's model; None where the content is ignored.

Texts and raw contents need no model: `TEXT` and `RAW`.
"""

FORMS: Final = {"set_credentials": "session.LoginForms"}
"""Types whose schema allows more than the content's model: `codec` decodes one form separately."""

HOLDS_RAW: Final = frozenset({"set_mock", "send_full_cv", "create_schedule", "update_schedule"})
"""Types whose content has a part that is passed on as it came: it may be nested as deep as a line."""

OPTIONAL: Final = frozenset(
    {"hello", "ping", "set_mock", "list_jobs", "list_deliveries", "list_schedules", "list_tasks"}
)
"""Types that can do without a content: what its members are where they are absent."""

NULL_IS_ABSENT: Final = frozenset(
    (
        "set_credentials",
        "set_multiple_credentials",
        "set_mock",
        "get_secret",
        "get_users_secret",
        "get_user_secret",
    )
)
"""v1's types, whose members may be null, which means that they are absent: so Go reads them."""


def shape_of(kind: str) -> Any:
    """The model of a type's content, or what else it is. Raises KeyError for an unknown type."""
    name = CONTENTS[kind]
    if name is None:
        return None
    if name == TEXT:
        return str
    if name == RAW:
        from sidecar_protocol.wire_types import Raw

        return Raw
    return model_named(name)


def forms_of(kind: str) -> Any:
    """The models of a message type's content."""
    return model_named(FORMS[kind]) if kind in FORMS else shape_of(kind)


def model_named(name: str) -> Any:
    """The model that the tables above name as `module.Model`."""
    module, _, member = name.partition(".")
    return getattr(import_module(f"sidecar_protocol.{module}"), member)
