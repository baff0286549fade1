"""A pool of browsers: one process per kind, kept between jobs; each job gets a fresh context and page."""

import asyncio
import math
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sidecar_protocol.wire_types import BrowserName

from sidecar.browser import discovery, ffmpeg, playwright_errors
from sidecar.browser.background_tasks import BackgroundTasks, consume_exception
from sidecar.browser.bounded_semaphore import BoundedSemaphore
from sidecar.browser.crash_guard import run_unless_lost
from sidecar.browser.launch_backoff import LaunchBackoff
from sidecar.browser.limits import Limits
from sidecar.browser.processes.browser_process import BrowserProcess, launch
from sidecar.browser.processes.driver_process import DriverProcesses
from sidecar.browser.processes.job_page import JobPage
from sidecar.browser.profiles.context_cache import CachedContext, ProfileContextCache, ProfileUse, Work
from sidecar.browser.profiles.profile_persistence import restore, run_and_save
from sidecar.browser.profiles.visited_origins import VisitedOrigins
from sidecar.browser.sandbox.sandbox_pool import SandboxPool
from sidecar.clock import Clock
from sidecar.errors import BrowserCrashed, BrowserUnavailable, InvalidContent, ShuttingDown
from sidecar.scratch_folder import Scratch
from sidecar.settings import Settings

T = TypeVar("T")
_BUSY_SECONDS: Final = 0.2
"""Jobs with shorter pauses count as consecutive."""


@dataclass(slots=True)
class _KindState:
    """The pool's state for one kind of browser."""

    backoff: LaunchBackoff
    browser: BrowserProcess | None = None
    launching: asyncio.Task[BrowserProcess] | None = None
    idle_timer: asyncio.TimerHandle | None = None
    ended: float = -math.inf
    """The end of its last job, by the monotonic clock."""


class BrowserPool:
    """Lends pages to jobs. Starts nothing before the first job, and leaves nothing running after `close`."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        limits: Limits | None = None,
        scratch: Scratch | None = None,
        drivers: DriverProcesses | None = None,
    ) -> None:
        """Stores all temporary files of browsers in `scratch`, by default a temporary folder."""
        self._settings = settings
        self._clock = clock
        self._limits = limits or Limits()
        self._slots = BoundedSemaphore(settings.concurrency, settings.max_queued_jobs)
        self.scratch = scratch or Scratch()
        self._owns_scratch = scratch is None
        self._drivers = drivers or DriverProcesses(settings, self.scratch)
        self.sandbox_pool = SandboxPool(settings, scratch=self.scratch)
        """The sandboxes of JavaScript actions, in a separate browser."""
        self._kinds = {kind: _KindState(LaunchBackoff(self._limits, clock.monotonic)) for kind in discovery.KINDS}
        self._background = BackgroundTasks()
        self._browsers: set[BrowserProcess] = set()
        self._closing = 0
        self._closed = False
        most, most_waiting = settings.living_profiles, settings.max_queued_jobs
        self._profile_contexts = ProfileContextCache(self._limits, most, most_waiting, self._end_context)

    @property
    def is_remote(self) -> bool:
        """Whether its browsers run elsewhere and can't reach this machine."""
        return bool(self._settings.browser_endpoint)

    async def run(
        self,
        kind: BrowserName,
        work: Work[T],
        context: Mapping[str, Any] | None = None,
        use: ProfileUse | None = None,
    ) -> T:
        """Does `work` on a page of its own, and stops it if the page or its browser crashes.

        `context` holds arguments of Playwright's `new_context`; without any, a prepared context may be used. With a
        profile the page is in the profile's cached context, and changes are saved at the end.
        Raises QueueFull, BrowserUnavailable, BrowserCrashed, InvalidContent if the browser rejects the context,
        ShuttingDown, with a profile StoreFailed, DecryptionKeyMissing and LimitExceeded, and the errors of `work`.
        """
        if self._kinds[kind].browser is None:
            discovery.find(kind, self._settings)  # a browser that is not installed fails before the job waits
        if use is None:
            return await self._run(kind, work, context)
        async with self._profile_contexts.lock(use):
            return await self._run_in_profile(kind, work, context or {}, use)

    async def _run(self, kind: BrowserName, work: Work[T], context: Mapping[str, Any] | None) -> T:
        await self._slots.acquire()
        try:
            browser, page = await self._open(kind, context)
        except BaseException:
            self._slots.release()
            raise
        try:
            if not context and self._is_busy(kind, browser):
                self._prepare_page(kind, browser)
            return await self._map_crash(browser, run_unless_lost(work(page), page.lost))
        finally:
            self._kinds[kind].ended = self._clock.monotonic()
            self._prepare_page(kind, browser)
            self._background.start(self._release(kind, browser, page))

    async def _run_in_profile(self, kind: BrowserName, work: Work[T], context: Mapping[str, Any], use: ProfileUse) -> T:
        await self._slots.acquire()
        try:
            cached = await self._profile_context(kind, context, use)
        except BaseException:
            self._slots.release()
            raise
        browser = cached.browser
        try:
            done = run_and_save(work, use, cached, self._limits.save)
            return await self._map_crash(browser, run_unless_lost(done, cached.page.lost))
        finally:
            if use.discard_context or browser.retired or cached.page.lost.done() or self._closed:
                self._background.start(self._release(kind, browser, cached.page))
            else:
                browser.responsive.set()  # it has read the profile's storage since
                self._profile_contexts.keep(use, cached)
                self._slots.release()
                self._background.start(self._check_memory(kind, browser))

    async def _map_crash(self, browser: BrowserProcess, job: Awaitable[T]) -> T:
        """The outcome of a job; marks the browser if it crashed or may hang."""
        try:
            return await job
        except Exception as error:
            browser.responsive.clear()
            if not playwright_errors.is_crash(error):
                raise
            browser.retired = True  # the only sign of the driver's death
            if self._closed:
                raise ShuttingDown from None
            raise playwright_errors.to_crash(error) from None

    async def _profile_context(self, kind: BrowserName, context: Mapping[str, Any], use: ProfileUse) -> CachedContext:
        """The profile's cached context, or a new one with its saved state."""
        cached = await self._profile_contexts.take(use, context, self._limits.context)
        if cached:
            self._stop_idle_timer(kind)
            cached.browser.resume(cached.page)
            return cached
        saved = await restore(use)
        browser, page = await self._open(kind, {**context, **saved.arguments})
        page.is_persistent = True
        return CachedContext(
            browser, page, VisitedOrigins(page.context, saved.state), context, saved.version, saved.digest
        )

    def prepare_recording(self) -> None:
        """Makes sure that videos can be recorded. Raises BrowserUnavailable and StoreFailed."""
        if not self._settings.browser_endpoint:  # a remote browser uses its own ffmpeg, or reports that it has none
            ffmpeg.prepare(self._settings, self.scratch)

    async def close(self) -> None:
        """Closes all browsers and drivers; running jobs fail. Takes at most a few times `Limits.close`."""
        self._closed = True
        self._background.start(self.sandbox_pool.close())
        for kind, state in self._kinds.items():
            self._stop_idle_timer(kind)
            if state.launching:
                state.launching.cancel()
                await asyncio.wait((state.launching,), timeout=self._limits.close)
            state.browser = None
        for browser in list(self._browsers):
            self._end(browser)
        await self._background.wait(self._limits.close * 3)
        await self._drivers.close()
        if self._owns_scratch:
            await asyncio.to_thread(self.scratch.close)

    async def _open(self, kind: BrowserName, context: Mapping[str, Any] | None) -> tuple[BrowserProcess, JobPage]:
        try:
            return await self._open_once(kind, context)
        except BrowserCrashed:
            return await self._open_once(kind, context)  # it had crashed unnoticed; one retry

    async def _open_once(self, kind: BrowserName, context: Mapping[str, Any] | None) -> tuple[BrowserProcess, JobPage]:
        browser = await self._ensure_browser(kind)
        opening = browser.open_page(self._limits.context, context)
        try:
            return browser, await asyncio.shield(opening)
        except asyncio.CancelledError:
            self._background.start(self._close_unused(kind, browser, opening))
            raise
        except BrowserCrashed:
            self._retire(kind, browser)
            raise
        except InvalidContent:
            self._retire_or_idle(kind, browser)
            raise

    async def _close_unused(self, kind: BrowserName, browser: BrowserProcess, opening: asyncio.Task[JobPage]) -> None:
        """Closes the page of a job that was cancelled before it got it."""
        try:
            await browser.close_page(await opening, self._limits.close)
        except InvalidContent:
            pass  # there is none
        except BrowserCrashed:
            browser.retired = True
        self._retire_or_idle(kind, browser)

    async def _ensure_browser(self, kind: BrowserName) -> BrowserProcess:
        """The running browser of this kind, started if there is none; callers share one launch."""
        state = self._kinds[kind]
        if state.browser:
            await state.browser.responsive.wait()
        if self._closed:
            raise ShuttingDown
        self._stop_idle_timer(kind)
        if state.browser and (state.browser.retired or state.browser.contexts_opened >= self._limits.jobs_per_browser):
            self._retire(kind, state.browser)
        if state.browser:
            return state.browser
        if not state.launching:
            state.launching = asyncio.create_task(self._launch(kind, state))
            state.launching.add_done_callback(consume_exception)
        launching = state.launching
        try:
            return await asyncio.shield(launching)  # a cancelled job does not cancel the launch for the others
        except asyncio.CancelledError:
            if launching.cancelled():
                raise ShuttingDown from None
            raise

    async def _launch(self, kind: BrowserName, state: _KindState) -> BrowserProcess:
        try:
            state.backoff.check()
            found, sandbox = discovery.find(kind, self._settings), self._settings.chromium_sandbox
            state.browser = await launch(found, self._limits, self._drivers, sandbox=sandbox)
        except BrowserUnavailable as failed:
            state.backoff.record_failure(failed)
            raise
        finally:
            state.launching = None
        state.backoff.reset()
        self._browsers.add(state.browser)
        return state.browser

    async def _release(self, kind: BrowserName, browser: BrowserProcess, page: JobPage) -> None:
        """Closes a job's context. The next job starts meanwhile, unless too many contexts are closing."""
        self._closing += 1
        early = self._closing <= self._settings.concurrency
        if early:
            self._slots.release()
        try:
            await browser.close_page(page, self._limits.close)
        finally:
            self._closing -= 1
            if not early:
                self._slots.release()
        await self._check_memory(kind, browser)

    async def _check_memory(self, kind: BrowserName, browser: BrowserProcess) -> None:
        """Retires a browser that uses too much memory; checked every few jobs."""
        most = self._settings.browser_memory_mb
        weighed = most and not browser.retired and browser.contexts_opened % self._limits.jobs_per_memory_check == 0
        if weighed and await browser.memory_megabytes(self._limits.close) > most:
            browser.retired = True
        self._retire_or_idle(kind, browser)

    def _is_busy(self, kind: BrowserName, browser: BrowserProcess) -> bool:
        """Whether the next job is so likely that its page should be opened during this one."""
        return browser.active_contexts > 1 or self._clock.monotonic() - self._kinds[kind].ended < _BUSY_SECONDS

    def _prepare_page(self, kind: BrowserName, browser: BrowserProcess) -> None:
        """Opens a page for the next job, if that will use this browser."""
        mine = self._kinds[kind].browser is browser
        if mine and not self._closed and browser.contexts_opened < self._limits.jobs_per_browser:
            browser.prepare(self._limits.context)

    def _retire_or_idle(self, kind: BrowserName, browser: BrowserProcess) -> None:
        """Closes a retired browser after its job, and starts the idle timer of one without jobs."""
        if browser.retired:
            self._retire(kind, browser)
        elif not browser.active_contexts and not self._closed:
            self._start_idle_timer(kind, browser)

    def _start_idle_timer(self, kind: BrowserName, browser: BrowserProcess) -> None:
        self._stop_idle_timer(kind)
        loop = asyncio.get_running_loop()
        self._kinds[kind].idle_timer = loop.call_later(self._limits.idle, self._close_idle, kind, browser)

    def _stop_idle_timer(self, kind: BrowserName) -> None:
        timer = self._kinds[kind].idle_timer
        if timer:
            timer.cancel()

    def _close_idle(self, kind: BrowserName, browser: BrowserProcess) -> None:
        if not browser.active_contexts:
            self._retire(kind, browser)

    def _retire(self, kind: BrowserName, browser: BrowserProcess) -> None:
        """Gives it no more jobs, and closes it after the last one."""
        browser.retired = True
        if self._kinds[kind].browser is browser:
            self._kinds[kind].browser = None
        if not browser.active_contexts:
            self._end(browser)

    def _end(self, browser: BrowserProcess) -> None:
        if browser in self._browsers:
            self._browsers.discard(browser)
            self._profile_contexts.evict_browser(browser)
            self._background.start(browser.close(self._limits.close))

    def _end_context(self, browser: BrowserProcess, page: JobPage) -> None:
        """Closes a profile's context that no job uses."""
        self._background.start(browser.close_page(page, self._limits.close))
