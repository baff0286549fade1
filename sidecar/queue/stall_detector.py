"""Detects attempts of lost workers, whose jobs `SqliteQueue.sweep` requeues; on Redis SAQ's leases do (`redis_queue`).

It uses this process's monotonic clock: setting the wall clock can neither hide nor fake a stall.
"""

from collections.abc import Callable, Iterable

from saq.job import Job

from sidecar.queue.job_rows import Row


class StallDetector:
    """The running attempts as one process has observed them."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._now = monotonic
        self._seen: dict[tuple[str, int], tuple[int, float, float]] = {}

    def observe(self, active: Iterable[Row]) -> None:
        """Records which attempts run, and which of them have changed since the last call."""
        before, self._seen = self._seen, {}
        now = self._now()
        for row in active:
            version, heard, first = before.get((row.key, row.attempts), (row.version, now, now))
            self._seen[row.key, row.attempts] = (row.version, heard if version == row.version else now, first)

    def missed_heartbeat(self, row: Row, job: Job) -> bool:
        """Whether the attempt's worker has missed its heartbeat."""
        _, heard, _ = self._seen[row.key, row.attempts]
        return bool(job.heartbeat) and self._now() - heard > job.heartbeat

    def timed_out(self, row: Row, job: Job) -> bool:
        """Whether the attempt has exceeded its timeout."""
        _, _, first = self._seen[row.key, row.attempts]
        return bool(job.timeout) and self._now() - first > job.timeout
