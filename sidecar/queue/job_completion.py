"""Attempts that store their own outcome, in one transaction with their webhook messages and forwarded results."""

from typing import Any

from saq.job import Job, Status
from saq.queue.base import Queue


class CompletingQueue(Queue):
    """A queue whose attempts settle their jobs before SAQ's worker does; the worker's later call is ignored."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._settled: set[tuple[str, int]] = set()

    async def settle(self, job: Job, status: Status, error: str | None = None) -> None:
        """Finishes an attempt, or requeues its job (`QUEUED`): staged at once, stored when this returns."""
        self._settled.add((job.key, job.attempts))
        if status == Status.QUEUED:
            await super().retry(job, error)
        else:
            await super().finish(job, status, error=error)

    async def finish(
        self, job: Job, status: Status, *, result: Any = None, error: str | None = None, **kwargs: Any
    ) -> None:
        """Calls SAQ's own, unless the attempt is settled already."""
        if not self._was_settled(job):
            await super().finish(job, status, result=result, error=error, **kwargs)

    async def retry(self, job: Job, error: str | None) -> None:
        """Calls SAQ's own, unless the attempt is settled already."""
        if not self._was_settled(job):
            await super().retry(job, error)

    def _was_settled(self, job: Job) -> bool:
        attempt = (job.key, job.attempts)
        settled = attempt in self._settled
        self._settled.discard(attempt)
        return settled
