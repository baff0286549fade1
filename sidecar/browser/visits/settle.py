"""Waits for navigations that a script or a key started, from their request to the new document."""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Final, Literal

from playwright.async_api import BrowserContext, Frame, Page, Request
from playwright.async_api import Error as PlaywrightError

from sidecar.browser import asking
from sidecar.browser.processes.job_page import JobPage
from sidecar.browser.visits.targets import Targets
from sidecar.clock import within

LoadState = Literal["load", "domcontentloaded", "networkidle"]
LONGEST_FOR_POPUPS: Final = 5.0
"""Seconds that an action waits for popups that it has opened, or clicked in; then the job goes on without them."""


class Movements:
    """Which of a job's pages are on their way to another document, and which of them are known to have loaded.

    What arrives is told anyway; requests have to be asked for, so that is done for actions that need it alone.
    """

    def __init__(self, lent: JobPage) -> None:
        self._devtools = lent.devtools
        self._turns = "turns" if lent.runs_scripts else "state"
        self._context: BrowserContext = lent.context
        self._targets = Targets(lent.page, lent.devtools)
        self._pages: set[Page] = set()
        self._listening = False
        self._underway: dict[Page, Request] = {}
        self._arrived: dict[Page, int] = {}
        self._loaded: dict[Page, tuple[int, tuple[LoadState, ...]]] = {}
        self._changed = asyncio.Event()
        self.failures: dict[Page, str] = {}
        """Why a navigation that began since `watch` opened no page; also where it was called off."""
        for known in self._context.pages:
            self._meet(known)
        self._context.on("page", self._meet)

    def watch(self) -> None:
        """From now on, until `rest`, requests are looked at. Called before an action."""
        self.failures.clear()
        if not self._listening:
            self._listening = True
            self._context.on("request", self._begin)
            self._context.on("requestfailed", self._end)
            self._context.on("requestfinished", self._end)

    def rest(self) -> None:
        """Looks at requests no more."""
        self._underway.clear()
        if self._listening:
            self._listening = False
            self._context.remove_listener("request", self._begin)
            self._context.remove_listener("requestfailed", self._end)
            self._context.remove_listener("requestfinished", self._end)

    def close(self) -> None:
        """Hears nothing more."""
        self.rest()
        self._context.remove_listener("page", self._meet)
        for page in self._pages:
            page.remove_listener("framenavigated", self._arrive)
            page.remove_listener("close", self._gone)

    async def settled(self, page: Page, *, unmoved: bool = False) -> None:
        """Returns when the page's main frame is not on its way to another document (or never was).

        Where the action has `unmoved` the page, only what the page has begun by itself, and told of, is waited for.
        """
        if not unmoved:
            self._loaded.clear()  # a document may also have been written anew, which no arrival tells
            await self._turn(page)  # where the page went away under it, its navigation tells when that ends
        await self._still((page,))

    def expect_popups(self) -> None:
        """Called before an action that may open some."""
        self._targets.prepare()

    async def popups_settled(self, page: Page, state: LoadState | None, seconds: float) -> None:
        """The same for all pages but this one: those that are just opening too, and until they have loaded.

        Takes at most so many seconds; a popup that takes longer, or fails, is no failure of the job's.
        """
        with contextlib.suppress(PlaywrightError, TimeoutError):
            async with within(min(seconds, LONGEST_FOR_POPUPS)):
                while len(self._context.pages) < await self._targets.count():
                    await self._next_change()
                others = [other for other in self._context.pages if other is not page]
                if others:
                    await asyncio.gather(*map(self._turn, others))
                    await self._still(others)
                    if state:
                        await asyncio.gather(*(self.loaded(other, state, seconds * 1000) for other in others))

    def documents(self, page: Page) -> int:
        """How many documents have arrived in the page's main frame."""
        return self._arrived.get(page, 0)

    def opened(self, page: Page, before: int, state: LoadState) -> None:
        """A visit of the page, which had seen so many documents before, has led to this state of the next one."""
        self._note_load(page, before + 1, state)

    async def loaded(self, page: Page, state: LoadState, milliseconds: float) -> None:
        """Returns when the page has reached this state; at once where nothing has arrived since it was seen there.

        Raises Playwright's errors.
        """
        document = self.documents(page)
        seen, states = self._loaded.get(page, (document, ()))
        if seen != document or state not in states:
            await page.wait_for_load_state(state, timeout=milliseconds)
            self._note_load(page, document, state)

    def _note_load(self, page: Page, document: int, *states: LoadState) -> None:
        if self.documents(page) == document:
            self._loaded[page] = document, states

    async def _turn(self, page: Page) -> None:
        document = self.documents(page)
        with contextlib.suppress(PlaywrightError):
            if asking.decode(await self._devtools.ask(page, self._turns)) == "complete":
                self._note_load(page, document, "load", "domcontentloaded")

    async def _still(self, pages: Iterable[Page]) -> None:
        while any(page in self._underway for page in pages):
            await self._next_change()

    async def _next_change(self) -> None:
        self._changed.clear()
        with contextlib.suppress(TimeoutError):  # a popup that ends before it is there gives no sign
            async with within(0.1):
                await self._changed.wait()

    def _meet(self, page: Page) -> None:
        if page not in self._pages:
            self._pages.add(page)
            page.on("framenavigated", self._arrive)
            page.on("close", self._gone)
        self._changed.set()

    def _begin(self, request: Request) -> None:
        page = _moved_by(request)
        if page:
            self._underway[page] = request
            self.failures.pop(page, None)

    def _end(self, request: Request) -> None:
        page = _moved_by(request)
        if page and self._underway.get(page) == request and request.redirected_to is None:
            if request.failure:
                self.failures[page] = request.failure
            self._over(page)  # also for answers that open no document: downloads, 204

    def _arrive(self, frame: Frame) -> None:
        if frame.parent_frame is None:
            self._arrived[frame.page] = self.documents(frame.page) + 1
            self._over(frame.page)

    def _gone(self, page: Page) -> None:
        self._over(page)

    def _over(self, page: Page) -> None:
        self._underway.pop(page, None)
        self._changed.set()


def _moved_by(request: Request) -> Page | None:
    """The page whose main frame goes on to what is requested."""
    if not request.is_navigation_request():
        return None
    try:
        frame = request.frame
    except PlaywrightError:
        return None  # the first request of a popup, whose page is not there yet
    return frame.page if frame.parent_frame is None else None
