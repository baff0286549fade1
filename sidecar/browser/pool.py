"""Browsers stay warm, contexts never: one process for each kind, a fresh context and page for each job."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from playwright.async_api import Page

from protocol.jobs import BrowserName
from sidecar.browser import discovery, failures, ffmpeg
from sidecar.browser.places import Places
from sidecar.browser.scripting.sandboxes import Sandboxes
from sidecar.browser.warm import JobPage, WarmBrowser, launch
from sidecar.clock import Clock
from sidecar.errors import BrowserCrashed, BrowserUnavailable, InvalidContent, ShuttingDown
from sidecar.settings import Settings

T = TypeVar("T")
_NEWS = 0.25
"""Seconds in which the news of a page's crash follows the failure that it caused."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often; times in seconds."""

    launch: float = 30.0
    context: float = 15.0
    """For a fresh context and its page."""
    close: float = 5.0
    """For the end of a context, and of a browser."""
    jobs_per_browser: int = 100
    """After so many a new process takes over; long-lived ones grow."""
    jobs_per_weighing: int = 10
    """After so many the browser's memory is compared with the settings' limit."""
    idle: float = 300.0
    """A browser without a job is closed after this."""
    first_backoff: float = 0.5
    longest_backoff: float = 30.0
    """After a failed launch the next is not tried sooner; the wait doubles with each failure."""


@dataclass(slots=True)
class _Kind:
    """What the pool knows of one kind of browser."""

    browser: WarmBrowser | None = None
    launching: asyncio.Task[WarmBrowser] | None = None
    idle_timer: asyncio.TimerHandle | None = None
    failures: int = 0
    not_before: float = 0.0
    why: str = ""


class BrowserPool:
    """Lends pages to jobs. Nothing is started before the first job, nothing runs on after `close`."""

    def __init__(self, settings: Settings, clock: Clock, limits: Limits | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._limits = limits or Limits()
        self._places = Places(settings.concurrency, settings.max_queued_jobs)
        self.sandboxes = Sandboxes(settings)
        """Where JavaScript actions run: in a browser of their own."""
        self._kinds: dict[BrowserName, _Kind] = {kind: _Kind() for kind in discovery.KINDS}
        self._endings: set[asyncio.Task[None]] = set()
        self._browsers: set[WarmBrowser] = set()
        self._closing = 0
        self._closed = False

    async def run(
        self,
        kind: BrowserName,
        work: Callable[[Page], Coroutine[Any, Any, T]],
        context: Mapping[str, Any] | None = None,
    ) -> T:
        """Does `work` on a page of its own, and stops it when that page or its browser dies.

        `context` holds arguments of Playwright's `new_context`; without any, every fresh context will do.
        Raises QueueFull, BrowserUnavailable, BrowserCrashed, InvalidContent where the browser refuses the context,
        ShuttingDown, and whatever `work` raises.
        """
        discovery.find(kind, self._settings)  # a kind that is not there is refused before it waits
        await self._places.take()
        try:
            browser, page = await self._open(kind, context)
        except BaseException:
            self._places.give_back()
            raise
        try:
            return await _race(work(page.page), page.lost)
        except Exception as error:
            if not failures.is_loss(error):
                raise
            browser.retired = True  # of a driver's death this is the only news
            if self._closed:
                raise ShuttingDown from None
            raise failures.crashed(error) from None
        finally:
            self._prepare(kind, browser)
            self._begin(self._release(kind, browser, page))

    def prepare_recording(self) -> None:
        """Sees to it that videos can be made. Raises BrowserUnavailable and StoreFailed."""
        if not self._settings.browser_endpoint:  # a remote browser has an ffmpeg of its own, or says that it has none
            ffmpeg.prepare(self._settings)

    async def close(self) -> None:
        """Ends every browser and driver; jobs that still run fail. Takes at most a few times `Limits.close`."""
        self._closed = True
        self._begin(self.sandboxes.close())
        for state in self._kinds.values():
            if state.idle_timer:
                state.idle_timer.cancel()
            if state.launching:
                state.launching.cancel()
                await asyncio.wait((state.launching,), timeout=self._limits.close)
            state.browser = None
        for browser in list(self._browsers):
            self._end(browser)
        if self._endings:
            await asyncio.wait(self._endings, timeout=self._limits.close * 3)

    async def _open(self, kind: BrowserName, context: Mapping[str, Any] | None) -> tuple[WarmBrowser, JobPage]:
        try:
            return await self._open_once(kind, context)
        except BrowserCrashed:
            return await self._open_once(kind, context)  # the warm one died unseen; a new one is tried once

    async def _open_once(self, kind: BrowserName, context: Mapping[str, Any] | None) -> tuple[WarmBrowser, JobPage]:
        browser = await self._warm(kind)
        opening = browser.open_page(self._limits.context, context)
        try:
            return browser, await asyncio.shield(opening)
        except asyncio.CancelledError:
            self._begin(self._abandon(kind, browser, opening))
            raise
        except BrowserCrashed:
            self._retire(kind, browser)
            raise
        except InvalidContent:
            self._rest(kind, browser)
            raise

    async def _abandon(self, kind: BrowserName, browser: WarmBrowser, opening: asyncio.Task[JobPage]) -> None:
        """Ends the page of a job that was cancelled before it had it."""
        try:
            await browser.close_page(await opening, self._limits.close)
        except InvalidContent:
            pass  # there is none
        except BrowserCrashed:
            browser.retired = True
        self._rest(kind, browser)

    async def _warm(self, kind: BrowserName) -> WarmBrowser:
        """The living browser of this kind, started if there is none; callers share one launch."""
        if self._closed:
            raise ShuttingDown
        state = self._kinds[kind]
        if state.idle_timer:
            state.idle_timer.cancel()
        if state.browser and (state.browser.retired or state.browser.served >= self._limits.jobs_per_browser):
            self._retire(kind, state.browser)
        if state.browser:
            return state.browser
        if not state.launching:
            state.launching = asyncio.create_task(self._launch(kind, state))
            state.launching.add_done_callback(_look_at)
        launching = state.launching
        try:
            return await asyncio.shield(launching)  # a cancelled job does not take the launch away from the others
        except asyncio.CancelledError:
            if launching.cancelled():
                raise ShuttingDown from None
            raise

    async def _launch(self, kind: BrowserName, state: _Kind) -> WarmBrowser:
        try:
            wait = state.not_before - self._clock.monotonic()
            if wait > 0:
                raise BrowserUnavailable(f"{state.why} (the next try is in {wait:.1f} s)", retryable=True)
            found, variables = discovery.find(kind, self._settings), ffmpeg.driver_variables(self._settings)
            sandbox = self._settings.chromium_sandbox
            state.browser = await launch(found, self._limits.launch, variables, sandbox=sandbox)
        except BrowserUnavailable as failed:
            if self._clock.monotonic() >= state.not_before:
                pause = min(self._limits.first_backoff * 2**state.failures, self._limits.longest_backoff)
                state.failures, state.why = state.failures + 1, failed.message
                state.not_before = self._clock.monotonic() + pause
            raise
        finally:
            state.launching = None
        state.failures = 0
        self._browsers.add(state.browser)
        return state.browser

    async def _release(self, kind: BrowserName, browser: WarmBrowser, page: JobPage) -> None:
        """Ends a job's context; the next job waits for that only where as many are ending as may run at once."""
        self._closing += 1
        early = self._closing <= self._settings.concurrency
        if early:
            self._places.give_back()
        try:
            await browser.close_page(page, self._limits.close)
        finally:
            self._closing -= 1
            if not early:
                self._places.give_back()
        most = self._settings.browser_memory_mb
        weighed = most and not browser.retired and browser.served % self._limits.jobs_per_weighing == 0
        if weighed and await browser.megabytes() > most:
            browser.retired = True
        self._rest(kind, browser)

    def _prepare(self, kind: BrowserName, browser: WarmBrowser) -> None:
        """A page ahead, where the next job will come to this browser."""
        mine = self._kinds[kind].browser is browser
        if mine and not self._closed and browser.served < self._limits.jobs_per_browser:
            browser.prepare(self._limits.context)

    def _rest(self, kind: BrowserName, browser: WarmBrowser) -> None:
        """After each job: a browser without a future ends, one without a job waits for the next."""
        if browser.retired:
            self._retire(kind, browser)
        elif not browser.running and not self._closed:
            self._start_idle_timer(kind, browser)

    def _start_idle_timer(self, kind: BrowserName, browser: WarmBrowser) -> None:
        state = self._kinds[kind]
        if state.idle_timer:
            state.idle_timer.cancel()
        loop = asyncio.get_running_loop()
        state.idle_timer = loop.call_later(self._limits.idle, self._close_idle, kind, browser)

    def _close_idle(self, kind: BrowserName, browser: WarmBrowser) -> None:
        if not browser.running:
            self._retire(kind, browser)

    def _retire(self, kind: BrowserName, browser: WarmBrowser) -> None:
        """Gives it no further job; without a running one it ends now, else after its last."""
        browser.retired = True
        if self._kinds[kind].browser is browser:
            self._kinds[kind].browser = None
        if not browser.running:
            self._end(browser)

    def _end(self, browser: WarmBrowser) -> None:
        if browser in self._browsers:
            self._browsers.discard(browser)
            self._begin(browser.close(self._limits.close))

    def _begin(self, ending: Coroutine[Any, Any, None]) -> None:
        """Runs the end of something beside the jobs; `close` waits for it."""
        task = asyncio.create_task(ending)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)


async def _race(work: Coroutine[Any, Any, T], lost: Awaitable[BrowserCrashed]) -> T:
    """The outcome of `work`, unless its page is lost first; `work` never outlives this call."""
    task = asyncio.create_task(work)
    gone = asyncio.ensure_future(lost)
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if task.done() and failures.may_be_loss(task.exception()):
            await asyncio.wait((gone,), timeout=_NEWS)
        if task.done() and not (gone.done() and task.exception()):
            return task.result()
        raise gone.result()  # also where the work failed first: this is the reason
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
            _look_at(task)


def _look_at(task: asyncio.Task[Any]) -> None:
    """Marks a failure as seen: somebody else has told it already, or nobody is left to be told."""
    if not task.cancelled():
        task.exception()
