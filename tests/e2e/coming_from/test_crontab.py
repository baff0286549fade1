"""Rows of crontabs: a line, and the task that it becomes.

In the third cell moments are times of the task, each the next one after the one before it; a sentence is the error of
its making.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from sidecar.tasks.timetable import timetable
from tests.e2e.coming_from.page import Row, minute, rows
from tests.harness import Child, environment

SECTION = "crontab"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """One sidecar for all rows, each of which deletes its task."""
    with Child(tmp_path_factory.mktemp("crontab")) as running:
        yield running
        assert running.end() == 0


@pytest.mark.parametrize("row", rows(SECTION), ids=str)
def test_row(row: Row, child: Child) -> None:
    """The task is made, or is not; it runs when the row says."""
    [line], [span] = row.theirs, row.ours
    message = json.loads(span)
    given = message["content"]
    zone, pattern = re.fullmatch(r"(?:CRON_TZ=(\S+) )?(@\w+|(?:\S+ ){4}\S+) .*", line).groups()  # type: ignore[union-attr]
    assert given.get("zone") == zone
    assert given["cron"] == pattern or "[" in line  # what only a shell could say
    (reply,) = child.ask(message)
    if reply["type"] == "ok":
        assert child.ask({"type": "delete_task", "content": {"id": reply["content"]["id"]}})[0]["type"] == "ok"
    moments = [span for span in row.happens if MOMENT.fullmatch(span)]
    if not moments:
        assert [reply["content"]] == list(row.happens)
        return
    assert moments == list(row.happens), "not checked"
    table = timetable(0, None, reply["content"]["cron"], reply["content"]["zone"])
    for earlier, later in pairwise(map(at, moments)):
        assert table.next(earlier) == later


def at(moment: str) -> int:
    """Milliseconds of Unix time."""
    return int(datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp() * 1000)


def test_minute(tmp_path: Path) -> None:
    """Its lines work as they stand."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", minute(SECTION)],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "report  running" in re.sub(" +", "  ", done.stdout)
    assert re.search(r"T08:30:00Z", done.stdout)
