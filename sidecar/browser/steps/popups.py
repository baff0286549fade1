"""Counts a job's pages in Chromium, which reports a popup at once; Playwright waits for its server's response."""

import asyncio
import contextlib
from typing import Any
from weakref import WeakKeyDictionary

from playwright.async_api import Browser, CDPSession, Page
from playwright.async_api import Error as PlaywrightError

from sidecar.browser.background_tasks import consume_exception
from sidecar.browser.cdp import CdpClient, is_chromium


class PopupWatcher:
    """Whether any context of the browser has more than one page: Chromium reports each before the script that opens it
    continues.

    Usually there is none, and no job has to ask. Openers are not considered: a tab of a middle click has none.
    """

    def __init__(self, session: CDPSession) -> None:
        self.session = session
        self._contexts: dict[str, str] = {}
        """The context of each page."""
        session.on("Target.targetCreated", self._on_target_created)
        session.on("Target.targetDestroyed", self._on_target_destroyed)

    def __bool__(self) -> bool:
        return len(set(self._contexts.values())) < len(self._contexts)

    def _on_target_created(self, event: dict[str, Any]) -> None:
        target = event["targetInfo"]
        if target["type"] == "page":
            self._contexts[target["targetId"]] = target.get("browserContextId", "")

    def _on_target_destroyed(self, event: dict[str, Any]) -> None:
        self._contexts.pop(event["targetId"], None)


_watchers: WeakKeyDictionary[Browser, asyncio.Task[PopupWatcher]] = WeakKeyDictionary()
"""One for each browser, from the first job that needs it."""


class PopupTracker:
    """The pages of one context, as the browser counts them."""

    def __init__(self, page: Page, cdp: CdpClient) -> None:
        self._page = page
        self._cdp = cdp

    def prepare(self) -> None:
        """Starts in the background what `count` needs."""
        browser = self._page.context.browser
        if is_chromium(browser) and browser not in _watchers:
            _watchers[browser] = watching = asyncio.create_task(_start_watcher(browser))
            watching.add_done_callback(consume_exception)

    async def count(self) -> int:
        """The number of pages, including those not yet reported by Playwright; 0 if none is a popup, or if unknown."""
        self.prepare()
        browser = self._page.context.browser
        watching = _watchers.get(browser) if browser else None
        if watching is None:
            return 0
        with contextlib.suppress(PlaywrightError):
            popups = await asyncio.shield(watching)
            if popups:
                context = (await self._cdp.target_info()).get("browserContextId", "")
                listed = (await popups.session.send("Target.getTargets"))["targetInfos"]
                return sum(one["type"] == "page" and one.get("browserContextId") == context for one in listed)
        return 0


async def _start_watcher(browser: Browser) -> PopupWatcher:
    session = await browser.new_browser_cdp_session()
    popups = PopupWatcher(session)
    await session.send("Target.setDiscoverTargets", {"discover": True})
    return popups
