"""Counts of what a state folder's database holds, read without writing or blocking other processes."""

import sqlite3
from pathlib import Path
from typing import Final, NamedTuple

from sidecar.errors import StoreFailed
from sidecar.storage.migrations import MIGRATIONS, NewerSchema, check_version

BUSY_SECONDS: Final = 2.0
_COUNTS: Final = """
    SELECT (SELECT count(*) FROM job WHERE status IN ('queued', 'active', 'aborting')),
           (SELECT count(*) FROM parcel WHERE status = 0), (SELECT count(*) FROM parcel WHERE status = 1),
           (SELECT count(*) FROM endpoint WHERE disabled),
           (SELECT count(*) FROM agenda WHERE kind = 'schedule'), (SELECT count(*) FROM agenda WHERE kind = 'task')
"""


class DatabaseSummary(NamedTuple):
    """Counts of rows."""

    jobs: int
    """Unfinished jobs."""
    waiting: int
    """Pending deliveries."""
    dead: int
    """Dead deliveries."""
    disabled: int
    """Disabled endpoints."""
    schedules: int
    tasks: int


def inspect(path: Path) -> DatabaseSummary | None:
    """Returns the counts; None if there is no database yet or its schema is older.

    Raises StoreFailed.
    """
    if not path.exists() or not path.stat().st_size:
        return None
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
        try:
            if check_version(connection) < len(MIGRATIONS):
                return None
            return DatabaseSummary(*connection.execute(_COUNTS).fetchone())
        finally:
            connection.close()
    except (NewerSchema, sqlite3.Error) as failure:
        raise StoreFailed(f"the state folder's database can't be read: {failure}") from None


def broken_databases(path: Path) -> list[Path]:
    """Returns corrupt databases that were moved aside, oldest first."""
    return sorted(path.parent.glob(f"{path.stem}.broken-*"), key=lambda file: file.stat().st_mtime)
