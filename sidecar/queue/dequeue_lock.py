"""A lock for dequeuing: of all workers that wait for a job only one polls, so a change wakes only that one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sidecar.clock import within


class DequeueLock:
    """Held by one waiter at a time, which releases it with or without a job."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._now = monotonic
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def acquire(self, timeout: float) -> AsyncIterator[float]:  # noqa: ASYNC109  as SAQ hands it on
        """Waits up to `timeout` seconds for the lock, forever with 0; yields the seconds left, 0 if not acquired."""
        if not timeout:
            async with self._lock:
                yield float("inf")
            return
        deadline = self._now() + timeout
        try:
            async with within(timeout):
                await self._lock.acquire()
        except TimeoutError:
            yield 0
            return
        try:
            yield deadline - self._now()
        finally:
            self._lock.release()
