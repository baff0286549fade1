"""One browser process with its own Playwright driver, kept running between jobs."""

import asyncio
import os
from collections.abc import Mapping
from typing import Any, Final

from playwright.async_api import Browser, BrowserType

from sidecar.browser import playwright_errors
from sidecar.browser.background_tasks import consume_exception
from sidecar.browser.discovery import FoundBrowser, install_hint
from sidecar.browser.limits import Limits
from sidecar.browser.new_page import open_page
from sidecar.browser.processes import memory_usage
from sidecar.browser.processes.driver import Driver, start_driver
from sidecar.browser.processes.driver_process import DriverProcesses
from sidecar.browser.processes.job_page import JobPage
from sidecar.clock import within
from sidecar.errors import BrowserCrashed, BrowserUnavailable, InvalidContent
from sidecar.truncation import truncate

# Without these Chromium starts processes that a headless page does not need, and contacts its own servers.
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
_SANDBOX_ADVICE: Final = (
    "Chromium's own sandbox is not allowed here: run the container with `--cap-add SYS_ADMIN` or a seccomp profile that"
    " allows user namespaces, install chromium-sandbox, or set SIDECAR_CHROMIUM_SANDBOX=false if you trust every page"
)
_PERMANENT_FAILURES: Final = {
    "No usable sandbox": _SANDBOX_ADVICE,
    "Failed to move to new namespace": _SANDBOX_ADVICE,
    "SUID sandbox helper binary": _SANDBOX_ADVICE,
    "error while loading shared libraries": "as root: `sidecar install chromium --with-deps` brings its libraries",
    "cannot execute": "it is built for another architecture",
}
"""Messages of a browser that will not start on the next try either, and what to do about it."""


class BrowserProcess:
    """A running browser and its driver, which start and end together."""

    def __init__(self, driver: Driver, browser: Browser) -> None:
        self._driver = driver
        self._browser = browser
        self._pages: set[JobPage] = set()
        self._parked: set[JobPage] = set()
        self._opening_count = 0
        self._spare: asyncio.Task[JobPage] | None = None
        self.contexts_opened = 0
        """The number of contexts opened so far."""
        self.retired = False
        """Whether it gets no new job and is closed after its last one."""
        self.responsive = asyncio.Event()
        """Cleared after a failed job until its page has closed, which shows that the browser still responds."""
        self.responsive.set()
        browser.on("disconnected", lambda _: self._on_death())
        driver.on_death = self._on_death

    @property
    def active_contexts(self) -> int:
        """The number of jobs' contexts that are open or being opened, without the spare one."""
        return len(self._pages) + self._opening_count

    async def memory_megabytes(self, seconds: float) -> float:
        """Memory of its processes; 0 if it can't be read within `seconds`."""
        try:
            async with within(seconds):
                return await memory_usage.megabytes(self._browser)
        except TimeoutError:
            return 0.0

    def open_page(self, seconds: float, arguments: Mapping[str, Any] | None = None) -> asyncio.Task[JobPage]:
        """Opens a page in a fresh context, which counts as active from now on.

        `arguments` are those of Playwright's `new_context`. The task raises BrowserCrashed, also after `seconds`, and
        InvalidContent if the browser refuses the arguments. A caller that stops waiting must still close the page.
        """
        self.contexts_opened += 1
        self._opening_count += 1
        spare: asyncio.Task[JobPage] | None = None
        if not arguments:
            spare, self._spare = self._spare, None
        return asyncio.create_task(self._get_page(spare, seconds, arguments or {}))

    def prepare(self, seconds: float) -> None:
        """Opens a spare page in a fresh context for the next job without context arguments; at most one."""
        if self._spare is None and not self.retired:
            self._spare = asyncio.create_task(self._open_ahead(seconds))
            self._spare.add_done_callback(consume_exception)  # the next job gets its failure

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
                return JobPage(context, await open_page(context), runs_scripts=scripts)
        except Exception as error:  # a driver that died says so with a bare Exception
            if arguments and playwright_errors.is_rejected(error):
                message = f"context: the browser refuses it: {playwright_errors.first_line(error)}"
                raise InvalidContent(message, "context") from None
            self.retired = True  # its end is also that of the context which may be half there
            raise BrowserCrashed(f"the browser did not open a page: {playwright_errors.first_line(error)}") from None

    def park(self, page: JobPage) -> None:
        """Keeps a context open after its job; it no longer counts as active."""
        self._pages.discard(page)
        self._parked.add(page)

    def resume(self, page: JobPage) -> None:
        """Gives a parked context to its next job."""
        self._parked.discard(page)
        self._pages.add(page)
        self.contexts_opened += 1

    async def replace_page(self, parked: JobPage, seconds: float) -> JobPage:
        """Opens a new page in a parked context in place of its old one. Raises Playwright's errors."""
        async with within(seconds):
            page = JobPage(parked.context, await open_page(parked.context), runs_scripts=parked.runs_scripts)
            page.is_persistent = True
            parked.ignore_console()
        self._parked.discard(parked)
        self._parked.add(page)
        return page

    async def close_page(self, page: JobPage, seconds: float) -> None:
        """Closes a job's context; a browser that does not do so in time is retired."""
        try:
            if not await _completes_within(page.context.close(), seconds):
                self.retired = True
        finally:
            self._pages.discard(page)
            self._parked.discard(page)
            self.responsive.set()

    async def close(self, seconds: float) -> None:
        """Closes the browser and stops the driver, by force if they are not done within `seconds`."""
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
    found: FoundBrowser, limits: Limits, drivers: DriverProcesses, *, sandbox: bool = True
) -> BrowserProcess:
    """Starts a driver and a browser, or connects to a remote browser.

    Raises BrowserUnavailable, also when it takes too long.
    """
    seconds = limits.launch
    driver: Driver | None = None
    try:
        async with within(seconds):
            driver = await start_driver(lambda: drivers.start(found.kind), limits.driver_response)
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
        # the sidecar handles signals itself: running jobs finish first
        "handle_sigint": False,
        "handle_sigterm": False,
        "handle_sighup": False,
    }
    if found.channel:
        options["channel"] = found.channel
    if found.kind == "FIREFOX":
        options["firefox_user_prefs"] = {
            # otherwise requests to loopback would bypass a context's proxy
            "network.proxy.allow_hijacking_localhost": True,
            # disables the back/forward cache, for whose pages Playwright gets no events
            "browser.sessionhistory.max_total_viewers": 0,
        }
    if found.kind == "CHROMIUM":
        as_root = hasattr(os, "geteuid") and os.geteuid() == 0
        options["args"] = list(_CHROMIUM_FLAGS)
        options["chromium_sandbox"] = sandbox and not as_root
    return options


def _advice(reason: str) -> str | None:
    """Advice if no launch can succeed on this machine; None if the next one may."""
    return next((advice for words, advice in _PERMANENT_FAILURES.items() if words in reason), None)


def _without_endpoint(message: str, found: FoundBrowser) -> str:
    """The message without the endpoint's URL, which may contain a token."""
    return message.replace(found.endpoint, found.path) if found.endpoint else message


def _unredacted(text: str) -> str:
    return text


def _launch_error(error: BaseException) -> str:
    """The browser's own error line, preferably one with known advice, or else Playwright's first line."""
    complaints = [line.partition("[err]")[2].strip() for line in str(error).splitlines() if "[err]" in line]
    if not complaints:
        return playwright_errors.first_line(error)
    return next(filter(_advice, complaints), complaints[0])


async def _completes_within(awaitable: Any, seconds: float) -> bool:
    """Whether it completes without an error within `seconds`; otherwise it is cancelled."""
    task = asyncio.ensure_future(awaitable)
    try:
        await asyncio.wait((task,), timeout=seconds)
        return task.done() and not task.cancelled() and task.exception() is None
    finally:
        task.cancel()
        task.add_done_callback(consume_exception)
