"""The error codes of the wire: stable, snake_case, each with its meaning and whether trying again can help."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema


class ErrorCode(StrEnum):
    """Why a request failed. Clients branch on these; sentences may change, codes do not."""

    PARSE_ERROR = "parse_error"
    INVALID_REQUEST = "invalid_request"
    UNKNOWN_TYPE = "unknown_type"
    INVALID_CONTENT = "invalid_content"
    LINE_TOO_LONG = "line_too_long"
    MISSING_CREDENTIALS = "missing_credentials"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    LIMIT_EXCEEDED = "limit_exceeded"
    QUEUE_FULL = "queue_full"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    NAVIGATION_FAILED = "navigation_failed"
    ACTION_FAILED = "action_failed"
    BROWSER_UNAVAILABLE = "browser_unavailable"
    BROWSER_CRASHED = "browser_crashed"
    REMOTE_ERROR = "remote_error"
    REMOTE_UNREACHABLE = "remote_unreachable"
    NOT_RECORDED = "not_recorded"
    SHUTTING_DOWN = "shutting_down"
    INTERNAL = "internal"


MEANINGS: Final[dict[ErrorCode, str]] = {
    ErrorCode.PARSE_ERROR: "the line is not one JSON value in UTF-8, or is nested over 1,000 levels",
    ErrorCode.INVALID_REQUEST: "the line is JSON but not a request: an object with a string `type`",
    ErrorCode.UNKNOWN_TYPE: "no message has this `type`",
    ErrorCode.INVALID_CONTENT: "the content does not fit the message; `fields` names every place, `field` the first",
    ErrorCode.LINE_TOO_LONG: "the line is longer than the limit; it was skipped",
    ErrorCode.MISSING_CREDENTIALS: "the message needs a server, and no login is in force",
    ErrorCode.UNAUTHORIZED: "a server refused the key, or a token is missing, forged or expired",
    ErrorCode.FORBIDDEN: "the key, the token or the settings do not allow this",
    ErrorCode.NOT_FOUND: "there is nothing under that name or id",
    ErrorCode.CONFLICT: "the same id or name is in use",
    ErrorCode.LIMIT_EXCEEDED: "a size, count or range limit was passed",
    ErrorCode.QUEUE_FULL: "the queue is full",
    ErrorCode.TIMEOUT: "it took longer than it was given",
    ErrorCode.CANCELLED: "the parent cancelled the request",
    ErrorCode.NAVIGATION_FAILED: "the browser could not open `url`",
    ErrorCode.ACTION_FAILED: "an action of a step failed; `step` and `action` say which",
    ErrorCode.BROWSER_UNAVAILABLE: "no usable browser was found, or it did not start",
    ErrorCode.BROWSER_CRASHED: "the page or its browser crashed during the job",
    ErrorCode.REMOTE_ERROR: "a server answered with an error; `status` is its HTTP status",
    ErrorCode.REMOTE_UNREACHABLE: "a server could not be reached, or broke off its answer",
    ErrorCode.NOT_RECORDED: "an offline replay needs a request or a page that was not recorded; `url` names it",
    ErrorCode.SHUTTING_DOWN: "the sidecar is ending and did not get to this request",
    ErrorCode.INTERNAL: "a fault of the sidecar's own; its log on stderr says more",
}

RETRYABLE: Final[frozenset[ErrorCode]] = frozenset(
    {
        ErrorCode.QUEUE_FULL,
        ErrorCode.TIMEOUT,
        ErrorCode.BROWSER_CRASHED,
        ErrorCode.REMOTE_UNREACHABLE,
        ErrorCode.SHUTTING_DOWN,
    }
)


class _Light:
    """A member of models that is none itself, so that errors need no pydantic."""

    __slots__ = ()

    __pydantic_config__: ClassVar[dict[str, Any]] = {"strict": True, "extra": "forbid", "hide_input_in_errors": True}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        from sidecar_protocol.models import as_in_json

        return as_in_json(handler(source), handler)


@dataclass(frozen=True, slots=True)
class FieldError(_Light):
    """One wrong place in a content."""

    field: str
    message: str

    def wire_members(self) -> dict[str, Any]:
        """The members by their names on the wire."""
        return {"field": self.field, "message": self.message}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorDetail(_Light):
    """The typed form of an error, sent in addition to the sentence that v1 parents read."""

    code: ErrorCode
    message: str
    retryable: bool
    """Whether the same request can succeed later without being changed."""
    hint: str | None = None
    """What to do, where the sentence does not say it: v1's sentences stay word for word."""
    field: str | None = None
    fields: tuple[FieldError, ...] | None = None
    """Every wrong place of an `invalid_content`, at most 20; the first equals `field` and `message`."""
    url: str | None = None
    status: int | None = None
    step: str | None = None
    action: str | None = None
    title: str | None = None
    """Of the page on which a job failed; `url` is its address, or the one that could not be opened."""
    artifacts: dict[str, str] | None = None
    """What a failed job captured by `on_failure`: `screenshot`, `html`, `trace`; as its `artifacts` are kept."""
    extract: dict[str, Any] | None = None
    """The extract of the steps before the failure, up to 64 KiB."""
    console: tuple[str, ...] | None = None
    """The last 20 console lines of a failed job."""
    number: int | None = None
    """EngageLab's number of the error, for messages about schedules."""
    output: tuple[str, ...] | None = None
    """The output of a task's script before it failed."""
    stack: tuple[str, ...] | None = None
    """The calls in which a task's script failed: at most five, as `main (a.js:3:12)`, innermost first."""

    def wire_members(self) -> dict[str, Any]:
        """The members by their names on the wire, without absent ones."""
        given = ((name, getattr(self, name)) for name in self.__slots__)
        return {name: value for name, value in given if value is not None}


MAX_FIELD_ERRORS: Final = 20
"""Mistakes that one error names."""

Detail = str | int | tuple[str, ...] | tuple[FieldError, ...] | dict[str, Any] | None
"""An optional member of ErrorDetail."""


class WireError(Exception):
    """A failure that has a form on the wire; `details` are ErrorDetail's optional members."""

    def __init__(self, code: ErrorCode, message: str, *, retryable: bool | None = None, **details: Detail) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = code in RETRYABLE if retryable is None else retryable
        self.details = details

    def prefix_fields(self, prefix: str) -> None:
        """Puts `prefix` before each field that the error names: its content is part of another one."""
        inner = str(self.details.get("field") or "content")
        fields = self.details.get("fields")
        self.message = _prefixed_message(self.message, inner, prefix)
        self.args = (self.message,)
        self.details = {**self.details, "field": _prefixed(inner, prefix)}
        if isinstance(fields, tuple):
            self.details["fields"] = tuple(
                FieldError(_prefixed(one.field, prefix), _prefixed_message(one.message, one.field, prefix))
                for one in fields
                if isinstance(one, FieldError)
            )

    @property
    def detail(self) -> ErrorDetail:
        """The typed form of the error."""
        details = self.details
        if self.code is ErrorCode.INVALID_CONTENT and isinstance(field := details.get("field"), str):
            details = {"fields": (FieldError(field, self.message),), **details}
        return ErrorDetail(code=self.code, message=self.message, retryable=self.retryable, **details)  # type: ignore[arg-type]


def _prefixed(field: str, prefix: str) -> str:
    if field == "content":
        return prefix
    return f"{prefix}{'' if field.startswith('[') else '.'}{field}"


def _prefixed_message(message: str, field: str, prefix: str) -> str:
    """A sentence that begins with its field, or with what the field is a part of, begins with the whole field."""
    place, colon, rest = message.partition(": ")
    if field == "content":
        return f"{prefix}: {rest if place == field else message}"
    if colon and field.startswith(place):
        return _prefixed(message, prefix)
    return f"{_prefixed(field, prefix)}: {message}"
