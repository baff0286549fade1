"""Playwright's driver as a process. It needs nothing of Playwright's Python, and starts while that is imported."""

import asyncio
import os
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import playwright
from playwright._impl._driver import get_driver_env
from sidecar_protocol.wire_types import BrowserName

from sidecar.browser import discovery, ffmpeg
from sidecar.browser.background_tasks import BackgroundTasks, consume_exception
from sidecar.browser.processes import compile_cache
from sidecar.errors import BrowserUnavailable
from sidecar.scratch_folder import Scratch
from sidecar.settings import PREFIX, Settings

UNUSED_SECONDS: Final = 60.0
"""Seconds that a driver started ahead waits for a job: the one that was coming may have been refused."""
_CLOSE_SECONDS: Final = 5.0
_DRIVER: Final = Path(playwright.__file__).with_name("driver")
_SCRIPT: Final = Path(__file__).with_name("driver.sh")
_STREAM_LIMIT: Final = 32768
"""Bytes that asyncio reads ahead, as in Playwright's own transport."""
_DRIVER_VARIABLES: Final = {"PLAYWRIGHT_SKIP_NAVIGATION_CHECK": "1"}
"""Switches off Playwright's wait for a running navigation before an action: in Chromium it never ends after a 204, in
Firefox after an `<object>` or `<embed>` was loaded, which Firefox calls a navigation. Steps wait for navigations."""


class DriverProcesses:
    """Starts drivers, each for one browser; the first one ahead, where a job is coming."""

    def __init__(self, settings: Settings, scratch: Scratch) -> None:
        self._settings = settings
        self._scratch = scratch
        self._ahead: asyncio.Task[Process] | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._background = BackgroundTasks()

    def expect(self) -> None:
        """Starts a driver, which serves any browser, unless one is there already."""
        if self._ahead is None:
            self._ahead = asyncio.create_task(self._spawn())
            self._ahead.add_done_callback(consume_exception)
            self._expiry = asyncio.get_running_loop().call_later(UNUSED_SECONDS, self._expire)

    async def start(self, kind: BrowserName) -> Process:
        """A driver for a browser of this kind. Raises BrowserUnavailable and OSError."""
        discovery.find(kind, self._settings)  # where there is no browser, a driver is of no use
        if ahead := self._take():
            with suppress(BrowserUnavailable, OSError):  # another attempt has its own failure
                process = await _unless_cancelled(ahead)
                if not _has_ended(process):
                    return process
        return await self._spawn()

    async def close(self) -> None:
        """Ends a driver that no job has used."""
        self._expire()
        await self._background.wait(_CLOSE_SECONDS)

    def _take(self) -> asyncio.Task[Process] | None:
        ahead, self._ahead = self._ahead, None
        if self._expiry:
            self._expiry.cancel()
        return ahead

    def _expire(self) -> None:
        if ahead := self._take():
            self._background.start(_end(ahead))

    async def _spawn(self) -> Process:
        return await asyncio.create_subprocess_exec(
            *(str(_SCRIPT), str(_DRIVER / "package" / "cli.js"), "run-driver"),
            stdin=PIPE,
            stdout=PIPE,
            limit=_STREAM_LIMIT,
            env={
                **compile_cache.variables(self._settings.cache_path()),
                **_environment({**_DRIVER_VARIABLES, **self._variables()}),
            },
        )

    def _variables(self) -> dict[str, str]:
        """The environment of the driver, and so of its browser. Raises BrowserUnavailable."""
        try:
            folder = str(self._scratch.short())
            return {"TMPDIR": folder, **ffmpeg.driver_variables(self._settings, self._scratch)}
        except OSError as error:
            raise BrowserUnavailable(f"temporary files can't be created: {error.strerror}") from None


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Our environment without our own settings, which may be secret; `driver.sh` says why it precedes the driver."""
    inherited = {name: value for name, value in get_driver_env().items() if not name.startswith(PREFIX)}
    return {**inherited, "DRIVER_NODE": str(_DRIVER / "node"), **variables}


def _has_ended(process: Process) -> bool:
    """Whether a process has ended, even if asyncio has not noticed yet."""
    if process.returncode is not None:
        return True
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # asyncio is about to notice
        return True


async def _unless_cancelled(starting: asyncio.Task[Process]) -> Process:
    """The process, which ends where its caller is cancelled."""
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await _end(starting)
        raise


async def _end(starting: asyncio.Task[Process]) -> None:
    """Kills a driver that serves no browser: it has nothing to put away."""
    with suppress(BrowserUnavailable, OSError):
        process = await starting
        with suppress(ProcessLookupError):  # it has ended by itself
            process.kill()
        await process.wait()
