"""Waits for navigations of a job's pages, until the new document is loaded, immediate redirects included."""

import asyncio
import contextlib
import re
from collections.abc import Coroutine
from typing import Any, Final, Literal, TypeVar

from playwright.async_api import BrowserContext, Frame, Page, Request, Response
from playwright.async_api import Error as PlaywrightError

from sidecar.browser import frame_tracker, isolated_world, playwright_errors
from sidecar.browser.background_tasks import consume_exception
from sidecar.browser.crash_guard import cancel_or_abandon
from sidecar.browser.frame_tracker import FrameTracker
from sidecar.browser.processes.job_page import JobPage
from sidecar.browser.steps.document_responses import DocumentResponses
from sidecar.browser.steps.popups import PopupTracker
from sidecar.browser.url_policy import is_document_request
from sidecar.clock import within

T = TypeVar("T")
LoadState = Literal["load", "domcontentloaded", "networkidle"]
POPUP_SECONDS: Final = 5.0
"""Seconds for which an action waits for popups that it may have opened."""
_START_SECONDS: Final = 1.0
"""Seconds in which an announced navigation has to start; a browser needs some milliseconds."""
_EVENT_SECONDS: Final = 0.25
"""Seconds in which Playwright reports a failure with its own message, or the end of a load."""

_REFRESH: Final = """() =>
  [document.querySelector("meta[http-equiv='refresh' i][content]")?.content ?? "", document.readyState]"""
_IMMEDIATE_REFRESH: Final = re.compile(r"\s*0*(\.0*)?\s*($|[;,\s])")
_ERROR_PAGE: Final = re.compile(r"about:(?:net|cert)error\?e=(\w+)")


class NavigationTracker:
    """Tracks which of a job's pages have a pending navigation, and which have loaded.

    Arrivals and failures are always reported. Chromium also reports the start of navigations in tracked pages; in other
    browsers requests have to be watched, which is done only for actions that need it.
    """

    def __init__(self, job_page: JobPage) -> None:
        self._cdp = job_page.cdp
        self._ready_state_function = "turns" if job_page.runs_scripts else "state"
        self._job_page = job_page
        self._context: BrowserContext = job_page.context
        self._popups = PopupTracker(job_page.page, job_page.cdp)
        self._responses = DocumentResponses()
        self._trackers: dict[Page, FrameTracker] = {}
        self._commit_offsets: dict[Page, int] = {}
        """Number of additional documents that the frame of a tracked page has counted."""
        self._pages: set[Page] = set()
        self._listening = False
        self._action_running = False
        self._pending: dict[Page, Request] = {}
        self._finished: set[Request | None] = set()
        """Pending navigations whose response is complete, but whose document has not arrived."""
        self._latest: dict[Page, Request] = {}
        """The latest request of each watched page; the end of an older one does not matter."""
        self._arrivals: dict[Page, int] = {}
        self._loaded: dict[Page, tuple[int, tuple[LoadState, ...]]] = {}
        self._checked: dict[Page, int] = {}
        self._change_event = asyncio.Event()
        self._failure_event = asyncio.Event()
        self._unblocking: set[asyncio.Task[None]] = set()
        self.failures: dict[Page, str] = {}
        """Why a document failed to load since `start_watching`; also for aborted navigations."""
        for known in self._context.pages:
            self._on_page(known)
        self._context.on("page", self._on_page)
        self._context.on("requestfailed", self._on_request_failed)

    async def start(self) -> None:
        """Tracks the job's own page. Raises Playwright's errors."""
        frame = await self._job_page.main_frame()
        if frame:
            self._track(self._job_page.page, frame)

    async def track(self, page: Page) -> None:
        """Tracks a page in which the job continues."""
        if self._trackers and page not in self._trackers:
            with contextlib.suppress(PlaywrightError):  # it is closed
                session = await page.context.new_cdp_session(page)
                target = await session.send("Target.getTargetInfo")
                self._track(page, await frame_tracker.track_frame(session, target["targetInfo"]["targetId"]))

    def start_watching(self, page: Page | None = None, *, announced: bool = False) -> None:
        """Watches requests, in this page or in all, until `stop_watching`. Called before an action.

        `announced`: Playwright itself waits for navigations of this action, so requests are not watched.
        """
        self.failures.clear()
        self._action_running = True
        if not self._listening and not announced and page not in self._trackers:
            self._listening = True
            self._context.on("request", self._on_request)
            self._context.on("requestfinished", self._on_request_finished)

    def action_done(self) -> None:
        """The action is done: Playwright's wait has ended."""
        self._action_running = False

    def stop_watching(self) -> None:
        """Stops watching requests."""
        self.action_done()
        self._pending.clear()
        self._finished.clear()
        self._latest.clear()
        if self._listening:
            self._listening = False
            self._context.remove_listener("request", self._on_request)
            self._context.remove_listener("requestfinished", self._on_request_finished)

    def close(self) -> None:
        """Stops listening."""
        self.stop_watching()
        self._responses.close()
        self._context.remove_listener("page", self._on_page)
        self._context.remove_listener("requestfailed", self._on_request_failed)
        for page in self._pages:
            page.remove_listener("framenavigated", self._on_frame_navigated)
            page.remove_listener("close", self._on_page_closed)
        for tracker in self._trackers.values():
            tracker.on_change = tracker.on_abort = frame_tracker.do_nothing
        for task in self._unblocking:
            task.cancel()

    async def wait_settled(self, page: Page, *, read_only: bool = False) -> None:
        """Returns when the page's main frame has no pending navigation.

        After an action that has `read_only` the page, it waits only for navigations that the page has announced.
        """
        if not read_only:
            self._loaded.clear()  # `document.write` replaces a document without a navigation
            # if the page went away meanwhile, its navigation reports the end
            await self._check_ready_state(page)
        await self.wait_idle(page)

    async def wait_idle(self, *pages: Page) -> None:
        """Returns when none of these pages has a pending navigation."""
        while any(self._is_navigating(page) for page in pages):
            await self._next_change()
            for page in pages:
                await self._drop_stale(page)

    def announces_navigations(self, page: Page) -> bool:
        """Whether the browser announces the navigations of this page."""
        return page in self._trackers

    def target_url(self, page: Page) -> str:
        """The URL of the pending navigation; empty if there is none, or if it is unknown."""
        tracker, request = self._trackers.get(page), self._pending.get(page)
        return tracker.target_url if tracker else request.url if request else ""

    def prepare_popups(self) -> None:
        """Called before an action that may open popups."""
        self._popups.prepare()

    async def wait_popups(self, page: Page, state: LoadState | None, seconds: float) -> None:
        """Waits until all pages but this one have loaded, including those that are still opening.

        Takes at most this many seconds; a popup that takes longer, or fails, is no failure of the job.
        """
        with contextlib.suppress(PlaywrightError, TimeoutError):
            async with within(min(seconds, POPUP_SECONDS)):
                while len(self._context.pages) < await self._popups.count():
                    await self._next_change()
                others = [other for other in self._context.pages if other is not page]
                if others:
                    await asyncio.gather(*map(self._check_ready_state, others))
                    await self.wait_idle(*others)
                    if state:
                        await asyncio.gather(*(self.wait_loaded(other, state, seconds * 1000) for other in others))

    def arrivals(self, page: Page) -> int:
        """The number of navigations of the page's main frame, those within the document included."""
        return self._arrivals.get(page, 0)

    def document_number(self, page: Page) -> int:
        """The number of the document that the page shows."""
        return self._responses.count(page)

    def is_response_of(self, page: Page, response: Response) -> bool:
        """Whether this response loaded the page's document."""
        return self._responses.is_loaded_by(page, response.request)

    async def status(self, page: Page) -> int | None:
        """The HTTP status of the page's document; None if it does not come from a server."""
        return (await self._responses.status_and_headers(page))[0]

    def note_opened(self, page: Page, before: int, state: LoadState) -> None:
        """Records that a visit of a page that had this many documents has reached a state of the next one."""
        self._note_load(page, before + 1, state)

    async def wait_loaded(self, page: Page, state: LoadState, milliseconds: float) -> None:
        """Returns when the page has reached this state; at once if nothing has arrived since it was seen there.

        Raises Playwright's errors.
        """
        document = self.arrivals(page)
        seen, states = self._loaded.get(page, (document, ()))
        if seen != document or state not in states:
            await self.unless_failed(page, page.wait_for_load_state(state, timeout=milliseconds))
            self._note_load(page, document, state)

    async def unless_failed(self, page: Page, work: Coroutine[Any, Any, T]) -> T:
        """The outcome of a wait for a document, unless the navigation fails. Raises Playwright's errors."""
        task = asyncio.create_task(work)
        try:
            while not task.done() and not self._has_failed(page):
                self._failure_event.clear()
                failure = asyncio.create_task(self._failure_event.wait())
                try:
                    await asyncio.wait((task, failure), return_when=asyncio.FIRST_COMPLETED)
                finally:  # also when the job's time is over
                    failure.cancel()
            if not task.done():
                await asyncio.wait((task,), timeout=_EVENT_SECONDS)
            if not task.done():
                raise PlaywrightError(self.failures[page])
            return task.result()
        finally:
            if not task.done():
                await cancel_or_abandon(task)

    async def unless_replaced(self, page: Page, selector: str, work: Coroutine[Any, Any, T]) -> T | None:
        """The outcome of an action that checks its element again afterwards; None if it has led to a page without that
        element. Raises Playwright's errors.
        """
        document = self.document_number(page)
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._change_event.set())
        try:
            while not task.done():
                if self.document_number(page) != document:
                    document = self.document_number(page)
                    await asyncio.wait((task,), timeout=_START_SECONDS)
                    with contextlib.suppress(PlaywrightError):  # it is still navigating
                        if not task.done() and await page.locator(selector).count() == 0:
                            return None
                else:
                    await self._next_change()
            return task.result()
        finally:
            if not task.done():
                await cancel_or_abandon(task)

    async def follow_client_redirect(self, page: Page, state: LoadState) -> bool:
        """Whether the document in this state redirects at once; if so, returns after the next one has arrived."""
        document = self.document_number(page)
        if self._checked.get(page) == document:
            return False
        tracker = self._trackers.get(page)
        if tracker and state != "domcontentloaded":
            await self._wait_load_end(tracker)
        elif await self._has_client_redirect(page, state):
            await self._wait_departure(page, document)
        await self.wait_idle(page)
        self._checked[page] = document
        return self.document_number(page) != document

    async def _wait_load_end(self, tracker: FrameTracker) -> None:
        """Waits for the end of a load, which is reported after the document's immediate work."""
        with contextlib.suppress(TimeoutError):
            async with within(_EVENT_SECONDS):
                while tracker.is_loading and not tracker.is_navigating:
                    await self._next_change()

    async def _has_client_redirect(self, page: Page, state: LoadState) -> bool:
        """Whether a header or `meta` of the document redirects. Chromium announces it after loading."""
        _, headers = await self._responses.status_and_headers(page)
        try:
            # in the page's own world, which fails at once if the page navigates; then in the isolated one
            reported = await page.evaluate(_REFRESH)
            if not (isinstance(reported, list) and [type(one) for one in reported] == [str, str]):
                async with within(_START_SECONDS):
                    reported = isolated_world.decode_result(await self._cdp.call(page, "leads"))
            said, ready = reported
        except (PlaywrightError, TimeoutError):
            return True  # it is navigating, or the page is closed
        if ready == "loading" or (ready != "complete" and state != "domcontentloaded"):
            return True  # this is the next document, which was not announced yet
        said = headers.get("refresh") or said
        return bool(said) and _IMMEDIATE_REFRESH.match(said) is not None

    async def _wait_departure(self, page: Page, document: int) -> None:
        self.start_watching(page)
        self.action_done()
        with contextlib.suppress(PlaywrightError, TimeoutError):
            await page.wait_for_load_state("load", timeout=60_000)  # no browser redirects earlier
            async with within(_START_SECONDS):
                while self.document_number(page) == document and not self._is_navigating(page):
                    await self._next_change()

    def _track(self, page: Page, tracker: FrameTracker) -> None:
        self._trackers[page] = tracker
        self._commit_offsets[page] = tracker.commits - self.document_number(page)
        tracker.on_change = self._change_event.set
        tracker.on_abort = lambda: self._on_aborted(page, tracker)

    def _on_aborted(self, page: Page, tracker: FrameTracker) -> None:
        if self._action_running and page not in self.failures:
            # Playwright's action would wait for a document until its timeout
            task = asyncio.create_task(tracker.unblock_playwright())
            self._unblocking.add(task)
            task.add_done_callback(self._unblocking.discard)
            task.add_done_callback(consume_exception)

    def _is_navigating(self, page: Page) -> bool:
        tracker = self._trackers.get(page)
        if tracker is None:
            return page in self._pending
        return not page.is_closed() and (tracker.is_navigating or self._is_event_pending(page, tracker))

    def _is_event_pending(self, page: Page, tracker: FrameTracker) -> bool:
        """Whether Playwright has still to report a document."""
        return tracker.commits - self.document_number(page) > self._commit_offsets[page]

    async def _drop_stale(self, page: Page) -> None:
        """Forgets an announced navigation that did not start: a script has cancelled it."""
        tracker = self._trackers.get(page)
        if tracker is None:
            await self._drop_stale_response(page)
            return
        if tracker.is_loading or not self._is_navigating(page):
            return
        with contextlib.suppress(TimeoutError):
            async with within(_START_SECONDS):
                while self._is_navigating(page) and not tracker.is_loading:
                    await self._next_change()
        if not tracker.is_loading and self._is_navigating(page):
            tracker.clear_pending()
            self._commit_offsets[page] = tracker.commits - self.document_number(page)

    async def _drop_stale_response(self, page: Page) -> None:
        """Waits for the document of a complete response, for a limited time, since it may never be shown."""
        request = self._pending.get(page)
        if request is None or request not in self._finished:
            return
        with contextlib.suppress(TimeoutError):
            async with within(_START_SECONDS):
                while self._pending.get(page) == request:
                    await self._next_change()
        if self._pending.get(page) == request:
            self._clear_pending(page)

    def _note_load(self, page: Page, document: int, *states: LoadState) -> None:
        if self.arrivals(page) == document:
            self._loaded[page] = document, states

    async def _check_ready_state(self, page: Page) -> None:
        document = self.arrivals(page)
        with contextlib.suppress(PlaywrightError):
            if isolated_world.decode_result(await self._cdp.call(page, self._ready_state_function)) == "complete":
                self._note_load(page, document, "load", "domcontentloaded")

    def _has_failed(self, page: Page) -> bool:
        failure = self.failures.get(page)
        return failure is not None and not playwright_errors.was_aborted(failure)

    async def _next_change(self) -> None:
        self._change_event.clear()
        with contextlib.suppress(TimeoutError):  # a popup that is closed while it opens is not reported
            async with within(0.1):
                await self._change_event.wait()

    def _on_page(self, page: Page) -> None:
        if page not in self._pages:
            self._pages.add(page)
            self._responses.track(page)
            page.on("framenavigated", self._on_frame_navigated)
            page.on("close", self._on_page_closed)
        self._change_event.set()

    def _on_request(self, request: Request) -> None:
        page = _navigating_page(request)
        if page:
            self._pending[page] = request
            self.failures.pop(page, None)
            self._latest[page] = request

    def _on_request_finished(self, request: Request) -> None:
        page = _navigating_page(request)
        if page and self._pending.get(page) == request and request.redirected_to is None:
            if _opens_document(request) and not self._responses.is_loaded_by(page, request):
                self._finished.add(request)  # Firefox reports the document only after this
                self._change_event.set()
            else:
                self._clear_pending(page)

    def _on_request_failed(self, request: Request) -> None:
        page = _navigating_page(request)
        if page:
            if self._latest.get(page, request) == request:
                self.failures[page] = request.failure or "it failed"
                self._failure_event.set()
            if self._pending.get(page) == request and request.redirected_to is None:
                self._clear_pending(page)
            self._change_event.set()

    def _on_frame_navigated(self, frame: Frame) -> None:
        if frame.parent_frame is None:
            error = _ERROR_PAGE.match(frame.url)
            if error:
                self.failures.setdefault(frame.page, error[1])
                self._failure_event.set()
            self._arrivals[frame.page] = self.arrivals(frame.page) + 1
            self._clear_pending(frame.page)

    def _on_page_closed(self, page: Page) -> None:
        self._clear_pending(page)

    def _clear_pending(self, page: Page) -> None:
        self._finished.discard(self._pending.pop(page, None))
        self._change_event.set()


def _opens_document(request: Request) -> bool:
    response = request.existing_response
    if response is None or response.status in (204, 205):
        return False
    return not response.headers.get("content-disposition", "").lstrip().lower().startswith("attachment")


def _navigating_page(request: Request) -> Page | None:
    """The page whose main frame navigates by this request."""
    if not is_document_request(request):
        return None
    try:
        frame = request.frame
    except PlaywrightError:
        return None  # the first request of a popup, whose page does not exist yet
    return frame.page if frame.parent_frame is None else None
