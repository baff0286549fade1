"""Values on their way between sandbox and sidecar: JSON, with what JSON lacks as `{"$": kind, "v": …}`."""

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Final

from playwright.async_api import Error as PlaywrightError

DEEPEST: Final = 200
_LONGEST_PATTERN: Final = 1_000
_FLAGS: Final = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}


class Refused(Exception):
    """A call that is not carried out; `code` is the wire's, the text the reason that the action is told."""

    def __init__(self, reason: str, code: str = "action_failed") -> None:
        super().__init__(reason)
        self.code = code


class Undefined:
    """JavaScript's `undefined`, which leaves an argument out."""


UNDEFINED: Final = Undefined()


def encode(value: Any, refer: Callable[[Any], dict[str, Any] | None], depth: int = 0) -> Any:
    """A result as the sandbox reads it; `refer` gives the reference of an object of Playwright's, or None."""
    if depth > DEEPEST:
        raise Refused(f"the result is nested over {DEEPEST} levels")
    if isinstance(value, list | tuple) and not hasattr(value, "geturl"):
        return [encode(item, refer, depth + 1) for item in value]
    if isinstance(value, Mapping):
        members = {str(name): encode(item, refer, depth + 1) for name, item in value.items()}
        return {"$": "object", "v": members} if "$" in members else members
    if value is None or isinstance(value, bool | str):
        return value
    special = _encode_special(value)
    return refer(value) if special is None else special


def _encode_special(value: Any) -> Any:
    special: Any = None
    match value:
        case int():
            special = value if abs(value) < 1 << 53 else {"$": "bigint", "v": str(value)}
        case float():
            special = value if math.isfinite(value) else {"$": "number", "v": _number(value)}
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


def _number(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def decode(value: Any, resolve: Callable[[dict[str, Any]], Any], depth: int = 0) -> Any:
    """An argument as Playwright takes it; `resolve` gives the object of a reference. Raises Refused."""
    if depth > DEEPEST:
        raise Refused(f"an argument is nested over {DEEPEST} levels")
    if isinstance(value, list):
        return [decode(item, resolve, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("$")
    members = value if kind is None else value.get("v") if kind == "object" else None
    if isinstance(members, dict):
        return {name: decode(item, resolve, depth + 1) for name, item in members.items()}
    if kind == "ref":
        return resolve(value)
    return _decode_special(kind, value.get("v"))


def _decode_special(kind: Any, given: Any) -> Any:  # noqa: PLR0911 - a line for each kind
    match kind, given:
        case "undefined", _:
            return UNDEFINED
        case "number", str():
            return -0.0 if given == "-0" else float(given)
        case "bigint", str() if len(given) < 1_000:
            return int(given)
        case (("function" | "error"), str()):
            return given
        case "date", str():
            return datetime.fromisoformat(given)
        case "bytes", str():
            return _bytes(given)
        case "regexp", [str() as source, str() as flags]:
            return _pattern(source, flags)
    raise Refused(f"an argument of the kind {kind} can't be passed")


def plain(value: Any) -> Any:  # noqa: PLR0911 - a line for each kind
    """An action's value as JSON: what has no form there is null, bytes are base64."""

    match value:
        case {"$": "bytes" | "date" | "error" | "bigint", "v": given}:
            return given
        case {"$": "regexp", "v": [source, flags]}:
            return f"/{source}/{flags}"
        case {"$": "object", "v": dict() as members}:
            return {name: plain(item) for name, item in members.items()}
        case {"$": "number", "v": "-0"}:
            return 0
        case {"$": _}:
            return None
        case dict():
            return {name: plain(item) for name, item in value.items()}
        case list():
            return [plain(item) for item in value]
    return value


def inline_files(given: Any) -> list[dict[str, Any]]:
    """Files that came with the action itself. Raises Refused for paths."""
    files = given if isinstance(given, list) else [given]
    return [_inline_file(one) for one in files]


def _inline_file(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise Refused("files are given as {name, mimeType, buffer}; paths are refused", "forbidden")
    name, kind, content = given.get("name"), given.get("mimeType"), given.get("buffer")
    if not isinstance(name, str) or not isinstance(kind, str) or not isinstance(content, str | bytes):
        raise Refused("a file needs name, mimeType and buffer (base64, or bytes)")
    return {"name": name, "mimeType": kind, "buffer": content if isinstance(content, bytes) else _bytes(content)}


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Refused("the buffer is not base64") from None


def _pattern(source: str, flags: str) -> re.Pattern[str]:
    """For locators only: there Playwright hands the source on to the page. Python itself never matches with it."""
    unknown = set(flags) - set(_FLAGS) - {"g"}
    if unknown or len(source) > _LONGEST_PATTERN:
        raise Refused(f"the regular expression is too long, or has flags other than {''.join(_FLAGS)}g")
    combined = 0
    for flag in set(flags) & set(_FLAGS):
        combined |= _FLAGS[flag]
    try:
        return re.compile(source, combined)
    except (re.error, RecursionError, OverflowError) as wrong:
        raise Refused(f"the regular expression /{source}/ can't be passed on: {wrong}") from None
