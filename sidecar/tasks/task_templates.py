"""A task's browser job: its config filled into `{{…}}`, and checked as `send_job` checks what a parent sends."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import ErrorCode, WireError
from sidecar_protocol.jobs import SendJob

from sidecar.browser.steps.plan import PlannedStep
from sidecar.errors import InvalidContent
from sidecar.jobs.payloads import decode_message
from sidecar.templates import (
    MAX_FILLED_BYTES,
    MISSING,
    REFERENCE,
    FieldPath,
    TextBudget,
    lookup,
    map_templates,
    quotable,
)

_MESSAGE_FIELDS: Final = ("mode", "key")
"""Members that say how a message is run; for a task they are fixed."""


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
    filled: dict[str, Any] = map_templates(
        job, FieldPath("job"), _ConfigFiller(config, names, TextBudget(max_bytes)).text
    )
    return filled


Plan = Callable[[SendJob], Sequence[PlannedStep]]
"""Checks a job and returns its steps. Raises InvalidContent and LimitExceeded."""


def prepare_job(
    job: Mapping[str, Any], config: Mapping[str, Any], plan: Plan, max_bytes: int = MAX_FILLED_BYTES
) -> tuple[SendJob, Sequence[PlannedStep]]:
    """The filled job, checked, and its steps.

    Raises WireError, `invalid_content` or `limit_exceeded`, whose `field` begins with `job`.
    """
    for name in _MESSAGE_FIELDS:
        if name in job:
            raise InvalidContent(f"job.{name}: not allowed in a task's job", f"job.{name}")
    content = encode(fill_config(job, config, max_bytes))
    try:
        decoded: SendJob = decode_message("send_job", content)
        return decoded, plan(decoded)
    except WireError as error:
        from sidecar.jobs.job_mistakes import add_job_mistakes  # late: it brings playwright with it

        add_job_mistakes(error, content)
        if error.code in (ErrorCode.INVALID_CONTENT, ErrorCode.LIMIT_EXCEEDED):
            error.prefix_fields("job")
        raise


class _Value(NamedTuple):
    """A value of the config, and what it is inside other text."""

    value: Any
    text: str
    size: int
    """The text's size in bytes."""


class _ConfigFiller:
    """Fills one job. Each value is written as JSON once, however often it is used."""

    def __init__(self, config: Mapping[str, Any], secrets: frozenset[str], budget: TextBudget) -> None:
        self._config = config
        self._secrets = secrets
        self._budget = budget
        self._known: dict[str, _Value] = {}

    def text(self, text: str, place: FieldPath) -> Any:
        """A string with its references replaced."""
        whole = REFERENCE.fullmatch(text)
        if whole and not self._is_secret(whole[1]):
            value = self._value(whole[1], place)
            self._budget.spend(value.size, place)
            return value.value
        return self._budget.fill(
            text, place, lambda path: None if self._is_secret(path) else self._value(path, place).text
        )

    def _is_secret(self, path: str) -> bool:
        return path.partition(".")[0] in self._secrets

    def _value(self, path: str, place: FieldPath) -> _Value:
        known = self._known.get(path)
        if known is None:
            names = path.split(".")
            value = lookup(self._config, names)
            if value is MISSING and names[0] == "config":
                value = lookup(self._config, names[1:]) if names[1:] else MISSING
            if value is MISSING:
                message = f"{place}: {{{{{quotable(path)}}}}} is neither in config nor one of the job's secrets"
                raise InvalidContent(message, str(place))
            text = value if isinstance(value, str) else encode(value).decode()
            known = self._known[path] = _Value(value, text, len(text.encode()))
        return known
