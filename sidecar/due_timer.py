"""One timer to the next due time, by the wall clock."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from sidecar.clock import Clock
from sidecar.errors import SidecarError
from sidecar.shutdown import cancel_and_wait

log = logging.getLogger(__name__)

MAX_SLEEP: Final = 15.0
"""The longest sleep: the clock may be set, the machine may sleep, another process may change what is due."""
RETRY_SECONDS: Final = 1.0
"""Seconds before a retry after a failure."""


class DueTimer:
    """Calls `on_due` when something is due, one call at a time, until it is closed."""

    def __init__(
        self, clock: Clock, next_due: Callable[[], Awaitable[float | None]], on_due: Callable[[], Awaitable[None]]
    ) -> None:
        """`next_due` returns the earliest due Unix time, None for none.

        `on_due` handles what is due: afterwards `next_due` is later, or `on_due` is called again at once. If either
        raises a SidecarError, it is retried a second later.
        """
        self._clock = clock
        self._next_due = next_due
        self._on_due = on_due
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts the timer."""
        self._task = asyncio.create_task(self._run(), name="due_timer")

    def changed(self) -> None:
        """Reschedules the timer: something may be due earlier than before."""
        self._changed.set()

    async def close(self) -> None:
        """Stops the timer and cancels a running `on_due`."""
        await cancel_and_wait(self._task)

    async def _run(self) -> None:
        failing = False
        while True:
            try:
                await self._sleep(await self._run_if_due())
                failing = False
            except Exception as failure:
                if not failing:  # logged once, and not every second while the disk is full
                    known = isinstance(failure, SidecarError)
                    log.warning("could not handle what is due; retrying every second: %s", failure, exc_info=not known)
                failing = True
                await self._clock.sleep(RETRY_SECONDS)

    async def _run_if_due(self) -> float:
        """Calls `on_due` if something is due; returns for how many seconds nothing is."""
        self._changed.clear()  # before `next_due` is called, so that no change is missed
        due = await self._next_due()
        left = MAX_SLEEP if due is None else due - self._clock.now()
        if left > 0:
            return min(left, MAX_SLEEP)
        await self._on_due()
        return 0.0

    async def _sleep(self, seconds: float) -> None:
        if seconds <= 0:
            return
        waits = {asyncio.ensure_future(self._clock.sleep(seconds)), asyncio.ensure_future(self._changed.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
