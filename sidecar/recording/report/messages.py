"""Requests of a recorded session with their replies, read in one pass."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sidecar.recording.page_recordings import job_key
from sidecar.recording.recording_folder import REPLIES, SESSION
from sidecar.recording.report.even_sample import EvenSample
from sidecar.recording.report.fields import abridge, mapping, number, sequence, shorten, text, unix_time
from sidecar.recording.report.latency import Latencies
from sidecar.recording.report.readable_lines import Unreadable, read_lines

MAX_SHOWN: Final = 1_500
"""Messages without an error that are shown, at most; all are counted."""
MAX_FAILED: Final = 400
MAX_UNANSWERED: Final = 200
MAX_JOBS: Final = 600
MAX_EVENTS: Final = 200
MAX_TYPES: Final = 80
_MAX_OPEN: Final = 10_000
"""Requests that wait for their reply while the files are read."""
_SHOWN_EVENTS: Final = frozenset({"schedule_fired", "task_run", "delivery_failed"})


@dataclass(slots=True)
class JobRequest:
    """A `send_job` with what is known of its end."""

    seq: int
    key: str
    """What tells jobs apart, as in the index of pages."""
    name: str
    began: float
    ended: float | None
    is_async: bool
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    status: str = ""


@dataclass(slots=True)
class Messages:
    """What is kept of all messages."""

    shown: list[dict[str, Any]] = field(default_factory=list)
    """Failed ones, jobs, and in the end an even sample of the others."""
    others: EvenSample = field(default_factory=lambda: EvenSample(MAX_SHOWN))
    events: list[dict[str, Any]] = field(default_factory=list)
    jobs: list[JobRequest] = field(default_factory=list)
    latencies: dict[str, Latencies] = field(default_factory=dict)
    total: int = 0
    failed: int = 0
    failed_shown: int = 0
    unanswered: int = 0
    event_count: int = 0
    first: float | None = None
    last: float | None = None

    def saw(self, at: float | None) -> None:
        """Notes a time of the session."""
        if at is not None:
            self.first = at if self.first is None else min(self.first, at)
            self.last = at if self.last is None else max(self.last, at)


def read_messages(folder: Path, unreadable: Unreadable) -> Messages:
    """Reads them all; memory does not grow with their number."""
    found, open_requests, jobs_by_id = Messages(), dict[int, dict[str, Any]](), dict[str, JobRequest]()
    requests = _requests(folder, unreadable, found)
    newest = 0
    for line in read_lines(folder / REPLIES, unreadable):
        note = mapping(line.pop("_log", None))
        sent = unix_time(note.get("at"))
        found.saw(sent)
        read = int(number(note.get("read")))
        while newest < read and (request := next(requests, None)) is not None:
            newest = max(newest + 1, request["seq"])
            open_requests[request["seq"]] = request
            if len(open_requests) > _MAX_OPEN:
                del open_requests[next(iter(open_requests))]
                found.unanswered += 1
        if line.get("type") == "event":
            _add_event(found, line, sent)
            continue
        asked = open_requests.pop(int(number(note.get("seq"))), None)
        _add_reply(found, jobs_by_id, asked or {"seq": int(number(note.get("seq"))), "line": {}}, line, note, sent)
    for request in requests:
        if len(open_requests) < _MAX_OPEN:
            open_requests[request["seq"]] = request
        else:
            found.unanswered += 1
    for request in open_requests.values():
        _add_unanswered(found, request)
    found.shown += found.others.items()
    found.shown.sort(key=lambda one: one["seq"])
    return found


def _requests(folder: Path, unreadable: Unreadable, found: Messages) -> Iterator[dict[str, Any]]:
    for count, line in enumerate(read_lines(folder / SESSION, unreadable), 1):
        note = mapping(line.pop("_log", None))
        at = unix_time(note.get("at"))
        found.saw(at)
        found.total += 1
        yield {"seq": int(number(note.get("seq"))) or count, "at": at, "line": line}


def _add_event(found: Messages, line: dict[str, Any], at: float | None) -> None:
    found.event_count += 1
    if line.get("event") in _SHOWN_EVENTS and len(found.events) < MAX_EVENTS:
        found.events.append({"event": text(line["event"], 40), "at": at, "content": abridge(line.get("content"))})


def _add_reply(
    found: Messages,
    jobs_by_id: dict[str, JobRequest],
    asked: dict[str, Any],
    reply: dict[str, Any],
    note: dict[str, Any],
    sent: float | None,
) -> None:
    request = asked["line"]
    kind = text(request.get("type"), 60) or "unknown"
    failed, milliseconds = reply.get("type") == "error", number(note.get("ms"))
    if kind not in found.latencies and len(found.latencies) >= MAX_TYPES:
        kind = "other types"
    found.latencies.setdefault(kind, Latencies()).add(milliseconds, failed=failed)
    found.failed += failed
    content = mapping(reply.get("content"))
    if kind == "job_status" and (known := jobs_by_id.get(str(content.get("id")))):
        _add_status(known, content)
    job = _job_request(asked, sent) if kind == "send_job" and len(found.jobs) < MAX_JOBS else None
    if job:
        _add_outcome(job, reply, content)
        found.jobs.append(job)
        if job.is_async:
            jobs_by_id[str(content.get("id"))] = job
    if failed and found.failed_shown < MAX_FAILED:
        found.failed_shown += 1
        found.shown.append(_shown(asked, kind, reply, milliseconds, sent))
    elif job:
        found.shown.append(_shown(asked, kind, reply, milliseconds, sent))
    elif found.others.wants_next():
        found.others.add(_shown(asked, kind, reply, milliseconds, sent))


def _add_unanswered(found: Messages, request: dict[str, Any]) -> None:
    found.unanswered += 1
    if found.unanswered <= MAX_UNANSWERED:
        kind = text(request["line"].get("type"), 60) or "unknown"
        found.shown.append(_shown(request, kind, None, None, None))


def _shown(
    asked: dict[str, Any], kind: str, reply: dict[str, Any] | None, took: float | None, sent: float | None
) -> dict[str, Any]:
    request, error = asked["line"], mapping(reply.get("error")) if reply else {}
    at = asked.get("at") or (sent - (took or 0.0) / 1000 if sent else None)
    return {
        "seq": asked["seq"],
        "type": kind,
        "id": abridge(request.get("id")),
        "at": at,
        "ms": took,
        "ok": None if reply is None else reply.get("type") != "error",
        "code": text(error.get("code"), 60),
        "error": text(reply.get("content"), 1_000) if error and reply else "",
        "request": abridge(request.get("content")),
        "reply": abridge(reply.get("content")) if reply and not error else abridge(error),
    }


def _job_request(asked: dict[str, Any], sent: float | None) -> JobRequest | None:
    content = mapping(asked["line"].get("content"))
    steps = [mapping(step) for step in sequence(content.get("steps"))]
    at = asked.get("at") or sent
    if at is None:
        return None
    browser, urls = content.get("browser"), (str(step.get("url", "")) for step in steps)
    return JobRequest(
        seq=asked["seq"],
        key=job_key(browser if isinstance(browser, str) else "CHROMIUM", urls),
        name=text(content.get("name"), 120) or (shorten(str(steps[0].get("url", "")), 120) if steps else "job"),
        began=at,
        ended=sent,
        is_async=content.get("mode") == "async",
    )


def _add_outcome(job: JobRequest, reply: dict[str, Any], content: dict[str, Any]) -> None:
    if reply.get("type") == "error":
        job.error, job.status, job.is_async = mapping(reply.get("error")), "failed", False
    else:
        job.status = text(content.get("status"), 40)
        job.result = mapping(content.get("result")) or None


def _add_status(job: JobRequest, content: dict[str, Any]) -> None:
    job.status = text(content.get("status"), 40)
    job.result = mapping(content.get("result")) or job.result
    job.error = mapping(content.get("error")) or None
    job.ended = unix_time(content.get("ended")) or job.ended
