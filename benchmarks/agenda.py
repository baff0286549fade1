"""The cost of waiting schedules and tasks, and the precision of firing."""

import contextlib
import os
import sqlite3
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.bench import SIDECAR, Bench, Figure
from benchmarks.child import Child, WrongAnswerError
from benchmarks.lines import line

SCHEDULES: Final = 1_000
FIRED: Final = 20
"""Number of schedules, fired one a second, for the distribution of lateness."""
AT_ONCE: Final = 200
IDLE_SECONDS: Final = 20.0
LEAD: Final = 3
"""Seconds until the first schedule is due."""
TASKS_LEAD: Final = 40
"""Seconds until the tasks are due, long enough to measure an idle sidecar after their creation."""
RUNS_SECONDS: Final = 60.0
_HELLO: Final = line("hello", {"notifications": True, "zone": "UTC"})


def schedules(bench: Bench) -> list[Figure]:
    """Costs of creating a thousand schedules and of letting them wait, and the lateness of fired ones."""
    with bench.child(SIDECAR) as child:
        _create(child, time.time() + 3600)
        started = time.perf_counter()
        for number in range(SCHEDULES - 1):
            _create(child, time.time() + 3600 + number)
        rate = (SCHEDULES - 1) / (time.perf_counter() - started)
        waiting = _idle(child)
    commits = _commits(bench.folder / "floor.db")
    with bench.child(SIDECAR) as child:
        late = _one_by_one(child)
        together = _together(child)
    return [
        Figure(
            "create_schedule one by one, compared with durable commits of SQLite",
            "1/s",
            commits,
            rate,
            least=0.05,
            wished=True,
        ),
        Figure("CPU while 1,000 schedules wait", "% of a core", None, waiting, most=1.0),
        Figure("a schedule's lateness, median", "ms", None, statistics.median(late) * 1000, most=250),
        Figure("a schedule's lateness, 95th percentile", "ms", None, _p95(late) * 1000, most=250),
        Figure("the last of 200 due in the same second", "ms", None, max(together) * 1000, most=2000),
    ]


def tasks(bench: Bench) -> list[Figure]:
    """Costs of two hundred waiting tasks, and the start times of tasks that are due in the same second."""
    scripts = bench.folder / "scripts"
    scripts.mkdir(exist_ok=True)
    (scripts / "short.js").write_text("module.exports.main = () => 'done'")
    with bench.child(SIDECAR, SIDECAR_SCRIPTS_FOLDER=str(scripts)) as child:
        due = int(time.time()) + TASKS_LEAD
        for number in range(AT_ONCE):
            _ask(child, "create_task", id=f"t{number}", script="short.js", init=_told(due), interval=86_400_000)
        waiting = _idle(child)
        began = [_began(child, f"t{number}", due) for number in range(AT_ONCE)]
    return [
        Figure("CPU while 200 tasks wait", "% of a core", None, waiting, most=1.0),
        Figure("the last of 200 tasks due in the same second begins", "ms", None, max(began) * 1000, most=2000),
    ]


def _began(child: Child, task: str, due: float) -> float:
    """Seconds from a task's due time to the start of its run."""
    deadline = due + RUNS_SECONDS
    while not (runs := _ask(child, "list_task_runs", id=task)["runs"]):
        if time.time() > deadline:
            raise WrongAnswerError(f"{task} has not begun")
        time.sleep(0.2)
    return datetime.fromisoformat(runs[0]["started"]).timestamp() - due


def _ask(child: Child, kind: str, **content: Any) -> Any:
    answer = child.ask(line(kind, content))
    if answer["type"] != "ok":
        raise WrongAnswerError(str(answer))
    return answer["content"]


def _told(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


def _one_by_one(child: Child) -> list[float]:
    """Seconds of lateness of schedules that are due one a second."""
    child.ask(_HELLO)
    _create(child, time.time() + 3600)  # loads what they need
    first = int(time.time()) + LEAD
    for number in range(FIRED):
        _create(child, first + number)
    return [_late(child) for _ in range(FIRED)]


def _together(child: Child) -> list[float]:
    """Seconds of lateness of schedules that are due in one second."""
    due = int(time.time()) + LEAD + 2
    for _ in range(AT_ONCE):
        _create(child, due)
    return [_late(child) for _ in range(AT_ONCE)]


def _late(child: Child) -> float:
    due = child.event("schedule_fired")["due"]
    return time.time() - datetime.fromisoformat(due).timestamp()


def _create(child: Child, moment: float) -> None:
    shown = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S")
    content: dict[str, Any] = {
        "name": "bench",
        "enabled": True,
        "trigger": {"single": {"time": shown, "zone_type": 1, "zone": "UTC"}},
        "push": {"type": "set_cached_reference", "content": "abcd"},
    }
    answer = child.ask(line("create_schedule", content))
    if answer["type"] != "ok":
        raise WrongAnswerError(str(answer))


def _idle(child: Child) -> float:
    """Percent of a core that an idle child takes."""
    time.sleep(2)  # what was begun ends
    before = _cpu(child)
    time.sleep(IDLE_SECONDS)
    return (_cpu(child) - before) / IDLE_SECONDS * 100


def _cpu(child: Child) -> float:
    """Seconds of CPU that the process has used, from Linux's /proc."""
    fields = Path(f"/proc/{child.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _commits(path: Path) -> float:
    """Rows a second, each in its own durable transaction."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE floor (document BLOB)")
        started = time.perf_counter()
        for _ in range(SCHEDULES):
            connection.execute("INSERT INTO floor VALUES (?)", (b"x" * 300,))
        return SCHEDULES / (time.perf_counter() - started)


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]
