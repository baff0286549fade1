"""Keeps a job's pages inside what its visit token allows: redirects, links, scripts and popups too."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from playwright.async_api import BrowserContext, Frame, Page, Request, Route
from playwright.async_api import Error as PlaywrightError

from sidecar.browser.devtools import is_chromium
from sidecar.browser.failures import public_url
from sidecar.browser.race import unwind
from sidecar.errors import Forbidden

T = TypeVar("T")
Allows = Callable[[str], bool]
_DOCUMENTS: Final = {"patterns": [{"urlPattern": "*", "resourceType": "Document", "requestStage": "Request"}]}
_EMPTY: Final = ("", "about:blank", ":", "chrome-error://chromewebdata/")


async def guarded(allows: Allows, page: Page, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The outcome of `work`, unless one of the context's pages is on its way elsewhere. Raises Forbidden.

    Costs nothing where no token is in force: it is only entered with one.
    """
    guard = _Guard(allows)
    await guard.watch_context(page)
    task = asyncio.create_task(work())
    try:
        await asyncio.wait((task, guard.refused), return_when=asyncio.FIRST_COMPLETED)
        if guard.refused.done():
            raise guard.refused.result()
        return task.result()
    finally:
        await unwind(task)
        await guard.end(page.context)


class _Guard:
    def __init__(self, allows: Allows) -> None:
        self._allows = allows
        self._tasks: set[asyncio.Task[None]] = set()
        self.refused: asyncio.Future[Forbidden] = asyncio.get_running_loop().create_future()

    async def watch_context(self, page: Page) -> None:
        context = page.context
        # the net under the rest: sees the first request of a popup, and the redirects of browsers without CDP
        context.on("request", self._see)
        context.on("page", self._meet)
        if not is_chromium(context.browser):
            await context.route("**/*", self._judge_route)
        await self._watch(page)

    async def end(self, context: BrowserContext) -> None:
        """Nothing is left running or listening; what is left on the pages ends with them."""
        context.remove_listener("request", self._see)
        context.remove_listener("page", self._meet)
        if not is_chromium(context.browser):
            with contextlib.suppress(PlaywrightError):  # it is gone
                await context.unroute("**/*", self._judge_route)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _meet(self, opened: Page) -> None:
        self._begin(self._watch(opened))

    async def _watch(self, page: Page) -> None:
        page.on("framenavigated", self._arrive)
        self._arrive(page.main_frame)
        if not is_chromium(page.context.browser):
            return
        with contextlib.suppress(PlaywrightError):  # a popup that has closed already
            session = await page.context.new_cdp_session(page)
            tree = await session.send("Page.getFrameTree")
            main: str = tree["frameTree"]["frame"]["id"]

            async def judge(paused: dict[str, Any]) -> None:
                request = {"requestId": paused["requestId"]}
                with contextlib.suppress(PlaywrightError):
                    if paused["frameId"] == main and not self._passes(paused["request"]["url"]):
                        await session.send("Fetch.failRequest", {**request, "errorReason": "BlockedByClient"})
                    else:
                        await session.send("Fetch.continueRequest", request)

            session.on("Fetch.requestPaused", lambda paused: self._begin(judge(paused)))
            await session.send("Fetch.enable", _DOCUMENTS)

    async def _judge_route(self, route: Route) -> None:
        request = route.request
        if _opens_page(request) and not self._passes(request.url):
            await route.abort("blockedbyclient")
        else:
            await route.fallback()

    def _see(self, request: Request) -> None:
        if _opens_page(request):
            self._passes(request.url)

    def _arrive(self, frame: Frame) -> None:
        if frame.parent_frame is None and frame.url not in _EMPTY:
            self._passes(frame.url)

    def _passes(self, url: str) -> bool:
        if self._allows(url):
            return True
        if not self.refused.done():
            shown = public_url(url).partition("?")[0]
            self.refused.set_result(Forbidden(f"the token's scope does not cover {shown}", url=shown))
        return False

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _opens_page(request: Request) -> bool:
    if not request.is_navigation_request():
        return False
    try:
        return request.frame.parent_frame is None
    except PlaywrightError:
        return True  # the first request of a popup, whose page is not there yet
