"""Background tasks: pages and browsers close while other jobs run; shutdown waits for all of them."""

import asyncio
from collections.abc import Awaitable
from typing import Any


class BackgroundTasks:
    """A set of running tasks."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Future[Any]] = set()

    def start(self, awaitable: Awaitable[Any]) -> None:
        """Starts a task and keeps it until it has ended."""
        task = asyncio.ensure_future(awaitable)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait(self, seconds: float) -> None:
        """Returns when all tasks have ended, or after `seconds`."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)


def consume_exception(task: asyncio.Future[Any]) -> None:
    """Retrieves a failure that is reported elsewhere, or that has no more receiver."""
    if not task.cancelled():
        task.exception()
