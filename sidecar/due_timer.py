"""One timer to the next time at which something is due, by the wall clock."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from sidecar.clock import Clock
from sidecar.errors import SidecarError
from sidecar.shutdown import stopped

log = logging.getLogger(__name__)

LONGEST_SLEEP: Final = 15.0
"""Seconds until it looks again: the clock was set, the machine slept, or another process changed what is due."""
AFTER_FAILURE: Final = 1.0
"""Seconds until it tries again."""


class DueTimer:
    """Calls `ring` each time that something is due, one call at a time, until it is closed."""

    def __init__(
        self, clock: Clock, next_due: Callable[[], Awaitable[float | None]], ring: Callable[[], Awaitable[None]]
    ) -> None:
        """`next_due` gives the earliest Unix time that is still to be dealt with, None for none.

        `ring` deals with what is due: afterwards `next_due` is later, or `ring` is called again at once. Where either
        raises a SidecarError, it is tried again a second later.
        """
        self._clock = clock
        self._next_due = next_due
        self._ring = ring
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to watch the clock."""
        self._task = asyncio.create_task(self._run(), name="alarm")

    def changed(self) -> None:
        """Says that something may be due earlier than before."""
        self._changed.set()

    async def close(self) -> None:
        """Stops; a `ring` under way is cancelled."""
        await stopped(self._task)

    async def _run(self) -> None:
        failing = False
        while True:
            try:
                await self._sleep(await self._ring_if_due())
                failing = False
            except Exception as failure:
                if not failing:  # once, and not every second of a full disk
                    known = isinstance(failure, SidecarError)
                    log.warning("what is due is tried again until it works: %s", failure, exc_info=not known)
                failing = True
                await self._clock.sleep(AFTER_FAILURE)

    async def _ring_if_due(self) -> float:
        """Gives for how many seconds nothing is due."""
        self._changed.clear()  # before it is asked what is due, so that no change is missed
        due = await self._next_due()
        left = LONGEST_SLEEP if due is None else due - self._clock.now()
        if left > 0:
            return min(left, LONGEST_SLEEP)
        await self._ring()
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
