"""Wakes those who wait for news: at once for news of this process, by looking now and then for news of others."""

import asyncio
from collections.abc import Callable
from typing import Final

MIN_POLL_SECONDS: Final = 0.02
MAX_POLL_SECONDS: Final = 0.25
"""How long news of another process may go unseen."""


class ChangeNotifier:
    """One for all who wait in this process. It costs nothing while nobody does."""

    def __init__(self, version: Callable[[], int] | None) -> None:
        """`version` gives a number that changes with every change by others; None where there are none."""
        self._version = version
        self._last_version = 0
        self._poll_seconds = MIN_POLL_SECONDS
        self._waiters: set[asyncio.Future[None]] = set()
        self._next_poll: asyncio.TimerHandle | None = None

    def notify(self) -> None:
        """Wakes everybody."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def wait(self, seconds: float) -> None:
        """Returns at the next ring, and after so many seconds at latest."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        if self._version and self._next_poll is None:  # what came since the last look shows at the next one
            self._poll_seconds = MIN_POLL_SECONDS
            self._schedule_poll()
        try:
            await asyncio.wait((waiter,), timeout=seconds)
        finally:
            self._waiters.discard(waiter)

    def close(self) -> None:
        """Wakes everybody, and looks no more."""
        self.notify()
        if self._next_poll:
            self._next_poll.cancel()
            self._next_poll = None

    def _schedule_poll(self) -> None:
        self._next_poll = asyncio.get_running_loop().call_later(self._poll_seconds, self._poll)

    def _poll(self) -> None:
        self._next_poll = None
        if not self._waiters or self._version is None:
            return
        version = self._version()
        if version != self._last_version:
            self._last_version = version
            self._poll_seconds = MIN_POLL_SECONDS
            self.notify()
        else:
            self._poll_seconds = min(2 * self._poll_seconds, MAX_POLL_SECONDS)
        self._schedule_poll()
