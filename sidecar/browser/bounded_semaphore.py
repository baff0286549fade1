"""How many jobs run at once, and how many may wait."""

import asyncio

from sidecar.errors import QueueFull


class BoundedSemaphore:
    """A semaphore whose queue has an end."""

    def __init__(self, count: int, max_waiting: int) -> None:
        self._semaphore = asyncio.Semaphore(count)
        self._max_waiting = max_waiting
        self._waiting = 0

    async def acquire(self) -> None:
        """Waits for a place, first come first served. Raises QueueFull at once when too many wait already."""
        if self._semaphore.locked() and self._waiting >= self._max_waiting:
            raise QueueFull(f"{self._waiting} browser jobs are waiting already")
        self._waiting += 1
        try:
            await self._semaphore.acquire()
        finally:
            self._waiting -= 1

    def release(self) -> None:
        """Frees a place for the next in the queue."""
        self._semaphore.release()
