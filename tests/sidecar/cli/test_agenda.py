"""`sidecar agenda`, on stores of every state, and while a sidecar runs."""

import asyncio
import io
import json
import os
import pty
import re
import subprocess
import sys
import termios
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from sidecar.cli.agenda import SIDE, agenda, show
from sidecar.clock import Clock
from sidecar.errors import StoreFailed
from sidecar.settings import Settings
from sidecar.storage.agenda import Agenda
from sidecar.storage.agenda_snapshot import RunSummary, ScheduledEntry
from sidecar.storage.database import Database
from sidecar.storage.task_runs import StoredRun, TaskRuns
from tests.harness import Child, environment

NOW = 1_800_000_000.0
HOUR = 3_600


def task(task_id: str = "t", **members: Any) -> ScheduledEntry:
    """A task that runs every hour, next in half an hour."""
    given = {"config": {}, "running": True, "init": int((NOW + HOUR / 2) * 1000), "interval": HOUR * 1000, "created": 0}
    return ScheduledEntry("task", task_id, NOW, orjson.dumps(given | members))


def schedule(due: float, **members: Any) -> ScheduledEntry:
    """A schedule."""
    return ScheduledEntry("schedule", "s", due, orjson.dumps({"name": "once", "enabled": True, "due": due} | members))


def ran(hours_ago: float, status: str = "success", task_id: str = "t") -> RunSummary:
    """A run."""
    return RunSummary(task_id, status, None, NOW - hours_ago * HOUR, None)


def test_a_task_with_its_day() -> None:
    """Each coming hour shows a run; each past hour shows its worst outcome."""
    runs = [
        ran(30),
        ran(23.5, "failed"),
        ran(2.5),
        ran(2.4, "failed"),
        ran(2.3, "cancelled"),
        ran(1.5, "cancelled"),
        ran(0.5),
    ]
    (row,) = agenda([task(skipped=2, coalesced=3)], runs, NOW)
    assert row.timeline == "x" + "." * 20 + "x~#" + "|" + "o" * 24
    assert (row.next, row.coming, row.ran, row.missed) == ("2027-01-15T08:30:00Z", 24, 6, 5)
    assert (row.last, row.last_status, row.state) == ("2027-01-15T07:30:00Z", "success", "running")


def test_tasks_that_end_stop_or_come_late() -> None:
    """Only entries that will run are shown."""
    end = int((NOW + 2 * HOUR) * 1000)
    rows = {row.what: row for row in agenda([task("ends", end=end), task("stopped", running=False)], [], NOW)}
    assert rows["ends"].timeline == "." * SIDE + "|oo" + "." * 22
    assert (rows["ends"].coming, rows["stopped"].coming, rows["stopped"].next) == (2, 0, None)
    assert rows["stopped"].timeline == "." * SIDE + "|" + "." * SIDE
    (rare,) = agenda([task(interval=5 * HOUR * 1000)], [], NOW)
    assert rare.timeline == "." * SIDE + "|o....o....o....o....o..."
    (later,) = agenda([task(init=int((NOW + 100 * HOUR) * 1000))], [], NOW)
    assert (later.coming, later.next, set(later.timeline)) == (0, "2027-01-19T12:00:00Z", {".", "|"})
    (set_back,) = agenda([task(fired=int((NOW + HOUR / 2) * 1000))], [], NOW)
    assert (set_back.next, set_back.coming) == ("2027-01-15T09:30:00Z", 23)
    (often,) = agenda([task(interval=1_000)], [], NOW)
    assert often.coming == 24 * HOUR - HOUR // 2 + 1


def cron(task_id: str, pattern: str, **members: Any) -> ScheduledEntry:
    """A task with a cron pattern. Now is 08:00 in UTC, 09:00 in Amsterdam."""
    given = {"config": {}, "running": True, "init": 0, "cron": pattern, "zone": "Europe/Amsterdam", "created": 0}
    return ScheduledEntry("task", task_id, NOW, orjson.dumps(given | members))


def test_tasks_with_a_cron_pattern() -> None:
    """At the times of their zone's clock."""
    tasks = [
        cron("noon", "0 12 * * *"),
        cron("utc", "0 12 * * *", zone="UTC"),
        cron("often", "*/5 9-11 * * *"),
        cron("month", "0 0 L * *"),
        cron("ends", "*/30 * * * *", end=int((NOW + HOUR) * 1000)),
        cron("stopped", "* * * * *", running=False),
        cron("moon", "* * * * *", zone="Moon/Tranquility"),
    ]
    rows = {row.what: row for row in agenda(tasks, [], NOW)}
    assert {what: (row.next, row.coming) for what, row in rows.items()} == {
        "noon": ("2027-01-15T11:00:00Z", 1),
        "utc": ("2027-01-15T12:00:00Z", 1),
        "often": ("2027-01-15T08:05:00Z", 36),
        "month": ("2027-01-30T23:00:00Z", 0),
        "ends": ("2027-01-15T08:30:00Z", 2),
        "stopped": (None, 0),
        "moon": (None, 0),
    }
    assert rows["moon"].state == "unreadable"
    assert rows["noon"].timeline == "." * SIDE + "|...o" + "." * 20
    assert rows["often"].timeline == "." * SIDE + "|ooo" + "." * 21
    assert rows["ends"].timeline == "." * SIDE + "|oo" + "." * 22


@pytest.mark.parametrize(
    ("members", "state", "coming", "missed", "letter"),
    [
        ({}, "pending", 1, 0, "o"),
        ({"enabled": False}, "paused", 0, 0, ""),
        ({"stage": "fired"}, "fired", 0, 0, "#"),
        ({"stage": "missed"}, "missed", 0, 1, "x"),
    ],
)
def test_a_schedule(members: dict[str, Any], state: str, coming: int, missed: int, letter: str) -> None:
    """Waiting, paused, and over."""
    due = NOW + 90 * 60 if not members.get("stage") else NOW - 90 * 60
    (row,) = agenda([schedule(due, **members)], [], NOW)
    assert (row.kind, row.what, row.state, row.coming, row.missed) == ("schedule", "once", state, coming, missed)
    assert row.timeline.replace(".", "").replace("|", "") == letter
    if letter:
        assert row.timeline.index(letter) == (SIDE + 1 + 1 if letter == "o" else SIDE - 2)


def test_what_comes_first_is_first() -> None:
    """What does not come any more is last."""
    rows = agenda([task("b", running=False), task("a"), schedule(NOW + 60)], [], NOW)
    assert [row.what for row in rows] == ["once", "a", "b"]


def test_an_unreadable_entry_hides_no_other() -> None:
    """A newer sidecar has written it, say."""
    rows = agenda([ScheduledEntry("schedule", "strange", NOW, b'{"name":1}'), task("a")], [], NOW)
    assert [(row.what, row.state) for row in rows] == [("a", "running"), ("strange", "unreadable")]


async def test_a_real_store(tmp_path: Path) -> None:
    """Read while it is open elsewhere; nothing is changed by it."""
    database = await Database.open(tmp_path / "sidecar.db")
    planned = task("daily")
    await Agenda(database, "task").put_new("daily", planned.document, NOW + 60)
    history = TaskRuns(database)
    run = StoredRun("r", "daily", "interval", "p", None, NOW - 5400, None, "running", None)
    await history.begin(run)
    await history.end(replace(run, ended=NOW, status="failed", outcome=b"{}"))
    out = io.StringIO()
    assert show(Settings(home=str(tmp_path)), Clock(now=lambda: NOW), out, as_json=True) == 0
    reported = json.loads(out.getvalue())
    assert reported["now"] == "2027-01-15T08:00:00Z"
    assert reported["agenda"][0]["what"] == "daily"
    assert reported["agenda"][0]["last_status"] == "failed"
    plain = io.StringIO()
    show(Settings(home=str(tmp_path)), Clock(now=lambda: NOW), plain, as_json=False)
    head, line, legend = plain.getvalue().splitlines()
    assert head.split()[:3] == ["kind", "what", "state"]
    assert line.index("daily") == head.index("what")
    assert line.endswith("." * 22 + "x.|" + "o" * 24)
    assert legend.startswith("timeline:")
    assert "\x1b" not in plain.getvalue()
    await database.close()


def test_a_missing_and_a_damaged_store(tmp_path: Path) -> None:
    """No state folder is nothing planned, and makes none; a file that is no database is said."""
    out = io.StringIO()
    home = tmp_path / "state"
    assert show(Settings(home=str(home)), Clock(), out, as_json=False) == 0
    assert out.getvalue() == "nothing is planned\n"
    assert not home.exists()
    home.mkdir()
    (home / "sidecar.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreFailed, match="can't be read"):
        show(Settings(home=str(home)), Clock(), out, as_json=False)
    ended = subprocess.run(
        [sys.executable, "-m", "sidecar", "agenda"],
        env=environment(tmp_path),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert ended.stderr.startswith(b"sidecar: the state folder's database can't be read")


def test_next_to_a_running_sidecar_on_a_terminal(tmp_path: Path) -> None:
    """The command itself: with colours where somebody looks."""
    with Child(tmp_path) as child:
        content = {
            "id": "nightly",
            "script": "a.js",
            "running": True,
            "config": {},
            "init": "2099-01-01",
            "interval": 60_000,
        }
        (made,) = child.ask({"type": "create_task", "content": content})
        assert made["type"] == "ok"
        command = [sys.executable, "-m", "sidecar", "agenda"]
        env = environment(tmp_path, {"COLUMNS": "200", "TERM": "xterm-256color"})
        as_json = subprocess.run([*command, "--json"], env=env, capture_output=True, check=True, timeout=60)
        assert json.loads(as_json.stdout)["agenda"][0]["next"] == "2099-01-01T00:00:00Z"
        parent, terminal = pty.openpty()
        with subprocess.Popen(command, env=env, stdout=terminal) as process:
            os.close(terminal)
            shown = os.read(parent, 1 << 16)
            while b"timeline: an hour" not in shown:
                shown += os.read(parent, 1 << 16)
            assert process.wait(60) == 0
        os.close(parent)
        assert b"nightly" in shown
        assert b"\x1b[" in shown
        assert child.end() == 0


COMMAND = [sys.executable, "-m", "sidecar", "agenda"]
LONG = "the-prices-of-a-shop-with-a-very-long-name-of-its-own"


def plan(folder: Path, *names: str) -> None:
    """A state folder with tasks of these names, the first of them running."""

    async def put() -> None:
        database = await Database.open(folder / "state" / "sidecar.db")
        for number, name in enumerate(names):
            document = task(running=not number, init=4_102_444_800_000).document
            await Agenda(database, "task").put_new(name, document, NOW)
        await database.close()

    (folder / "state").mkdir()
    asyncio.run(put())


def on_terminal(folder: Path, columns: int, **env: str) -> str:
    """The command's output on a terminal with that many columns."""
    parent, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (40, columns))
    shown = b""
    with subprocess.Popen(COMMAND, env=environment(folder, env), stdout=terminal) as process:
        os.close(terminal)
        while b"will run" not in shown:
            shown += os.read(parent, 1 << 16)
        assert process.wait(60) == 0
    os.close(parent)
    return shown.decode()


@pytest.mark.parametrize("columns", [20, 40, 80, 120, 160, 250])
def test_terminals_of_every_width(tmp_path: Path, columns: int) -> None:
    """Nothing is cut: names are folded, and where that is not enough each row takes several lines."""
    plan(tmp_path, "prices", LONG)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", on_terminal(tmp_path, columns, TERM="xterm"))
    assert "prices" in shown
    assert LONG in "".join(shown.split()) or all(part in shown for part in (LONG[:24], LONG[-1]))
    for said in ("2100-01-01T00:00:00Z", "running", "stopped", "." * SIDE + "|" + "." * SIDE):
        assert said in shown, shown
    assert "…" not in shown
    if columns >= 160:
        assert max(map(len, shown.splitlines())) <= columns


def test_a_terminal_without_colours(tmp_path: Path) -> None:
    """No escape sequence reaches one that knows none."""
    plan(tmp_path, "prices")
    shown = on_terminal(tmp_path, 80, TERM="dumb")
    assert "prices" in shown
    assert "\x1b" not in shown


def test_names_that_a_terminal_can_not_show(tmp_path: Path) -> None:
    """What would move its cursor or turn its text around is shown as one sign, what has no letter by its number."""
    plan(tmp_path, "表价", "a\x9b31mb\u202ec")
    known = subprocess.run(
        COMMAND, env=environment(tmp_path, {"PYTHONIOENCODING": "utf-8"}), capture_output=True, check=True, timeout=60
    ).stdout.decode()
    assert "表价" in known
    assert "a\ufffd31mb\ufffdc" in known
    env = environment(tmp_path, {"PYTHONIOENCODING": "ascii"})
    plain = subprocess.run(COMMAND, env=env, capture_output=True, check=True, timeout=60)
    assert b"\\u8868\\u4ef7" in plain.stdout
    as_json = subprocess.run([*COMMAND, "--json"], env=env, capture_output=True, check=True, timeout=60)
    assert {row["what"] for row in json.loads(as_json.stdout)["agenda"]} == {"表价", "a\x9b31mb\u202ec"}


def test_an_output_that_takes_nothing(tmp_path: Path) -> None:
    """A full disk is said; a reader that has gone is no error."""
    plan(tmp_path, "prices")
    env = environment(tmp_path)
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(COMMAND, env=env, stdout=full, stderr=subprocess.PIPE, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (2, b"sidecar: [Errno 28] No space left on device\n")
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(COMMAND, env=env, stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_fleet_whose_redis_is_down(tmp_path: Path, flags: list[str]) -> None:
    """Is said in a sentence, and the state folder is not shown in its place."""
    env = {"SIDECAR_QUEUE": "redis://user:canary@127.0.0.1:1/", "SIDECAR_STORE_KEY": "A" * 43 + "="}
    ended = subprocess.run(
        [*COMMAND, *flags], env=environment(tmp_path, env), capture_output=True, check=False, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert ended.stderr.startswith(b"sidecar: the fleet's Redis can't be used")
    assert b"canary" not in ended.stderr
    assert ended.stderr.count(b"\n") == 1
