"""The state of one run, and the updates that report each change to its listeners."""

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sidecar_protocol.encoding import encode
from sidecar_protocol.jobs import SendJob, StepResult
from sidecar_protocol.updates import (
    ApplicationContext,
    JobUpdate,
    Progress,
    RunState,
    SelfDescribing,
    State,
    TaskState,
)
from sidecar_protocol.webhooks import DEFAULT_STDOUTERR_SIZE

from sidecar import __version__
from sidecar.clock import Clock
from sidecar.jobs.job_definition import define
from sidecar.jobs.update_messages import RunSnapshot, States, WebhookMessage, states_of, webhook_messages
from sidecar.recording.redaction.redactor import Redactor
from sidecar.truncation import LONGEST_CHARACTER, last_characters
from sidecar.wall_clock import rfc3339
from sidecar.work_log import is_logged, log_work

if TYPE_CHECKING:
    from sidecar.deliveries.endpoint_registry import Endpoint

UNNAMED: Final = "job"
"""The name of a job without a name."""


def _discard_messages(_: Iterable[WebhookMessage]) -> None:
    """There is no endpoint."""


def _discard_snapshot(_: str, snapshot: RunSnapshot | None) -> None:
    """The snapshot is not stored."""


def ignore_progress(_: float) -> None:
    """Progress is not reported."""


@dataclass(frozen=True, slots=True)
class RunListeners:
    """The listeners of a run. Their functions don't raise, and return at once."""

    endpoints: tuple["Endpoint", ...] = ()
    """The webhooks."""
    enqueue: Callable[[Iterable[WebhookMessage]], None] = _discard_messages
    """Stores messages until they are delivered."""
    emit: Callable[[str, Any], None] | None = None
    """Writes an event, its name and content, to the parent; None if it asked for none."""
    record: Callable[[str, RunSnapshot | None], None] = _discard_snapshot
    """Stores the last update of a run, None for a finished one; called right after `enqueue`."""
    progress: Callable[[float], None] = ignore_progress
    """Stores the progress, from 0 to 1."""
    size: int = DEFAULT_STDOUTERR_SIZE
    """Characters of stdout and stderr in the parent's events."""

    @property
    def listens(self) -> bool:
        """Whether there is any listener."""
        return bool(self.endpoints) or self.emit is not None


NO_LISTENERS: Final = RunListeners()


@dataclass(slots=True)
class _StepState:
    """The state of one step; its texts are redacted, and as long as the largest listener wants."""

    name: str
    state: State = "WAITING"
    started: float = 0.0
    began: float = 0.0
    """`started` by the monotonic clock."""
    seconds: float | None = None
    stdout: str | None = None
    stderr: str | None = None
    return_code: int | None = None
    error: str | None = None


class RunUpdates:
    """Reports one attempt at a job to its listeners. It observes the browser's steps; the runner reports the rest."""

    def __init__(
        self,
        job: SendJob,
        run: str,
        listeners: RunListeners,
        clock: Clock,
        redact: Callable[[str], str],
        name: str = "",
    ) -> None:
        """`redact` removes the job's secrets from a text; `name` replaces the job's own."""
        self._job = job
        self._run = run
        self._listeners = listeners
        self._clock = clock
        self._redact = redact
        self._name = name or job.name or ""
        self._steps = [
            _StepState(redact(step.name or f"step {number}")) for number, step in enumerate(job.steps, start=1)
        ]
        self._max_output = max((listeners.size, *(one.max_stdouterr_size for one in listeners.endpoints)))
        self._started = self._began = 0.0
        self.announced = False
        """Whether the run was reported."""
        self._number = 0
        self._told = States()
        self._running: int | None = None
        self._definition: tuple[str, str] | None = None

    def prepare_definition(self) -> tuple[str, str]:
        """The job's reference and factfile; made once, which takes time in proportion to the job's actions."""
        if self._definition is None:
            definition = define(self._job)
            self._definition = definition.reference, base64.b64encode(definition.document).decode()
        return self._definition

    # --- reported by the browser

    def on_started(self) -> None:
        """The run starts: all steps wait."""
        if not self.announced:
            self.announced = True
            self._started, self._began = self._clock.now(), self._clock.monotonic()
            self._publish("WAITING")

    def on_step_started(self, index: int) -> None:
        """A step starts."""
        step = self._steps[index]
        step.state, step.started, step.began = "RUNNING", self._clock.now(), self._clock.monotonic()
        self._running = index
        self._publish("RUNNING")
        self._progress(index, index)

    def on_step_ended(self, index: int, result: StepResult) -> None:
        """A step has succeeded."""
        step = self._steps[index]
        self._end(step, result.console, result.errors, result.values)
        step.state, step.return_code = "COMPLETED", 0
        self._running = None
        self._publish("RUNNING")

    def on_step_failed(self, index: int, console: Sequence[str], errors: Sequence[str]) -> None:
        """A step has failed."""
        self._end(self._steps[index], console, errors, ())

    # --- reported by the runner

    def skipped(self, reason: str) -> None:
        """The run was not necessary."""
        self.on_started()
        self._skip(reason)
        self._publish("COMPLETED")
        self._log("skipped", reason)

    def succeeded(self) -> None:
        """The run has succeeded."""
        self.on_started()
        self._publish("COMPLETED")
        self._progress(len(self._steps) - 1, len(self._steps))
        self._log("success")

    def failed(self, reason: str, *, will_retry: bool = False) -> None:
        """The run has failed; with `will_retry` it waits for another attempt."""
        self.on_started()
        reason = self._redact(reason)
        if self._running is not None:
            step = self._steps[self._running]
            step.state, step.return_code, step.error = "FAILED", 1, reason
            self._running = None
            self._publish("RUNNING")
            self._skip(f"{step.name} failed")
        elif all(step.state == "COMPLETED" for step in self._steps):
            self._steps[-1].error = reason  # the failure follows the last step, and has no step of its own
        else:
            self._skip(reason)
        self._publish("WAITING" if will_retry else "FAILED")
        self._log("retried" if will_retry else "failed", reason)

    def _log(self, status: str, reason: str | None = None) -> None:
        """One line for the end of an attempt."""
        if not is_logged():
            return
        hide = Redactor().redact_text  # credentials in URLs, also of runs that are no browser jobs
        log_work(
            "job",
            run=self._run,
            name=hide(self._redact(self._name)) or None,
            status=status,
            steps=sum(step.state == "COMPLETED" for step in self._steps),
            of=len(self._steps),
            seconds=round(self._clock.monotonic() - self._began, 3),
            reason=None if reason is None else hide(self._redact(reason)),
        )

    # --- documents

    def _end(self, step: _StepState, console: Sequence[str], errors: Sequence[str], values: Sequence[Any]) -> None:
        step.seconds = self._clock.monotonic() - step.began
        if self._listeners.listens:
            outputs = [encode(value).decode() for value in values if value is not None]
            step.stdout = self._tail([*console, *outputs])
            step.stderr = self._tail(errors)

    def _tail(self, lines: Sequence[str]) -> str:
        """The end of these lines, as long as any listener wants it; redacted before it is truncated."""
        kept: list[str] = []
        length = 0
        for line in reversed(lines):
            kept.append(self._redact(line))
            length += len(kept[-1]) + 1
            if length > self._max_output * LONGEST_CHARACTER:
                break
        return last_characters("\n".join(reversed(kept)), self._max_output)

    def _skip(self, reason: str) -> None:
        for step in self._steps:
            if step.state == "WAITING":
                step.state, step.error = "SKIPPED", reason

    def _progress(self, index: int, done: int) -> None:
        steps = len(self._steps)
        self._listeners.progress(done / steps)
        if self._listeners.emit:
            percentage = done * 100 // steps
            name = self._redact(self._name) or None
            self._listeners.emit(
                "progress", Progress(run=self._run, name=name, step=index + 1, steps=steps, percentage=percentage)
            )

    def _publish(self, state: RunState) -> None:
        listeners = self._listeners
        if not listeners.listens:
            return
        self._number += 1
        if listeners.endpoints:
            snapshot = RunSnapshot(
                started=self._started,
                number=self._number,
                endpoints=tuple((one.id, one.format, one.max_stdouterr_size) for one in listeners.endpoints),
                update=self._update(state, self._max_output),
                before=self._told,
            )
            self._told = states_of(snapshot.update)
            listeners.enqueue(webhook_messages(snapshot, self._clock.now()))
            listeners.record(self._run, None if state in ("COMPLETED", "FAILED") else snapshot)
        if listeners.emit:
            listeners.emit("job_update", SelfDescribing(data=self._update(state, listeners.size)))

    def _update(self, state: RunState, size: int) -> JobUpdate:
        reference, factfile = self.prepare_definition()
        return JobUpdate(
            job_name=self._redact(self._name) or UNNAMED,
            job_reference=reference,
            run_reference=self._run,
            factfile=factfile,
            application_context=ApplicationContext(version=__version__),
            run_state=state,
            start_time=_time(self._started),
            run_duration=_duration(self._clock.monotonic() - self._began),
            task_states=tuple(_state(step, size) for step in self._steps),
        )


def _state(step: _StepState, size: int) -> TaskState:
    return TaskState(
        task_name=step.name,
        state=step.state,
        started=_time(step.started) if step.started else None,
        duration=None if step.seconds is None else _duration(step.seconds),
        stdout=None if step.stdout is None else last_characters(step.stdout, size),
        stderr=None if step.stderr is None else last_characters(step.stderr, size),
        return_code=step.return_code,
        error_message=step.error,
    )


def _time(seconds: float) -> str:
    return rfc3339(seconds, "microseconds", offset="+00:00")


def _duration(seconds: float) -> str:
    return f"PT{max(0.0, seconds):.6f}".rstrip("0").rstrip(".") + "S"
