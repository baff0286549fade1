"""Restoring a profile's state before a job, and saving it afterwards."""

import asyncio
import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from playwright.async_api import Error as PlaywrightError

from sidecar.browser import playwright_errors
from sidecar.browser.background_tasks import consume_exception
from sidecar.browser.profiles import profile_store
from sidecar.browser.profiles.context_cache import CachedContext, ProfileUse, Work
from sidecar.browser.profiles.storage_observer import PageStorage
from sidecar.clock import within
from sidecar.errors import BrowserCrashed, SidecarError, TimedOut

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RestoredProfile:
    """The saved state of a profile for a new context."""

    arguments: Mapping[str, Any]
    """Arguments of Playwright's `new_context`."""
    version: object
    digest: bytes

    @property
    def state(self) -> Mapping[str, Any] | None:
        """Playwright's `storage_state`; None if nothing was saved."""
        return self.arguments.get("storage_state")


async def restore(use: ProfileUse) -> RestoredProfile:
    """Loads the saved state. Raises StoreFailed and DecryptionKeyMissing."""
    version = use.store.version(use.profile)
    saved = await use.store.load(use.profile)
    if saved is None:
        return RestoredProfile({}, version, b"")
    return RestoredProfile(
        {"storage_state": profile_store.decode(use.profile, saved)}, version, hashlib.sha256(saved).digest()
    )


async def run_and_save(work: Work[T], use: ProfileUse, cached: CachedContext, seconds: float) -> T:
    """Runs a job and saves the profile's state afterwards, even if the job failed.

    Raises TimedOut, BrowserCrashed, LimitExceeded and StoreFailed if it can't be saved, and whatever `work` raises.
    """
    saving = _StateSaver(use, cached, seconds)
    use.storage_observer = saving
    try:
        outcome = await work(cached.page)
    except BaseException as error:
        use.keeps_page = False  # the page may be in any state
        saving.discard()
        if isinstance(error, SidecarError) and not isinstance(error, BrowserCrashed):
            with contextlib.suppress(SidecarError):  # the job's own failure matters more
                await _finish(saving, use)
        raise
    await _finish(saving, use)
    return outcome


async def _finish(saving: "_StateSaver", use: ProfileUse) -> None:
    try:
        await saving.finish()
    except (TimedOut, BrowserCrashed):
        use.discard_context = True
        raise


class _StateSaver:
    """Reads cookies and storage while the job reads its last extract, and only what may have changed.

    Only Playwright's `storage_state` reads databases, at some milliseconds per origin, so it is called only if the page
    reports databases or other origins were visited.
    """

    def __init__(self, use: ProfileUse, cached: CachedContext, seconds: float) -> None:
        self._use = use
        self._cached = cached
        self._timeout = seconds
        self._reading: asyncio.Task[Any] | None = None
        self._storage: PageStorage | None = None

    @property
    def wants_storage(self) -> bool:
        """Whether the page's own report of its storage may be enough."""
        return not self._cached.origins.has_databases

    def reading_started(self) -> None:
        """Starts reading cookies, or the whole state, while the job continues."""
        self.discard()
        context = self._cached.page.context
        self._start(context.cookies() if self.wants_storage else self._read_all())

    def reading_finished(self, storage: PageStorage | None) -> None:
        """Uses the page's report if nothing else can have changed."""
        if not self.wants_storage:
            return
        only_this_origin = (
            storage is not None and not storage.databases and self._cached.origins.visited <= {storage.origin}
        )
        if only_this_origin and not self._cached.page.context.service_workers:
            self._storage = storage
        else:
            self.discard()
            self._start(self._read_all())

    def discard(self) -> None:
        """Discards what was read too early."""
        self._storage = None
        if self._reading:
            self._reading.cancel()
            self._reading = None

    async def finish(self) -> None:
        """Saves the state if it has changed. Raises TimedOut, BrowserCrashed, LimitExceeded, StoreFailed."""
        origins = self._cached.origins
        met = origins.visited
        read = await self._read_with_timeout()
        state = read if self._storage is None else _merged(origins.state, read, self._storage)
        encoded = profile_store.encode(self._use.profile, state)
        digest = hashlib.sha256(encoded).digest()
        if digest != self._cached.digest:
            await self._use.store.save(self._use.profile, encoded)
            self._cached.version, self._cached.digest = self._use.store.version(self._use.profile), digest
        origins.update(state, met)

    def _start(self, reading: Any) -> None:
        self._reading = asyncio.create_task(reading)
        self._reading.add_done_callback(consume_exception)

    async def _read_all(self) -> Any:
        state: Any = await self._cached.page.context.storage_state(indexed_db=True)
        return {**state, "origins": sorted(state["origins"], key=lambda origin: str(origin["origin"]))}

    async def _read_with_timeout(self) -> Any:
        try:
            async with within(self._timeout):
                return await (self._reading or self._read_all())
        except TimeoutError:
            name = self._use.profile.name
            message = f"the profile {name} could not be saved: its page did not respond within {self._timeout:g} s"
            raise TimedOut(message) from None
        except PlaywrightError as error:
            raise playwright_errors.to_crash(error) from None


def _merged(state: Mapping[str, Any], cookies: Any, storage: PageStorage) -> dict[str, Any]:
    """The state with new cookies and one origin's new storage."""
    origins = [origin for origin in state["origins"] if origin["origin"] != storage.origin]
    if storage.local:
        origins.append({"origin": storage.origin, "localStorage": storage.local, "indexedDB": []})
    return {"cookies": cookies, "origins": sorted(origins, key=lambda origin: str(origin["origin"]))}
