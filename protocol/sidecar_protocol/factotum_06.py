"""Updates of Factotum 0.6, its last release: one document for changes of the job, one for those of its tasks."""

from typing import Annotated, Final, Literal

from sidecar_protocol.models import Bound, Model, Sparse

JOB_UPDATE: Final = "iglu:com.snowplowanalytics.factotum/job_update/jsonschema/1-0-0"
TASK_UPDATE: Final = "iglu:com.snowplowanalytics.factotum/task_update/jsonschema/1-0-0"

RunState = Literal["WAITING", "RUNNING", "SUCCEEDED", "FAILED"]
State = Literal["WAITING", "RUNNING", "SUCCEEDED", "SUCCEEDED_NO_OP", "FAILED", "SKIPPED"]


class TaskState06(Sparse):
    """The state of one step; its members mean the same as in `job_update`."""

    task_name: Annotated[str, Bound(alias="taskName")]
    state: State
    started: str | None = None
    duration: str | None = None
    stdout: str | None = None
    stderr: str | None = None
    return_code: Annotated[int | None, Bound(alias="returnCode")] = None
    error_message: Annotated[str | None, Bound(alias="errorMessage")] = None


class ApplicationContext06(Model):
    """The program that ran the job."""

    name: str
    version: str


class JobTransition(Model):
    """The run's previous state, null at its start, and its current one."""

    previous_state: Annotated[RunState | None, Bound(alias="previousState")]
    current_state: Annotated[RunState, Bound(alias="currentState")]


class TaskTransition(Model):
    """A step's previous state, and its current one."""

    task_name: Annotated[str, Bound(alias="taskName")]
    previous_state: Annotated[State, Bound(alias="previousState")]
    current_state: Annotated[State, Bound(alias="currentState")]


class Update06(Model):
    """The state of a run at one moment."""

    job_name: Annotated[str, Bound(alias="jobName")]
    job_reference: Annotated[str, Bound(alias="jobReference")]
    run_reference: Annotated[str, Bound(alias="runReference")]
    factfile: str
    application_context: Annotated[ApplicationContext06, Bound(alias="applicationContext")]
    tags: dict[str, str]
    """Always empty: jobs have none."""
    run_state: Annotated[RunState, Bound(alias="runState")]
    start_time: Annotated[str, Bound(alias="startTime")]
    run_duration: Annotated[str, Bound(alias="runDuration")]
    task_states: Annotated[tuple[TaskState06, ...], Bound(alias="taskStates")]


class JobUpdate06(Update06):
    """Sent where the run's state changes."""

    job_transition: Annotated[JobTransition, Bound(alias="jobTransition")]


class TaskUpdate06(Update06):
    """Sent where steps' states change."""

    task_transitions: Annotated[tuple[TaskTransition, ...], Bound(alias="taskTransitions")]


class SelfDescribing06(Model):
    """The body of a webhook whose format is `factotum-0.6`."""

    schema_: Annotated[
        Literal[
            "iglu:com.snowplowanalytics.factotum/job_update/jsonschema/1-0-0",
            "iglu:com.snowplowanalytics.factotum/task_update/jsonschema/1-0-0",
        ],
        Bound(alias="schema"),
    ]
    data: JobUpdate06 | TaskUpdate06
