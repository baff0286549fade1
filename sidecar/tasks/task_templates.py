"""A task's browser job: its config filled into `{{…}}`, and checked as `send_job` checks what a parent sends."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec
from sidecar_protocol import codec
from sidecar_protocol.errors import ErrorCode, WireError
from sidecar_protocol.jobs import SendJob

from sidecar.errors import InvalidContent, LimitExceeded
from sidecar.jobs.browser_job_runner import validate
from sidecar.template_limits import MAX_FILLED_BYTES, Place, Room, mapped, shown

_REFERENCE: Final = re.compile(r"\{\{\s*([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)\s*\}\}")
_MISSING: Final = object()
_MESSAGE_FIELDS: Final = ("mode", "key")
"""What says how a message is run, which is the task's own affair here."""


def fill_config(job: Mapping[str, Any], config: Mapping[str, Any], max_bytes: int = MAX_FILLED_BYTES) -> dict[str, Any]:
    """The job with each `{{name}}`, `{{name.field}}` and `{{config.name}}` of its strings replaced, at any depth.

    A string that is nothing but one reference becomes the value itself, of whatever type; inside other text a value
    is text or JSON. What is filled in is not read again. References to the job's own secrets are left for its run.
    Raises InvalidContent, with the place, for a name that is neither, and LimitExceeded before
    more than `max_bytes` are made.
    """
    secrets = job.get("secrets")
    names = frozenset(secrets) if isinstance(secrets, Mapping) else frozenset()
    both = sorted(names & config.keys())
    if both:
        raise InvalidContent(f"job.secrets: {both[0]} is the name of a secret and of a value in config", "job.secrets")
    filled: dict[str, Any] = mapped(job, Place("job"), _ConfigFiller(config, names, Room(max_bytes)).text)
    return filled


def prepare_job(job: Mapping[str, Any], config: Mapping[str, Any], max_bytes: int = MAX_FILLED_BYTES) -> bytes:
    """The filled job as `send_job`'s content in JSON.

    Raises InvalidContent and LimitExceeded whose `field` begins with `job`.
    """
    for name in _MESSAGE_FIELDS:
        if name in job:
            raise InvalidContent(f"job.{name}: a task's job has no {name}", f"job.{name}")
    content = msgspec.json.encode(fill_config(job, config, max_bytes))
    try:
        decoded: SendJob = codec.decode_content(codec.Request("send_job", None, msgspec.Raw(content)))
    except WireError as error:
        raise _with_job_prefix(error) from None
    try:
        validate(decoded, files=True)  # whether the setting allows them is checked beside
    except (InvalidContent, LimitExceeded) as error:
        raise _with_job_prefix(error) from None
    return content


def _with_job_prefix(error: WireError) -> InvalidContent | LimitExceeded:
    """The same, said of a member of the task's `job`."""
    message, field = error.message, error.detail.field or "content"
    if field == "content":
        message, field = message.removeprefix("content: "), ""
    place = f"job.{field}" if field else "job"
    message = f"job.{message}" if field else f"job: {message}"
    if error.detail.code is ErrorCode.LIMIT_EXCEEDED:
        return LimitExceeded(message, field=place)
    return InvalidContent(message, place)


class _Value(NamedTuple):
    """A value of the config, and what it is inside other text."""

    value: Any
    text: str
    size: int
    """Bytes of the text."""


class _ConfigFiller:
    """Fills one job. Each value is written as JSON once, however often it is used."""

    def __init__(self, config: Mapping[str, Any], secrets: frozenset[str], room: Room) -> None:
        self._config = config
        self._secrets = secrets
        self._room = room
        self._known: dict[str, _Value] = {}

    def text(self, text: str, place: Place) -> Any:
        """A string with its references replaced."""
        whole = _REFERENCE.fullmatch(text)
        if whole and not self._is_secret(whole):
            value = self._value(whole[1], place)
            self._room.take(value.size, place)
            return value.value
        found = (match for match in _REFERENCE.finditer(text) if not self._is_secret(match))
        return self._room.splice(text, ((match, self._value(match[1], place).text) for match in found), place)

    def _is_secret(self, found: re.Match[str]) -> bool:
        return found[1].partition(".")[0] in self._secrets

    def _value(self, path: str, place: Place) -> _Value:
        known = self._known.get(path)
        if known is None:
            value = _lookup(self._config, path)
            if value is _MISSING and path.startswith("config."):
                value = _lookup(self._config, path.removeprefix("config."))
            if value is _MISSING:
                message = f"{place}: {{{{{shown(path)}}}}} is neither in config nor one of the job's secrets"
                raise InvalidContent(message, str(place))
            text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            known = self._known[path] = _Value(value, text, len(text.encode()))
        return known


def _lookup(value: Any, path: str) -> Any:
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return _MISSING
        value = value[name]
    return value
