"""The messages that report one change of a run: one or more for each webhook, in its format."""

import hashlib
from dataclasses import dataclass
from typing import Final

from sidecar_protocol.encoding import encode
from sidecar_protocol.models import Model
from sidecar_protocol.updates import CloudEvent, JobUpdate, RunState, SelfDescribing, State, TaskState
from sidecar_protocol.webhooks import Format

from sidecar.jobs import factotum_06
from sidecar.storage.outbox import OutboxMessage
from sidecar.truncation import last_characters
from sidecar.wall_clock import rfc3339

_LONGEST_ID: Final = 32


class States(Model):
    """The states of a run and of its steps."""

    run: RunState | None = None
    """The run's state; None before the run was reported."""
    steps: tuple[State, ...] = ()


class RunSnapshot(Model):
    """The last update of a run: enough to report its end without the run."""

    started: float
    number: int
    endpoints: tuple[tuple[str, Format, int], ...]
    """Id, format and `max_stdouterr_size` of each."""
    update: JobUpdate
    queued: bool = False
    """Whether the run is that of a job in the queue."""
    before: States = States()
    """The states of the update before that."""


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """One document for one endpoint."""

    id: str
    """Unique for each document, the same for every endpoint."""
    endpoint: str
    ordering_key: str
    """The run: messages with the same ordering key arrive in order."""
    body: bytes


def states_of(update: JobUpdate) -> States:
    """The states of an update."""
    return States(run=update.run_state, steps=tuple(step.state for step in update.task_states))


def webhook_messages(snapshot: RunSnapshot, now: float) -> list[WebhookMessage]:
    """The messages for each webhook, with texts of its size."""
    run = snapshot.update.run_reference
    documents: dict[tuple[Format, int], list[tuple[str, bytes]]] = {}
    messages = []
    for endpoint, format_, size in snapshot.endpoints:
        if (format_, size) not in documents:
            documents[format_, size] = _render(snapshot, format_, size, now)
        messages += [WebhookMessage(id_, endpoint, run, body) for id_, body in documents[format_, size]]
    return messages


def to_outbox(message: WebhookMessage) -> OutboxMessage:
    """A webhook message in the form of the outbox."""
    return OutboxMessage(id=message.id, endpoint=message.endpoint, ordering_key=message.ordering_key, body=message.body)


def mark_interrupted(snapshot: RunSnapshot, reason: str) -> RunSnapshot:
    """The last update of an interrupted run: it has failed."""
    states: list[TaskState] = []
    for step in snapshot.update.task_states:
        if step.state == "RUNNING":
            step = step.replace(state="FAILED", return_code=1, error_message=reason)
        elif step.state == "WAITING":
            step = step.replace(state="SKIPPED", error_message=reason)
        states.append(step)
    if snapshot.update.task_states == tuple(states):  # all steps have ended: the interruption came after them
        states[-1] = states[-1].replace(error_message=reason)
    update = snapshot.update.replace(run_state="FAILED", task_states=tuple(states))
    return snapshot.replace(number=snapshot.number + 1, update=update, before=states_of(snapshot.update))


def _render(snapshot: RunSnapshot, format_: Format, size: int, now: float) -> list[tuple[str, bytes]]:
    """Renders each document with its id."""
    update = _truncated(snapshot.update, size)
    id_ = _message_id(snapshot)
    if format_ == "factotum":
        return [(id_, encode(SelfDescribing(data=update)))]
    if format_ == "factotum-0.6":
        reported = factotum_06.documents(update, snapshot.before.run, snapshot.before.steps)
        return [(_message_id(snapshot, one.schema_), encode(one)) for one in reported]
    event = CloudEvent(
        id=id_,
        source=f"/sidecar/jobs/{update.job_reference}",
        subject=update.run_reference,
        time=rfc3339(now, "microseconds", offset="+00:00"),
        data=update,
    )
    return [(id_, encode(event))]


def _message_id(snapshot: RunSnapshot, *more: str) -> str:
    # attempts at one run start at different times
    named = "\n".join((snapshot.update.run_reference, repr(snapshot.started), str(snapshot.number), *more))
    return f"upd_{hashlib.sha256(named.encode()).hexdigest()[:_LONGEST_ID]}"


def _truncated(update: JobUpdate, size: int) -> JobUpdate:
    """The update with the last characters of its texts, at most this many."""

    def cut(text: str | None) -> str | None:
        return None if text is None else last_characters(text, size)

    tasks = [
        step
        if step.stdout is None and step.stderr is None
        else step.replace(stdout=cut(step.stdout), stderr=cut(step.stderr))
        for step in update.task_states
    ]
    return update.replace(task_states=tuple(tasks))
