"""Errors of the HTTP front: each of the wire's codes with its status, in the form of RFC 9457."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import MEANINGS, ErrorCode, WireError

STATUSES: Final[dict[ErrorCode, int]] = {
    ErrorCode.PARSE_ERROR: 400,
    ErrorCode.INVALID_REQUEST: 400,
    ErrorCode.UNKNOWN_TYPE: 404,
    ErrorCode.INVALID_CONTENT: 400,
    ErrorCode.LINE_TOO_LONG: 413,
    ErrorCode.MISSING_CREDENTIALS: 401,
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.CONFLICT: 409,
    ErrorCode.LIMIT_EXCEEDED: 422,
    ErrorCode.QUEUE_FULL: 429,
    ErrorCode.TIMEOUT: 504,
    ErrorCode.CANCELLED: 409,
    ErrorCode.NAVIGATION_FAILED: 502,
    ErrorCode.ACTION_FAILED: 422,
    ErrorCode.BROWSER_UNAVAILABLE: 503,
    ErrorCode.BROWSER_CRASHED: 503,
    ErrorCode.REMOTE_ERROR: 502,
    ErrorCode.REMOTE_UNREACHABLE: 502,
    ErrorCode.NOT_RECORDED: 502,
    ErrorCode.SHUTTING_DOWN: 503,
    ErrorCode.INTERNAL: 500,
}
"""The status of an error with each code."""
RETRY_AFTER: Final = "1"
"""Seconds after which a client may try again where the queue is full or the process ends."""
PROBLEM: Final = "application/problem+json"
CLOSE: Final = {"Connection": "close"}


class Refused(Exception):
    """A request that failed: its typed error, and its status."""

    def __init__(
        self, error: Mapping[str, Any], status: int | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """`error` is an ErrorDetail by its names on the wire; the status is that of its code by default."""
        super().__init__(error["message"])
        self.error = dict(error)
        self.status = STATUSES[ErrorCode(error["code"])] if status is None else status
        self.headers = dict(headers or {})
        if self.status in (429, 503):
            self.headers.setdefault("Retry-After", RETRY_AFTER)

    @classmethod
    def of(cls, wrong: WireError, status: int | None = None, headers: Mapping[str, str] | None = None) -> "Refused":
        """That of an exception."""
        return cls(wrong.detail.wire_members(), status, headers)

    @classmethod
    def because(
        cls, code: ErrorCode, message: str, status: int | None = None, headers: Mapping[str, str] | None = None
    ) -> "Refused":
        """That of a code and a sentence."""
        return cls.of(WireError(code, message), status, headers)

    @property
    def message(self) -> str:
        """What failed, in a sentence."""
        return str(self.error["message"])

    @property
    def code(self) -> ErrorCode:
        """The error's code."""
        return ErrorCode(self.error["code"])


def problem(refused: Refused) -> web.Response:
    """The answer to a request that failed, as RFC 9457 has it; the typed error is its member `error`."""
    code = refused.code
    body = {
        "type": f"/docs#{code}",
        "title": MEANINGS[code],
        "status": refused.status,
        "detail": refused.message,
        "error": refused.error,
    }
    return web.Response(status=refused.status, body=encode(body), content_type=PROBLEM, headers=refused.headers)
