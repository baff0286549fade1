"""Ends that take their time: closing a page or a browser runs beside the jobs, and is waited for once."""

import asyncio
from collections.abc import Awaitable
from typing import Any


class BackgroundTasks:
    """What is coming to its end."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Future[Any]] = set()

    def start(self, awaitable: Awaitable[Any]) -> None:
        """Runs the end of something."""
        task = asyncio.ensure_future(awaitable)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait(self, seconds: float) -> None:
        """Returns when all have ended, after so many seconds at the latest."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
