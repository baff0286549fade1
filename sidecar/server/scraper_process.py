"""A scraper that we start: its process group, signals for it, and what ends it when we die."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final

from sidecar.clock import within
from sidecar.shutdown import cancel_and_wait

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
STOP_SECONDS: Final = 0.1
"""How long our own stop may take to begin."""
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
        self._has_terminal = _give_terminal(os.getpgrp(), self._process.pid)

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to all of its processes."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    async def wait(self, ending: asyncio.Event, seconds: float) -> int:
        """Its exit code as a shell has it. Once it is `ending`, it has `seconds` before it is killed."""
        ended = asyncio.ensure_future(asyncio.to_thread(self._wait))
        told = asyncio.ensure_future(ending.wait())
        await asyncio.wait([ended, told], return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if not ended.done():
            await asyncio.wait([ended], timeout=seconds)
        if not ended.done():
            self.signal(signal.SIGKILL)
        code = await ended
        if self._has_terminal:  # before anything else: the shell's next command may read from it
            _give_terminal(self._process.pid, os.getpgrp())
        await self._end_leftovers()
        self._guard.dismiss()
        return code if code >= 0 else 128 - code

    def _wait(self) -> int:
        """Its exit code, negative for a signal. Where Ctrl-Z stops it, so are we: the shell waits for us."""
        while True:
            _, status = os.waitpid(self._process.pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                self._process.returncode = os.waitstatus_to_exitcode(status)
                return self._process.returncode
            if self._has_terminal:
                self._stop_together(os.WSTOPSIG(status))

    def _stop_together(self, number: int) -> None:
        """Stops our own group after the scraper's, and continues the scraper when a shell has continued us."""
        group, own = self._process.pid, os.getpgrp()
        reads_terminal = number in (signal.SIGTTIN, signal.SIGTTOU)
        if not (reads_terminal and _give_terminal(own, group)):  # it read before it had the terminal
            _give_terminal(group, own)
            os.killpg(own, signal.SIGTSTP)  # where no shell could continue us, the kernel ignores it
            time.sleep(STOP_SECONDS)
            _give_terminal(own, group)
        self.signal(signal.SIGCONT)

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
        self.number = 0
        """The first of those."""
        loop = asyncio.get_running_loop()
        for number in FORWARDED:
            loop.add_signal_handler(number, self._forward, number)

    async def finishes(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether this ends before a signal comes that ends a process, and cancels it. Raises what it raises."""
        working, ending = asyncio.ensure_future(work), asyncio.ensure_future(self.ending.wait())
        await asyncio.wait([working, ending], return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        if not working.done():
            await cancel_and_wait(working)
            return False
        await working
        return True

    def connect(self, scraper: Scraper) -> None:
        """Names the scraper."""
        self._scraper = scraper
        for number in self._early:
            scraper.signal(number)

    def _forward(self, number: signal.Signals) -> None:
        if number in ENDING:
            self.number = self.number or number
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


def _give_terminal(before: int, after: int) -> bool:
    """Makes a process group the foreground of the terminal that is our stdin, in place of another; whether it is.

    Ctrl-C is then that group's own.
    """
    if not (sys.stdin and os.isatty(0)):
        return False
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})  # which a group in the background would get
    try:
        foreground = os.tcgetpgrp(0)
        if foreground == before:
            os.tcsetpgrp(0, after)
        return foreground in (before, after)
    except OSError:
        return False
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
