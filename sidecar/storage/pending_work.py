"""Whether a state folder has pending work."""

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sidecar.clock import Clock
from sidecar.errors import StoreFailed

log = logging.getLogger(__name__)

SCAN_SECONDS: Final = 10.0
"""Seconds for which jobs that another process has left may be overlooked."""
PRELOAD_SECONDS: Final = 2 * SCAN_SECONDS
"""Seconds before a due time at which the queue is loaded, so that the run starts in time."""
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

    async def wait(self, clock: Clock) -> None:
        """Returns once there are pending jobs, or a schedule or task is due soon."""
        while True:
            try:
                if self.any(PENDING_JOBS) or self.due_by(clock.now() + PRELOAD_SECONDS):
                    return
            except StoreFailed as failure:
                log.warning("could not look for pending jobs: %s", failure)
            await clock.sleep(SCAN_SECONDS)

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
