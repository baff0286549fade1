"""Whether a state folder has pending work."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

PENDING_JOBS: Final = ("SELECT 1 FROM job WHERE status IN ('queued', 'active', 'aborting') LIMIT 1",)
ANY_PENDING: Final = (
    *PENDING_JOBS,
    "SELECT 1 FROM agenda WHERE due IS NOT NULL LIMIT 1",
    "SELECT 1 FROM parcel WHERE due IS NOT NULL LIMIT 1",
    "SELECT 1 FROM open_run LIMIT 1",
)


class PendingWork:
    """Checks an open database for pending work."""

    def __init__(self, fetch_one: Callable[..., tuple[Any, ...] | None]) -> None:
        """`fetch_one` gives the first row of a query, whose parameters follow it."""
        self._fetch_one = fetch_one

    def any(self, queries: tuple[str, ...]) -> bool:
        """Whether one of the queries returns a row."""
        return any(self._fetch_one(query) for query in queries)

    def due_by(self, moment: float) -> bool:
        """Whether a schedule or task is due at that Unix time."""
        return self._fetch_one("SELECT 1 FROM agenda WHERE due <= ? LIMIT 1", moment) is not None


def has_pending(path: Path) -> bool:
    """Whether there are jobs, deliveries, schedules or tasks. False if the file is missing or can't be read."""
    if path.is_symlink() or not path.exists():
        return False
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0)
        try:
            return PendingWork(lambda *query: connection.execute(*query).fetchone()).any(ANY_PENDING)
        finally:
            connection.close()
    except sqlite3.Error:
        return False
