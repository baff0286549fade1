"""The network of browser jobs: a HAR for each in `pages/`, its secrets replaced, and an index of them."""

import base64
import binascii
import json
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from sidecar import files
from sidecar.http_record import Fields, HttpFailure, HttpRecord
from sidecar.recording.exchange_matcher import ExchangeMatcher
from sidecar.recording.recording_folder import PAGES, RecordingError
from sidecar.recording.redaction.redactor import Redactor
from sidecar.recording.redaction.secret_patterns import is_cookie_key, is_secret_key

INDEX: Final = "index.jsonl"
_BINARY: Final = 2
"""The opcode of a WebSocket's message whose data is base64."""
_CREDENTIALS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
_TEXTUAL: Final = ("text/", "application/json", "application/javascript", "application/x-www-form-urlencoded", "xml")


Sockets = dict[str, deque[list[tuple[bool, str | bytes]]]]
"""URL of a WebSocket -> for each connection its messages: whether the page sent it, and its data."""


Workers = dict[str, dict[str, Any]]
"""The script of a service worker -> the `status` of the response, and whether it `claims` pages that are open."""


@dataclass(frozen=True, slots=True)
class RecordedPages:
    """The network of one recorded job's pages."""

    seed: int
    began: float
    har: Path
    exchanges: ExchangeMatcher
    sockets: Sockets
    workers: Workers


class PageRecorder:
    """Writes the HARs of a recording. Safe to use from several threads."""

    def __init__(self, folder: Path, redactor: Redactor, on_bytes: Callable[[int], bool]) -> None:
        """`on_bytes` takes the size of a HAR, and says whether the recording is full."""
        self._folder = folder
        self._redactor = redactor
        self._on_bytes = on_bytes
        self._lock = threading.Lock()
        self._number = 0

    def record(self, job: str, seed: int, began: float, har: bytes) -> None:
        """Writes one. `job` says what was visited, see `job_key`. Raises OSError."""
        redacted = orjson.dumps(redact_har(orjson.loads(har), self._redactor))
        with self._lock:
            if self._on_bytes(len(redacted)):
                return
            self._number += 1
            name = f"{self._number:06}.har"
            pages = files.ensure_subfolder(self._folder, PAGES)
            with os.fdopen(files.create_file(pages / name), "wb") as file:
                file.write(redacted)
            entry = {"job": self._redactor.redact_text(job), "seed": seed, "began": began, "har": name}
            index = files.open_file(pages / INDEX, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            with os.fdopen(index, "ab") as file:
                file.write(orjson.dumps(entry) + b"\n")


class PageRecordings:
    """The HARs of a recording; those of one kind of job are given in the order in which the jobs began."""

    def __init__(self, folder: Path, ignored_parameters: Iterator[str] | tuple[str, ...] = ()) -> None:
        """Raises RecordingError."""
        self._folder = folder / PAGES
        self._ignored = tuple(ignored_parameters)
        self._waiting: dict[str, deque[dict[str, Any]]] = {}
        try:
            entries = map(orjson.loads, (self._folder / INDEX).read_bytes().splitlines())
            for entry in sorted(entries, key=lambda entry: float(entry["began"])):
                self._waiting.setdefault(entry["job"], deque()).append(entry)
        except FileNotFoundError:
            pass
        except OSError as failure:
            raise RecordingError(f"can't read {self._folder / INDEX}: {failure.strerror or failure}") from None
        except (ValueError, KeyError, TypeError):
            raise RecordingError(f"{self._folder / INDEX} is not an index of pages") from None

    def take(self, job: str) -> RecordedPages | None:
        """The next recording of such a job; None if there is none. Raises RecordingError."""
        waiting = self._waiting.get(job)
        if not waiting:
            return None
        entry = waiting.popleft()
        har = self._folder / os.path.basename(str(entry["har"]))  # noqa: PTH119 - it may only name a file in the same folder
        try:
            network = orjson.loads(har.read_bytes())
            exchanges = ExchangeMatcher([*har_exchanges(network)], self._ignored)
            return RecordedPages(
                int(entry["seed"]), float(entry["began"]), har, exchanges, har_sockets(network), har_workers(network)
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as wrong:
            raise RecordingError(f"can't read {har}: {type(wrong).__name__}") from None


def job_key(browser: str, urls: Iterator[str]) -> str:
    """The key that distinguishes jobs of a recording."""
    return json.dumps([browser, *urls])


def har_exchanges(har: dict[str, Any]) -> Iterator[HttpRecord]:
    """The exchanges of a HAR, in their order."""
    for entry in har["log"]["entries"]:
        request, response = entry["request"], entry["response"]
        status = response["status"]
        yield HttpRecord(
            method=request["method"],
            url=request["url"],
            fields=_pairs(request["headers"]),
            body=request.get("postData", {}).get("text", "").encode(),
            status=status,
            response_fields=_pairs(response["headers"]),
            response_body=_content(response["content"]),
            failure=HttpFailure("remote_unreachable", response.get("_failureText", ""), True) if status <= 0 else None,
        )


def har_sockets(har: dict[str, Any]) -> Sockets:
    """The WebSockets of a HAR, in their order."""
    sockets: Sockets = {}
    for entry in har["log"]["entries"]:
        if entry.get("_resourceType") == "websocket":
            messages = [_socket_message(message) for message in entry.get("_webSocketMessages", ())]
            sockets.setdefault(entry["request"]["url"], deque()).append(messages)
    return sockets


def har_workers(har: dict[str, Any]) -> Workers:
    """The service workers of a HAR."""
    workers: Workers = {}
    for entry in har["log"]["entries"]:
        if entry.get("_serviceWorkerRef") and entry.get("_resourceType") == "script":
            response, source = entry["response"], _content(entry["response"]["content"])
            unknown = (
                0 if response.get("_failureText") else 200
            )  # a browser does not always give the response of a worker
            status = response["status"] if response["status"] > 0 else unknown
            about = {"status": status, "claims": b"clients.claim" in source or not source}
            workers.setdefault(entry["request"]["url"], about)
    return workers


def _socket_message(message: dict[str, Any]) -> tuple[bool, str | bytes]:
    is_binary = message["opcode"] == _BINARY
    return message["type"] == "send", base64.b64decode(message["data"]) if is_binary else str(message["data"])


def redact_har(har: dict[str, Any], redactor: Redactor) -> dict[str, Any]:
    """The HAR with its secrets replaced; what is no text stays."""
    for entry in har["log"]["entries"]:
        request, response = entry["request"], entry["response"]
        for message in (request, response):
            for header in message["headers"]:
                header["value"] = _redact_header(header["name"], header["value"], redactor)
            for cookie in message.get("cookies", ()):
                cookie["value"] = redactor.replace_secret(cookie["value"], cookie["name"])
        if "postData" in request:
            request["postData"] = {
                "mimeType": request["postData"].get("mimeType", ""),
                "text": redactor.redact_body(request["postData"].get("text", "")),
                "params": [],
            }
        content = response.pop("content")
        _redact_content(content, redactor)
        entry.update(_redact_texts(entry, redactor))
        entry["response"]["content"] = content
    for page in har["log"].get("pages", ()):
        page.update(_redact_texts(page, redactor))
    return har


def _redact_texts(value: Any, redactor: Redactor) -> Any:
    """Redacts all texts: addresses, titles, messages of sockets and everything else in an entry."""
    if isinstance(value, str):
        return redactor.redact_text(value)
    if isinstance(value, dict):
        return {key: _redact_texts(inner, redactor) for key, inner in value.items()}
    return [_redact_texts(inner, redactor) for inner in value] if isinstance(value, list) else value


def _redact_header(name: str, value: str, redactor: Redactor) -> str:
    if name.lower() == "set-cookie":
        return "\n".join(_redact_set_cookie(one, redactor) for one in value.split("\n"))
    if name.lower() in _CREDENTIALS or is_secret_key(name) or is_cookie_key(name):
        return redactor.replace_secret(value, name)
    return redactor.redact_text(value)


def _redact_set_cookie(cookie: str, redactor: Redactor) -> str:
    """Redacts only the value: a page continues with the cookie in a replay."""
    pair, semicolon, attributes = cookie.partition(";")
    name, equals, value = pair.partition("=")
    return f"{name}{equals}{redactor.replace_secret(value, name)}{semicolon}{attributes}" if equals else cookie


def _redact_content(content: dict[str, Any], redactor: Redactor) -> None:
    if content.get("encoding") != "base64":
        if "text" in content:
            content["text"] = redactor.redact_body(content["text"])
    elif any(kind in content.get("mimeType", "") for kind in _TEXTUAL):
        data = _content(content)
        content["text"] = base64.b64encode(redactor.redact_body(data.decode(errors="replace")).encode()).decode()


def _content(content: dict[str, Any]) -> bytes:
    text = content.get("text", "")
    if content.get("encoding") != "base64":
        return str(text).encode()
    try:
        return base64.b64decode(text)
    except binascii.Error:
        return b""


def _pairs(headers: list[dict[str, str]]) -> Fields:
    return tuple((header["name"], header["value"]) for header in headers)
