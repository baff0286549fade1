"""The network of a recording as entries of HAR 1.2."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import orjson

from sidecar.http_record import Fields, HttpRecord
from sidecar.recording.exchange_log import ExchangeFile
from sidecar.recording.page_recordings import INDEX
from sidecar.recording.recording_folder import EXCHANGES, PAGES, RecordingError
from sidecar.wall_clock import rfc3339

UNKNOWN: Final = -1
"""HAR's word for sizes and times that are not known."""


@dataclass(slots=True)
class Network:
    """What a session asked of servers and pages."""

    pages: list[dict[str, Any]] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)
    """Requests of pages, by the time at which they began."""
    exchanges: list[dict[str, Any]] = field(default_factory=list)
    """Requests to servers, receivers and scripts' hosts, by the same."""


def read_network(folder: Path) -> Network:
    """The network of a recording. Raises RecordingError."""
    network = Network()
    for pages, entries in _page_hars(folder):
        network.pages += pages
        network.entries += map(_complete, entries)
    network.exchanges += _exchange_entries(folder / EXCHANGES)
    network.entries.sort(key=_began)
    network.exchanges.sort(key=_began)
    return network


def unix_time(text: str) -> float:
    """The Unix time of a `startedDateTime`."""
    return datetime.fromisoformat(text).timestamp()


def content_of(entry: dict[str, Any]) -> bytes:
    """The body of an entry's response; empty if it was not recorded."""
    content = entry["response"]["content"]
    text = str(content.get("text", ""))
    return base64.b64decode(text) if content.get("encoding") == "base64" else text.encode(errors="surrogatepass")


def _page_hars(folder: Path) -> Iterator[tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    """Pages and entries of each HAR."""
    index = folder / PAGES / INDEX
    try:
        names = [str(orjson.loads(line)["har"]) for line in index.read_bytes().splitlines() if line.endswith(b"}")]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as wrong:
        raise RecordingError(f"can't read {index}: {type(wrong).__name__}") from None
    for name in names:
        path = folder / PAGES / Path(name).name  # it may only name a file in that folder
        try:
            har: dict[str, Any] = orjson.loads(path.read_bytes())
            network = har["log"].get("pages", []), har["log"]["entries"]
        except (OSError, ValueError, KeyError, TypeError) as wrong:
            raise RecordingError(f"can't read {path}: {type(wrong).__name__}") from None
        yield network


def _exchange_entries(path: Path) -> Iterator[dict[str, Any]]:
    try:
        for record, note in ExchangeFile(path).with_notes():
            yield _exchange_entry(record, note)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as wrong:
        raise RecordingError(f"can't read {path}: {wrong}") from None


def _complete(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry with all that HAR requires; what a browser left out is empty or unknown."""
    request, response = entry["request"], entry["response"]
    for message in (request, response):
        message.setdefault("cookies", [])
        message.setdefault("headersSize", UNKNOWN)
        message.setdefault("bodySize", UNKNOWN)
        message.setdefault("httpVersion", "")
    request.setdefault("queryString", _query(request["url"]))
    response["status"] = max(response["status"], 0)
    response.setdefault("redirectURL", "")
    response["content"].setdefault("size", UNKNOWN)
    response["content"].setdefault("mimeType", "")
    timings = entry.setdefault("timings", {})
    for name in ("send", "wait", "receive"):
        timings.setdefault(name, UNKNOWN)
    entry.setdefault("cache", {})
    entry["time"] = max(entry.get("time", 0), 0)
    return entry


def _exchange_entry(record: HttpRecord, note: dict[str, Any]) -> dict[str, Any]:
    milliseconds = float(note.get("ms", 0))
    ended = unix_time(str(note["at"]))
    request: dict[str, Any] = {
        "method": record.method,
        "url": record.url,
        "headers": _headers(record.fields),
        "queryString": _query(record.url),
    }
    if record.body:
        kind = _field(record.fields, "content-type")
        request["postData"] = {"mimeType": kind, "text": record.body.decode(errors="replace"), "params": []}
    response: dict[str, Any] = {
        "status": record.status,
        "statusText": _reason(record.status),
        "headers": _headers(record.response_fields),
        "content": _content(record),
    }
    if record.failure:
        response["_failureText"] = record.failure.message or record.failure.code
    return _complete(
        {
            "startedDateTime": _timestamp(ended - milliseconds / 1000),
            "time": milliseconds,
            "request": request,
            "response": response,
            "timings": {"send": 0, "wait": milliseconds, "receive": 0},
        }
    )


def _content(record: HttpRecord) -> dict[str, Any]:
    body, kind = record.response_body, _field(record.response_fields, "content-type")
    try:
        return {"size": len(body), "mimeType": kind, "text": body.decode()}
    except UnicodeDecodeError:
        return {"size": len(body), "mimeType": kind, "text": base64.b64encode(body).decode(), "encoding": "base64"}


def _headers(fields: Fields) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in fields]


def _field(fields: Fields, wanted: str) -> str:
    return next((value for name, value in fields if name.lower() == wanted), "")


def _query(url: str) -> list[dict[str, str]]:
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    return [{"name": name, "value": value} for name, value in pairs]


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _timestamp(moment: float) -> str:
    return rfc3339(moment, "milliseconds")


def _began(entry: dict[str, Any]) -> float:
    return unix_time(entry["startedDateTime"])
