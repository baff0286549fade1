"""The last runs of each task, and their outcomes."""

import sqlite3
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Final

from sidecar.storage.database import Database

MAX_RUNS: Final = 50
"""Runs of one task that are kept."""

_BEGIN: Final = """
    INSERT INTO task_run (id, task, kind, owner, due, started, ended, status, outcome)
    VALUES (?, ?, ?, ?, ?, ?, NULL, 'running', NULL)
    ON CONFLICT (task, id) DO UPDATE SET
        owner = excluded.owner, started = excluded.started, ended = NULL, status = 'running', outcome = NULL
"""
_COUNT_RUN: Final = """
    INSERT INTO task_count (task, runs, failed) VALUES (?, 1, 0) ON CONFLICT (task) DO UPDATE SET runs = runs + 1
"""
_TRIM: Final = """
    DELETE FROM task_run WHERE task = ?1 AND number <= (
        SELECT number FROM task_run WHERE task = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2
    )
"""
_END: Final = "UPDATE task_run SET ended = ?, status = ?, outcome = ? WHERE task = ? AND id = ?"
_COUNT_FAILURE: Final = "UPDATE task_count SET failed = failed + 1 WHERE task = ?"
_PAGE: Final = """
    SELECT id, task, kind, owner, due, started, ended, status, outcome FROM task_run WHERE task = ?
    ORDER BY number DESC LIMIT ? OFFSET ?
"""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """One run; times are Unix times in seconds."""

    id: str
    task: str
    kind: str
    """The trigger of the run."""
    owner: str
    """The process that runs it."""
    due: float | None
    started: float
    ended: float | None
    status: str
    outcome: bytes | None
    """JSON in the owner's format."""


class TaskRuns:
    """The history of every task on the same store. Every call may raise StoreFailed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, run: StoredRun) -> None:
        """Records that a run has started, and deletes the oldest. A run that is started again replaces itself."""
        values = (run.id, run.task, run.kind, run.owner, run.due, run.started)

        def write(connection: sqlite3.Connection) -> None:
            known = connection.execute("SELECT 1 FROM task_run WHERE task = ? AND id = ?", (run.task, run.id))
            if known.fetchone() is None:
                connection.execute(_COUNT_RUN, (run.task,))
            connection.execute(_BEGIN, values)
            connection.execute(_TRIM, (run.task, MAX_RUNS))

        await self._database.write(write)

    def end(self, run: StoredRun) -> Awaitable[None]:
        """Records a run's outcome, unless its task was deleted meanwhile. Staged when this returns."""

        def write(connection: sqlite3.Connection) -> None:
            values = (run.ended, run.status, run.outcome, run.task, run.id)
            if connection.execute(_END, values).rowcount and run.status == "failed":
                connection.execute(_COUNT_FAILURE, (run.task,))

        return self._database.submit(write, until_stored=run.kind != "manual")  # whose reply reports a failure

    async def forget(self, task: str) -> None:
        """Deletes all runs of a task."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM task_run WHERE task = ?", (task,))
            connection.execute("DELETE FROM task_count WHERE task = ?", (task,))

        await self._database.write(write)

    async def page(self, task: str, offset: int, limit: int) -> list[StoredRun]:
        """Returns up to `limit` runs, latest first."""
        rows: list[tuple[Any, ...]] = self._database.fetch_all(_PAGE, task, limit, offset)
        return [StoredRun(*row) for row in rows]

    async def kept(self, task: str) -> int:
        """Counts the stored runs."""
        row = self._database.fetch_one("SELECT count(*) FROM task_run WHERE task = ?", task)
        return int(row[0]) if row else 0

    async def counts(self, task: str) -> tuple[int, int]:
        """Returns how many runs there ever were, and how many of them failed."""
        row = self._database.fetch_one("SELECT runs, failed FROM task_count WHERE task = ?", task)
        return (int(row[0]), int(row[1])) if row else (0, 0)
