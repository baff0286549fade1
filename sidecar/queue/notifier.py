"""Wakes those who wait for news: at once for news of this process, by looking now and then for news of others."""

import asyncio
from collections.abc import Callable
from typing import Final

FIRST_LOOK_SECONDS: Final = 0.02
LONGEST_LOOK_SECONDS: Final = 0.25
"""How long news of another process may go unseen."""


class ChangeNotifier:
    """One for all who wait in this process. It costs nothing while nobody does."""

    def __init__(self, version: Callable[[], int] | None) -> None:
        """`version` gives a number that changes with every change by others; None where there are none."""
        self._version = version
        self._seen = 0
        self._pause = FIRST_LOOK_SECONDS
        self._waiting: set[asyncio.Future[None]] = set()
        self._next_look: asyncio.TimerHandle | None = None

    def ring(self) -> None:
        """Wakes everybody."""
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()

    async def wait(self, seconds: float) -> None:
        """Returns at the next ring, and after so many seconds at latest."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        if self._version and self._next_look is None:  # what came since the last look shows at the next one
            self._pause = FIRST_LOOK_SECONDS
            self._look_later()
        try:
            await asyncio.wait((waiting,), timeout=seconds)
        finally:
            self._waiting.discard(waiting)

    def close(self) -> None:
        """Wakes everybody, and looks no more."""
        self.ring()
        if self._next_look:
            self._next_look.cancel()
            self._next_look = None

    def _look_later(self) -> None:
        self._next_look = asyncio.get_running_loop().call_later(self._pause, self._look)

    def _look(self) -> None:
        self._next_look = None
        if not self._waiting or self._version is None:
            return
        version = self._version()
        if version != self._seen:
            self._seen = version
            self._pause = FIRST_LOOK_SECONDS
            self.ring()
        else:
            self._pause = min(2 * self._pause, LONGEST_LOOK_SECONDS)
        self._look_later()
