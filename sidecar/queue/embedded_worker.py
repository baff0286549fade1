"""SAQ's worker inside our process: it ignores signals and stops gracefully."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from saq.queue import Queue
from saq.types import PartialTimersDict
from saq.worker import Worker

from sidecar.queue.job_meta import FUNCTION
from sidecar.shutdown import cancel_and_wait

CANCELLATION_SECONDS: Final = 10.0
"""Seconds that a cancelled job may take to close its browser."""
_TIMERS: Final[PartialTimersDict] = {"schedule": 1, "worker_info": 10, "sweep": 2, "abort": 1}


class EmbeddedWorker:
    """Runs the jobs of one queue between `start` and `stop`."""

    def __init__(self, queue: Queue, function: Callable[..., Awaitable[None]], concurrency: int) -> None:
        """`function` is called for every job."""
        self._worker = SaqWorker(queue, function, concurrency)
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts taking jobs."""
        self._running = asyncio.create_task(self._worker.start())

    async def stop(self, grace: float) -> None:
        """Takes no more jobs, lets running ones finish for `grace` seconds, and requeues the rest."""
        self._worker.grace = grace
        if self._running:
            await asyncio.sleep(0)  # SAQ's `start` replaces the event as it begins
            self._worker.event.set()
            await self._running

    async def abort_cancelled(self) -> None:
        """Cancels running jobs that are marked as aborting, without waiting for SAQ's timer."""
        await self._worker.abort(0)


class SaqWorker(Worker[Any]):
    """SAQ's worker, with a shutdown that waits for jobs and not for timers. A job sees it in its context."""

    SIGNALS = ()  # type: ignore[assignment]  # the process handles signals itself

    def __init__(self, queue: Queue, function: Callable[..., Awaitable[None]], concurrency: int) -> None:
        super().__init__(
            queue,
            [(FUNCTION, function)],
            concurrency=concurrency,
            timers=_TIMERS,
            before_process=self._on_job_start,
            after_process=self._on_job_end,
            cancellation_hard_deadline_s=CANCELLATION_SECONDS,
        )
        self.grace = 0.0
        self._busy: set[asyncio.Task[Any]] = set()

    @property
    def is_stopping(self) -> bool:
        """Whether it takes no more jobs."""
        return self.event.is_set()

    def is_interrupting(self, job: Any) -> bool:
        """Whether the job is being stopped because this worker stops, and not because it was cancelled."""
        running = self.job_task_contexts.get(job)
        return running is None or running["aborted"] is None

    async def stop(self) -> None:
        """Replaces SAQ's own, which would wait for its timers to wake up."""
        self.event.set()
        tasks = set(self.tasks)
        self.tasks.clear()
        timers = {task for task in tasks if task.get_name() != "process"}
        for task in tasks - self._busy - timers:
            task.cancel()
        await cancel_and_wait(*timers)
        if self._busy:
            await asyncio.wait(set(self._busy), timeout=self.grace)
        for task in self._busy:
            task.cancel()
        if processes := tasks - timers:
            await asyncio.wait(processes, timeout=CANCELLATION_SECONDS)
        self.pool.shutdown(wait=False)

    async def _on_job_start(self, _: Any) -> None:
        self._busy.add(_current_task())

    async def _on_job_end(self, _: Any) -> None:
        self._busy.discard(_current_task())


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  coroutines run in tasks
    return task
