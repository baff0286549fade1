"""A task's browser job: its config filled into `{{…}}`, and checked as `send_job` checks what a parent sends."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from protocol import codec
from protocol.base import decode_hook
from protocol.jobs import SendJob
from sidecar.errors import InvalidContent
from sidecar.work.jobs.runner import validate

_REFERENCE: Final = re.compile(r"\{\{\s*([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)\s*\}\}")
_MISSING: Final = object()
_OF_THE_MESSAGE: Final = ("mode", "key")
"""What says how a message is run, which is the task's own affair here."""


def fill(job: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The job with each `{{name}}`, `{{name.field}}` and `{{config.name}}` of its strings replaced, at any depth.

    A string that is nothing but one reference becomes the value itself, of whatever type; inside other text a value
    is text or JSON. What is filled in is not read again. References to the job's own secrets are left for its run.
    Raises InvalidContent, with the place, for a name that is neither.
    """
    secrets = job.get("secrets")
    names = frozenset(secrets) if isinstance(secrets, Mapping) else frozenset()
    both = sorted(names & config.keys())
    if both:
        raise InvalidContent(f"job.secrets: {both[0]} is the name of a secret and of a value in config", "job.secrets")
    return {name: _fill(value, config, names, f"job.{name}") for name, value in job.items()}


def prepare(job: Mapping[str, Any], config: Mapping[str, Any]) -> bytes:
    """The filled job as `send_job`'s content in JSON. Raises InvalidContent whose `field` begins with `job`."""
    for name in _OF_THE_MESSAGE:
        if name in job:
            raise InvalidContent(f"job.{name}: a task's job has no {name}", f"job.{name}")
    content = msgspec.json.encode(fill(job, config))
    try:
        decoded = msgspec.json.decode(content, type=SendJob, dec_hook=decode_hook)
    except msgspec.ValidationError as wrong:
        said, path = codec.explain(wrong)
        field = f"job.{path}" if path else "job"
        raise InvalidContent(f"{field}: {said}", field) from None
    try:
        validate(decoded, files=True)  # whether the setting allows them is checked beside
    except InvalidContent as wrong:
        raise InvalidContent(f"job.{wrong.message}", f"job.{wrong.places.get('field')}") from None
    return content


def _fill(value: Any, config: Mapping[str, Any], secrets: frozenset[str], place: str) -> Any:
    if isinstance(value, str):
        return _fill_text(value, config, secrets, place) if "{{" in value else value
    if isinstance(value, Mapping):
        return {name: _fill(item, config, secrets, f"{place}.{name}") for name, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, config, secrets, f"{place}[{index}]") for index, item in enumerate(value)]
    return value


def _fill_text(text: str, config: Mapping[str, Any], secrets: frozenset[str], place: str) -> Any:
    whole = _REFERENCE.fullmatch(text)
    if whole and whole[1].partition(".")[0] not in secrets:
        return _look_up(whole[1], config, place)

    def replaced(found: re.Match[str]) -> str:
        if found[1].partition(".")[0] in secrets:
            return found[0]
        value = _look_up(found[1], config, place)
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()

    return _REFERENCE.sub(replaced, text)


def _look_up(path: str, config: Mapping[str, Any], place: str) -> Any:
    value: Any = _walk(config, path)
    if value is _MISSING and path.startswith("config."):
        value = _walk(config, path.removeprefix("config."))
    if value is _MISSING:
        raise InvalidContent(f"{place}: {{{{{path}}}}} is neither in config nor one of the job's secrets", place)
    return value


def _walk(value: Any, path: str) -> Any:
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return _MISSING
        value = value[name]
    return value
