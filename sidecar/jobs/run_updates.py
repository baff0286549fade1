"""The state of one run, and the documents that tell whoever watches it of each change."""

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sidecar_protocol.errors import WireError
from sidecar_protocol.jobs import SendJob, StepResult
from sidecar_protocol.updates import (
    ApplicationContext,
    CloudEvent,
    JobUpdate,
    Progress,
    RunState,
    SelfDescribing,
    State,
    TaskState,
)
from sidecar_protocol.webhooks import DEFAULT_STDOUTERR_SIZE, Format

from sidecar import __version__
from sidecar.clock import Clock
from sidecar.jobs.job_definition import define

if TYPE_CHECKING:
    from sidecar.deliveries.endpoint_registry import Endpoint

UNNAMED: Final = "job"
"""What a job without a name is called."""
_LONGEST_ID: Final = 32
_encode: Final = msgspec.json.Encoder().encode


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a run's webhooks heard of it last: enough to tell its end without the run."""

    started: float
    number: int
    endpoints: tuple[tuple[str, Format, int], ...]
    """Id, format and `max_stdouterr_size` of each."""
    update: JobUpdate


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """One document on its way to one endpoint."""

    id: str
    """Unique to the change that it tells of, the same for every endpoint."""
    endpoint: str
    lane: str
    """The run: letters of one lane arrive in order."""
    body: bytes


def _nowhere(_: Iterable[WebhookMessage]) -> None:
    """Nobody has to be written to."""


def _forgotten(_: str, told: Told | None) -> None:
    """Nobody will ask."""


def unnoted(_: float) -> None:
    """Nobody asks how much is done."""


@dataclass(frozen=True, slots=True)
class RunListeners:
    """Who is told of a run. Nothing here may raise or take long."""

    endpoints: tuple["Endpoint", ...] = ()
    """The webhooks."""
    post: Callable[[Iterable[WebhookMessage]], None] = _nowhere
    """Keeps letters until they are delivered."""
    tell: Callable[[str, Any], None] | None = None
    """Writes an event, its name and content, to the parent; None where it did not ask for any."""
    note: Callable[[str, Told | None], None] = _forgotten
    """Keeps what a run's webhooks heard last, None where that is its end; called right after `post`."""
    progress: Callable[[float], None] = unnoted
    """Notes how much is done, from 0 to 1."""
    size: int = DEFAULT_STDOUTERR_SIZE
    """Characters of stdout and stderr that the parent's events keep."""

    @property
    def listens(self) -> bool:
        """Whether documents are wanted at all."""
        return bool(self.endpoints) or self.tell is not None


NO_LISTENERS: Final = RunListeners()


@dataclass(slots=True)
class _StepState:
    """What has become of one step; texts are whole up to the longest that anybody wants, and without secrets."""

    name: str
    state: State = "WAITING"
    started: float = 0.0
    began: float = 0.0
    """`started` by the clock that only goes forward."""
    seconds: float | None = None
    stdout: str | None = None
    stderr: str | None = None
    return_code: int | None = None
    error: str | None = None


class RunUpdates:
    """Tells an audience of one attempt at a job. A `Watch` of the browser's steps; the rest is told by who runs it."""

    def __init__(
        self, job: SendJob, run: str, audience: RunListeners, clock: Clock, hide: Callable[[str], str], name: str = ""
    ) -> None:
        """`hide` takes the job's secrets out of a text; `name` is called instead of the job's own."""
        self._job = job
        self._run = run
        self._audience = audience
        self._clock = clock
        self._hide = hide
        self._name = name or job.name or ""
        self._tasks = [
            _StepState(hide(step.name or f"step {number}")) for number, step in enumerate(job.steps, start=1)
        ]
        self._longest = max((audience.size, *(one.max_stdouterr_size for one in audience.endpoints)))
        self._started = self._began = 0.0
        self.begun = False
        """Whether anybody was told of the run."""
        self._number = 0
        self._running: int | None = None
        self._definition: tuple[str, str] | None = None

    # --- what the browser tells

    def on_started(self) -> None:
        """The run begins: every task waits."""
        if not self.begun:
            self.begun = True
            self._started, self._began = self._clock.now(), self._clock.monotonic()
            self._tell("WAITING")

    def on_step_started(self, index: int) -> None:
        """A task runs."""
        task = self._tasks[index]
        task.state, task.started, task.began = "RUNNING", self._clock.now(), self._clock.monotonic()
        self._running = index
        self._tell("RUNNING")
        self._progress(index, index)

    def on_step_ended(self, index: int, result: StepResult) -> None:
        """A task has succeeded."""
        task = self._tasks[index]
        self._end(task, result.console, result.errors, result.values)
        task.state, task.return_code = "COMPLETED", 0
        self._running = None
        self._tell("RUNNING")

    def on_step_broken(self, index: int, console: Sequence[str], errors: Sequence[str]) -> None:
        """A task was stopped; `failed` says why."""
        self._end(self._tasks[index], console, errors, ())

    # --- what is told by who runs it

    def skipped(self, why: str) -> None:
        """There was nothing to do."""
        self.on_started()
        self._skip(why)
        self._tell("COMPLETED")

    def succeeded(self) -> None:
        """All is done."""
        self.on_started()
        self._tell("COMPLETED")
        self._progress(len(self._tasks) - 1, len(self._tasks))

    def failed(self, why: str, *, again: bool = False) -> None:
        """The run is over, or waits to begin anew where it is tried `again`."""
        self.on_started()
        why = self._hide(why)
        if self._running is not None:
            task = self._tasks[self._running]
            task.state, task.return_code, task.error = "FAILED", 1, why
            self._running = None
            self._tell("RUNNING")
            self._skip(f"{task.name} failed")
        elif all(task.state == "COMPLETED" for task in self._tasks):
            self._tasks[-1].error = why  # what failed comes after the steps, and has no task of its own
        else:
            self._skip(why)
        self._tell("WAITING" if again else "FAILED")

    # --- documents

    def _end(self, task: _StepState, console: Sequence[str], errors: Sequence[str], values: Sequence[Any]) -> None:
        task.seconds = self._clock.monotonic() - task.began
        if self._audience.listens:
            told = [_encode(value).decode() for value in values if value is not None]
            task.stdout = self._last([*console, *told])
            task.stderr = self._last(errors)

    def _last(self, lines: Sequence[str]) -> str:
        """The end of these lines, as long as anybody wants it; secrets go before it is cut, which could halve one."""
        kept: list[str] = []
        length = 0
        for line in reversed(lines):
            kept.append(self._hide(line))
            length += len(kept[-1]) + 1
            if length > self._longest:
                break
        return _cut("\n".join(reversed(kept)), self._longest)

    def _skip(self, why: str) -> None:
        for task in self._tasks:
            if task.state == "WAITING":
                task.state, task.error = "SKIPPED", why

    def _progress(self, index: int, done: int) -> None:
        steps = len(self._tasks)
        self._audience.progress(done / steps)
        if self._audience.tell:
            percentage = done * 100 // steps
            name = self._hide(self._name) or None
            self._audience.tell(
                "progress", Progress(run=self._run, name=name, step=index + 1, steps=steps, percentage=percentage)
            )

    def _tell(self, state: RunState) -> None:
        audience = self._audience
        if not audience.listens:
            return
        self._number += 1
        if audience.endpoints:
            told = Told(
                started=self._started,
                number=self._number,
                endpoints=tuple((one.id, one.format, one.max_stdouterr_size) for one in audience.endpoints),
                update=self._update(state, self._longest),
            )
            audience.post(letters_of(told, self._clock.now()))
            audience.note(self._run, None if state in ("COMPLETED", "FAILED") else told)
        if audience.tell:
            audience.tell("job_update", SelfDescribing(data=self._update(state, audience.size)))

    def _update(self, state: RunState, size: int) -> JobUpdate:
        if self._definition is None:
            definition = define(self._job)
            self._definition = definition.reference, base64.b64encode(definition.document).decode()
        reference, factfile = self._definition
        return JobUpdate(
            job_name=self._hide(self._name) or UNNAMED,
            job_reference=reference,
            run_reference=self._run,
            factfile=factfile,
            application_context=ApplicationContext(version=__version__),
            run_state=state,
            start_time=_time(self._started),
            run_duration=_duration(self._clock.monotonic() - self._began),
            task_states=tuple(_state(task, size) for task in self._tasks),
        )


def sentence(failure: BaseException) -> str:
    """What an update says of a failure; one that is a fault of ours is told by its kind alone."""
    return failure.message if isinstance(failure, WireError) else f"internal error: {type(failure).__name__}"


def letters_of(told: Told, moment: float) -> list[WebhookMessage]:
    """One for each webhook, each with as much of the texts as it wants."""
    run = told.update.run_reference
    # attempts at one run begin at other times
    named = f"{run}\n{told.started!r}\n{told.number}"
    letter_id = f"upd_{hashlib.sha256(named.encode()).hexdigest()[:_LONGEST_ID]}"
    bodies: dict[tuple[Format, int], bytes] = {}
    letters = []
    for endpoint, form, size in told.endpoints:
        if (form, size) not in bodies:
            bodies[form, size] = _render(_shortened(told.update, size), form, letter_id, moment)
        letters.append(WebhookMessage(letter_id, endpoint, run, bodies[form, size]))
    return letters


def interrupted(told: Told, why: str) -> Told:
    """The end of a run that nobody goes on with, as its next update tells it."""
    states: list[TaskState] = []
    for task in told.update.task_states:
        if task.state == "RUNNING":
            task = msgspec.structs.replace(task, state="FAILED", return_code=1, error_message=why)
        elif task.state == "WAITING":
            task = msgspec.structs.replace(task, state="SKIPPED", error_message=why)
        states.append(task)
    if told.update.task_states == tuple(states):  # every task has ended: what was cut comes after them
        states[-1] = msgspec.structs.replace(states[-1], error_message=why)
    update = msgspec.structs.replace(told.update, run_state="FAILED", task_states=tuple(states))
    return msgspec.structs.replace(told, number=told.number + 1, update=update)


def _shortened(update: JobUpdate, size: int) -> JobUpdate:
    """The update with texts of at most so many characters, their ends."""
    tasks = [
        task
        if task.stdout is None and task.stderr is None
        else msgspec.structs.replace(
            task,
            stdout=None if task.stdout is None else _cut(task.stdout, size),
            stderr=None if task.stderr is None else _cut(task.stderr, size),
        )
        for task in update.task_states
    ]
    return msgspec.structs.replace(update, task_states=tuple(tasks))


def _render(update: JobUpdate, form: Format, letter_id: str, moment: float) -> bytes:
    if form == "factotum":
        return _encode(SelfDescribing(data=update))
    event = CloudEvent(
        id=letter_id,
        source=f"/sidecar/jobs/{update.job_reference}",
        subject=update.run_reference,
        time=_time(moment),
        data=update,
    )
    return _encode(event)


def _state(task: _StepState, size: int) -> TaskState:
    return TaskState(
        task_name=task.name,
        state=task.state,
        started=_time(task.started) if task.started else None,
        duration=None if task.seconds is None else _duration(task.seconds),
        stdout=None if task.stdout is None else _cut(task.stdout, size),
        stderr=None if task.stderr is None else _cut(task.stderr, size),
        return_code=task.return_code,
        error_message=task.error,
    )


def _cut(text: str, size: int) -> str:
    return text[-size:] if size else ""


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def _duration(seconds: float) -> str:
    return f"PT{max(0.0, seconds):.6f}".rstrip("0").rstrip(".") + "S"
