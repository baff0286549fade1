"""The wire format of values between sandbox and sidecar: JSON, with other types as `{"$": kind, "v": …}`."""

import base64
import binascii
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime
from typing import Any, Final

from playwright.async_api import Error as PlaywrightError

from sidecar.browser.limits import MAX_ARGUMENT_DEPTH, MAX_VALUES

MAX_BYTES: Final = 16 << 20
"""The largest value, in bytes."""
MAX_DEPTH: Final = 200
"""Levels of nesting of a result; arguments for a page may have half as many (`browser.limits`)."""
_MAX_PATTERN: Final = 1_000
_FLAGS: Final = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}


class CallRefused(Exception):
    """A call was refused; the text is the reason that the action gets, `code` is the wire's."""

    def __init__(self, reason: str, code: str = "action_failed") -> None:
        super().__init__(reason)
        self.code = code


class RouteRefused(CallRefused):
    """A handler's call on a route was refused: the action fails, and `abort` ends the pending request."""

    def __init__(self, refused: CallRefused, give_up: Callable[[], Awaitable[None]]) -> None:
        super().__init__(str(refused), refused.code)
        self.abort = give_up


class Undefined:
    """JavaScript's `undefined`, which leaves an argument out."""


UNDEFINED: Final = Undefined()


class _PartCounter:
    """Counts the parts of one value, and refuses a value that is too large before it is traversed."""

    __slots__ = ("_deepest", "_left", "_what")

    def __init__(self, what: str, deepest: int) -> None:
        self._what = what
        self._deepest = deepest
        self._left = MAX_VALUES

    def enter(self, members: Any, depth: int) -> None:
        """Counts the members of a container. Raises CallRefused for too many parts or levels."""
        self._left -= len(members)
        if self._left < 0:
            raise CallRefused(f"{self._what} has more than {MAX_VALUES} parts", "limit_exceeded")
        if depth >= self._deepest:
            raise CallRefused(f"{self._what} is nested over {self._deepest} levels", "limit_exceeded")


def encode(value: Any, reference_to: Callable[[Any], dict[str, Any] | None]) -> Any:
    """A result as the sandbox reads it; `reference_to` gives the reference of an object of Playwright's, or None.

    Raises CallRefused for one that is too large.
    """
    return _encode(value, reference_to, 0, _PartCounter("the result", MAX_DEPTH))


def _encode(value: Any, reference_to: Callable[[Any], dict[str, Any] | None], depth: int, parts: _PartCounter) -> Any:
    kind = type(value)
    if kind is str or kind is bytes:
        if len(value) > (MAX_BYTES if kind is str else MAX_BYTES // 4 * 3):
            raise CallRefused(f"the result is larger than {MAX_BYTES >> 20} MiB", "limit_exceeded")
        if kind is str:
            return value
    elif value is None or kind is bool:
        return value
    elif isinstance(value, list | tuple) and not hasattr(value, "geturl"):
        parts.enter(value, depth)
        return [_encode(item, reference_to, depth + 1, parts) for item in value]
    elif isinstance(value, Mapping):
        parts.enter(value, depth)
        members = {str(name): _encode(item, reference_to, depth + 1, parts) for name, item in value.items()}
        return {"$": "object", "v": members} if "$" in members else members
    special = _encode_special(value)
    return reference_to(value) if special is None else special


def _encode_special(value: Any) -> Any:
    special: Any = None
    match value:
        case int():
            special = value if abs(value) < 1 << 53 else {"$": "bigint", "v": str(value)}
        case float():
            special = value if math.isfinite(value) else {"$": "number", "v": _special_number(value)}
        case bytes():
            special = {"$": "bytes", "v": base64.b64encode(value).decode()}
        case datetime() | date():
            special = {"$": "date", "v": value.isoformat()}
        case PlaywrightError():
            special = {
                "$": "error",
                "v": {"name": value.name or "Error", "message": value.message, "stack": value.stack},
            }
        case BaseException():
            special = {"$": "error", "v": {"name": "Error", "message": str(value), "stack": None}}
        case _ if hasattr(value, "geturl"):
            special = value.geturl()
    return special


def _special_number(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def decode(value: Any, resolve: Callable[[dict[str, Any]], Any]) -> Any:
    """An argument as Playwright takes it; `resolve` gives the object of a reference. Raises CallRefused."""
    return _decode(value, resolve, 0, _PartCounter("an argument", MAX_ARGUMENT_DEPTH))


def _decode(value: Any, resolve: Callable[[dict[str, Any]], Any], depth: int, parts: _PartCounter) -> Any:
    if isinstance(value, list):
        parts.enter(value, depth)
        return [_decode(item, resolve, depth + 1, parts) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("$")
    members = value if kind is None else value.get("v") if kind == "object" else None
    if isinstance(members, dict):
        parts.enter(members, depth)
        return {name: _decode(item, resolve, depth + 1, parts) for name, item in members.items()}
    if kind == "ref":
        return resolve(value)
    return _decode_special(kind, value.get("v"))


def _decode_special(kind: Any, content: Any) -> Any:  # noqa: PLR0911 - a line for each kind
    match kind, content:
        case "undefined", _:
            return UNDEFINED
        case "number", str():
            return -0.0 if content == "-0" else float(content)
        case "bigint", str() if len(content) < 1_000:
            return int(content)
        case (("function" | "error"), str()):
            return content
        case "date", str():
            return datetime.fromisoformat(content)
        case "bytes", str():
            return _bytes(content)
        case "regexp", [str() as source, str() as flags]:
            return _pattern(source, flags)
    raise CallRefused(f"an argument of the kind {kind} can't be passed")


def to_json(value: Any) -> Any:
    """An action's value as JSON: what has no form there is null, bytes are base64. Raises CallRefused."""
    return _to_json(value, 0, _PartCounter("the value", MAX_DEPTH))


def _to_json(value: Any, depth: int, parts: _PartCounter) -> Any:
    if isinstance(value, list):
        parts.enter(value, depth)
        return [_to_json(item, depth + 1, parts) for item in value]
    if not isinstance(value, dict):
        return value
    members: Any = value
    if "$" in value:
        members = value.get("v") if value["$"] == "object" else None
        if not isinstance(members, dict):
            return _special_to_json(value)
    parts.enter(members, depth)
    return {name: _to_json(item, depth + 1, parts) for name, item in members.items()}


def _special_to_json(value: dict[str, Any]) -> Any:
    match value:
        case {"$": "bytes" | "date" | "error" | "bigint", "v": str() as content}:
            return content
        case {"$": "regexp", "v": [str() as source, str() as flags]}:
            return f"/{source}/{flags}"
        case {"$": "number", "v": "-0"}:
            return 0
    return None


def inline_files(content: Any) -> list[dict[str, Any]]:
    """Files whose content is part of the action. Raises CallRefused for paths."""
    files = content if isinstance(content, list) else [content]
    return [_inline_file(file) for file in files]


def _inline_file(file: Any) -> dict[str, Any]:
    if not isinstance(file, dict):
        raise CallRefused("files must be {name, mimeType, buffer}; paths are refused", "forbidden")
    name, kind, content = file.get("name"), file.get("mimeType"), file.get("buffer")
    if not isinstance(name, str) or not isinstance(kind, str) or not isinstance(content, str | bytes):
        raise CallRefused("a file needs name, mimeType and buffer (base64, or bytes)")
    return {"name": name, "mimeType": kind, "buffer": content if isinstance(content, bytes) else _bytes(content)}


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise CallRefused("the buffer is not base64") from None


def _pattern(source: str, flags: str) -> re.Pattern[str]:
    """A pattern for locators only: Playwright passes its source to the page, and Python never matches with it."""
    unknown = set(flags) - set(_FLAGS) - {"g"}
    if unknown or len(source) > _MAX_PATTERN:
        raise CallRefused(f"the regular expression is too long, or has flags other than {''.join(_FLAGS)}g")
    combined = 0
    for flag in set(flags) & set(_FLAGS):
        combined |= _FLAGS[flag]
    try:
        return re.compile(source, combined)
    except (re.error, RecursionError, OverflowError) as error:
        raise CallRefused(f"the regular expression /{source}/ can't be passed on: {error}") from None
