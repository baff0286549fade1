"""A read-only snapshot of a state folder's schedules, tasks and runs, without blocking other processes."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sidecar import files
from sidecar.errors import StoreFailed
from sidecar.storage.agenda import Kind
from sidecar.storage.migrations import NewerSchema, check_version

BUSY_SECONDS: Final = 2.0
_RUNS: Final = """
    SELECT task, status, due, started, ended FROM task_run
    WHERE started >= ? OR number IN (SELECT max(number) FROM task_run GROUP BY task) ORDER BY number
"""


@dataclass(frozen=True, slots=True)
class ScheduledEntry:
    """One schedule or task, with its document as stored."""

    kind: Kind
    id: str
    due: float | None
    document: bytes


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run of a task; Unix times in seconds."""

    task: str
    status: str
    due: float | None
    started: float
    ended: float | None


def read_snapshot(path: Path, since: float) -> tuple[list[ScheduledEntry], list[RunSummary]]:
    """Returns all entries, oldest first, and the runs since a Unix time plus each task's last. Raises StoreFailed."""
    if not path.exists():
        return [], []
    try:
        files.reject_symlink(path)
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
        try:
            check_version(connection)
            rows: list[tuple[Any, ...]] = connection.execute(
                "SELECT kind, id, due, document FROM agenda ORDER BY kind, number"
            ).fetchall()
            runs: list[tuple[Any, ...]] = connection.execute(_RUNS, (since,)).fetchall()
        finally:
            connection.close()
    except (NewerSchema, sqlite3.Error, OSError) as failure:
        raise StoreFailed(f"the state folder's database can't be read: {failure}") from None
    return [ScheduledEntry(*row) for row in rows], [RunSummary(*row) for row in runs]
