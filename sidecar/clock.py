"""Time as a collaborator: whoever needs to know or to wait is handed one of these."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """The machine's time. Tests hand in their own functions."""

    now: Callable[[], float] = time.time
    """Unix time in seconds."""
    monotonic: Callable[[], float] = time.monotonic
    """Seconds that only go forward, for durations and deadlines."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    """Waits that many seconds."""


@asynccontextmanager
async def within(seconds: float | None) -> AsyncIterator[asyncio.Timeout]:
    """Bounds what is awaited in the block: `asyncio.timeout` as it is from Python 3.11.3 on. Raises TimeoutError.

    Before that it raised CancelledError wherever the task had been cancelled earlier, which is where clean-up runs: the
    bound was taken for a cancellation from outside, and what has to happen after it did not.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield limit
    except asyncio.CancelledError:
        if task and limit.expired() and task.cancelling() <= before:
            raise TimeoutError from None
        raise
