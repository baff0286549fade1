"""The secrets of a job: every `Secret` in it, the text that it types into pages, and the secrets that it fetched.

`recording.redaction.json_secrets` decides which members of a line of JSON are secret, for logs and documents alike.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sidecar_protocol.jobs import SendJob
from sidecar_protocol.models import Model
from sidecar_protocol.wire_types import Secret, Secrets

from sidecar.json_strings import scalars
from sidecar.recording.redaction.redactor import Redactor, contains_typed_text


def redactor_for(job: SendJob, secrets: Mapping[str, Any] | None = None) -> Redactor:
    """Takes a job's secrets out of texts: its own, and the values of those that it fetched."""
    redactor = Redactor()
    for name, member in job:
        if name != "steps":  # which may be nested deeply, and hold none
            for secret in secrets_in(member):
                redactor.add_secret(secret.reveal())
    actions = _actions(job)
    if actions is not None:
        redactor.add_secrets_from(actions)
    add_secrets(redactor, secrets or {})
    return redactor


def add_secrets(redactor: Redactor, secrets: Mapping[str, Any]) -> None:
    """Adds secrets to redact: every text and number in them."""
    for value in scalars(json.dumps(secrets).encode()):
        redactor.add_secret(value)


def types_secrets(job: SendJob) -> bool:
    """Whether an action types something into pages, or holds JavaScript that may."""
    actions = _actions(job)
    return actions is not None and contains_typed_text(actions)


def _actions(job: SendJob) -> bytes | None:
    """The actions as JSON; None where there is none."""
    given = [step.actions for step in job.steps if step.actions]
    # numbers of any size, and actions nested as deeply as a line may be
    return json.dumps([{"actions": actions} for actions in given]).encode() if given else None


def secrets_in(value: Any) -> Iterator[Secret]:
    """Every `Secret` of a content that is not empty, at any depth."""
    if isinstance(value, Secret):
        if value:
            yield value
    elif isinstance(value, Secrets):
        yield from value.values
    elif isinstance(value, Model):
        for _, member in value:
            yield from secrets_in(member)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from secrets_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from secrets_in(item)
