"""Exchanges of a recorded session with servers and receivers of webhooks."""

import base64
import binascii
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from sidecar.recording.recording_folder import EXCHANGES
from sidecar.recording.report.even_sample import EvenSample
from sidecar.recording.report.fields import abridge, mapping, number, sequence, shorten, text, unix_time
from sidecar.recording.report.readable_lines import Unreadable, read_lines

MAX_SHOWN: Final = 600
MAX_FAILED: Final = 200
MAX_DELIVERIES: Final = 300
MAX_ATTEMPTS: Final = 20
_MAX_BODY: Final = 600
_MAX_OPEN: Final = 20_000
"""Deliveries that are counted one by one."""


@dataclass(slots=True)
class Exchanges:
    """What is kept of all exchanges."""

    servers: list[dict[str, Any]] = field(default_factory=list)
    server_count: int = 0
    server_failed: int = 0
    deliveries: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By `webhook-id`, with their attempts."""
    attempts: int = 0
    attempts_failed: int = 0
    left_out: int = 0
    """Attempts of deliveries that are not shown."""


def read_exchanges(folder: Path, unreadable: Unreadable) -> Exchanges:
    """Reads them all; memory does not grow with their number."""
    found, sample = Exchanges(), EvenSample(MAX_SHOWN)
    failed_shown = 0
    for line in read_lines(folder / EXCHANGES, unreadable):
        headers = {str(pair[0]).lower(): pair[1] for pair in sequence(line.get("fields")) if _is_pair(pair)}
        identity = headers.get("webhook-id")
        one = _attempt(line)
        if isinstance(identity, str) and identity:
            _add_attempt(found, identity, line, one)
            continue
        found.server_count += 1
        found.server_failed += not one["ok"]
        if not one["ok"] and failed_shown < MAX_FAILED:
            failed_shown += 1
            found.servers.append({"n": found.server_count, **one, **_details(line)})
        elif one["ok"] and sample.wants_next():
            sample.add({"n": found.server_count, **one, **_details(line)})
    found.servers = sorted(found.servers + sample.items(), key=lambda one: int(one["n"]))
    return found


def _attempt(line: dict[str, Any]) -> dict[str, Any]:
    """When, how long, and with what outcome. `at` is the Unix time of its beginning."""
    note, failure = mapping(line.get("_log")), mapping(line.get("failure"))
    ended, took = unix_time(note.get("at")), number(note.get("ms"))
    status = int(number(mapping(line.get("response")).get("status") or failure.get("status")))
    return {
        "at": ended - took / 1000 if ended is not None else None,
        "ms": took,
        "status": status,
        "ok": not failure and 0 < status < 400,
        "failure": text(failure.get("message"), 500),
    }


def _details(line: dict[str, Any]) -> dict[str, Any]:
    response = mapping(line.get("response"))
    return {
        "method": text(line.get("method"), 20),
        "url": text(line.get("url"), 300),
        "sent": _body(line.get("body")),
        "got": _body(response.get("body")),
    }


def _add_attempt(found: Exchanges, identity: str, line: dict[str, Any], attempt: dict[str, Any]) -> None:
    found.attempts += 1
    found.attempts_failed += not attempt["ok"]
    identity = shorten(identity, 80)
    delivery = found.deliveries.get(identity)
    if delivery is None:
        if len(found.deliveries) >= _MAX_OPEN:
            found.left_out += 1
            return
        url = text(line.get("url"), 300)
        what = _subject(line.get("body")) if len(found.deliveries) < MAX_DELIVERIES else ""
        delivery = {"id": identity, "url": url, "host": _host(url), "what": what, "attempts": []}
        found.deliveries[identity] = delivery
    if len(delivery["attempts"]) < MAX_ATTEMPTS:
        answer = _body(mapping(line.get("response")).get("body")) if not attempt["ok"] else ""
        delivery["attempts"].append({**attempt, "answer": shorten(answer, 200)})
    delivery["ok"] = attempt["ok"]


def _subject(body: Any) -> str:
    """What a delivery says, in a few words: the job and the state that it is in."""
    try:
        sent = mapping(orjson.loads(_body(body, 1 << 20)))
    except ValueError:
        return ""
    data = mapping(sent.get("data"))
    name, state = text(data.get("jobName"), 80), text(data.get("runState"), 40)
    tasks = [mapping(one) for one in sequence(data.get("taskStates"))]
    running = [text(one.get("taskName"), 80) for one in tasks if one.get("state") == "RUNNING"]
    words = [name or text(sent.get("type"), 80), state.lower(), *running[:1]]
    return ": ".join(word for word in words if word)


def _body(body: Any, most: int = _MAX_BODY) -> str:
    kind = mapping(body)
    if "omitted" in kind:
        return f"({int(number(kind['omitted'])):,} bytes, not recorded)"
    if "base64" in kind:
        try:
            size = len(base64.b64decode(str(kind["base64"])))
        except (binascii.Error, ValueError):
            size = 0
        return f"({size:,} bytes)"
    return text(kind.get("text"), most)


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc or url
    except ValueError:
        return url


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2


def shown_deliveries(found: Exchanges) -> list[dict[str, Any]]:
    """Failed ones first kept, all in the order in which they were first tried."""
    everything = list(found.deliveries.values())
    failed = [one for one in everything if not one["ok"] or len(one["attempts"]) > 1][:MAX_DELIVERIES]
    kept = {one["id"] for one in failed}
    for one in everything:
        if len(kept) >= MAX_DELIVERIES:
            break
        kept.add(one["id"])
    return [abridge(one, most=600) for one in everything if one["id"] in kept]
