"""What of a job is secret: every `Secret` in it, what it types into pages, and the secrets that it fetched."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from protocol.base import REDACTED, Secret, Secrets
from protocol.jobs import Action, SendJob
from sidecar.leaves import scalars
from sidecar.recording.redact import Redactor

TYPED: Final = {
    "fill": "value",
    "type": "text",
    "press_sequentially": "text",
    "keyboard_type": "text",
    "keyboard_insert_text": "text",
    "on_dialog": "text",
}
"""Typed action -> the argument that holds what is typed. A bare value stands for it where there is no selector."""
_BARE: Final = frozenset({"keyboard_type", "keyboard_insert_text"})
_REFERENCE: Final = re.compile(r"\s*(\{\{[^{}]*\}\}\s*)+")
"""Where a secret goes, and not the secret."""
_LITERAL: Final = r"""(?:'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+"|`(?:[^`\\]|\\.)*+`)"""
_BEFORE: Final = rf"(?:(?:{_LITERAL}|[\w.$]+)\s*,\s*)?"
_AFTER_HOST: Final = re.compile(r"^([A-Za-z]+://[^/?#]+[/?#]).+$", re.DOTALL)
_TYPING: Final = re.compile(
    rf"(\.(?:fill|type|pressSequentially|insertText)\s*\(\s*{_BEFORE})({_LITERAL})(?=\s*(?:\)|,\s*\{{))",
    re.DOTALL,
)
"""A call of JavaScript that types a literal: group 1 is what stands before it, a selector included."""


def redactor_for(job: SendJob, secrets: Mapping[str, Any] | None = None) -> Redactor:
    """Takes a job's secrets out of texts: its own, and the values of those that it fetched."""
    redactor = Redactor()
    for name in job.__struct_fields__:
        if name != "steps":  # which may be nested deeply, and hold none
            for value in _given(getattr(job, name)):
                redactor.learn(value)
    for step in job.steps:
        for action in step.actions:
            for value in _typed(action):
                redactor.learn(value)
    learn(redactor, secrets or {})
    return redactor


def learn(redactor: Redactor, secrets: Mapping[str, Any]) -> None:
    """Has it take these secrets out, too: every text and number in them."""
    for value in scalars(json.dumps(secrets).encode()):
        redactor.learn(value)


def without_typed(action: Action) -> Any:
    """The action without what it types."""
    if isinstance(action, str):
        return _TYPING.sub(rf'\g<1>"{REDACTED}"', action)
    ((method, given),) = action.items()
    name = TYPED.get(method)
    if name is None:
        return action
    if isinstance(given, dict):
        return {method: {**given, name: _unless_reference(given[name])} if name in given else given}
    return {method: _unless_reference(given) if method in _BARE else given}


def hosts_only(webhooks: Any) -> Any:
    """A job's webhooks without what follows the host: a path or query may be as good as a secret."""
    if not isinstance(webhooks, list):
        return webhooks
    return [_AFTER_HOST.sub(rf"\g<1>{REDACTED}", url) if isinstance(url, str) else url for url in webhooks]


def _given(value: Any) -> Iterator[str]:
    """Every `Secret` of a struct, at any depth."""
    if isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, Secrets):
        yield from (one.reveal() for one in value.values)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _given(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _given(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from _given(item)


def _typed(action: Action) -> Iterator[str]:
    if isinstance(action, str):
        yield from (found[2][1:-1] for found in _TYPING.finditer(action))
        return
    ((method, given),) = action.items()
    name = TYPED.get(method)
    if name and isinstance(given, dict):
        given = given.get(name)
    elif method not in _BARE:
        return
    if isinstance(given, str) and not _REFERENCE.fullmatch(given):
        yield given


def _unless_reference(value: Any) -> Any:
    return value if isinstance(value, str) and _REFERENCE.fullmatch(value) else REDACTED
