"""What `ok` answers each message with, by the message's type. Models are imported when they are first needed."""

from typing import Final

NOTHING: Final = "nothing"
ANY: Final = "any"
BOOLEAN: Final = "boolean"
COUNTS: Final = "counts"

RESULTS: Final[dict[str, tuple[str, ...]]] = {
    "hello": ("session.HelloReply",),
    "ping": (NOTHING,),
    "cancel": (BOOLEAN,),
    "set_credentials": (NOTHING,),
    "set_multiple_credentials": (NOTHING,),
    "set_mock": (NOTHING,),
    "get_secret": (ANY,),
    "get_users_secret": ("secrets.UserSecrets",),
    "get_user_secret": ("secrets.UserSecret",),
    "set_cached_reference": (NOTHING,),
    "set_short_cached_reference": (NOTHING,),
    "has_cached_reference": (BOOLEAN,),
    "send_cv": (BOOLEAN, NOTHING),
    "send_full_cv": (BOOLEAN, NOTHING),
    "send_cvs_list": (COUNTS,),
    "send_job": ("jobs.JobReply", "jobs.JobScheduled"),
    "job_status": ("job_status.JobState",),
    "list_jobs": ("job_status.Jobs",),
    "cancel_job": ("job_status.CancelledJob",),
    "create_schedule": ("schedules.ScheduleCreated",),
    "list_schedules": ("schedules.SchedulePage",),
    "get_schedule": ("schedules.Schedule",),
    "update_schedule": ("schedules.Schedule",),
    "delete_schedule": (NOTHING,),
    "get_schedule_msg_ids": ("schedules.ScheduleMsgIds",),
    "create_task": ("tasks.Task",),
    "list_tasks": ("tasks.TaskPage",),
    "get_task": ("tasks.Task",),
    "update_task": ("tasks.Task",),
    "delete_task": (NOTHING,),
    "get_task_status": ("tasks.TaskStatus",),
    "run_task": ("tasks.RunTaskReply",),
    "start_task": ("tasks.TaskStatus",),
    "stop_task": ("tasks.TaskStatus",),
    "test_task": ("tasks.RunTaskReply",),
    "list_task_runs": ("tasks.TaskRunPage",),
    "set_webhooks": ("webhooks.WebhooksReply",),
    "list_deliveries": ("webhooks.Deliveries",),
    "redeliver": (NOTHING,),
    "issue_token": ("tokens.IssuedToken",),
}
"""Message type -> the shapes that the content of its reply may have: models as in `requests`, or the names above.

`NOTHING` is a reply without `content`.
"""
