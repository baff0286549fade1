"""Keeps a job's pages within the scope of its visit token: redirects, links, scripts, routes and popups."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from playwright.async_api import BrowserContext, Frame, Page, Request, Route

from sidecar.browser.cdp import is_chromium
from sidecar.browser.crash_guard import cancel_or_abandon
from sidecar.browser.playwright_errors import without_credentials
from sidecar.browser.processes.job_page import JobPage
from sidecar.browser.steps.document_gate import gate_for
from sidecar.browser.url_policy import AllowsUrl, is_page_navigation
from sidecar.errors import Forbidden

T = TypeVar("T")
_BLANK_URLS: Final = ("", "about:blank", ":", "chrome-error://chromewebdata/")
"""Pages without a server, without fragments."""
_NO_SERVICE_WORKERS: Final = """if (self.ServiceWorkerContainer) {
  ServiceWorkerContainer.prototype.register = async () => { throw new DOMException("refused", "SecurityError") };
}"""


async def run_guarded(allows: AllowsUrl, job_page: JobPage, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs `work` and stops it if a page of the context navigates out of the scope. Raises Forbidden.

    It is only used for jobs with a token.
    """
    guard = _NavigationGuard(allows)
    await guard.start(job_page)
    task = asyncio.create_task(work())
    try:
        await asyncio.wait((task, guard.refused), return_when=asyncio.FIRST_COMPLETED)
        if guard.refused.done():
            raise guard.refused.result()
        return task.result()
    finally:
        await cancel_or_abandon(task)
        guard.stop(job_page.context)


class _NavigationGuard:
    def __init__(self, allows: AllowsUrl) -> None:
        self._allows = allows
        self._pages: list[Page] = []
        """The pages with listeners."""
        self.refused: asyncio.Future[Forbidden] = asyncio.get_running_loop().create_future()

    async def start(self, job_page: JobPage) -> None:
        context, browser = job_page.context, job_page.context.browser
        if is_chromium(browser):
            info = await (await job_page.cdp.session(job_page.page)).send("Target.getTargetInfo")
            (await gate_for(browser)).set_guard(info["targetInfo"].get("browserContextId", ""), self._check)
        else:
            await _route_requests(context, self._check)
        # a second check: sees redirects in browsers without CDP, and pages that need no request
        context.on("request", self._on_request)
        context.on("page", self._on_page)
        self._on_page(job_page.page)

    def stop(self, context: BrowserContext) -> None:
        """Stops listening; requests stay blocked until the context is closed."""
        context.remove_listener("request", self._on_request)
        context.remove_listener("page", self._on_page)
        for page in self._pages:
            page.remove_listener("framenavigated", self._on_frame_navigated)

    def _on_page(self, page: Page) -> None:
        page.on("framenavigated", self._on_frame_navigated)
        self._pages.append(page)
        self._on_frame_navigated(page.main_frame)

    def _on_request(self, request: Request) -> None:
        if is_page_navigation(request):
            self._check(request.url)

    def _on_frame_navigated(self, frame: Frame) -> None:
        if frame.parent_frame is None:
            self._check(frame.url)

    def _check(self, url: str) -> bool:
        if url.partition("#")[0] in _BLANK_URLS or self._allows(url):
            return True
        if not self.refused.done():
            shown = without_credentials(url).partition("?")[0]
            self.refused.set_result(Forbidden(f"the token's scope does not cover {shown}", url=shown))
        return False


_guards: WeakKeyDictionary[BrowserContext, AllowsUrl] = WeakKeyDictionary()
"""The guards of contexts whose requests are routed."""


async def _route_requests(context: BrowserContext, allows: AllowsUrl) -> None:
    """Routes all requests of a context and its popups; once, for all its jobs."""
    is_routed = context in _guards
    _guards[context] = allows
    if is_routed:
        return

    async def decide(route: Route) -> None:
        request = route.request
        if is_page_navigation(request) and not _guards[context](request.url):
            await route.abort("blockedbyclient")
        else:
            await route.fallback()

    await context.route("**/*", decide)
    await context.add_init_script(_NO_SERVICE_WORKERS)
