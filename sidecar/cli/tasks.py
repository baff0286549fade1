"""`sidecar tasks [ID]`: periodic tasks, when they run next, what ran last, and why it failed."""

import argparse
from collections.abc import Mapping
from typing import Any, Final

from sidecar.cli.error_text import describe_error
from sidecar.cli.listing import look, not_found, print_json, print_table
from sidecar.composition.stored_work import StoredWork
from sidecar.storage.agenda import Item
from sidecar.storage.task_runs import StoredRun

_HEADS: Final = ("id", "state", "every", "next", "runs", "failed", "last", "status", "error")
_RUN_HEADS: Final = ("run", "trigger", "status", "started", "took", "error")
_PAGE: Final = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which tasks."""
    parser.add_argument("id", metavar="ID", nargs="?", help="one task's last runs")
    parser.add_argument("--failed", action="store_true", help="only those whose last run failed; of a task, such runs")
    parser.add_argument("--json", action="store_true", help="one line of JSON")


def run(parsed: argparse.Namespace, flags: Mapping[str, str]) -> int:
    """Prints them; gives 1 for an unknown id. Raises SettingsError, SidecarError."""
    if parsed.id:
        return _print_runs(parsed, flags)
    tasks = [task for task in look(flags, _read_tasks) if task["last_status"] == "failed" or not parsed.failed]
    if parsed.json:
        return print_json({"tasks": tasks})
    return print_table(_HEADS, [_row(task) for task in tasks], len(tasks), "tasks")


async def _read_tasks(stored: StoredWork) -> list[dict[str, Any]]:
    tasks = []
    for offset in range(0, await stored.tasks.count(), _PAGE):
        tasks += [await _task(stored, item) for item in await stored.tasks.page(offset, _PAGE)]
    return tasks


async def _task(stored: StoredWork, item: Item) -> dict[str, Any]:
    from sidecar_protocol.codec import NotJson
    from sidecar_protocol.decoding import decode_stored

    from sidecar.clock import Clock
    from sidecar.errors import InvalidContent
    from sidecar.tasks.task_record import TaskRecord
    from sidecar.wall_clock import rfc3339

    runs, failed = await stored.task_runs.counts(item.id)
    last = next(iter(await stored.task_runs.page(item.id, 0, 1)), None)
    task: dict[str, Any] = {
        "id": item.id,
        "state": "unreadable",
        "every": "",
        "next": None,
        "runs": runs,
        "failed": failed,
        "last": rfc3339(last.started) if last else None,
        "last_status": last.status if last else None,
        "error": _outcome(last).get("error") if last else None,
    }
    try:
        record = decode_stored(TaskRecord, item.document)
        now = round(Clock().now() * 1000)
        following = record.next_run(max(now, record.fired or 0))
    except (NotJson, InvalidContent):  # damage, or what only a newer sidecar knows
        return task
    task["state"] = "running" if record.running else "stopped"
    task["every"] = record.cron or f"{(record.interval or 0) / 1000:g} s"
    task["next"] = None if following is None else rfc3339(following / 1000)
    return task


def _print_runs(parsed: argparse.Namespace, flags: Mapping[str, str]) -> int:
    async def read(stored: StoredWork) -> list[dict[str, Any]] | None:
        from sidecar.storage.task_runs import MAX_RUNS

        if await stored.tasks.get(parsed.id) is None:
            return None
        return [_run(one) for one in await stored.task_runs.page(parsed.id, 0, MAX_RUNS)]

    runs = look(flags, read)
    if runs is None:
        return not_found(f"there is no task {parsed.id!r}; `sidecar tasks` lists them")
    runs = [one for one in runs if one["status"] == "failed" or not parsed.failed]
    if parsed.json:
        return print_json({"id": parsed.id, "runs": runs})
    rows = [
        (one["run"], one["trigger"], one["status"], one["started"], _took(one), describe_error(one.get("error")))
        for one in runs
    ]
    return print_table(_RUN_HEADS, rows, len(rows), "runs")


def _run(run: StoredRun) -> dict[str, Any]:
    from sidecar.wall_clock import rfc3339

    took = None if run.ended is None else round((run.ended - run.started) * 1000)
    known = {"run": run.id, "trigger": run.kind, "status": run.status, "started": rfc3339(run.started, "milliseconds")}
    return {**known, "duration_ms": took, **_outcome(run)}


def _took(run: Mapping[str, Any]) -> str:
    return "" if run["duration_ms"] is None else f"{run['duration_ms'] / 1000:.1f} s"


def _outcome(run: StoredRun) -> dict[str, Any]:
    """Result, error and output as they are stored; none of a run that goes on, or whose row is damaged."""
    from sidecar_protocol.codec import NotJson, plain

    try:
        outcome: Any = plain(run.outcome) if run.outcome else {}
    except NotJson:
        return {}
    return outcome if isinstance(outcome, dict) else {}


def _row(task: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        task["id"],
        task["state"],
        task["every"],
        task["next"] or "",
        str(task["runs"]),
        str(task["failed"]),
        task["last"] or "",
        task["last_status"] or "",
        describe_error(task["error"]),
    )
