"""Bounded shutdown: of tasks that lose a cancellation, of clean-up, of the whole process."""

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from sidecar import stderr

log = logging.getLogger(__name__)

CLOSE_SECONDS: Final = 30.0
"""Seconds that closing may take in addition to finishing jobs: a browser, Redis or a name server may not respond."""
STOP_SECONDS: Final = 2.0
"""Seconds that a task may take to end after its cancellation."""
SAME_SECONDS: Final = 0.5
"""Seconds within which two signals of one kind count as one that arrived twice: `timeout` signals its child and its
group, a parent forwards the Ctrl-C that a terminal has sent to both."""
RECANCEL_SECONDS: Final = 0.1
"""Seconds until a running task is cancelled again: `asyncio.wait_for` loses a cancellation before Python 3.12."""


class StopSignals:
    """The signals that end this process: the first one politely, a second one at once."""

    def __init__(self, on_stop: Callable[[], None]) -> None:
        """`on_stop` is called at the first."""
        self._on_stop = on_stop
        self._first: tuple[int, float] | None = None

    @property
    def first(self) -> int | None:
        """The number of the first signal; None until there is one."""
        return self._first[0] if self._first else None

    def watch(self) -> None:
        """Takes them over, in the running loop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._hear, number)

    def _hear(self, number: int) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = number, now
            self._on_stop()
        elif number != self._first[0] or now - self._first[1] > SAME_SECONDS:
            os._exit(128 + number)


async def cancel_and_wait(*tasks: asyncio.Task[Any] | None, seconds: float = STOP_SECONDS) -> None:
    """Cancels tasks until they have ended, for up to `seconds`; logs what they raise."""
    pending = {task for task in tasks if task is not None}
    deadline, interval = asyncio.get_running_loop().time() + seconds, RECANCEL_SECONDS
    while pending and (rest := deadline - asyncio.get_running_loop().time()) > 0:
        for task in pending:
            task.cancel()
        done, pending = await asyncio.wait(pending, timeout=min(rest, interval))
        interval *= 2
        for task in done:
            if not task.cancelled() and (failure := task.exception()):
                log.warning("a task ended with %s: %s", type(failure).__name__, failure)
    for task in pending:
        log.warning("a task did not stop after cancellation: %s", task.get_name())


async def best_effort(awaitable: Awaitable[object], seconds: float = STOP_SECONDS) -> None:
    """Waits up to `seconds` for a clean-up step; logs a failure instead of raising it."""
    task = asyncio.ensure_future(awaitable)
    await asyncio.wait([task], timeout=seconds)
    if not task.done():
        log.warning("cleanup did not finish within %g s", seconds)
        await cancel_and_wait(task)
    elif not task.cancelled() and (failure := task.exception()):
        log.warning("cleanup failed: %s", failure)


def force_exit_after(seconds: float, code: int = 0) -> None:
    """Exits this process after `seconds`, even if something hangs. Durable state is on disk by then."""
    timer = threading.Timer(seconds, _force_exit, (code,))
    timer.daemon = True
    timer.start()


def _force_exit(code: int) -> None:
    stderr.write("sidecar: shutdown timed out, exiting anyway\n")
    os._exit(code)
