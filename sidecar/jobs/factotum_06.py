"""Updates as Factotum 0.6 sends them, made of those of 1-0-0 and of the states before."""

from collections.abc import Sequence
from typing import Final

from sidecar_protocol import factotum_06 as wire
from sidecar_protocol.updates import JobUpdate, RunState, State, TaskState

_APPLICATION: Final = "sidecar"
_ENDED: Final = ("COMPLETED", "FAILED")


def documents(
    update: JobUpdate, run_before: RunState | None, steps_before: Sequence[State]
) -> list[wire.SelfDescribing06]:
    """One document where the run's state has changed, one where those of steps have; in the order of the changes."""
    reported = []
    common = {name: getattr(update, name) for name in ("job_name", "job_reference", "run_reference", "factfile")}
    common |= {
        "application_context": wire.ApplicationContext06(name=_APPLICATION, version=update.application_context.version),
        "tags": {},
        "run_state": _RUN[update.run_state],
        "start_time": update.start_time,
        "run_duration": update.run_duration,
        "task_states": tuple(map(_task, update.task_states)),
    }
    if update.run_state != run_before:
        before = None if run_before is None else _RUN[run_before]
        transition = wire.JobTransition(previous_state=before, current_state=_RUN[update.run_state])
        reported.append(
            wire.SelfDescribing06(schema_=wire.JOB_UPDATE, data=wire.JobUpdate06(**common, job_transition=transition))
        )
    transitions = tuple(
        wire.TaskTransition(task_name=step.task_name, previous_state=_STEP[before], current_state=_STEP[step.state])
        for step, before in zip(update.task_states, steps_before, strict=False)
        if step.state != before
    )
    if transitions:
        changed = wire.TaskUpdate06(**common, task_transitions=transitions)
        reported.append(wire.SelfDescribing06(schema_=wire.TASK_UPDATE, data=changed))
    return (
        reported[::-1] if update.run_state in _ENDED else reported
    )  # a run begins before its steps, and ends after them


def _task(step: TaskState) -> wire.TaskState06:
    return wire.TaskState06(
        task_name=step.task_name,
        state=_STEP[step.state],
        started=step.started,
        duration=step.duration,
        stdout=step.stdout,
        stderr=step.stderr,
        return_code=step.return_code,
        error_message=step.error_message,
    )


_RUN: Final[dict[RunState, wire.RunState]] = {
    "WAITING": "WAITING",
    "RUNNING": "RUNNING",
    "COMPLETED": "SUCCEEDED",
    "FAILED": "FAILED",
}
_STEP: Final[dict[State, wire.State]] = {
    "WAITING": "WAITING",
    "RUNNING": "RUNNING",
    "COMPLETED": "SUCCEEDED",
    "FAILED": "FAILED",
    "SKIPPED": "SKIPPED",
}
