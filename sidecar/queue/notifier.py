"""Notifies waiters of changes: at once of this process's, by polling of other processes'."""

import asyncio
from collections.abc import Callable
from typing import Final

MIN_POLL_SECONDS: Final = 0.02
MAX_POLL_SECONDS: Final = 0.25
"""The longest delay until another process's change is noticed."""


class ChangeNotifier:
    """One for all waiters of this process; it polls only while there are any."""

    def __init__(self, version: Callable[[], int] | None) -> None:
        """`version` returns a number that changes with every change by other processes; None if there are no others."""
        self._version = version
        self._last_version = 0
        self._poll_seconds = MIN_POLL_SECONDS
        self._waiters: set[asyncio.Future[None]] = set()
        self._next_poll: asyncio.TimerHandle | None = None

    def notify(self) -> None:
        """Wakes all waiters."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def wait(self, seconds: float) -> None:
        """Returns at the next notification, or after `seconds`."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        if self._version and self._next_poll is None:  # changes since the last poll show at the next one
            self._poll_seconds = MIN_POLL_SECONDS
            self._schedule_poll()
        try:
            await asyncio.wait((waiter,), timeout=seconds)
        finally:
            self._waiters.discard(waiter)

    def close(self) -> None:
        """Wakes all waiters and stops polling."""
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
