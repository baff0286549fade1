"""A recording as a trace for Playwright's viewer: each request of the session is an action, with the network below, and
the pictures of jobs are the film above.

Written in version 8 of the format, which Playwright's viewers read since 1.53.
"""

import hashlib
import io
import json
import mimetypes
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sidecar.recording.export.entries import UNKNOWN, content_of, read_network, unix_time
from sidecar.recording.export.film import Frame, film_frames
from sidecar.recording.recorded_session import Answer, answers, sent_lines
from sidecar.recording.recording_folder import read_manifest

VERSION: Final = 8
_VIEWPORT: Final = {"width": 1280, "height": 720}


def write_trace(folder: Path, target: io.BufferedIOBase) -> None:
    """Writes the trace, a ZIP. Raises RecordingError."""
    manifest = read_manifest(folder)
    start = _unix(str(manifest.get("started_at"))) or 0.0
    bodies: dict[str, bytes] = {}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        frames = [_frame(one, start, bodies) for one in film_frames(folder)]
        archive.writestr("trace.trace", _lines([_options(start, manifest), *_actions(folder, start), *frames]))
        network = read_network(folder)
        entries = [*network.entries, *network.exchanges]
        archive.writestr("trace.network", _lines([_resource(entry, start, bodies) for entry in entries]))
        for name, body in bodies.items():
            archive.writestr(f"resources/{name}", body)


def _options(start: float, manifest: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": VERSION,
        "type": "context-options",
        "origin": "library",
        "browserName": "sidecar",
        "title": f"session of {manifest.get('started_at')}",
        "options": {"viewport": _VIEWPORT},
        "platform": "",
        "wallTime": start * 1000,
        "monotonicTime": 0,
        "sdkLanguage": "python",
    }


def _actions(folder: Path, start: float) -> Iterator[dict[str, Any]]:
    """Each request with its reply, and each event."""
    replies: dict[int, Answer] = {}
    events: list[Answer] = []
    for answer in answers(folder):
        if answer.seq is not None:
            replies[answer.seq] = answer
        elif answer.message.get("type") == "event":
            events.append(answer)
    for line in sent_lines(folder):
        began = ((_unix(line.at) or start) - start) * 1000
        call = f"request@{line.seq}"
        yield {
            "type": "before",
            "callId": call,
            "startTime": began,
            "title": f"{line.type or 'unreadable line'} ({line.seq})",
            "class": "Sidecar",
            "method": line.type or "line",
            "params": _content_of(line.line),
        }
        reply = replies.get(line.seq)
        if reply is not None:
            yield _after(call, began + reply.milliseconds, reply.message)
    for event in events:
        moment = ((_unix(event.at) or start) - start) * 1000
        said = f"{event.message.get('event')}: {json.dumps(event.message.get('content'), ensure_ascii=False)}"
        yield {
            "type": "console",
            "messageType": "info",
            "text": said,
            "args": [{"preview": said, "value": said}],
            "location": {"url": "", "lineNumber": 0, "columnNumber": 0},
            "time": moment,
        }


def _after(call: str, ended: float, message: dict[str, Any]) -> dict[str, Any]:
    action: dict[str, Any] = {"type": "after", "callId": call, "endTime": ended}
    if message.get("type") == "error":
        error = message.get("error")
        name = error.get("code", "error") if isinstance(error, dict) else "error"
        action["error"] = {"name": str(name), "message": str(message.get("content"))}
    else:
        action["result"] = {"content": message.get("content")}
    return action


def _frame(frame: Frame, start: float, bodies: dict[str, bytes]) -> dict[str, Any]:
    """A picture of a job, for the film above the actions; each job is a page."""
    return {
        "type": "screencast-frame",
        "pageId": f"job@{frame.job}",
        "sha1": _keep(frame.data, "image/jpeg", bodies),
        "width": frame.width,
        "height": frame.height,
        "timestamp": (frame.at - start) * 1000,
    }


def _resource(entry: dict[str, Any], start: float, bodies: dict[str, bytes]) -> dict[str, Any]:
    """An entry whose bodies are files of the trace."""
    began = (unix_time(entry["startedDateTime"]) - start) * 1000
    snapshot = {**entry, "_monotonicTime": began}
    content = dict(entry["response"]["content"])
    if content.pop("text", None):
        content["_sha1"] = _keep(content_of(entry), content["mimeType"], bodies)
    content.pop("encoding", None)
    snapshot["response"] = {**entry["response"], "content": content, "_transferSize": UNKNOWN}
    if "postData" in entry["request"]:
        post = dict(entry["request"]["postData"])
        post["_sha1"] = _keep(str(post.get("text", "")).encode(errors="surrogatepass"), post["mimeType"], bodies)
        snapshot["request"] = {**entry["request"], "postData": post}
    return {"type": "resource-snapshot", "snapshot": snapshot}


def _keep(body: bytes, mime: str, bodies: dict[str, bytes]) -> str:
    suffix = mimetypes.guess_extension(mime.partition(";")[0].strip()) or ".dat"
    name = hashlib.sha1(body, usedforsecurity=False).hexdigest() + suffix
    bodies[name] = body
    return name


def _content_of(line: bytes) -> dict[str, Any]:
    try:
        content = json.loads(line).get("content")
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {"content": content}


def _lines(events: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(event) + "\n" for event in events)


def _unix(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
