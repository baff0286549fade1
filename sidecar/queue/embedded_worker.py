"""SAQ's worker as a guest in our process: it leaves the signals alone and ends gracefully."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from saq.queue import Queue
from saq.types import PartialTimersDict
from saq.worker import Worker

from sidecar.queue.job_meta import FUNCTION
from sidecar.shutdown import cancel_and_wait

CANCELLATION_SECONDS: Final = 10.0
"""What a job that has to stop gets for closing its browser."""
_TIMERS: Final[PartialTimersDict] = {"schedule": 1, "worker_info": 10, "sweep": 2, "abort": 1}


class EmbeddedWorker(Worker[Any]):
    """Runs what comes out of one queue. `begin` starts it, `end` ends it."""

    SIGNALS = ()  # type: ignore[assignment]  # the process has its own ideas of what a signal means

    def __init__(self, queue: Queue, function: Callable[..., Awaitable[None]], concurrency: int) -> None:
        """`function` is what every job calls."""
        super().__init__(
            queue,
            [(FUNCTION, function)],
            concurrency=concurrency,
            timers=_TIMERS,
            before_process=self._on_begin,
            after_process=self._on_end,
            cancellation_hard_deadline_s=CANCELLATION_SECONDS,
        )
        self._busy: set[asyncio.Task[Any]] = set()
        self._grace = 0.0
        self._whole: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Starts to take jobs."""
        self._whole = asyncio.create_task(self.start())

    @property
    def is_stopping(self) -> bool:
        """Whether it takes no more jobs."""
        return self.event.is_set()

    def is_interrupting(self, job: Any) -> bool:
        """Whether the job is being stopped because this worker ends, not because somebody cancelled it."""
        running = self.job_task_contexts.get(job)
        return running is None or running["aborted"] is None

    async def end(self, seconds: float) -> None:
        """Takes no more, lets what runs finish for so many seconds, and puts the rest back."""
        self._grace = seconds
        if self._whole:
            await asyncio.sleep(0)  # a worker that has not begun would forget that it has to end
            self.event.set()
            await self._whole

    async def stop(self) -> None:
        """SAQ's own would wait for its housekeeping to wake up, and log what is no news."""
        self.event.set()
        tasks = set(self.tasks)
        self.tasks.clear()
        housekeeping = {task for task in tasks if task.get_name() != "process"}
        for task in tasks - self._busy - housekeeping:
            task.cancel()
        await cancel_and_wait(*housekeeping)
        if self._busy:
            await asyncio.wait(set(self._busy), timeout=self._grace)
        for task in self._busy:
            task.cancel()
        if working := tasks - housekeeping:
            await asyncio.wait(working, timeout=CANCELLATION_SECONDS)
        self.pool.shutdown(wait=False)

    async def _on_begin(self, _: Any) -> None:
        self._busy.add(_current_task())

    async def _on_end(self, _: Any) -> None:
        self._busy.discard(_current_task())


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  coroutines run in tasks
    return task
