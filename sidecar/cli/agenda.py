"""`sidecar agenda`: what will run in the next day, what ran in the last, and what was missed."""

import argparse
import asyncio
import io
import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import IO, Final

from sidecar_protocol.codec import NotJson
from sidecar_protocol.decoding import decode_stored
from sidecar_protocol.models import Lenient

from sidecar.cli.output import discard_output, standard_output
from sidecar.clock import Clock
from sidecar.errors import InvalidContent, StoreFailed
from sidecar.settings import Settings, load
from sidecar.storage.agenda_snapshot import RunSummary, ScheduledEntry, read_snapshot
from sidecar.tasks.timetable import IntervalTimetable, Timetable, timetable
from sidecar.wall_clock import rfc3339

DAY: Final = 86_400
HOUR: Final = 3_600
SIDE: Final = 24
"""Hours of the timeline before now, and after it."""
LEGEND: Final = "timeline: an hour each, now at |   # ran   x failed   ~ cut short, or going on   o will run"
_HEADS: Final = ("kind", "what", "state", "next", "in a day", "last", "missed", "timeline")
_TIMELINE: Final = len(_HEADS) - 1
_WHAT: Final = _HEADS.index("what")
_NARROWEST_WHAT: Final = 24
"""Columns of a terminal that names get; where there is not as much, each row takes several lines."""
_COLORS: Final = {"#": "green", "x": "red", "~": "yellow", "o": "cyan", "|": "bold"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One schedule or task. Times are RFC 3339 in UTC."""

    kind: str
    what: str
    """A task's id, a schedule's name."""
    state: str
    next: str | None
    """The next run."""
    coming: int
    """Runs in the next day."""
    last: str | None
    """The last run."""
    last_status: str | None
    ran: int
    """Runs in the last day that are remembered."""
    missed: int
    """Times without a run, because the run before went on or because nothing ran."""
    timeline: str


class _Task(Lenient):
    """The parts of a task's document that are shown; milliseconds."""

    running: bool
    init: int
    interval: int | None = None
    cron: str | None = None
    zone: str | None = None
    end: int | None = None
    fired: int | None = None
    skipped: int = 0
    coalesced: int = 0


class _Schedule(Lenient):
    """The parts of a schedule's document that are shown."""

    name: str
    enabled: bool
    due: float
    stage: str = "waiting"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How to print it."""
    parser.add_argument("--json", action="store_true", help="as one line of JSON")


def run(parsed: argparse.Namespace, flags: Mapping[str, str]) -> int:
    """Prints the agenda; gives the exit code. Raises SettingsError, SidecarError."""
    out = standard_output()
    if isinstance(out, io.TextIOWrapper):
        out.reconfigure(errors="backslashreplace")  # names may contain characters that the terminal can't show
    try:
        code = show(load(flags), Clock(), out, as_json=parsed.json)
        out.flush()
    except BrokenPipeError:  # the reader has closed the pipe
        discard_output(out)
        return 0
    except OSError as wrong:
        print(f"sidecar: {wrong}", file=sys.stderr)
        discard_output(out)
        return 2
    return code


def show(settings: Settings, clock: Clock, out: IO[str], *, as_json: bool) -> int:
    """Prints the agenda of the state folder, or of the fleet; gives the exit code. Raises SidecarError."""
    now = clock.now()
    rows = agenda(*_look(settings, now - DAY), now)
    if as_json:
        # in ASCII, which goes through every encoding of the output
        out.write(
            json.dumps({"now": rfc3339(now), "agenda": [asdict(row) for row in rows]}, separators=(",", ":")) + "\n"
        )
    elif not rows:
        out.write("nothing is planned\n")
    elif out.isatty():
        _print_table(rows, out)
    else:
        _print_plain(rows, out)
    return 0


def agenda(planned: Sequence[ScheduledEntry], ran: Sequence[RunSummary], now: float) -> list[Row]:
    """A row for each schedule and task: those that come first are first, those without a time last."""
    rows, of_task = [], defaultdict[str, list[RunSummary]](list)
    for run in ran:
        of_task[run.task].append(run)
    for one in planned:
        try:
            rows.append(_schedule(one, now) if one.kind == "schedule" else _task(one, of_task[one.id], now))
        except (NotJson, InvalidContent):  # a pattern or zone that only a newer sidecar knows
            rows.append(_unreadable(one))
    return sorted(rows, key=lambda row: (row.next is None, row.next or "", row.kind, row.what))


def _look(settings: Settings, since: float) -> tuple[list[ScheduledEntry], list[RunSummary]]:
    """Reads schedules and tasks from a fleet's Redis if its machines have a common key, else from the state folder."""
    if not settings.queue or settings.encryption_key() is None:
        return read_snapshot(settings.state_path() / "sidecar.db", since)
    try:
        from sidecar.storage.redis_agenda_snapshot import read_fleet_snapshot  # late: only a fleet has redis installed
    except ImportError:
        raise StoreFailed(
            "SIDECAR_QUEUE needs redis: install the sidecar with `pip install '.[fleet]'` in its checkout"
        ) from None
    return asyncio.run(read_fleet_snapshot(settings.queue.reveal(), since))


def _unreadable(one: ScheduledEntry) -> Row:
    """The row of a document that can't be read: written by a newer sidecar, or damaged."""
    return Row(
        kind=one.kind,
        what=one.id,
        state="unreadable",
        next=None,
        coming=0,
        last=None,
        last_status=None,
        ran=0,
        missed=0,
        timeline="." * SIDE + "|" + "." * SIDE,
    )


def _task(one: ScheduledEntry, runs: Sequence[RunSummary], now: float) -> Row:
    task = decode_stored(_Task, one.document)
    recent = [run for run in runs if run.started >= now - DAY]
    moment, horizon = round(now * 1000), round((now + DAY) * 1000)
    last = horizon if task.end is None else min(horizon, task.end)
    table = timetable(task.init, task.interval, task.cron, task.zone)
    first = table.next(max(moment, task.fired or 0)) if task.running else None
    if first is not None and task.end is not None and first > task.end:
        first = None
    coming = table.count(first, last + 1) if first is not None and first <= last else 0
    line = _past(recent, now) + "|" + _future(first or 0, last, table, coming, now)
    return Row(
        kind="task",
        what=one.id,
        state="running" if task.running else "stopped",
        next=None if first is None else rfc3339(first / 1000),
        coming=coming,
        last=rfc3339(runs[-1].started) if runs else None,
        last_status=runs[-1].status if runs else None,
        ran=len(recent),
        missed=task.skipped + task.coalesced,
        timeline=line,
    )


def _schedule(one: ScheduledEntry, now: float) -> Row:
    schedule = decode_stored(_Schedule, one.document)
    over = schedule.stage in ("fired", "missed")
    comes = schedule.enabled and not over
    soon = int(comes and schedule.due <= now + DAY)
    run = RunSummary(one.id, "success" if schedule.stage == "fired" else "failed", schedule.due, schedule.due, None)
    recent = [run] if over and schedule.due >= now - DAY else []
    due = round(schedule.due * 1000)
    return Row(
        kind="schedule",
        what=schedule.name,
        state=schedule.stage if over else "pending" if schedule.enabled else "paused",
        next=rfc3339(schedule.due) if comes else None,
        coming=soon,
        last=rfc3339(schedule.due) if schedule.stage == "fired" else None,
        last_status=schedule.stage if over else None,
        ran=int(bool(recent) and schedule.stage == "fired"),
        missed=int(schedule.stage == "missed"),
        timeline=_past(recent, now) + "|" + _future(due, due, IntervalTimetable(due, 1), soon, now),
    )


def _past(runs: Sequence[RunSummary], now: float) -> str:
    """A letter for each of the last hours, the latest last: the worst outcome in it."""
    letters = ["."] * SIDE
    for run in runs:
        hour = SIDE - 1 - min(SIDE - 1, max(0, int((now - run.started) // HOUR)))
        letter = {"success": "#", "failed": "x"}.get(run.status, "~")
        letters[hour] = max(letters[hour], letter, key=".#~x".index)
    return "".join(letters)


def _future(first: int, last: int, table: Timetable, coming: int, now: float) -> str:
    """A letter for each of the next hours; `first` and `last` in milliseconds."""
    letters = []
    for hour in range(SIDE):
        begin, end = (round((now + (hour + more) * HOUR) * 1000) for more in (0, 1))
        time = table.next(max(begin, first) - 1) if coming else None
        letters.append("o" if time is not None and time < end and time <= last else ".")
    return "".join(letters)


def _cells(row: Row) -> tuple[str, ...]:
    last = f"{row.last or '-'} {row.last_status or ''}".rstrip()
    # characters that move the cursor or change the text's direction belong to no name
    what = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in row.what)
    return (row.kind, what, row.state, row.next or "-", str(row.coming), last, str(row.missed), row.timeline)


def _print_plain(rows: Sequence[Row], out: IO[str]) -> None:
    lines = [_HEADS, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADS))]
    for line in lines:
        out.write("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n")
    out.write(LEGEND + "\n")


def _print_table(rows: Sequence[Row], out: IO[str]) -> None:
    from rich.console import Console  # late: only a terminal gets colours
    from rich.table import Table
    from rich.text import Text

    console = Console(file=out)
    lines = [_cells(row) for row in rows]
    drawn = [Text.assemble(*((letter, _COLORS.get(letter, "dim")) for letter in line[_TIMELINE])) for line in lines]
    if _least_width(lines) > console.width:
        for cells, line in zip(lines, drawn, strict=True):
            facts = (f"{_HEADS[index]} {cells[index]}" for index in range(_TIMELINE) if index != _WHAT)
            console.print(Text(cells[_WHAT], style="bold"), Text(", ".join(facts)), line, "", sep="\n", soft_wrap=True)
    else:
        table = Table(box=None, header_style="bold")
        for head in _HEADS:
            right = head in ("in a day", "missed")
            table.add_column(head, justify="right" if right else "left", no_wrap=head != "what", overflow="fold")
        for cells, line in zip(lines, drawn, strict=True):
            table.add_row(*map(Text, cells[:_TIMELINE]), line)
        console.print(table)
    console.print(Text(LEGEND, style="dim"), soft_wrap=True)


def _least_width(lines: Sequence[Sequence[str]]) -> int:
    """The least width of the table in terminal columns, with long names folded."""
    widths = [max(map(len, column)) + 2 for column in zip(_HEADS, *lines, strict=True)]
    return sum(widths) - widths[_WHAT] + min(widths[_WHAT], _NARROWEST_WHAT)
