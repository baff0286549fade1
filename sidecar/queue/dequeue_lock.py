"""Whoever waits for a job does so in turn: news wakes the one that looks, however many stand behind it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sidecar.clock import within


class DequeueLock:
    """Held by one at a time, who hands it on with or without a job."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._now = monotonic
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def acquire(self, timeout: float) -> AsyncIterator[float]:  # noqa: ASYNC109  as SAQ hands it on
        """Waits so many seconds for the turn, for ever with 0; gives how many are left, none if it did not come."""
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
