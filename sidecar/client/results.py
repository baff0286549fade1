"""What is answered, and what events hold, as types. Made from the protocol's models; not edited by hand.

`python -m sidecar.client.generate` makes it.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

from sidecar.client.requests import Push, Trigger

ErrorCode: TypeAlias = Literal[
    "parse_error",
    "invalid_request",
    "unknown_type",
    "invalid_content",
    "line_too_long",
    "missing_credentials",
    "unauthorized",
    "forbidden",
    "not_found",
    "conflict",
    "limit_exceeded",
    "queue_full",
    "timeout",
    "cancelled",
    "navigation_failed",
    "action_failed",
    "browser_unavailable",
    "browser_crashed",
    "remote_error",
    "remote_unreachable",
    "not_recorded",
    "shutting_down",
    "internal",
]
"""Why a request failed. Clients branch on these; sentences may change, codes do not."""


class ApplicationContext(TypedDict):
    """The program that ran the job."""

    version: str


class CancelledJob(TypedDict):
    """Content of the reply to `cancel_job`."""

    cancelled: bool
    status: Literal["pending", "success", "failed", "cancelled"]


class Deliveries(TypedDict):
    """Content of the reply to `list_deliveries`."""

    total_count: int
    total_pages: int
    page: int
    deliveries: list[Delivery]


class Delivery(TypedDict):
    """One delivery that has not arrived."""

    id: str
    endpoint: str
    host: str
    kind: Literal["webhook", "result", "cv", "full_cv", "cvs_list", "push"]
    status: Literal["waiting", "dead"]
    run: str
    size: int
    created: str
    attempts: int
    next_attempt: NotRequired[str]
    error: NotRequired[str]


class DeliveryFailed(TypedDict):
    """Content of the event `delivery_failed`: after a delivery's first failed attempt, and when it is dead."""

    server: str
    endpoint: str
    id: str
    kind: Literal["webhook", "result", "cv", "full_cv", "cvs_list", "push"]
    status: Literal["waiting", "dead"]
    attempts: int
    error: ErrorDetail


class Download(TypedDict):
    """A file that an action fetched: base64 in `content`, or its `path` where `artifacts` is `files`."""

    name: str
    size: int
    content: NotRequired[str]
    path: NotRequired[str]


class Error(TypedDict):
    """Failed: `content` is the plain sentence that v1 parents read, `error` the typed form of the same."""

    type: Literal["error"]
    content: str
    error: ErrorDetail
    id: NotRequired[int | str]


class ErrorDetail(TypedDict):
    """The typed form of an error, sent in addition to the sentence that v1 parents read."""

    code: ErrorCode
    message: str
    retryable: bool
    hint: NotRequired[str]
    field: NotRequired[str]
    fields: NotRequired[list[FieldError]]
    url: NotRequired[str]
    status: NotRequired[int]
    step: NotRequired[str]
    action: NotRequired[str]
    title: NotRequired[str]
    artifacts: NotRequired[dict[str, str]]
    extract: NotRequired[dict[str, Any]]
    console: NotRequired[list[str]]
    number: NotRequired[int]
    output: NotRequired[list[str]]
    stack: NotRequired[list[str]]


class Event(TypedDict):
    """Something that happened and answers no request; `id` is the request it belongs to, if any."""

    type: Literal["event"]
    event: Literal["job_update", "progress", "schedule_fired", "task_run", "delivery_failed"]
    content: Any
    id: NotRequired[int | str]


class FieldError(TypedDict):
    """One wrong place in a content."""

    field: str
    message: str


class HelloReply(TypedDict):
    """The sidecar's version and capabilities."""

    version: str
    protocol: str
    message_types: list[str]
    limits: Limits
    browsers: dict[str, str]


class IssuedToken(TypedDict):
    """Content of the reply to `issue_token`."""

    token: str


class JobReply(TypedDict):
    """Content of the reply to `send_job`."""

    status: Literal["success", "skipped"]
    result: NotRequired[JobResult]


class JobResult(TypedDict):
    """The result of a job. Files are base64, or paths if `artifacts` is `files`."""

    steps: list[StepResult]
    video: NotRequired[str]
    messages: NotRequired[list[str]]
    har: NotRequired[str]
    trace: NotRequired[str]
    downloads: NotRequired[list[Download]]
    screenshot: NotRequired[str]
    pdf: NotRequired[str]
    html: NotRequired[str]
    extract: NotRequired[dict[str, Any]]


class JobScheduled(TypedDict):
    """Content of the reply to `send_job` with mode `async`."""

    id: str
    status: NotRequired[Literal["scheduled"]]


class JobState(TypedDict):
    """The state of one job. Also the content of the reply to `job_status`."""

    id: str
    status: Literal["pending", "success", "failed", "cancelled"]
    type: str
    name: NotRequired[str]
    origin: NotRequired[str]
    submitted: NotRequired[str]
    started: NotRequired[str]
    ended: NotRequired[str]
    attempts: NotRequired[int]
    progress: NotRequired[float]
    result: NotRequired[Any]
    outcome: NotRequired[Literal["skipped"]]
    result_dropped: NotRequired[bool]
    error: NotRequired[ErrorDetail]


class JobUpdate(TypedDict):
    """The state of a run at one moment."""

    jobName: str
    jobReference: str
    runReference: str
    factfile: str
    applicationContext: ApplicationContext
    runState: Literal["WAITING", "RUNNING", "COMPLETED", "FAILED"]
    startTime: str
    runDuration: str
    taskStates: list[TaskState]


class Jobs(TypedDict):
    """Content of the reply to `list_jobs`: pages of 50, newest first, without results."""

    total_count: int
    total_pages: int
    page: int
    jobs: list[JobState]


class Limits(TypedDict):
    """The limits, as `hello` returns them."""

    max_line_bytes: int
    max_in_flight: int
    max_nesting: int


class Ok(TypedDict):
    """Done. There is no `content` where there is nothing to say."""

    type: Literal["ok"]
    content: NotRequired[Any]
    id: NotRequired[int | str]


class Pong(TypedDict):
    """Answer to `ping`."""

    type: Literal["pong"]
    id: NotRequired[int | str]


class Progress(TypedDict):
    """The content of the event `progress`: a step begins, or the run has succeeded."""

    run: str
    name: NotRequired[str]
    step: int
    steps: int
    percentage: int


class Ready(TypedDict):
    """The first line, written before anything is read."""

    type: Literal["ready"]
    content: NotRequired[str]
    protocol: str
    version: str
    pid: int


class RunTaskReply(TypedDict):
    """Content of the reply to `run_task` and `test_task`; a run that failed is an error."""

    status: Literal["success"]
    result: Any
    run: NotRequired[str]
    duration_ms: int
    output: list[str]


class Schedule(TypedDict):
    """One schedule, as `get_schedule`, `update_schedule` and `list_schedules` show it."""

    schedule_id: str
    name: str
    enabled: bool
    trigger: Trigger
    push: Push
    status: Literal["pending", "paused", "fired", "missed"]
    due: str
    error: NotRequired[ErrorDetail]


class ScheduleCreated(TypedDict):
    """Content of the reply to `create_schedule`."""

    schedule_id: str
    name: str


class ScheduleFired(TypedDict):
    """Content of the event `schedule_fired`."""

    schedule_id: str
    name: str
    due: str
    msgid: str


class ScheduleMsgIds(TypedDict):
    """Content of the reply to `get_schedule_msg_ids`: the jobs that a schedule made, for `job_status`."""

    count: int
    msgids: list[str]


class SchedulePage(TypedDict):
    """Content of the reply to `list_schedules`: at most 50, the oldest first."""

    total_count: int
    total_pages: int
    page: int
    schedules: list[Schedule]


class SelfDescribing(TypedDict):
    """The body of a webhook whose format is `factotum`, and the content of the event `job_update`."""

    schema: NotRequired[Literal["iglu:com.snowplowanalytics.factotum/job_update/jsonschema/1-0-0"]]
    data: JobUpdate


class StepResult(TypedDict):
    """The result of one step."""

    name: str
    url: str
    status: int | None
    title: str
    duration_ms: int
    values: list[Any]
    console: list[str]
    errors: list[str]


class Task(TypedDict):
    """One task, as `create_task`, `get_task`, `update_task` and `list_tasks` show it."""

    id: str
    script: NotRequired[str]
    job: NotRequired[dict[str, Any]]
    running: bool
    config: dict[str, Any]
    init: str
    end: NotRequired[str]
    interval: NotRequired[int]
    every: NotRequired[str]
    cron: NotRequired[str]
    zone: NotRequired[str]
    created: str
    warnings: NotRequired[list[str]]


class TaskPage(TypedDict):
    """Content of the reply to `list_tasks`: at most 50, the oldest first."""

    total_count: int
    total_pages: int
    page: int
    tasks: list[Task]


class TaskRun(TypedDict):
    """One run of a task, as `list_task_runs` and the event `task_run` show it."""

    run: str
    task: str
    trigger: Literal["interval", "cron", "manual", "schedule"]
    status: Literal["running", "success", "failed", "cancelled"]
    due: NotRequired[str]
    started: str
    duration_ms: NotRequired[int]
    result: NotRequired[Any]
    error: NotRequired[ErrorDetail]
    output: NotRequired[list[str]]
    cut: NotRequired[bool]


class TaskRunPage(TypedDict):
    """Content of the reply to `list_task_runs`: the last 50, the latest first."""

    total_count: int
    total_pages: int
    page: int
    runs: list[TaskRun]


class TaskState(TypedDict):
    """The state of one step."""

    taskName: str
    state: Literal["WAITING", "RUNNING", "COMPLETED", "FAILED", "SKIPPED"]
    started: NotRequired[str]
    duration: NotRequired[str]
    stdout: NotRequired[str]
    stderr: NotRequired[str]
    returnCode: NotRequired[int]
    error_message: NotRequired[str]


class TaskStatus(TypedDict):
    """Content of the reply to `get_task_status`, `start_task` and `stop_task`."""

    id: str
    running: bool
    busy: bool
    next_execution: str | None
    last_run: TaskRun | None
    runs: int
    failed: int
    skipped: int
    coalesced: int


class UserSecret(TypedDict):
    """The strict shape of a login; extra members are dropped."""

    username: str
    password: str


class WebhooksReply(TypedDict):
    """Content of the reply to `set_webhooks`."""

    endpoints: list[str]
