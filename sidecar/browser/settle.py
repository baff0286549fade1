"""Waits for navigations that a script or a key started, from their request to the new document."""

import asyncio
import contextlib
from types import TracebackType
from typing import Final

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Frame, Page, Request

# Two turns of the page's event loop: a navigation that a script asked for has begun by then.
_TURNS: Final = "() => new Promise((done) => setTimeout(() => setTimeout(done)))"


class NavigationWatch:
    """Entered before an action, left after it; `settled` returns when no navigation is under way."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._underway: Request | None = None
        self._over = asyncio.Event()
        self._over.set()
        self.failure: str | None = None
        """Why a navigation that began in the meantime opened no page; also where it was called off."""

    async def __aenter__(self) -> "NavigationWatch":
        self._page.on("request", self._begin)
        self._page.on("requestfailed", self._end)
        self._page.on("requestfinished", self._end)
        self._page.on("framenavigated", self._arrive)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._page.remove_listener("request", self._begin)
        self._page.remove_listener("requestfailed", self._end)
        self._page.remove_listener("requestfinished", self._end)
        self._page.remove_listener("framenavigated", self._arrive)

    async def settled(self) -> None:
        """Returns when the main frame is not on its way to another document (or never was)."""
        with contextlib.suppress(PlaywrightError):  # the page went away under it: `_over` tells when that ends
            await self._page.evaluate(_TURNS)
        await self._over.wait()

    def _begin(self, request: Request) -> None:
        if request.is_navigation_request() and request.frame == self._page.main_frame:
            self._underway = request
            self.failure = None
            self._over.clear()

    def _end(self, request: Request) -> None:
        if request == self._underway and request.redirected_to is None:
            self.failure = request.failure
            self._over.set()  # also for answers that open no document: downloads, 204

    def _arrive(self, frame: Frame) -> None:
        if frame == self._page.main_frame:
            self._over.set()
