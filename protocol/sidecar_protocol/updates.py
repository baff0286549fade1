"""The progress of a run, in webhooks and events: Factotum's `job_update`, CloudEvents, progress."""

from typing import Annotated, Final, Literal

from sidecar_protocol.models import Bound, Model, Sparse

JOB_UPDATE: Final = "iglu:com.snowplowanalytics.factotum/job_update/jsonschema/1-0-0"
"""Names the schema of `JobUpdate`. Source: Factotum's webhooks."""

RunState = Literal["WAITING", "RUNNING", "COMPLETED", "FAILED"]
State = Literal["WAITING", "RUNNING", "COMPLETED", "FAILED", "SKIPPED"]


class TaskState(Sparse):
    """The state of one step."""

    task_name: Annotated[str, Bound(alias="taskName")]
    """The step's name; `step N`, counted from 1, where it has none."""
    state: State
    started: str | None = None
    """RFC 3339."""
    duration: str | None = None
    """ISO 8601, as in `PT1.8S`."""
    stdout: str | None = None
    """The page's console output and the actions' values; the last characters."""
    stderr: str | None = None
    """Uncaught errors of the page; the last characters."""
    return_code: Annotated[int | None, Bound(alias="returnCode")] = None
    """0 or 1."""
    error_message: str | None = None
    """Why the step failed or was skipped."""


class ApplicationContext(Model):
    """The program that ran the job."""

    version: str


class JobUpdate(Model):
    """The state of a run at one moment."""

    job_name: Annotated[str, Bound(alias="jobName")]
    job_reference: Annotated[str, Bound(alias="jobReference")]
    """SHA-256 of what `factfile` holds, in hexadecimal."""
    run_reference: Annotated[str, Bound(alias="runReference")]
    factfile: str
    """Base64 of the job's definition: JSON without its secrets, and without what differs from run to run."""
    application_context: Annotated[ApplicationContext, Bound(alias="applicationContext")]
    run_state: Annotated[RunState, Bound(alias="runState")]
    start_time: Annotated[str, Bound(alias="startTime")]
    """RFC 3339; each attempt has its own."""
    run_duration: Annotated[str, Bound(alias="runDuration")]
    """ISO 8601; so far."""
    task_states: Annotated[tuple[TaskState, ...], Bound(alias="taskStates")]


class SelfDescribing(Model):
    """The body of a webhook whose format is `factotum`, and the content of the event `job_update`."""

    schema_: Annotated[
        Literal["iglu:com.snowplowanalytics.factotum/job_update/jsonschema/1-0-0"], Bound(alias="schema")
    ] = JOB_UPDATE
    data: JobUpdate


class CloudEvent(Model):
    """The body of a webhook whose format is `cloudevents`: CloudEvents 1.0, structured."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    """The delivery's `webhook-id`."""
    source: str
    """`/sidecar/jobs/` and the job's reference."""
    type: Literal["com.snowplowanalytics.factotum.job_update"] = "com.snowplowanalytics.factotum.job_update"
    subject: str
    """The run's reference."""
    time: str
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Literal["iglu:com.snowplowanalytics.factotum/job_update/jsonschema/1-0-0"] = JOB_UPDATE
    data: JobUpdate


class Progress(Sparse):
    """The content of the event `progress`: a step begins, or the run has succeeded."""

    run: str
    """The run's reference; of an async job its id."""
    name: str | None = None
    """The job's, schedule's or task's."""
    step: Annotated[int, Bound(ge=1)]
    """Counted from 1."""
    steps: int
    percentage: Annotated[int, Bound(ge=0, le=100)]
    """The percentage of finished steps."""
