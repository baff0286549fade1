"""A cache of profiles' browser contexts, which stay open between the jobs of a profile."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sidecar.browser.background_tasks import consume_exception
from sidecar.browser.bounded_semaphore import BoundedSemaphore
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
"""Seconds after its last job for which a page is used without a ping."""


@dataclass(slots=True)
class ProfileUse:
    """One job's use of a profile."""

    profile: Profile
    store: ProfileStore
    keeps_page: bool = False
    """Whether the next job may reuse the page as it is."""
    needs_blank_page: bool = False
    """Whether the page has to be blank first: the job's handlers or recordings would see the last job's document."""
    needs_fresh_page: bool = False
    """Whether the page has to be a new one: the job asks for its history, which would hold the last job's."""
    discard_context: bool = False
    """Whether the context is closed after the job, because it was changed (scripts, headers) or did not respond."""
    storage_observer: StorageObserver = NO_STORAGE_OBSERVER
    """Notified when the job reads its last extract, so that the storage is read at the same time."""

    @property
    def key(self) -> ProfileKey:
        """The key of the profile in the cache."""
        return self.store, self.profile


@dataclass(slots=True, eq=False)
class CachedContext:
    """A profile's context and its page."""

    browser: BrowserProcess
    page: JobPage
    origins: VisitedOrigins
    arguments: Mapping[str, Any]
    version: object = None
    """The version of the saved state that the context has."""
    digest: bytes = b""
    parked_at: float = 0.0
    """End of the last job, by the event loop's clock."""
    timer: asyncio.TimerHandle | None = None
    cleanup: asyncio.Task[JobPage] | None = None
    """Prepares the page for the next job."""


@dataclass(slots=True)
class _ProfileQueue:
    semaphore: BoundedSemaphore
    users: int = 0


class ProfileContextCache:
    """Caches the contexts of idle profiles, and serializes the jobs of each profile."""

    def __init__(
        self,
        limits: Limits,
        max_contexts: int,
        max_waiting: int,
        close_context: Callable[[BrowserProcess, JobPage], None],
    ) -> None:
        """Keeps at most `max_contexts`; at most `max_waiting` jobs wait for one profile."""
        self._limits = limits
        self._max_contexts = max_contexts
        self._max_waiting = max_waiting
        self._close_context = close_context
        self._contexts: dict[ProfileKey, CachedContext] = {}
        self._queues: dict[ProfileKey, _ProfileQueue] = {}

    @asynccontextmanager
    async def lock(self, use: ProfileUse) -> AsyncIterator[None]:
        """Runs jobs of one profile one after the other. Raises QueueFull and StoreFailed."""
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
        """Removes the profile's context from the cache; None if there is no usable one.

        A context is unusable if the job needs other arguments, another sidecar has saved the profile since, or its
        browser is retired or crashed. Takes at most `seconds`.
        """
        cached = self._contexts.pop(use.key, None)
        if cached is None:
            return None
        self._cancel_timer(cached)
        is_usable = False
        try:
            with contextlib.suppress(Exception):  # a new one takes its place
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
            return False  # the page has opened windows since, and may open more
        if use.needs_fresh_page:
            cached.page = await self._replace_page(cached)
        if cached.page.has_previous_document and use.needs_blank_page:
            await cached.page.page.goto("about:blank")
            cached.page.has_previous_document = False
        if asyncio.get_running_loop().time() - cached.parked_at > _TRUSTED_SECONDS:
            await cached.page.ping()  # the event of its crash may be under way
        same = cached.arguments == arguments and cached.version == use.store.version(use.profile)
        young = cached.browser.contexts_opened < self._limits.jobs_per_browser
        return same and young and not cached.browser.retired and not cached.page.lost.done()

    def keep(self, use: ProfileUse, cached: CachedContext) -> None:
        """Caches a context for the profile's next job; beyond `max_contexts` the oldest is closed."""
        cached.browser.park(cached.page)
        cached.page.has_previous_document = True
        cached.parked_at = asyncio.get_running_loop().time()
        if not use.keeps_page or len(cached.page.context.pages) > 1:
            cached.cleanup = asyncio.create_task(self._replace_page(cached))
            cached.cleanup.add_done_callback(consume_exception)
        else:
            cached.cleanup = None
        cached.timer = asyncio.get_running_loop().call_later(
            self._limits.leave_page_after, self._on_unused, use.key, cached
        )
        self._contexts[use.key] = cached
        while len(self._contexts) > self._max_contexts:
            self._evict(next(iter(self._contexts)))

    def evict_browser(self, browser: BrowserProcess) -> None:
        """Closes the cached contexts of this browser."""
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
        """Replaces the last job's page, and closes all others. Raises Playwright's errors."""
        kept = await cached.browser.replace_page(cached.page, self._limits.context)
        for page in kept.context.pages:
            if page is not kept.page:
                await page.close()
        return kept

    def _on_unused(self, key: ProfileKey, cached: CachedContext) -> None:
        """Blanks the page of a profile without a further job, and closes its context after a while."""
        if cached.page.lost.done():
            self._evict(key)
            return
        cached.cleanup = asyncio.create_task(_open_blank_page(cached))
        cached.cleanup.add_done_callback(consume_exception)
        left = max(0.0, self._limits.profile_idle - self._limits.leave_page_after)
        cached.timer = asyncio.get_running_loop().call_later(left, self._evict, key)


async def _open_blank_page(cached: CachedContext) -> JobPage:
    page = await cached.cleanup if cached.cleanup else cached.page
    await page.page.goto("about:blank")
    page.has_previous_document = False
    return page
