"""Periodic tasks: a script or a browser job that runs again and again. Source: Director."""

from typing import Annotated, Any, Final, Literal

from sidecar_protocol.durations import Duration
from sidecar_protocol.errors import ErrorDetail
from sidecar_protocol.models import Bound, Maybe, Model, Sparse
from sidecar_protocol.wire_types import UNSET

SHORTEST_INTERVAL: Final = 1_000
LONGEST_INTERVAL: Final = 366 * 24 * 3_600_000
LONGEST_SCRIPT: Final = 1 << 20
LONGEST_CRON: Final = 500

TaskId = Annotated[str, Bound(pattern="^[^\\x00-\\x1f\\x7f]{1,255}$")]
"""1 to 255 characters, none of them a control character."""
Script = Annotated[str, Bound(min_length=1, max_length=2_000)]
"""An http or https URL, or the name of a file in the scripts folder."""
Interval = Annotated[int, Duration(ge=SHORTEST_INTERVAL, le=LONGEST_INTERVAL)]
"""Milliseconds, or text such as `"90s"` or `"1h"`: a second to 366 days."""
Cron = Annotated[str, Bound(min_length=1, max_length=LONGEST_CRON)]
"""Five fields (minute, hour, day of the month, month, day of the week) as OCPS 1.4 reads them, or `@daily` and such."""
Zone = Annotated[str, Bound(min_length=1, max_length=100)]
"""The IANA name of a time zone."""
Moment = Annotated[str, Bound(min_length=1, max_length=40)]
"""RFC 3339 date and time; a date alone is its midnight, one without an offset is in UTC."""
Page = Annotated[int, Bound(ge=1, le=1_000_000_000)]
Trigger = Literal["interval", "cron", "manual", "schedule"]
"""The cause of a run: the task's own time, `run_task`, or `run_task` pushed by a schedule."""
RunStatus = Literal["running", "success", "failed", "cancelled"]


class CreateTask(Model):
    """Content of `create_task`: `script` or `job`, one of them, and `interval` or `cron`, one of them.

    With the name of a script and neither of the latter, its configuration file has what is not given here.
    """

    id: TaskId | None = None
    """The task's id; default a generated one."""
    script: Script | None = None
    job: dict[str, Any] | None = None
    """Content of `send_job`; `{{name}}` in its strings is a value of `config`."""
    running: bool = True
    config: dict[str, Any] = Bound(default_factory=dict)
    """The argument of the script's `main`."""
    init: Moment | None = None
    """The first run; with `cron` the earliest. Default the time of creation."""
    end: Moment | None = None
    """The time after which the task is deleted."""
    interval: Interval | None = None
    cron: Cron | None = None
    zone: Zone | None = None
    """The time zone of `cron`; default UTC."""


class UpdateTask(Model):
    """Content of `update_task`: what is given is replaced as a whole.

    A script and a job take each other's place, so do `interval` and `cron`.
    """

    id: TaskId
    script: Maybe[Script] = UNSET
    job: Maybe[dict[str, Any]] = UNSET
    running: Maybe[bool] = UNSET
    config: Maybe[dict[str, Any]] = UNSET
    init: Maybe[Moment] = UNSET
    end: Maybe[Moment | None] = UNSET
    """Null: it has no end any more."""
    interval: Maybe[Interval] = UNSET
    cron: Maybe[Cron] = UNSET
    """A pattern in the zone that is given with it, in the task's previous zone, or in UTC."""
    zone: Maybe[Zone] = UNSET


class TaskRef(Model):
    """Content of `get_task`, `delete_task`, `get_task_status`, `run_task`, `start_task` and `stop_task`."""

    id: TaskId


class ListTasks(Model):
    """Content of `list_tasks`: tasks whose fields are as given; of objects, the members that are given."""

    id: TaskId | None = None
    script: Script | None = None
    job: dict[str, Any] | None = None
    running: bool | None = None
    config: dict[str, Any] | None = None
    init: Moment | None = None
    end: Moment | None = None
    interval: Interval | None = None
    cron: Cron | None = None
    zone: Zone | None = None
    page: Page = 1


class ListTaskRuns(Model):
    """Content of `list_task_runs`."""

    id: TaskId
    page: Page = 1


class TestTask(Model):
    """Content of `test_task`: a script that is run once and not kept."""

    __test__ = False

    script_text: Annotated[str, Bound(max_length=LONGEST_SCRIPT)]
    config: dict[str, Any] = Bound(default_factory=dict)


class Task(Sparse):
    """One task, as `create_task`, `get_task`, `update_task` and `list_tasks` show it."""

    id: str
    script: str | None = None
    job: dict[str, Any] | None = None
    """The given content, with secrets replaced."""
    running: bool
    config: dict[str, Any]
    init: str
    """RFC 3339, UTC, as every time below."""
    end: str | None = None
    interval: int | None = None
    """Milliseconds; here unless it has a `cron`."""
    every: str | None = None
    """The interval as people read it: `1 h`."""
    cron: str | None = None
    """The given pattern."""
    zone: str | None = None
    """The time zone of `cron`."""
    created: str
    warnings: tuple[str, ...] = ()
    """Warnings in replies to `create_task` and `update_task`: accepted values that may be mistakes."""


class TaskPage(Model):
    """Content of the reply to `list_tasks`: at most 50, the oldest first."""

    total_count: int
    total_pages: int
    page: int
    tasks: tuple[Task, ...]


class TaskRun(Sparse):
    """One run of a task, as `list_task_runs` and the event `task_run` show it."""

    run: str
    """The run's id; for a run at the task's own time also the job's id for `job_status`."""
    task: str
    trigger: Trigger
    status: RunStatus
    due: str | None = None
    """The time that it was for; null for other runs than the task's own."""
    started: str
    duration_ms: int | None = None
    """Null while it runs, and where its process died."""
    result: Any = None
    """The script's return value, any JSON value, or the content of the job's reply."""
    error: ErrorDetail | None = None
    output: tuple[str, ...] = ()
    """The script's console output, and uncaught errors: the last 200 lines of 2,000 characters."""
    cut: bool = False
    """Result or output were too long to be kept whole."""


class TaskRunPage(Model):
    """Content of the reply to `list_task_runs`: the last 50, the latest first."""

    total_count: int
    total_pages: int
    page: int
    runs: tuple[TaskRun, ...]


class TaskStatus(Model):
    """Content of the reply to `get_task_status`, `start_task` and `stop_task`."""

    id: str
    running: bool
    busy: bool
    """Whether a run of it is going on or waits for its turn."""
    next_execution: str | None
    """RFC 3339, UTC; null for a task that is stopped, or whose end comes first."""
    last_run: TaskRun | None
    runs: int
    """The number of runs since the task was created, a current one included."""
    failed: int
    """The number of failed runs."""
    skipped: int
    """Times that passed because the run before was still going."""
    coalesced: int
    """Times that passed while nothing ran, beyond the one that was made up for."""


class RunTaskReply(Sparse):
    """Content of the reply to `run_task` and `test_task`; a run that failed is an error."""

    status: Literal["success"]
    result: Any
    """The script's return value, any JSON value, or the content of the job's reply."""
    run: str | None = None
    """The run's id in `list_task_runs`; a test has none."""
    duration_ms: int
    output: tuple[str, ...]
    """The script's console output."""
