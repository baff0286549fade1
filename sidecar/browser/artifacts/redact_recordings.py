"""Takes secrets out of recordings: HAR files and Playwright's traces.

What is known to be secret by its place (cookies, credentials in headers, request bodies, typed text) goes whatever it
is; everywhere else a `Redact` replaces the values that the job is known to hold.
"""

import io
import re
import zipfile
from pathlib import PurePosixPath
from typing import Any, Final

import msgspec
from sidecar_protocol.wire_types import REDACTED

from sidecar.truncation import Redact

_SECRET_HEADERS: Final = frozenset(
    {"authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key", "x-auth-token", "x-csrf-token"}
)
_TYPED: Final = re.compile(r"^(\s*(?:fill|type|insertText|pressSequentially|press|selectOption)\().*", re.DOTALL)
"""The driver's log of what it types."""
_TYPING: Final = frozenset(
    {"value", "text", "password", "postData", "key", "valueOrLabel", "label", "payloads", "buffer"}
)
"""Arguments of calls that hold what was typed, chosen or uploaded, and the values of cookies that were set."""
_IDENTITY: Final = frozenset({"extraHTTPHeaders", "httpCredentials", "proxy", "storageState"})
_DRAWN: Final = frozenset({".css", ".gif", ".jpeg", ".jpg", ".png", ".svg", ".ttf", ".webp", ".woff", ".woff2"})
"""Resources that a snapshot needs to look as it did; bodies of any other kind are left out of a trace."""
_LINES: Final = frozenset({".network", ".trace"})


def redact_har(data: bytes, redact: Redact) -> bytes:
    """The HAR without cookie values, credentials, request bodies, and what `redact` knows."""
    har = msgspec.json.decode(data)
    for entry in har["log"]["entries"]:
        _redact_entry(entry)
    return msgspec.json.encode(_redact_value(har, redact))


def redact_trace(data: bytes, redact: Redact) -> bytes:
    """The trace without the same, without what was typed, and without response bodies but those that it draws."""
    cleaned = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as before,
        zipfile.ZipFile(cleaned, "w", compression=zipfile.ZIP_DEFLATED) as after,
    ):
        for name in before.namelist():
            suffix = PurePosixPath(name).suffix
            if suffix in _LINES:
                lines = before.read(name).splitlines()
                after.writestr(name, b"\n".join(_redact_line(line, redact) for line in lines if line))
            elif suffix in _DRAWN:
                after.writestr(name, before.read(name))
    return cleaned.getvalue()


def _redact_line(line: bytes, redact: Redact) -> bytes:
    event = msgspec.json.decode(line)
    if isinstance(event, dict):
        if event.get("type") == "resource-snapshot":
            _redact_entry(event["snapshot"])
        if "params" in event:
            event["params"] = _redact_names(event["params"], _TYPING)
        if "options" in event:
            event["options"] = _redact_names(event["options"], _IDENTITY)
        if isinstance(event.get("message"), str):
            event["message"] = _TYPED.sub(rf"\g<1>{REDACTED})", event["message"])
    return msgspec.json.encode(_redact_value(event, redact))


def _redact_entry(entry: dict[str, Any]) -> None:
    for side in ("request", "response"):
        message = entry.get(side) or {}
        for header in message.get("headers", ()):
            if header["name"].lower() in _SECRET_HEADERS:
                header["value"] = REDACTED
        for cookie in message.get("cookies", ()):
            cookie["value"] = REDACTED
        if "postData" in message:
            message["postData"] = {"mimeType": message["postData"].get("mimeType", ""), "text": REDACTED, "params": []}


def _redact_names(value: Any, names: frozenset[str]) -> Any:
    """The same value, whatever stands under these names replaced."""
    if isinstance(value, dict):
        return {name: REDACTED if name in names else _redact_names(item, names) for name, item in value.items()}
    return [_redact_names(item, names) for item in value] if isinstance(value, list) else value


def _redact_value(value: Any, redact: Redact) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {
            redact(name): REDACTED if name == "__playwright_value_" else _redact_value(item, redact)
            for name, item in value.items()
        }
    return [_redact_value(item, redact) for item in value] if isinstance(value, list) else value
