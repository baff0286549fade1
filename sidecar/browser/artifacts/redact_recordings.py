"""Redacts recordings: HAR files and Playwright's traces.

Values that are secret by their place (cookies, credentials in headers, request bodies, typed text) are always removed;
everywhere else a `Redact` replaces the job's known secrets.
"""

import io
import re
import zipfile
from pathlib import PurePosixPath
from typing import Any, Final

from sidecar_protocol.codec import plain
from sidecar_protocol.encoding import encode
from sidecar_protocol.wire_types import REDACTED

from sidecar.truncation import Redact

_SECRET_HEADERS: Final = frozenset(
    {"authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key", "x-auth-token", "x-csrf-token"}
)
_TYPED: Final = re.compile(r"^(\s*(?:fill|type|insertText|pressSequentially|press|selectOption)\().*", re.DOTALL)
"""The driver's log of typed text."""
_TYPING: Final = frozenset(
    {"value", "text", "password", "postData", "key", "valueOrLabel", "label", "payloads", "buffer"}
)
"""Arguments of calls that hold typed, selected or uploaded values, and values of cookies."""
_IDENTITY: Final = frozenset({"extraHTTPHeaders", "httpCredentials", "proxy", "storageState"})
_DRAWN: Final = frozenset({".css", ".gif", ".jpeg", ".jpg", ".png", ".svg", ".ttf", ".webp", ".woff", ".woff2"})
"""Resources that a snapshot needs; all other bodies are removed from a trace."""
_LINES: Final = frozenset({".network", ".trace"})


def redact_har(data: bytes, redact: Redact) -> bytes:
    """The HAR without cookie values, credentials and request bodies, and redacted by `redact`."""
    har = plain(data)
    for entry in har["log"]["entries"]:
        _redact_entry(entry)
    return encode(_redact_value(har, redact))


def redact_trace(data: bytes, redact: Redact) -> bytes:
    """The trace without these, without typed text, and with the response bodies of snapshots only."""
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
    event = plain(line)
    if isinstance(event, dict):
        if event.get("type") == "resource-snapshot":
            _redact_entry(event["snapshot"])
        if "params" in event:
            event["params"] = _redact_names(event["params"], _TYPING)
        if "options" in event:
            event["options"] = _redact_names(event["options"], _IDENTITY)
        if isinstance(event.get("message"), str):
            event["message"] = _TYPED.sub(rf"\g<1>{REDACTED})", event["message"])
    return encode(_redact_value(event, redact))


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
    """The value with these members replaced, at any depth."""
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
