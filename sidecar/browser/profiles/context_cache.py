"""Profiles at work: one living context each, open between its jobs, restored from what was saved where it is gone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sidecar.browser.bounded_semaphore import BoundedSemaphore
from sidecar.browser.crash_guard import consume_exception
from sidecar.browser.limits import Limits
from sidecar.browser.processes.browser_process import BrowserProcess
from sidecar.browser.processes.job_page import JobPage
from sidecar.browser.profiles.profile_store import Profile, ProfileStore
from sidecar.browser.profiles.storage_observer import NO_STORAGE_OBSERVER, StorageObserver
from sidecar.browser.profiles.visited_origins import VisitedOrigins
from sidecar.clock import within

T = TypeVar("T")
ProfileKey = tuple[ProfileStore, Profile]
Work = Callable[[JobPage], Coroutine[Any, Any, T]]
_TRUSTED_SECONDS: Final = 0.02
"""Seconds after its last job for which a page is taken to be alive without asking it."""


@dataclass(slots=True)
class ProfileUse:
    """One job's use of a profile."""

    profile: Profile
    store: ProfileStore
    keeps_page: bool = False
    """The job leaves nothing on its page that the next one would meet there."""
    needs_blank_page: bool = False
    """The job's handlers, or what it records, would see the last job's page before it opens its own."""
    discard_context: bool = False
    """The context is not used again: a job has changed it (its scripts, headers, permissions), or it did not answer."""
    storage_observer: StorageObserver = NO_STORAGE_OBSERVER
    """Told by the job when its pages change nothing more: reading the last extract and the storage takes one wait."""

    @property
    def key(self) -> ProfileKey:
        """What two jobs of one profile have in common."""
        return self.store, self.profile


@dataclass(slots=True, eq=False)
class CachedContext:
    """A profile's context. Between jobs it lies with `ProfileContextCache`."""

    browser: BrowserProcess
    page: JobPage
    origins: VisitedOrigins
    arguments: Mapping[str, Any]
    version: object = None
    """Of the state that the context has."""
    digest: bytes = b""
    parked_at: float = 0.0
    """When its last job ended, by the loop's clock."""
    timer: asyncio.TimerHandle | None = None
    cleanup: asyncio.Task[JobPage] | None = None
    """Gives the page for the next job."""


@dataclass(slots=True)
class _ProfileQueue:
    semaphore: BoundedSemaphore
    users: int = 0


class ProfileContextCache:
    """The contexts of profiles that no job uses at the moment, and the order of those that want one."""

    def __init__(
        self, limits: Limits, most: int, most_waiting: int, end: Callable[[BrowserProcess, JobPage], None]
    ) -> None:
        """`most` contexts are kept, `most_waiting` jobs wait for one profile; `end` closes a context."""
        self._limits = limits
        self._most = most
        self._most_waiting = most_waiting
        self._end = end
        self._kept: dict[ProfileKey, CachedContext] = {}
        self._turns: dict[ProfileKey, _ProfileQueue] = {}

    @asynccontextmanager
    async def lock(self, use: ProfileUse) -> AsyncIterator[None]:
        """Jobs of one profile go one after the other. Raises QueueFull and StoreFailed."""
        turn = self._turns.setdefault(use.key, _ProfileQueue(BoundedSemaphore(1, self._most_waiting)))
        turn.users += 1
        try:
            await turn.semaphore.acquire()
            try:
                async with use.store.lock(use.profile):
                    yield
            finally:
                turn.semaphore.release()
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[use.key]

    async def take(self, use: ProfileUse, arguments: Mapping[str, Any], seconds: float) -> CachedContext | None:
        """The profile's context as its last job left it; None where there is none that still serves.

        It does not where the job wants other arguments, where another sidecar has saved since, where its browser
        retires, and where it died. Takes at most so many seconds.
        """
        living = self._kept.pop(use.key, None)
        if living is None:
            return None
        self._wake(living)
        fits = False
        try:
            with contextlib.suppress(Exception):  # whatever it has died of, a new one takes its place
                async with within(seconds):
                    fits = await self._fits(use, living, arguments)
        finally:
            if not fits:
                self._end(living.browser, living.page)
        return living if fits else None

    async def _fits(self, use: ProfileUse, living: CachedContext, arguments: Mapping[str, Any]) -> bool:
        if living.cleanup:
            living.page = await asyncio.shield(living.cleanup)
        if len(living.page.context.pages) > 1:
            return False  # since it was left, the page has opened windows, and more may be on their way
        if living.page.has_previous_document and use.needs_blank_page:
            await living.page.page.goto("about:blank")
            living.page.has_previous_document = False
        if asyncio.get_running_loop().time() - living.parked_at > _TRUSTED_SECONDS:
            await living.page.ping()  # the news of its death may still be on the way
        same = living.arguments == arguments and living.version == use.store.version(use.profile)
        young = living.browser.contexts_opened < self._limits.jobs_per_browser
        return same and young and not living.browser.retired and not living.page.lost.done()

    def keep(self, use: ProfileUse, living: CachedContext) -> None:
        """Keeps a context for the profile's next job, with a page that is fit for it; the oldest makes room."""
        living.browser.park(living.page)
        living.page.has_previous_document = True
        living.parked_at = asyncio.get_running_loop().time()
        if not use.keeps_page or len(living.page.context.pages) > 1:
            living.cleanup = asyncio.create_task(self._tidy(living))
            living.cleanup.add_done_callback(consume_exception)
        else:
            living.cleanup = None
        living.timer = asyncio.get_running_loop().call_later(self._limits.quiet, self._leave_page, use.key, living)
        self._kept[use.key] = living
        while len(self._kept) > self._most:
            self._drop(next(iter(self._kept)))

    def evict_browser(self, browser: BrowserProcess) -> None:
        """Ends the contexts in this browser."""
        for key in [key for key, living in self._kept.items() if living.browser is browser]:
            self._drop(key)

    def _drop(self, key: ProfileKey) -> None:
        living = self._kept.pop(key, None)
        if living:
            self._wake(living)
            self._end(living.browser, living.page)

    @staticmethod
    def _wake(living: CachedContext) -> None:
        if living.timer:
            living.timer.cancel()

    async def _tidy(self, living: CachedContext) -> JobPage:
        """Closes what the last job has left, with its page, which may open more. Raises Playwright's errors."""
        kept = await living.browser.replace_page(living.page, self._limits.context)
        for page in kept.context.pages:
            if page is not kept.page:
                await page.close()
        return kept

    def _leave_page(self, key: ProfileKey, living: CachedContext) -> None:
        """Nobody came at once: the site's page ends, and after a while the context."""
        if living.page.lost.done():
            self._drop(key)
            return
        living.cleanup = asyncio.create_task(_open_blank_page(living))
        living.cleanup.add_done_callback(consume_exception)
        left = max(0.0, self._limits.profile_idle - self._limits.quiet)
        living.timer = asyncio.get_running_loop().call_later(left, self._drop, key)


async def _open_blank_page(living: CachedContext) -> JobPage:
    page = await living.cleanup if living.cleanup else living.page
    await page.page.goto("about:blank")
    page.has_previous_document = False
    return page
