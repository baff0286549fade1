"""Chromium's own list of a job's pages: it names a popup at once, Playwright when its server has answered."""

import asyncio
import contextlib
from typing import Any
from weakref import WeakKeyDictionary

from playwright.async_api import Browser, CDPSession, Page
from playwright.async_api import Error as PlaywrightError

from sidecar.browser.cdp import CdpClient, is_chromium
from sidecar.browser.crash_guard import consume_exception


class PopupWatcher:
    """Whether any job's context has more than one page: Chromium tells of each before the script that opens it goes on.

    There hardly ever is one, and then no job has to ask for its own. Openers don't count: a tab that a middle click
    has opened names none.
    """

    def __init__(self, session: CDPSession) -> None:
        self.session = session
        self._contexts: dict[str, str] = {}
        """Of each page."""
        session.on("Target.targetCreated", self._on_target_created)
        session.on("Target.targetDestroyed", self._on_target_destroyed)

    def __bool__(self) -> bool:
        return len(set(self._contexts.values())) < len(self._contexts)

    def _on_target_created(self, told: dict[str, Any]) -> None:
        target = told["targetInfo"]
        if target["type"] == "page":
            self._contexts[target["targetId"]] = target.get("browserContextId", "")

    def _on_target_destroyed(self, told: dict[str, Any]) -> None:
        self._contexts.pop(told["targetId"], None)


_watchers: WeakKeyDictionary[Browser, asyncio.Task[PopupWatcher]] = WeakKeyDictionary()
"""One watch for each browser, from the first job that needs it to the browser's end."""


class PopupTracker:
    """The pages of one context, counted by the browser."""

    def __init__(self, page: Page, cdp: CdpClient) -> None:
        self._page = page
        self._cdp = cdp

    def prepare(self) -> None:
        """Begins what `count` needs, beside whatever comes next."""
        browser = self._page.context.browser
        if is_chromium(browser) and browser not in _watchers:
            _watchers[browser] = watching = asyncio.create_task(_start_watcher(browser))
            watching.add_done_callback(consume_exception)

    async def count(self) -> int:
        """How many there are, those included that Playwright has not told of yet; 0 where none of them is a popup.

        0 also where that can't be known.
        """
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
