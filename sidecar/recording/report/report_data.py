"""Gathers what a report shows of a recorded session: values for JSON, bounded whatever the recording's size."""

from pathlib import Path
from typing import Any, Final

import orjson

from sidecar.recording.recording_folder import FORMAT, MANIFEST, RecordingError
from sidecar.recording.report.causes import failures
from sidecar.recording.report.exchanges import read_exchanges, shown_deliveries
from sidecar.recording.report.fields import number, text, unix_time
from sidecar.recording.report.jobs import RecordedJobs
from sidecar.recording.report.messages import MAX_JOBS, Messages, read_messages
from sidecar.recording.report.pictures import embed_pictures
from sidecar.recording.report.readable_lines import Unreadable, read_object

MAX_MANIFEST: Final = 1 << 20
_TEXT_SHARE: Final = 0.45
"""Of the whole report: what is not pictures."""


def gather(folder: Path, most: int) -> dict[str, Any]:
    """The content of a folder's report, with an approximate limit of bytes of JSON. Raises RecordingError."""
    unreadable = Unreadable()
    about = _about(folder, unreadable)
    messages = read_messages(folder, unreadable)
    exchanges = read_exchanges(folder, unreadable)
    recorded_jobs = RecordedJobs(folder, unreadable)
    jobs = recorded_jobs.read(messages.jobs)
    data: dict[str, Any] = {
        "about": about,
        "messages": messages.shown,
        "events": messages.events,
        "types": _types(messages),
        "jobs": jobs,
        "servers": exchanges.servers,
        "webhooks": shown_deliveries(exchanges),
    }
    data["counts"] = {
        "messages": messages.total,
        "failed": messages.failed,
        "unanswered": messages.unanswered,
        "events": messages.event_count,
        "jobs": len(jobs),
        "jobs_failed": sum(job["ok"] is False for job in jobs),
        "servers": exchanges.server_count,
        "servers_failed": exchanges.server_failed,
        "deliveries": len(exchanges.deliveries),
        "deliveries_failed": sum(not one["ok"] for one in exchanges.deliveries.values()),
        "attempts": exchanges.attempts,
        "attempts_failed": exchanges.attempts_failed,
    }
    data["left_out"] = notes = _left_out(data, recorded_jobs.left_out, len(messages.jobs), unreadable)
    _fit(data, notes, int(most * _TEXT_SHARE))
    data["failures"] = failures(data)
    size = len(orjson.dumps(data))
    data["pictures"], missing = embed_pictures(folder, jobs, max(0, most - size))
    if missing:
        notes.append(f"{missing:,} pictures are not in this page; they are in the recording's folder `jobs`.")
    _relate_times(data, messages)
    return data


def _about(folder: Path, unreadable: Unreadable) -> dict[str, Any]:
    manifest = read_object(folder / MANIFEST, unreadable, MAX_MANIFEST)
    if manifest is None:
        if not (folder / MANIFEST).exists():
            raise RecordingError(f"{folder} holds no recording: {MANIFEST} is missing")
        manifest = {}
    if number(manifest.get("format")) > FORMAT:
        found = text(str(manifest["format"]), 20)
        raise RecordingError(f"{folder} was recorded by a newer sidecar (format {found}, this one reads {FORMAT})")
    names = ("sidecar", "protocol", "zone", "started_at", "ended_at")
    return {name: text(manifest.get(name), 60) for name in names} | {
        "folder": folder.resolve().name,
        "complete": manifest.get("complete") is True,
        "ended": "ended_at" in manifest,
        "python": text(manifest.get("python"), 40),
    }


def _types(messages: Messages) -> list[dict[str, Any]]:
    rows = [{"type": kind, **latencies.summary()} for kind, latencies in messages.latencies.items()]
    return sorted(rows, key=lambda row: -int(row["count"]))


def _left_out(data: dict[str, Any], jobs: int, shown_jobs: int, unreadable: Unreadable) -> list[str]:
    counts, notes = data["counts"], []
    pairs = (
        ("messages", counts["messages"], len(data["messages"])),
        ("exchanges with servers", counts["servers"], len(data["servers"])),
        ("deliveries", counts["deliveries"], len(data["webhooks"])),
    )
    for name, total, shown in pairs:
        if total > shown:
            notes.append(f"{total - shown:,} of {total:,} {name} are counted, and not listed.")
    if jobs or shown_jobs >= MAX_JOBS:
        notes.append(f"Only {len(data['jobs']):,} jobs are shown; failed ones are kept first.")
    if unreadable.lines:
        notes.append(f"{unreadable.lines:,} lines of the recording could not be read.")
    notes += [f"{name} could not be read." for name in unreadable.files[:5]]
    if len(unreadable.files) > 5:
        notes.append(f"{len(unreadable.files) - 5:,} more files could not be read.")
    return notes


def _fit(data: dict[str, Any], notes: list[str], most: int) -> None:
    """Takes details away, least important first, until the rest is small enough."""
    for name, drop in _DROPS:
        if len(orjson.dumps(data)) <= most:
            return
        drop(data)
        notes.append(f"{name} left out, as the page would be too large.")


def _drop_bodies(data: dict[str, Any]) -> None:
    for one in data["servers"]:
        one["sent"] = one["got"] = ""


def _drop_contents(data: dict[str, Any]) -> None:
    for one in data["messages"]:
        if one["ok"] is not False:
            one["request"] = one["reply"] = None


def _drop_network(data: dict[str, Any]) -> None:
    for job in data["jobs"]:
        job["network"] = [one for one in job["network"] if not one["ok"]][:20] if job["ok"] is False else []


def _drop_job_details(data: dict[str, Any]) -> None:
    for job in data["jobs"]:
        if job["ok"] is not False:
            job["extract"], job["steps"] = None, [{**step, "console": [], "actions": []} for step in job["steps"][:3]]


def _drop_most(data: dict[str, Any]) -> None:
    for name in ("messages", "servers", "webhooks", "events"):
        failed = [one for one in data[name] if one.get("ok") is False]
        data[name] = failed[:60]
    data["jobs"] = [job for job in data["jobs"] if job["ok"] is False][:60]
    for job in data["jobs"]:
        job["steps"], job["network"] = job["steps"][-3:], []
        if job["failure"]:
            job["failure"]["step"] = None


_DROPS: Final = (
    ("Bodies of exchanges with servers are", _drop_bodies),
    ("Contents of messages that were answered without an error are", _drop_contents),
    ("The network of jobs that succeeded is", _drop_network),
    ("Details of jobs that succeeded are", _drop_job_details),
    ("All but some failures are", _drop_most),
)


def _relate_times(data: dict[str, Any], messages: Messages) -> None:
    """Makes Unix times milliseconds since the session's beginning."""
    lists = (data["messages"], data["events"], data["servers"], data["jobs"])
    attempts = [attempt for one in data["webhooks"] for attempt in one["attempts"]]
    timed = [one for rows in (*lists, attempts) for one in rows]
    began = unix_time(data["about"]["started_at"])
    known = [one["at"] for one in timed if one["at"] is not None]
    start = began if began is not None else messages.first if messages.first is not None else min(known, default=0.0)
    for one in timed:
        one["at"] = round((one["at"] - start) * 1000, 1) if one["at"] is not None else None
    ends = [one["at"] + (one.get("ms") or 0.0) for one in timed if one["at"] is not None]
    ended = unix_time(data["about"]["ended_at"]) or messages.last
    if ended is not None:
        ends.append((ended - start) * 1000)
    data["start"], data["length"] = round(start * 1000), max(1.0, round(max(ends, default=1.0)))
