"""Every message a parent may send, by its type."""

from typing import Any, Final

import msgspec

from sidecar_protocol.jobs import SendJob
from sidecar_protocol.queued import JobId, ListJobs
from sidecar_protocol.schedules import CreateSchedule, ListSchedules, ScheduleId, UpdateSchedule
from sidecar_protocol.secrets import SecretRequest
from sidecar_protocol.session import Cancel, Credentials, Hello, MockOptions, Servers
from sidecar_protocol.tasks import CreateTask, ListTaskRuns, ListTasks, TaskRef, TestTask, UpdateTask
from sidecar_protocol.tokens import IssueToken
from sidecar_protocol.webhooks import ListDeliveries, Redeliver, Webhook

CONTENTS: Final[dict[str, Any]] = {
    "hello": Hello,
    "ping": None,
    "cancel": Cancel,
    "set_credentials": Credentials | Servers,
    "set_multiple_credentials": Servers,
    "set_mock": MockOptions,
    "get_secret": SecretRequest,
    "get_users_secret": SecretRequest,
    "get_user_secret": SecretRequest,
    "set_cached_reference": str,
    "set_short_cached_reference": str,
    "has_cached_reference": str,
    "send_cv": msgspec.Raw,
    "send_job": SendJob,
    "job_status": JobId,
    "list_jobs": ListJobs,
    "cancel_job": JobId,
    "create_schedule": CreateSchedule,
    "list_schedules": ListSchedules,
    "get_schedule": ScheduleId,
    "update_schedule": UpdateSchedule,
    "delete_schedule": ScheduleId,
    "get_schedule_msg_ids": ScheduleId,
    "create_task": CreateTask,
    "list_tasks": ListTasks,
    "get_task": TaskRef,
    "update_task": UpdateTask,
    "delete_task": TaskRef,
    "get_task_status": TaskRef,
    "run_task": TaskRef,
    "start_task": TaskRef,
    "stop_task": TaskRef,
    "test_task": TestTask,
    "list_task_runs": ListTaskRuns,
    "set_webhooks": list[Webhook],
    "list_deliveries": ListDeliveries,
    "redeliver": Redeliver,
    "issue_token": IssueToken,
}
"""Message type -> type of its content; None where the content is ignored."""

HOLDS_RAW: Final = frozenset({"set_mock", "create_schedule", "update_schedule"})
"""Types whose content has a part that is passed on as it came: it may be nested as deep as a line."""

OPTIONAL: Final[dict[str, Any]] = {
    "hello": Hello(),
    "ping": None,
    "set_mock": MockOptions(),
    "list_jobs": ListJobs(),
    "list_deliveries": ListDeliveries(),
    "list_schedules": ListSchedules(),
    "list_tasks": ListTasks(),
}
"""What an absent content means, for the types that can do without one."""

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
