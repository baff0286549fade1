"""A scraper that we start: its process group, signals for it, and what ends it when we die."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from sidecar.clock import within

FORWARDED: Final = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)
ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
"""Signals after which a scraper has so long to end as a session's requests have."""
LEFTOVER_SECONDS: Final = 0.5
"""How long processes that a scraper leaves behind have after SIGTERM."""
NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
_GUARD: Final = 'read -r group || exit; read -r line || kill -KILL "-$group"'
"""Reads a process group, waits for another line, or for our end: then it kills the group."""


class ScraperNotStarted(Exception):
    """The command can't be run; `exit_code` is what a shell would give."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Guard:
    """A shell that outlives us, if we are killed, and kills a process group then."""

    def __init__(self) -> None:
        self._shell = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", _GUARD],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def watch(self, group: int) -> None:
        """Names the group."""
        self._tell(b"%d\n" % group)

    def dismiss(self) -> None:
        """Ends it, without harm to the group."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self._shell.communicate(b"0\ndone\n", timeout=LEFTOVER_SECONDS)

    def _tell(self, line: bytes) -> None:
        if self._shell.stdin:
            with contextlib.suppress(OSError):  # somebody has killed it
                self._shell.stdin.write(line)
                self._shell.stdin.flush()


class Scraper:
    """A started scraper, which leads a process group of its own. It has our stdin, stdout and stderr."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Starts it; nothing here waits, so that there is no moment without a guard. Raises ScraperNotStarted."""
        self._guard = Guard()
        try:
            self._process = subprocess.Popen(command, env=environment, process_group=0)  # noqa: S603  what was asked for
        except (OSError, ValueError) as failure:
            self._guard.dismiss()
            is_missing = isinstance(failure, FileNotFoundError)
            said = "not found" if is_missing else getattr(failure, "strerror", None) or str(failure)
            code = NOT_FOUND if is_missing else NOT_EXECUTABLE
            raise ScraperNotStarted(f"{command[0]}: {said}", code) from None
        self._guard.watch(self._process.pid)
        _to_foreground(self._process.pid)

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to all of its processes."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    async def wait(self, ending: asyncio.Event, seconds: float) -> int:
        """Its exit code as a shell has it. Once it is `ending`, it has `seconds` before it is killed."""
        ended = asyncio.ensure_future(asyncio.to_thread(self._process.wait))
        told = asyncio.ensure_future(ending.wait())
        await asyncio.wait([ended, told], return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if not ended.done():
            await asyncio.wait([ended], timeout=seconds)
        if not ended.done():
            self.signal(signal.SIGKILL)
        code = await ended
        await self._end_leftovers()
        self._guard.dismiss()
        return code if code >= 0 else 128 - code

    async def _end_leftovers(self) -> None:
        """Ends what is left of its process group."""
        self.signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with within(LEFTOVER_SECONDS):
                while _has_members(self._process.pid):  # noqa: ASYNC110  no event says so
                    await asyncio.sleep(0.02)
        self.signal(signal.SIGKILL)


class SignalForwarder:
    """Hands signals on to a scraper; those that come before it is started wait for it."""

    def __init__(self) -> None:
        """Takes the signals over, in the running loop."""
        self._early: list[signal.Signals] = []
        self._scraper: Scraper | None = None
        self.ending = asyncio.Event()
        """Set once a signal has come that ends a process."""
        loop = asyncio.get_running_loop()
        for number in FORWARDED:
            loop.add_signal_handler(number, self._forward, number)

    def connect(self, scraper: Scraper) -> None:
        """Names the scraper."""
        self._scraper = scraper
        for number in self._early:
            scraper.signal(number)

    def _forward(self, number: signal.Signals) -> None:
        if number in ENDING:
            self.ending.set()
        if self._scraper:
            self._scraper.signal(number)
        else:
            self._early.append(number)


def _has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _to_foreground(group: int) -> None:
    """Lets the scraper read from a terminal that is our stdin: Ctrl-C is then its own."""
    if not (sys.stdin and os.isatty(0)):
        return
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        with contextlib.suppress(OSError):
            if os.tcgetpgrp(0) == os.getpgrp():
                os.tcsetpgrp(0, group)
    finally:
        signal.signal(signal.SIGTTOU, before)
