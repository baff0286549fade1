"""A pool of sandboxes in a browser that starts with the first script and keeps one spare sandbox per program."""

import asyncio
import contextlib
import errno
import os
import time
from dataclasses import dataclass, replace
from typing import Final

from sidecar.browser import discovery
from sidecar.browser.background_tasks import BackgroundTasks, consume_exception
from sidecar.browser.launch_backoff import LaunchBackoff
from sidecar.browser.sandbox.cdp_pipe import CdpError, SandboxBrowser, spawn
from sidecar.browser.sandbox.sandbox import Sandbox, actions_program, open_sandbox
from sidecar.clock import within
from sidecar.errors import BrowserUnavailable, ShuttingDown
from sidecar.scratch_folder import Scratch
from sidecar.settings import MiB, Settings

_FLAGS: Final = (
    "--headless",
    "--disable-gpu",
    "--disable-software-rasterizer",
    "--in-process-gpu",
    "--disable-audio-output",
    "--disable-breakpad",
    "--disable-extensions",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--block-new-web-contents",
    # timers of a background page must still be on time
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    # no way out: no name resolves, every request goes to a proxy that is not there, and WebRTC has no other way
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--proxy-server=http://127.0.0.1:9",
    "--proxy-bypass-list=<-loopback>",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--enable-features=NetworkServiceInProcess",
    "--js-flags=--max-old-space-size=128",
)


_TRANSIENT_ERRORS: Final = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ETXTBSY})
"""Errors of a process start that may pass."""


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """Times in seconds, sizes in bytes."""

    launch: float = 30.0
    open: float = 10.0
    close: float = 5.0
    idle: float = 300.0
    """An idle browser is closed after this."""
    first_backoff: float = 0.5
    longest_backoff: float = 30.0
    """Launches are retried no sooner than this after a failure; the delay doubles each time."""
    sandboxes_per_browser: int = 500
    memory: int = 1024 * MiB
    """The data segment limit of each process."""
    message: int = 32 * MiB
    memory_check_interval: float = 0.25
    """The interval of memory checks of a browser's main process while it has sandboxes in use.

    Above half of `memory` the browser gets no new sandbox; above `memory` it is closed with all of its sandboxes, since
    its memory can't be attributed to one of them.
    """


class _PooledBrowser:
    """A running browser and the sandboxes in it."""

    def __init__(self, process: SandboxBrowser) -> None:
        self.process = process
        self.sandboxes_opened = 0


class SandboxPool:
    """Gives each job its own sandbox. The browser starts with the first one and ends with `close`."""

    def __init__(self, settings: Settings, limits: SandboxLimits | None = None, scratch: Scratch | None = None) -> None:
        """Browsers keep their files in `scratch`, by default a temporary folder."""
        # a remote browser is for pages; actions never leave this machine
        self._settings = replace(settings, browser_endpoint="")
        self._limits = limits or SandboxLimits()
        self._scratch = scratch or Scratch()
        self._owns_scratch = scratch is None
        self._browser: _PooledBrowser | None = None
        self._launching: asyncio.Task[_PooledBrowser] | None = None
        self._spares: dict[str, asyncio.Task[Sandbox]] = {}
        self._lent: dict[Sandbox, tuple[_PooledBrowser, str]] = {}
        self._idle_timer: asyncio.TimerHandle | None = None
        self._memory_timer: asyncio.TimerHandle | None = None
        self._backoff = LaunchBackoff(self._limits, time.monotonic)
        self._background = BackgroundTasks()
        self._closed = False

    async def acquire(self, program: str = "") -> Sandbox:
        """A fresh sandbox for a program (default: that of actions); the caller must `release` it.

        Raises BrowserUnavailable, ShuttingDown.
        """
        program_text = program or actions_program()
        try:
            return await self._acquire(program_text)
        except (CdpError, TimeoutError):
            self._retire()
        try:
            return await self._acquire(
                program_text
            )  # the browser may have crashed unnoticed: retry once with a new one
        except (CdpError, TimeoutError) as error:
            self._retire()
            failed = BrowserUnavailable(f"the browser for JavaScript actions failed: {error}", retryable=True)
            self._backoff.record_failure(failed)
            raise failed from None

    def release(self, sandbox: Sandbox) -> None:
        """Closes a sandbox, and opens a spare for the next job."""
        browser, program = self._lent.pop(sandbox, (None, ""))
        self._background.start(self._close_sandbox(sandbox, browser))
        if browser is None or self._closed:
            return
        if browser is not self._browser:
            self._end_if_unused(browser)
            return
        if program not in self._spares:
            self._spares[program] = self._start_opening(browser, program)
        self._start_idle_timer()

    async def close(self) -> None:
        """Closes every sandbox and the browser."""
        self._closed = True
        if self._launching:
            self._launching.cancel()
            await asyncio.wait((self._launching,), timeout=self._limits.close)
        for sandbox in self._lent:
            sandbox.close()
        for browser in self._in_use():
            if browser is not self._browser:
                self._background.start(browser.process.close(self._limits.close))
        self._lent.clear()
        self._retire()
        await self._background.wait(self._limits.close * 3)
        if self._owns_scratch:
            self._scratch.close()

    def _start_idle_timer(self) -> None:
        """Closes the browser after a while without a job."""
        if not self._lent and not self._closed:
            self._stop_idle_timer()
            self._idle_timer = asyncio.get_running_loop().call_later(self._limits.idle, self._retire)

    def _stop_idle_timer(self) -> None:
        if self._idle_timer:
            self._idle_timer.cancel()

    async def _acquire(self, program: str) -> Sandbox:
        self._stop_idle_timer()
        try:
            return await self._lend(program)
        except asyncio.CancelledError:
            self._start_idle_timer()  # there may be no further job
            raise

    async def _lend(self, program: str) -> Sandbox:
        browser = await self._get_browser()
        opening = self._spares.pop(program, None) or self._start_opening(browser, program)
        try:
            sandbox = await asyncio.shield(opening)
        except asyncio.CancelledError:
            self._keep_spare(browser, program, opening)
            raise
        if sandbox.lost.done():
            raise CdpError("the spare sandbox crashed")
        self._lent[sandbox] = browser, program
        if self._memory_timer is None:
            self._check_memory()
        self._backoff.reset()
        return sandbox

    def _start_opening(self, browser: _PooledBrowser, program: str) -> asyncio.Task[Sandbox]:
        opening = asyncio.create_task(self._open(browser, program))
        opening.add_done_callback(consume_exception)
        return opening

    def _keep_spare(self, browser: _PooledBrowser, program: str, opening: asyncio.Task[Sandbox]) -> None:
        """Keeps a sandbox that was opened for a cancelled job as the spare, or closes it once it is open."""
        if browser is self._browser and program not in self._spares:
            self._spares[program] = opening
        else:
            self._background.start(_close_when_open(opening))

    async def _close_sandbox(self, sandbox: Sandbox, browser: _PooledBrowser | None) -> None:
        """Closes a sandbox; a browser that does not confirm it in time is retired."""
        try:
            async with within(self._limits.close):
                await sandbox.close()
        except TimeoutError:
            if browser and browser is self._browser:
                self._retire()
        except CdpError:
            pass  # it has ended with its browser, or by itself

    async def _open(self, browser: _PooledBrowser, program: str) -> Sandbox:
        browser.sandboxes_opened += 1
        async with within(self._limits.open):
            return await open_sandbox(browser.process.pipe, program)

    async def _get_browser(self) -> _PooledBrowser:
        if self._closed:
            raise ShuttingDown
        browser = self._browser
        if browser and (browser.process.pipe.broken or browser.sandboxes_opened >= self._limits.sandboxes_per_browser):
            self._retire()
        if self._browser:
            return self._browser
        if self._launching is None:
            self._launching = asyncio.create_task(self._launch())
            self._launching.add_done_callback(consume_exception)
        try:
            return await asyncio.shield(self._launching)
        except asyncio.CancelledError:
            if self._closed:
                raise ShuttingDown from None
            raise

    async def _launch(self) -> _PooledBrowser:
        try:
            self._backoff.check()
            found = discovery.find("CHROMIUM", self._settings)
            as_root = hasattr(os, "geteuid") and os.geteuid() == 0
            flags = (*_FLAGS, "--no-sandbox") if as_root else _FLAGS
            try:
                folder = self._scratch.short()
                process = await spawn(found.path, flags, folder, self._limits.memory, self._limits.message)
            except OSError as error:
                is_transient = error.errno in _TRANSIENT_ERRORS
                raise BrowserUnavailable(
                    f"{found.path} did not start: {error.strerror}", retryable=is_transient
                ) from None
            try:
                async with within(self._limits.launch):
                    await process.find_main_process()
            except BaseException as error:
                self._background.start(process.close(self._limits.close))
                if isinstance(error, CdpError | TimeoutError):
                    said = f"{found.path} did not start for JavaScript actions"
                    raise BrowserUnavailable(said, retryable=True) from None
                raise
            self._browser = _PooledBrowser(process)
            return self._browser
        except BrowserUnavailable as failed:
            self._backoff.record_failure(failed)
            raise
        finally:
            self._launching = None

    def _check_memory(self) -> None:
        """Checks the memory of each browser in use, and again later as long as there is one."""
        self._memory_timer = None
        for browser in self._in_use():
            resident = 0 if browser.process.pipe.broken else browser.process.resident_bytes()
            if resident > self._limits.memory:
                self._background.start(browser.process.close(self._limits.close))
            if resident > self._limits.memory // 2 and browser is self._browser:
                self._retire()
        if self._lent and not self._closed:
            self._memory_timer = asyncio.get_running_loop().call_later(
                self._limits.memory_check_interval, self._check_memory
            )

    def _retire(self) -> None:
        """Retires the browser: it gets no new job and is closed after its last one."""
        browser, self._browser = self._browser, None
        for spare in self._spares.values():
            spare.cancel()
        self._spares.clear()
        if browser:
            self._end_if_unused(browser)

    def _end_if_unused(self, browser: _PooledBrowser) -> None:
        if browser not in self._in_use():
            self._background.start(browser.process.close(self._limits.close))

    def _in_use(self) -> set[_PooledBrowser]:
        return {browser for browser, _ in self._lent.values()}


async def _close_when_open(opening: asyncio.Task[Sandbox]) -> None:
    with contextlib.suppress(Exception):  # it was not opened
        await (await opening).close()
