"""A semaphore that bounds how many jobs run at once and how many wait."""

import asyncio

from sidecar.errors import QueueFull


class BoundedSemaphore:
    """A FIFO semaphore with a bounded queue of waiters."""

    def __init__(self, count: int, max_waiting: int) -> None:
        self._semaphore = asyncio.Semaphore(count)
        self._max_waiting = max_waiting
        self._waiting = 0

    async def acquire(self) -> None:
        """Waits for a slot, first come first served. Raises QueueFull at once if the queue is full."""
        if self._semaphore.locked() and self._waiting >= self._max_waiting:
            raise QueueFull(f"the queue of browser jobs is full: {self._waiting} waiting")
        self._waiting += 1
        try:
            await self._semaphore.acquire()
        finally:
            self._waiting -= 1

    def release(self) -> None:
        """Releases a slot to the next waiter."""
        self._semaphore.release()
