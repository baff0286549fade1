"""Chromium's own list of a job's pages: it names a popup at once, Playwright when its server has answered."""

import asyncio
import contextlib
from typing import Any

from playwright.async_api import CDPSession, Page
from playwright.async_api import Error as PlaywrightError

from sidecar.browser.race import look_at


class Targets:
    """The pages of one context, counted by the browser."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._opening: asyncio.Task[tuple[CDPSession, str] | None] | None = None

    def prepare(self) -> None:
        """Opens what `count` needs, beside whatever comes next."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(look_at)

    async def count(self) -> int:
        """How many there are, those included that Playwright has not told of yet; 0 where that can't be known."""
        self.prepare()
        opened = await asyncio.shield(self._opening) if self._opening else None
        if opened is None:
            return 0
        session, context = opened
        try:
            listed: list[dict[str, Any]] = (await session.send("Target.getTargets"))["targetInfos"]
        except PlaywrightError:
            return 0
        return sum(target["type"] == "page" and target.get("browserContextId") == context for target in listed)

    async def close(self) -> None:
        """Ends it."""
        if self._opening is None:
            return
        if not self._opening.done():
            self._opening.cancel()
        elif not self._opening.exception() and (opened := self._opening.result()):
            with contextlib.suppress(PlaywrightError):  # the browser is gone
                await opened[0].detach()

    async def _open(self) -> tuple[CDPSession, str] | None:
        browser = self._page.context.browser
        if browser is None or browser.browser_type.name != "chromium":
            return None
        try:
            own = await self._page.context.new_cdp_session(self._page)
            found = (await own.send("Target.getTargetInfo"))["targetInfo"]
            await own.detach()
            return await browser.new_browser_cdp_session(), found.get("browserContextId", "")
        except PlaywrightError:
            return None
