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
        self,
        limits: Limits,
        max_contexts: int,
        max_waiting: int,
        close_context: Callable[[BrowserProcess, JobPage], None],
    ) -> None:
        """At most `max_contexts` are kept; at most `max_waiting` jobs wait for one profile."""
        self._limits = limits
        self._max_contexts = max_contexts
        self._max_waiting = max_waiting
        self._close_context = close_context
        self._contexts: dict[ProfileKey, CachedContext] = {}
        self._queues: dict[ProfileKey, _ProfileQueue] = {}

    @asynccontextmanager
    async def lock(self, use: ProfileUse) -> AsyncIterator[None]:
        """Jobs of one profile go one after the other. Raises QueueFull and StoreFailed."""
        queue = self._queues.setdefault(use.key, _ProfileQueue(BoundedSemaphore(1, self._max_waiting)))
        queue.users += 1
        try:
            await queue.semaphore.acquire()
            try:
                async with use.store.lock(use.profile):
                    yield
            finally:
                queue.semaphore.release()
        finally:
            queue.users -= 1
            if not queue.users:
                del self._queues[use.key]

    async def take(self, use: ProfileUse, arguments: Mapping[str, Any], seconds: float) -> CachedContext | None:
        """The profile's context as its last job left it; None where there is none that still serves.

        It does not where the job wants other arguments, where another sidecar has saved since, where its browser
        retires, and where it died. Takes at most so many seconds.
        """
        cached = self._contexts.pop(use.key, None)
        if cached is None:
            return None
        self._cancel_timer(cached)
        is_usable = False
        try:
            with contextlib.suppress(Exception):  # whatever it has died of, a new one takes its place
                async with within(seconds):
                    is_usable = await self._is_usable(use, cached, arguments)
        finally:
            if not is_usable:
                self._close_context(cached.browser, cached.page)
        return cached if is_usable else None

    async def _is_usable(self, use: ProfileUse, cached: CachedContext, arguments: Mapping[str, Any]) -> bool:
        if cached.cleanup:
            cached.page = await asyncio.shield(cached.cleanup)
        if len(cached.page.context.pages) > 1:
            return False  # since it was left, the page has opened windows, and more may be on their way
        if cached.page.has_previous_document and use.needs_blank_page:
            await cached.page.page.goto("about:blank")
            cached.page.has_previous_document = False
        if asyncio.get_running_loop().time() - cached.parked_at > _TRUSTED_SECONDS:
            await cached.page.ping()  # the news of its death may still be on the way
        same = cached.arguments == arguments and cached.version == use.store.version(use.profile)
        young = cached.browser.contexts_opened < self._limits.jobs_per_browser
        return same and young and not cached.browser.retired and not cached.page.lost.done()

    def keep(self, use: ProfileUse, cached: CachedContext) -> None:
        """Keeps a context for the profile's next job, with a page that is fit for it; the oldest makes room."""
        cached.browser.park(cached.page)
        cached.page.has_previous_document = True
        cached.parked_at = asyncio.get_running_loop().time()
        if not use.keeps_page or len(cached.page.context.pages) > 1:
            cached.cleanup = asyncio.create_task(self._replace_page(cached))
            cached.cleanup.add_done_callback(consume_exception)
        else:
            cached.cleanup = None
        cached.timer = asyncio.get_running_loop().call_later(self._limits.quiet, self._on_quiet, use.key, cached)
        self._contexts[use.key] = cached
        while len(self._contexts) > self._max_contexts:
            self._evict(next(iter(self._contexts)))

    def evict_browser(self, browser: BrowserProcess) -> None:
        """Ends the contexts in this browser."""
        for key in [key for key, cached in self._contexts.items() if cached.browser is browser]:
            self._evict(key)

    def _evict(self, key: ProfileKey) -> None:
        cached = self._contexts.pop(key, None)
        if cached:
            self._cancel_timer(cached)
            self._close_context(cached.browser, cached.page)

    @staticmethod
    def _cancel_timer(cached: CachedContext) -> None:
        if cached.timer:
            cached.timer.cancel()

    async def _replace_page(self, cached: CachedContext) -> JobPage:
        """Closes what the last job has left, with its page, which may open more. Raises Playwright's errors."""
        kept = await cached.browser.replace_page(cached.page, self._limits.context)
        for page in kept.context.pages:
            if page is not kept.page:
                await page.close()
        return kept

    def _on_quiet(self, key: ProfileKey, cached: CachedContext) -> None:
        """Nobody came at once: the site's page ends, and after a while the context."""
        if cached.page.lost.done():
            self._evict(key)
            return
        cached.cleanup = asyncio.create_task(_open_blank_page(cached))
        cached.cleanup.add_done_callback(consume_exception)
        left = max(0.0, self._limits.profile_idle - self._limits.quiet)
        cached.timer = asyncio.get_running_loop().call_later(left, self._evict, key)


async def _open_blank_page(cached: CachedContext) -> JobPage:
    page = await cached.cleanup if cached.cleanup else cached.page
    await page.page.goto("about:blank")
    page.has_previous_document = False
    return page
