"""One browser process, kept warm, with the Playwright driver it is spoken to through."""

import asyncio
import contextlib
import os
from typing import Any, Final

from playwright.async_api import Browser, BrowserContext, Page, Playwright, async_playwright

from sidecar.browser import failures
from sidecar.browser.discovery import FoundBrowser, hint
from sidecar.errors import BrowserCrashed, BrowserUnavailable

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
)


class JobPage:
    """A page in a context of its own, and the news that it died."""

    def __init__(self, context: BrowserContext, page: Page) -> None:
        self.context = context
        self.page = page
        self.lost: asyncio.Future[BrowserCrashed] = asyncio.get_running_loop().create_future()
        page.on("crash", lambda _: self.lose("the page crashed under the job"))
        page.on("close", lambda _: self.lose("the page was closed, or its browser died, under the job"))

    def lose(self, why: str) -> None:
        """Tells the job that there is nothing left to work on."""
        if not self.lost.done():
            self.lost.set_result(BrowserCrashed(why))


class WarmBrowser:
    """A running browser. Driver and browser are started and ended together, so that nothing half dead is kept."""

    def __init__(self, driver: Playwright, browser: Browser) -> None:
        self._driver = driver
        self._browser = browser
        self._pages: set[JobPage] = set()
        self._opening = 0
        self.served = 0
        """Contexts opened so far."""
        self.retired = False
        """Takes no new job, and is closed after its last one."""
        browser.on("disconnected", lambda _: self._died())

    @property
    def running(self) -> int:
        """Contexts open now, or about to be."""
        return len(self._pages) + self._opening

    @property
    def version(self) -> str:
        """The browser's own version."""
        return self._browser.version

    def open_page(self, seconds: float) -> asyncio.Task[JobPage]:
        """Begins a page in a fresh context; counts as running from now on.

        The task raises BrowserCrashed, also after `seconds`. Whoever gets tired of it must still see it to its end.
        """
        self.served += 1
        self._opening += 1
        return asyncio.create_task(self._open_page(seconds))

    async def _open_page(self, seconds: float) -> JobPage:
        try:
            async with asyncio.timeout(seconds):
                context = await self._browser.new_context(accept_downloads=False)
                page = JobPage(context, await context.new_page())
            self._pages.add(page)
            return page
        except Exception as error:  # a driver that died says so with a bare Exception
            self.retired = True  # its end is also that of the context which may be half there
            raise BrowserCrashed(f"the browser gave no page: {failures.first_line(error)}") from None
        finally:
            self._opening -= 1

    async def close_page(self, page: JobPage, seconds: float) -> None:
        """Ends a job's context; a browser that can't do that in time is retired."""
        try:
            if not await _quietly(page.context.close(), seconds):
                self.retired = True
        finally:
            self._pages.discard(page)

    async def close(self, seconds: float) -> None:
        """Ends browser and driver, politely within `seconds`, then by taking away the driver's input."""
        self.retired = True
        for page in self._pages:
            page.lose("the browser was closed under the job")
        await _quietly(self._browser.close(), seconds)
        await _quietly(self._driver.stop(), seconds)

    def _died(self) -> None:
        self.retired = True
        for page in self._pages:
            page.lose("the browser died under the job")


async def launch(found: FoundBrowser, seconds: float) -> WarmBrowser:
    """Starts a driver and a browser. Raises BrowserUnavailable, also when it takes longer than `seconds`."""
    driver: Playwright | None = None
    try:
        async with asyncio.timeout(seconds):
            driver = await _start_driver(seconds)
            browser = await getattr(driver, found.kind.lower()).launch(**_launch_options(found, seconds))
            return WarmBrowser(driver, browser)
    except BaseException as error:
        if driver is not None:
            await _quietly(driver.stop(), seconds)
        if isinstance(error, TimeoutError):
            raise BrowserUnavailable(f"{found.path} did not start within {seconds:g} s", retryable=True) from None
        if isinstance(error, Exception):
            reason = _launch_failure(error)
            said = f"{found.path} did not start: {reason}; another one comes with {hint(found.kind)}"
            raise BrowserUnavailable(said) from None
        raise


async def _start_driver(seconds: float) -> Playwright:
    starting = asyncio.ensure_future(async_playwright().start())
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # its process is there already: only a driver that has come up can be told to end
        await asyncio.wait((starting,), timeout=seconds)
        if starting.done() and not starting.exception():
            await _quietly(starting.result().stop(), seconds)
        raise


def _launch_options(found: FoundBrowser, seconds: float) -> dict[str, Any]:
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
    if found.kind == "CHROMIUM":
        as_root = hasattr(os, "geteuid") and os.geteuid() == 0
        options["args"] = list(_CHROMIUM_FLAGS)
        options["chromium_sandbox"] = not as_root
    return options


def _launch_failure(error: BaseException) -> str:
    """The browser's own complaint where it made one, else Playwright's first line."""
    for line in str(error).splitlines():
        if "[err]" in line:
            return line.partition("[err]")[2].strip()[:300]
    return failures.first_line(error)


async def _quietly(ending: Any, seconds: float) -> bool:
    """Waits for something to end; False when it failed or took too long."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(seconds):
            await ending
            return True
    return False
