"""Every failure the sidecar knows, as one tree; each class carries the code it has on the wire.

WireError (sidecar_protocol)
└── SidecarError
    ├── InvalidContent          invalid_content
    ├── MissingCredentials      missing_credentials
    ├── DecryptionKeyMissing    missing_credentials
    ├── NotFound                not_found
    ├── Conflict                conflict
    ├── LimitExceeded           limit_exceeded
    ├── QueueFull               queue_full
    ├── TimedOut                timeout
    ├── Cancelled               cancelled
    ├── ShuttingDown            shutting_down
    ├── StoreFailed             internal
    ├── CorruptRecord           internal
    ├── RemoteFailed            remote_error
    │   ├── Unauthorized        unauthorized
    │   ├── Forbidden           forbidden
    │   └── NotRecorded         not_recorded
    ├── RemoteUnreachable       remote_unreachable
    └── BrowserFailed
        ├── NavigationFailed    navigation_failed
        ├── ActionFailed        action_failed
        ├── BrowserUnavailable  browser_unavailable
        ├── BrowserCrashed      browser_crashed
        └── SandboxCrashed      browser_crashed
"""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

from sidecar_protocol.errors import MAX_FIELD_ERRORS, Detail, ErrorCode, ErrorDetail, FieldError, WireError

INTERNAL_ERROR: Final = "internal error; the sidecar's log says more"
"""The sentence for an unexpected exception, whose own text may contain anything."""


def error_detail(failure: BaseException) -> ErrorDetail:
    """The error of a failure, as it is sent."""
    if isinstance(failure, WireError):
        return failure.detail
    return ErrorDetail(code=ErrorCode.INTERNAL, message=INTERNAL_ERROR, retryable=False)


class SidecarError(WireError):
    """A failure whose class determines its code."""

    code: ErrorCode = ErrorCode.INTERNAL

    def __init__(self, message: str, *, retryable: bool | None = None, **details: Detail) -> None:
        super().__init__(type(self).code, message, retryable=retryable, **details)


class InvalidContent(SidecarError):
    """The content has the right shape but is wrong; `field` is the place."""

    code = ErrorCode.INVALID_CONTENT

    def __init__(self, message: str, field: str = "content", fields: Detail = None) -> None:
        """`fields` are all mistakes, if there are several."""
        super().__init__(message, field=field)
        if fields is not None:
            self.details["fields"] = fields


class ErrorCollector:
    """Collects the mistakes that several checks of one content find, so that one error names them all."""

    def __init__(self) -> None:
        self._fields: list[FieldError] = []

    def add(self, error: InvalidContent) -> None:
        """Adds a mistake. Raises InvalidContent once there are as many as one error names."""
        self._fields += error.detail.fields or ()
        if len(self._fields) >= MAX_FIELD_ERRORS:
            self.raise_if_any()

    def raise_if_any(self) -> None:
        """Raises InvalidContent with sentence and field of the first mistake, and the fields of all."""
        if self._fields:
            first = self._fields[0]
            several = tuple(islice(self._fields, MAX_FIELD_ERRORS)) if len(self._fields) > 1 else None
            raise InvalidContent(first.message, first.field, several)


def mistakes_of(check: Callable[[], object]) -> tuple[FieldError, ...]:
    """The mistakes for which a check raises InvalidContent; none for its other failures."""
    try:
        check()
    except WireError as error:
        return error.detail.fields or ()
    return ()


def add_mistakes(error: WireError, found: Iterable[FieldError]) -> None:
    """Adds further mistakes of the same content to an `invalid_content`, which keeps sentence and field of its first.

    What lies in a place that the error names already is left out.
    """
    fields = list(error.detail.fields or ())
    for one in found:
        if not any(_contains(known.field, one.field) for known in fields):
            fields.append(one)
        if len(fields) >= MAX_FIELD_ERRORS:
            break
    if len(fields) > 1:
        error.details = {**error.details, "fields": tuple(fields)}


def _contains(place: str, inner: str) -> bool:
    return place in ("content", inner) or inner.startswith((f"{place}.", f"{place}["))


class MissingCredentials(SidecarError):
    """A server is needed, but there is no login."""

    code = ErrorCode.MISSING_CREDENTIALS

    def __init__(self) -> None:
        super().__init__(
            "missing credentials, call set_credentials before this method",
            hint="log in with set_credentials, or try it out with set_mock; browser jobs that name no `secrets` and"
            " have no `forward` need neither",
        )


class DecryptionKeyMissing(SidecarError):
    """A stored secret was encrypted with another key."""

    code = ErrorCode.MISSING_CREDENTIALS

    def __init__(self) -> None:
        super().__init__(
            "this needs a secret that was encrypted with another key; set SIDECAR_STORE_KEY or send it again"
        )


class NotFound(SidecarError):
    """The name or id is unknown."""

    code = ErrorCode.NOT_FOUND


class Conflict(SidecarError):
    """The id or name is in use."""

    code = ErrorCode.CONFLICT


class LimitExceeded(SidecarError):
    """A size, count or range limit was passed."""

    code = ErrorCode.LIMIT_EXCEEDED


class QueueFull(SidecarError):
    """The queue is full."""

    code = ErrorCode.QUEUE_FULL


class TimedOut(SidecarError):
    """A time limit was exceeded."""

    code = ErrorCode.TIMEOUT


class Cancelled(SidecarError):
    """The parent cancelled the request."""

    code = ErrorCode.CANCELLED

    def __init__(self) -> None:
        super().__init__("the request was cancelled")


class ShuttingDown(SidecarError):
    """The sidecar is shutting down and did not finish this request."""

    code = ErrorCode.SHUTTING_DOWN

    def __init__(self) -> None:
        super().__init__("the sidecar is shutting down and did not finish this request")


class StoreFailed(SidecarError):
    """The change could not be written to disk, and does not count as accepted."""

    code = ErrorCode.INTERNAL


class CorruptRecord(SidecarError):
    """A stored record can't be read by this version of the sidecar."""

    code = ErrorCode.INTERNAL


class RemoteFailed(SidecarError):
    """A server answered with an error; `status` is its HTTP status."""

    code = ErrorCode.REMOTE_ERROR


class Unauthorized(RemoteFailed):
    """A server rejected the key (401), or we a token."""

    code = ErrorCode.UNAUTHORIZED


class Forbidden(RemoteFailed):
    """A server, a token or a setting does not allow this (403)."""

    code = ErrorCode.FORBIDDEN


class NotRecorded(RemoteFailed):
    """A replay needs what its recording doesn't have."""

    code = ErrorCode.NOT_RECORDED


class RemoteUnreachable(SidecarError):
    """A server could not be reached, or closed the connection early."""

    code = ErrorCode.REMOTE_UNREACHABLE


class BrowserFailed(SidecarError):
    """A failure of a browser."""


class NavigationFailed(BrowserFailed):
    """The browser could not open `url`."""

    code = ErrorCode.NAVIGATION_FAILED


class ActionFailed(BrowserFailed):
    """An action of a step failed; `step` and `action` say which."""

    code = ErrorCode.ACTION_FAILED


class BrowserUnavailable(BrowserFailed):
    """No usable browser was found, or it did not start."""

    code = ErrorCode.BROWSER_UNAVAILABLE


class BrowserCrashed(BrowserFailed):
    """The page or its browser crashed during the job."""

    code = ErrorCode.BROWSER_CRASHED


class SandboxCrashed(BrowserFailed):
    """The browser of the sandboxes crashed, not by the job's fault; the job's page is intact."""

    code = ErrorCode.BROWSER_CRASHED
