"""One browser process, kept warm, with the Playwright driver it is spoken to through."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import playwright
from playwright.async_api import Browser, BrowserType

from sidecar.browser import playwright_errors
from sidecar.browser.crash_guard import consume_exception
from sidecar.browser.discovery import FoundBrowser, install_hint
from sidecar.browser.limits import Limits
from sidecar.browser.processes import memory_usage
from sidecar.browser.processes.driver import Driver, start_driver
from sidecar.browser.processes.job_page import JobPage
from sidecar.clock import within
from sidecar.errors import BrowserCrashed, BrowserUnavailable, InvalidContent
from sidecar.settings import exported
from sidecar.truncation import truncate

# Without these Chromium starts more processes than a page without a screen needs, and talks to servers of its own.
_CHROMIUM_FLAGS: Final = (
    "--disable-gpu",
    "--disable-software-rasterizer",
    "--in-process-gpu",
    "--disable-audio-output",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    # without a GPU its compositor is only a detour: screenshots take a fifth less
    "--disable-gpu-compositing",
    # Of two such flags the last one counts: the first of these is Playwright's own. The second keeps a frame's host for
    # the next page of the same site, as Chromium long did: a visit takes a quarter less.
    "--enable-features=CDPScreenshotNewSurface,RenderDocument:level/crashed-frame",
)

_MAX_REASON: Final = 500
_DRIVER_VARIABLES: Final = {
    "PLAYWRIGHT_NODEJS_PATH": str(Path(__file__).with_name("driver.sh")),
    "DRIVER_NODE": str(Path(playwright.__file__).with_name("driver") / "node"),
}
"""Has Playwright start its driver by a script of ours; what it starts is said there."""
_CHROMIUM_VARIABLES: Final = {"PLAYWRIGHT_SKIP_NAVIGATION_CHECK": "1"}
"""Before an action Playwright waits for a navigation that is under way, for ever where that was answered with 204."""


_SANDBOX_ADVICE: Final = (
    "Chromium's own sandbox is not allowed here: run the container with `--cap-add SYS_ADMIN` or a seccomp profile that"
    " allows user namespaces, install chromium-sandbox, or set SIDECAR_CHROMIUM_SANDBOX=false if you trust every page"
)
_PERMANENT_FAILURES: Final = {
    "No usable sandbox": _SANDBOX_ADVICE,
    "Failed to move to new namespace": _SANDBOX_ADVICE,
    "SUID sandbox helper binary": _SANDBOX_ADVICE,
    "error while loading shared libraries": "install its libraries with `playwright install-deps` or apt-get",
    "cannot execute": "it is built for another architecture",
}
"""What a browser says that will not start at the next try either, and what to do about it."""


class BrowserProcess:
    """A running browser. Driver and browser are started and ended together, so that nothing half dead is kept."""

    def __init__(self, driver: Driver, browser: Browser) -> None:
        self._driver = driver
        self._browser = browser
        self._pages: set[JobPage] = set()
        self._parked: set[JobPage] = set()
        self._opening_count = 0
        self._spare: asyncio.Task[JobPage] | None = None
        self.contexts_opened = 0
        """Contexts opened so far."""
        self.retired = False
        """Takes no new job, and is closed after its last one."""
        self.responsive = asyncio.Event()
        """Cleared while nobody knows whether it does: after a job that failed, until its page has ended."""
        self.responsive.set()
        browser.on("disconnected", lambda _: self._on_death())
        driver.on_death = self._on_death

    @property
    def active_contexts(self) -> int:
        """Contexts of jobs that are open now, or about to be; the spare one is nobody's."""
        return len(self._pages) + self._opening_count

    async def memory_megabytes(self, seconds: float) -> float:
        """Memory of its processes; 0 where that can't be known within `seconds`."""
        try:
            async with within(seconds):
                return await memory_usage.megabytes(self._browser)
        except TimeoutError:
            return 0.0

    def open_page(self, seconds: float, arguments: Mapping[str, Any] | None = None) -> asyncio.Task[JobPage]:
        """Begins a page in a fresh context; counts as running from now on.

        `arguments` are those of Playwright's `new_context`. The task raises BrowserCrashed, also after `seconds`, and
        InvalidContent where the browser refuses the arguments. Whoever gets tired of it must still see it to its end.
        """
        self.contexts_opened += 1
        self._opening_count += 1
        spare: asyncio.Task[JobPage] | None = None
        if not arguments:
            spare, self._spare = self._spare, None
        return asyncio.create_task(self._get_page(spare, seconds, arguments or {}))

    def prepare(self, seconds: float) -> None:
        """Opens a page in a fresh context ahead, for the next job without wishes of its own; at most one."""
        if self._spare is None and not self.retired:
            self._spare = asyncio.create_task(self._open_ahead(seconds))
            self._spare.add_done_callback(consume_exception)  # the next job will meet its failure

    async def _open_ahead(self, seconds: float) -> JobPage:
        page = await self._open_page(seconds, {})
        await _completes_within(page.prepare(), seconds)
        return page

    async def _get_page(
        self, spare: asyncio.Task[JobPage] | None, seconds: float, arguments: Mapping[str, Any]
    ) -> JobPage:
        try:
            page = await spare if spare else None
            if page is None or page.lost.done():
                page = await self._open_page(seconds, arguments)
            self._pages.add(page)
            return page
        finally:
            self._opening_count -= 1

    async def _open_page(self, seconds: float, arguments: Mapping[str, Any]) -> JobPage:
        try:
            async with within(seconds):
                context = await self._browser.new_context(**{"accept_downloads": False, **arguments})
                scripts = arguments.get("java_script_enabled", True)
                return JobPage(context, await context.new_page(), runs_scripts=scripts)
        except Exception as error:  # a driver that died says so with a bare Exception
            if arguments and playwright_errors.is_rejected(error):
                message = f"context: the browser refuses it: {playwright_errors.first_line(error)}"
                raise InvalidContent(message, "context") from None
            self.retired = True  # its end is also that of the context which may be half there
            raise BrowserCrashed(f"the browser did not open a page: {playwright_errors.first_line(error)}") from None

    def park(self, page: JobPage) -> None:
        """Keeps a job's context open without a job; it no longer counts as running."""
        self._pages.discard(page)
        self._parked.add(page)

    def resume(self, page: JobPage) -> None:
        """Gives a parked context to its next job."""
        self._parked.discard(page)
        self._pages.add(page)
        self.contexts_opened += 1

    async def replace_page(self, parked: JobPage, seconds: float) -> JobPage:
        """Another page in a parked context, which takes the place of the one before. Raises Playwright's errors."""
        async with within(seconds):
            page = JobPage(parked.context, await parked.context.new_page(), runs_scripts=parked.runs_scripts)
            page.is_persistent = True
            parked.ignore_console()
        self._parked.discard(parked)
        self._parked.add(page)
        return page

    async def close_page(self, page: JobPage, seconds: float) -> None:
        """Ends a job's context; a browser that can't do that in time is retired."""
        try:
            if not await _completes_within(page.context.close(), seconds):
                self.retired = True
        finally:
            self._pages.discard(page)
            self._parked.discard(page)
            self.responsive.set()

    async def close(self, seconds: float) -> None:
        """Ends browser and driver, politely within `seconds`, then by taking away the driver's input."""
        self.retired = True
        if self._spare:
            self._spare.cancel()
        for page in self._pages | self._parked:
            page.mark_lost("the browser was closed during the job")
        await _completes_within(self._browser.close(), seconds)
        await self._driver.stop(seconds)

    def _on_death(self) -> None:
        self.retired = True
        for page in self._pages | self._parked:
            page.mark_lost("the browser crashed during the job")


async def launch(
    found: FoundBrowser, limits: Limits, variables: Mapping[str, str], *, sandbox: bool = True
) -> BrowserProcess:
    """Starts a driver, with these environment variables in place of ours, and a browser; or connects to a remote one.

    Raises BrowserUnavailable, also when it takes too long.
    """
    seconds = limits.launch
    driver: Driver | None = None
    try:
        async with within(seconds):
            ours = _DRIVER_VARIABLES | (_CHROMIUM_VARIABLES if found.kind == "CHROMIUM" else {})
            with exported({**ours, **variables}):
                driver = await start_driver(limits.silence)
            return BrowserProcess(driver, await _start_browser(driver, found, seconds, sandbox))
    except BaseException as error:
        if driver is not None:
            await driver.stop(limits.close)
        if isinstance(error, TimeoutError):
            raise BrowserUnavailable(f"{found.path} did not start within {seconds:g} s", retryable=True) from None
        if isinstance(error, Exception):
            reason = truncate(_without_endpoint(_launch_error(error), found), _MAX_REASON, _unredacted)
            if found.endpoint:
                raise BrowserUnavailable(f"{found.path} could not be reached: {reason}", retryable=True) from None
            advice = _advice(reason)
            advised = advice or f"install another one with {install_hint(found.kind)}"
            message = f"{found.path} did not start: {reason}; {advised}"
            raise BrowserUnavailable(message, retryable=advice is None) from None
        raise


async def _start_browser(driver: Driver, found: FoundBrowser, seconds: float, sandbox: bool) -> Browser:
    kind: BrowserType = getattr(driver.playwright, found.kind.lower())
    if found.endpoint is None:
        return await kind.launch(**_launch_options(found, seconds, sandbox))
    if found.endpoint.startswith("http"):
        return await kind.connect_over_cdp(found.endpoint, timeout=seconds * 1000)
    return await kind.connect(found.endpoint, timeout=seconds * 1000)


def _launch_options(found: FoundBrowser, seconds: float, sandbox: bool) -> dict[str, Any]:
    options: dict[str, Any] = {
        "executable_path": found.path,
        "timeout": seconds * 1000,
        # signals are the sidecar's own affair: jobs in flight are finished first
        "handle_sigint": False,
        "handle_sigterm": False,
        "handle_sighup": False,
    }
    if found.channel:
        options["channel"] = found.channel
    if found.kind == "FIREFOX":
        options["firefox_user_prefs"] = {
            # else it would reach this machine's own servers past a context's proxy
            "network.proxy.allow_hijacking_localhost": True,
            # has it load a page of the history anew: Playwright has no news of one that was kept, and waits in vain
            "browser.sessionhistory.max_total_viewers": 0,
        }
    if found.kind == "CHROMIUM":
        as_root = hasattr(os, "geteuid") and os.geteuid() == 0
        options["args"] = list(_CHROMIUM_FLAGS)
        options["chromium_sandbox"] = sandbox and not as_root
    return options


def _advice(reason: str) -> str | None:
    """What to change where a launch can't succeed as this machine is; None where the next one may."""
    return next((advice for words, advice in _PERMANENT_FAILURES.items() if words in reason), None)


def _without_endpoint(message: str, found: FoundBrowser) -> str:
    """Its address may hold a token."""
    return message.replace(found.endpoint, found.path) if found.endpoint else message


def _unredacted(text: str) -> str:
    return text


def _launch_error(error: BaseException) -> str:
    """The browser's own complaint where it made one, the one that explains it first; else Playwright's first line."""
    complaints = [line.partition("[err]")[2].strip() for line in str(error).splitlines() if "[err]" in line]
    if not complaints:
        return playwright_errors.first_line(error)
    return next(filter(_advice, complaints), complaints[0])


async def _completes_within(awaitable: Any, seconds: float) -> bool:
    """Waits for something to end; False when it failed or took too long. Nothing of it is waited for any longer."""
    task = asyncio.ensure_future(awaitable)
    try:
        await asyncio.wait((task,), timeout=seconds)
        return task.done() and not task.cancelled() and task.exception() is None
    finally:
        task.cancel()
        task.add_done_callback(consume_exception)
