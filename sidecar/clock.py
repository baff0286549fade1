"""Time as an injected dependency, and bounded waits."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """The machine's clocks; tests pass their own functions."""

    now: Callable[[], float] = time.time
    """Unix time in seconds."""
    monotonic: Callable[[], float] = time.monotonic
    """Monotonic seconds, for durations and deadlines."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    """Sleeps for a number of seconds."""


@asynccontextmanager
async def within(seconds: float | None) -> AsyncIterator[asyncio.Timeout]:
    """Bounds the block like `asyncio.timeout` of Python 3.11.3 and later. Raises TimeoutError.

    Before that it raised CancelledError if the task had been cancelled earlier, which is when clean-up runs: the
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
