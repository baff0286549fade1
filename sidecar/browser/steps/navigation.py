"""Waits for navigations, from where they begin to the document that they lead to, and to where that leads at once."""

import asyncio
import contextlib
import re
from collections.abc import Coroutine
from typing import Any, Final, Literal, TypeVar

from playwright.async_api import BrowserContext, Frame, Page, Request, Response
from playwright.async_api import Error as PlaywrightError

from sidecar.browser import frame_tracker, isolated_world, playwright_errors
from sidecar.browser.crash_guard import cancel_and_wait, consume_exception
from sidecar.browser.frame_tracker import FrameTracker
from sidecar.browser.processes.job_page import JobPage
from sidecar.browser.steps.document_responses import DocumentResponses
from sidecar.browser.steps.popups import PopupTracker
from sidecar.clock import within

T = TypeVar("T")
LoadState = Literal["load", "domcontentloaded", "networkidle"]
POPUP_SECONDS: Final = 5.0
"""Seconds that an action waits for popups that it has opened, or clicked in; then the job goes on without them."""
_START_SECONDS: Final = 1.0
"""Seconds in which a navigation that is announced has to begin; a browser takes some milliseconds."""
_EVENT_SECONDS: Final = 0.25
"""Seconds in which Playwright itself tells of a failure, in its own words, or a load that has ended is told to have."""

_REFRESH: Final = """() =>
  [document.querySelector("meta[http-equiv='refresh' i][content]")?.content ?? "", document.readyState]"""
_IMMEDIATE_REFRESH: Final = re.compile(r"\s*0*(\.0*)?\s*($|[;,\s])")
_ERROR_PAGE: Final = re.compile(r"about:(?:net|cert)error\?e=(\w+)")


class NavigationTracker:
    """Which of a job's pages are on their way to another document, and which of them are known to have loaded.

    What arrives and what fails is told anyway. Of what begins Chromium tells in the pages that are followed; elsewhere
    requests have to be asked for, so that is done for actions that need it alone.
    """

    def __init__(self, lent: JobPage) -> None:
        self._devtools = lent.cdp
        self._turns = "turns" if lent.runs_scripts else "state"
        self._lent = lent
        self._context: BrowserContext = lent.context
        self._targets = PopupTracker(lent.page, lent.cdp)
        self._documents = DocumentResponses()
        self._frames: dict[Page, FrameTracker] = {}
        self._ahead: dict[Page, int] = {}
        """How many documents more a followed page's frame has counted."""
        self._pages: set[Page] = set()
        self._listening = False
        self._acting = False
        self._underway: dict[Page, Request] = {}
        self._answered: set[Request | None] = set()
        """Those underway whose answer is whole, while the document that it opens has still to arrive."""
        self._newest: dict[Page, Request] = {}
        """What a page that is looked at has asked for last; how an older one ends is no matter."""
        self._arrived: dict[Page, int] = {}
        self._loaded: dict[Page, tuple[int, tuple[LoadState, ...]]] = {}
        self._followed: dict[Page, int] = {}
        self._changed = asyncio.Event()
        self._failed = asyncio.Event()
        self._touching: set[asyncio.Task[None]] = set()
        self.failures: dict[Page, str] = {}
        """Why a document did not come, or not whole, since `watch`; also where it was called off."""
        for known in self._context.pages:
            self._meet(known)
        self._context.on("page", self._meet)
        self._context.on("requestfailed", self._fail)

    async def begin(self) -> None:
        """Follows the job's own page. Raises Playwright's errors."""
        frame = await self._lent.main_frame()
        if frame:
            self._follow(self._lent.page, frame)

    async def follow(self, page: Page) -> None:
        """Follows a page that the job goes on in."""
        if self._frames and page not in self._frames:
            with contextlib.suppress(PlaywrightError):  # it is gone
                session = await page.context.new_cdp_session(page)
                target = await session.send("Target.getTargetInfo")
                self._follow(page, await frame_tracker.track_frame(session, target["targetInfo"]["targetId"]))

    def watch(self, page: Page | None = None, *, seen: bool = False) -> None:
        """From now on, until `rest`, what begins is looked at: in this page, or in all. Called before an action.

        What Playwright has `seen` itself needs no look.
        """
        self.failures.clear()
        self._acting = True
        if not self._listening and not seen and page not in self._frames:
            self._listening = True
            self._context.on("request", self._begin)
            self._context.on("requestfinished", self._end)

    def done(self) -> None:
        """The action is done: nobody waits for Playwright any more."""
        self._acting = False

    def rest(self) -> None:
        """Looks at requests no more."""
        self.done()
        self._underway.clear()
        self._answered.clear()
        self._newest.clear()
        if self._listening:
            self._listening = False
            self._context.remove_listener("request", self._begin)
            self._context.remove_listener("requestfinished", self._end)

    def close(self) -> None:
        """Hears nothing more."""
        self.rest()
        self._documents.close()
        self._context.remove_listener("page", self._meet)
        self._context.remove_listener("requestfailed", self._fail)
        for page in self._pages:
            page.remove_listener("framenavigated", self._arrive)
            page.remove_listener("close", self._gone)
        for frame in self._frames.values():
            frame.on_change = frame.on_drop = frame_tracker.do_nothing
        for task in self._touching:
            task.cancel()

    async def settled(self, page: Page, *, unmoved: bool = False) -> None:
        """Returns when the page's main frame is not on its way to another document (or never was).

        Where the action has `unmoved` the page, only what the page has begun by itself, and told of, is waited for.
        """
        if not unmoved:
            self._loaded.clear()  # a document may also have been written anew, which no arrival tells
            await self._turn(page)  # where the page went away under it, its navigation tells when that ends
        await self.still(page)

    async def still(self, *pages: Page) -> None:
        """Returns when none of these pages is known to be on its way; at once where none is."""
        while any(self._is_leaving(page) for page in pages):
            await self._next_change()
            for page in pages:
                await self._doubt(page)

    def tells(self, page: Page) -> bool:
        """Whether the browser itself tells of what begins in this page."""
        return page in self._frames

    def target(self, page: Page) -> str:
        """The address that a page is on its way to; empty where it stays, or where that is not known."""
        frame, request = self._frames.get(page), self._underway.get(page)
        return frame.target if frame else request.url if request else ""

    def expect_popups(self) -> None:
        """Called before an action that may open some."""
        self._targets.prepare()

    async def popups_settled(self, page: Page, state: LoadState | None, seconds: float) -> None:
        """The same for all pages but this one: those that are just opening too, and until they have loaded.

        Takes at most so many seconds; a popup that takes longer, or fails, is no failure of the job's.
        """
        with contextlib.suppress(PlaywrightError, TimeoutError):
            async with within(min(seconds, POPUP_SECONDS)):
                while len(self._context.pages) < await self._targets.count():
                    await self._next_change()
                others = [other for other in self._context.pages if other is not page]
                if others:
                    await asyncio.gather(*map(self._turn, others))
                    await self.still(*others)
                    if state:
                        await asyncio.gather(*(self.loaded(other, state, seconds * 1000) for other in others))

    def documents(self, page: Page) -> int:
        """How many documents have arrived in the page's main frame, or places in them."""
        return self._arrived.get(page, 0)

    def document(self, page: Page) -> int:
        """The number of the document that the page shows."""
        return self._documents.number(page)

    def is_of(self, page: Page, response: Response) -> bool:
        """Whether the page's document has come with this response."""
        return self._documents.is_brought_by(page, response.request)

    async def status(self, page: Page) -> int | None:
        """HTTP status that the page's document came with; None where no server has answered with it."""
        return (await self._documents.answer(page))[0]

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
            await self.unless_broken(page, page.wait_for_load_state(state, timeout=milliseconds))
            self._note_load(page, document, state)

    async def unless_broken(self, page: Page, work: Coroutine[Any, Any, T]) -> T:
        """The outcome of a wait for a document, unless that breaks off. Raises Playwright's errors."""
        task = asyncio.create_task(work)
        try:
            while not task.done() and not self._breaks(page):
                self._failed.clear()
                failure = asyncio.create_task(self._failed.wait())
                await asyncio.wait((task, failure), return_when=asyncio.FIRST_COMPLETED)
                failure.cancel()
            if not task.done():
                await asyncio.wait((task,), timeout=_EVENT_SECONDS)
            if not task.done():
                raise PlaywrightError(self.failures[page])
            return task.result()
        finally:
            if not task.done():
                await cancel_and_wait(task)

    async def unless_replaced(self, page: Page, selector: str, work: Coroutine[Any, Any, T]) -> T | None:
        """The outcome of what looks at an element again once it is done with it; None where that has led to a page
        that has no such element. Raises Playwright's errors.
        """
        document = self.document(page)
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._changed.set())
        try:
            while not task.done():
                if self.document(page) != document:
                    document = self.document(page)
                    await asyncio.wait((task,), timeout=_START_SECONDS)
                    with contextlib.suppress(PlaywrightError):  # it is just going on
                        if not task.done() and await page.locator(selector).count() == 0:
                            return None
                else:
                    await self._next_change()
            return task.result()
        finally:
            if not task.done():
                await cancel_and_wait(task)

    async def goes_on(self, page: Page, state: LoadState) -> bool:
        """Whether the document that has come to this state leads on at once; then the next one has come."""
        document = self.document(page)
        if self._followed.get(page) == document:
            return False
        frame = self._frames.get(page)
        if frame and state != "domcontentloaded":
            await self._rested(frame)
        elif await self._has_to_leave(page, state):
            await self._sets_out(page, document)
        await self.still(page)
        self._followed[page] = document
        return self.document(page) != document

    async def _rested(self, frame: FrameTracker) -> None:
        """Waits for the end of a load, which is told right after what the document has to do at once."""
        with contextlib.suppress(TimeoutError):
            async with within(_EVENT_SECONDS):
                while frame.loading and not frame.leaving:
                    await self._next_change()

    async def _has_to_leave(self, page: Page, state: LoadState) -> bool:
        """Whether a header or a `meta` of the document says so. Chromium tells it once that has loaded."""
        _, headers = await self._documents.answer(page)
        try:
            # in the page's own world, which tells at once that it goes away; what lies there is asked in ours
            told = await page.evaluate(_REFRESH)
            if not (isinstance(told, list) and [type(one) for one in told] == [str, str]):
                async with within(_START_SECONDS):
                    told = isolated_world.decode_result(await self._devtools.ask(page, "leads"))
            said, ready = told
        except (PlaywrightError, TimeoutError):
            return True  # it is leaving, or the page is gone
        if ready == "loading" or (ready != "complete" and state != "domcontentloaded"):
            return True  # this is the next one, of which nothing has been told yet
        said = headers.get("refresh") or said
        return bool(said) and _IMMEDIATE_REFRESH.match(said) is not None

    async def _sets_out(self, page: Page, document: int) -> None:
        self.watch(page)
        self.done()
        with contextlib.suppress(PlaywrightError, TimeoutError):
            await page.wait_for_load_state("load", timeout=60_000)  # until then no browser does it
            async with within(_START_SECONDS):
                while self.document(page) == document and not self._is_leaving(page):
                    await self._next_change()

    def _follow(self, page: Page, frame: FrameTracker) -> None:
        self._frames[page] = frame
        self._ahead[page] = frame.commits - self.document(page)
        frame.on_change = self._changed.set
        frame.on_drop = lambda: self._dropped(page, frame)

    def _dropped(self, page: Page, frame: FrameTracker) -> None:
        if self._acting and page not in self.failures:
            task = asyncio.create_task(frame.touch())  # Playwright's action would wait for a document all its time
            self._touching.add(task)
            task.add_done_callback(self._touching.discard)
            task.add_done_callback(consume_exception)

    def _is_leaving(self, page: Page) -> bool:
        frame = self._frames.get(page)
        if frame is None:
            return page in self._underway
        return not page.is_closed() and (frame.leaving or self._is_late(page, frame))

    def _is_late(self, page: Page, frame: FrameTracker) -> bool:
        """Whether Playwright has still to tell of a document."""
        return frame.commits - self.document(page) > self._ahead[page]

    async def _doubt(self, page: Page) -> None:
        """Believes no longer in what was announced and does not begin: a script has thought better of it."""
        frame = self._frames.get(page)
        if frame is None:
            await self._doubt_answer(page)
            return
        if frame.loading or not self._is_leaving(page):
            return
        with contextlib.suppress(TimeoutError):
            async with within(_START_SECONDS):
                while self._is_leaving(page) and not frame.loading:
                    await self._next_change()
        if not frame.loading and self._is_leaving(page):
            frame.forget()
            self._ahead[page] = frame.commits - self.document(page)

    async def _doubt_answer(self, page: Page) -> None:
        """Waits for the document of an answer that is whole, but not for ever: it may be one that none shows."""
        request = self._underway.get(page)
        if request is None or request not in self._answered:
            return
        with contextlib.suppress(TimeoutError):
            async with within(_START_SECONDS):
                while self._underway.get(page) == request:
                    await self._next_change()
        if self._underway.get(page) == request:
            self._over(page)

    def _note_load(self, page: Page, document: int, *states: LoadState) -> None:
        if self.documents(page) == document:
            self._loaded[page] = document, states

    async def _turn(self, page: Page) -> None:
        document = self.documents(page)
        with contextlib.suppress(PlaywrightError):
            if isolated_world.decode_result(await self._devtools.ask(page, self._turns)) == "complete":
                self._note_load(page, document, "load", "domcontentloaded")

    def _breaks(self, page: Page) -> bool:
        failure = self.failures.get(page)
        return failure is not None and not playwright_errors.was_aborted(failure)

    async def _next_change(self) -> None:
        self._changed.clear()
        with contextlib.suppress(TimeoutError):  # a popup that ends before it is there gives no sign
            async with within(0.1):
                await self._changed.wait()

    def _meet(self, page: Page) -> None:
        if page not in self._pages:
            self._pages.add(page)
            self._documents.meet(page)
            page.on("framenavigated", self._arrive)
            page.on("close", self._gone)
        self._changed.set()

    def _begin(self, request: Request) -> None:
        page = _navigating_page(request)
        if page:
            self._underway[page] = request
            self.failures.pop(page, None)
            self._newest[page] = request

    def _end(self, request: Request) -> None:
        page = _navigating_page(request)
        if page and self._underway.get(page) == request and request.redirected_to is None:
            if _opens_document(request) and not self._documents.is_brought_by(page, request):
                self._answered.add(request)  # Firefox tells of the document only after this
                self._changed.set()
            else:
                self._over(page)

    def _fail(self, request: Request) -> None:
        page = _navigating_page(request)
        if page:
            if self._newest.get(page, request) == request:
                self.failures[page] = request.failure or "it failed"
                self._failed.set()
            if self._underway.get(page) == request and request.redirected_to is None:
                self._over(page)
            self._changed.set()

    def _arrive(self, frame: Frame) -> None:
        if frame.parent_frame is None:
            error = _ERROR_PAGE.match(frame.url)
            if error:
                self.failures.setdefault(frame.page, error[1])
                self._failed.set()
            self._arrived[frame.page] = self.documents(frame.page) + 1
            self._over(frame.page)

    def _gone(self, page: Page) -> None:
        self._over(page)

    def _over(self, page: Page) -> None:
        self._answered.discard(self._underway.pop(page, None))
        self._changed.set()


def _opens_document(request: Request) -> bool:
    response = request.existing_response
    if response is None or response.status in (204, 205):
        return False
    return not response.headers.get("content-disposition", "").lstrip().lower().startswith("attachment")


def _navigating_page(request: Request) -> Page | None:
    """The page whose main frame goes on to what is requested."""
    if not request.is_navigation_request():
        return None
    try:
        frame = request.frame
    except PlaywrightError:
        return None  # the first request of a popup, whose page is not there yet
    return frame.page if frame.parent_frame is None else None
