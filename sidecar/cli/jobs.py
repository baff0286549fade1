"""`sidecar jobs [ID]`: which async jobs wait, run and ran, and why they failed."""

import argparse
from collections.abc import Mapping
from typing import Any, Final, Literal

from sidecar.cli.error_text import describe_error
from sidecar.cli.listing import look, not_found, print_details, print_json, print_table
from sidecar.composition.stored_work import StoredWork
from sidecar.errors import NotFound

_HEADS: Final = ("id", "status", "what", "submitted", "attempts", "took", "error")
DEFAULT_LIMIT: Final = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which jobs."""
    parser.add_argument("id", metavar="ID", nargs="?", help="one job, with its result")
    parser.add_argument("--failed", action="store_true", help="those that failed, and why")
    parser.add_argument("--pending", action="store_true", help="those that wait or run")
    parser.add_argument("--limit", metavar="N", type=int, default=DEFAULT_LIMIT, help="the newest N (default: 50)")
    parser.add_argument("--json", action="store_true", help="one line of JSON")


def run(parsed: argparse.Namespace, flags: Mapping[str, str]) -> int:
    """Prints them; gives 1 for an unknown id. Raises SettingsError, SidecarError."""
    if parsed.id:
        return _print_one(parsed, flags)
    total, jobs = look(flags, lambda stored: _read(stored, parsed))
    if parsed.json:
        return print_json({"total_count": total, "jobs": jobs})
    return print_table(_HEADS, [_row(job) for job in jobs], total, f"{'failed ' if parsed.failed else ''}jobs")


async def _read(stored: StoredWork, parsed: argparse.Namespace) -> tuple[int, list[dict[str, Any]]]:
    from sidecar_protocol.encoding import encode
    from sidecar_protocol.pages import PAGE_SIZE

    jobs: list[dict[str, Any]] = []
    page, total = 1, 1
    status: Literal["failed", "pending"] | None = "failed" if parsed.failed else "pending" if parsed.pending else None
    while len(jobs) < min(total, parsed.limit):
        total, found = await stored.job_queue.list(status, page)
        jobs += [_plain(encode(one)) for one in found]
        page += 1
        if len(found) < PAGE_SIZE:
            break
    return total, jobs[: max(0, parsed.limit)]


def _print_one(parsed: argparse.Namespace, flags: Mapping[str, str]) -> int:
    async def read(stored: StoredWork) -> dict[str, Any]:
        from sidecar_protocol.encoding import encode

        return _plain(encode(await stored.job_queue.status(parsed.id)))

    try:
        job = look(flags, read)
    except NotFound as missing:
        return not_found(f"{missing.message}; `sidecar jobs` lists them")
    if parsed.json:
        return print_json(job)
    if job.get("error"):
        job["error"] = describe_error(job["error"])
    return print_details(job)


def _plain(body: bytes) -> dict[str, Any]:
    from sidecar_protocol.codec import plain

    content: dict[str, Any] = plain(body)
    return content


def _row(job: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        job["id"],
        "running" if job["status"] == "pending" and job.get("started") else job["status"],
        job.get("name") or job.get("origin") or job["type"],
        job.get("submitted", ""),
        str(job.get("attempts", 0)),
        _duration(job),
        describe_error(job.get("error")),
    )


def _duration(job: Mapping[str, Any]) -> str:
    from datetime import datetime

    if not job.get("started") or not job.get("ended"):
        return ""
    took = datetime.fromisoformat(job["ended"]) - datetime.fromisoformat(job["started"])
    return f"{took.total_seconds():.1f} s"
