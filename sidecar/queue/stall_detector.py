"""Jobs that nobody looks after, found by the time that passes here: no clock that is set can hide or fake them."""

from collections.abc import Callable, Iterable

from saq.job import Job

from sidecar.queue.job_rows import Row


class StallDetector:
    """What one process has seen of the jobs that run."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._now = monotonic
        self._seen: dict[tuple[str, int], tuple[int, float, float]] = {}

    def observe(self, active: Iterable[Row]) -> None:
        """Notes which attempts run, and which of them were heard of since the last look."""
        before, self._seen = self._seen, {}
        now = self._now()
        for row in active:
            version, heard, first = before.get((row.key, row.attempts), (row.version, now, now))
            self._seen[row.key, row.attempts] = (row.version, heard if version == row.version else now, first)

    def missed_heartbeat(self, row: Row, job: Job) -> bool:
        """Whether the attempt's worker had to be heard of by now, and was not."""
        _, heard, _ = self._seen[row.key, row.attempts]
        return bool(job.heartbeat) and self._now() - heard > job.heartbeat

    def timed_out(self, row: Row, job: Job) -> bool:
        """Whether the attempt takes longer than it may."""
        _, _, first = self._seen[row.key, row.attempts]
        return bool(job.timeout) and self._now() - first > job.timeout
