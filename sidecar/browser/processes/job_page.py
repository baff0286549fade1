"""The page that a job works on."""

import asyncio

from playwright.async_api import BrowserContext, ConsoleMessage, Page

from sidecar.browser.background_tasks import consume_exception
from sidecar.browser.cdp import CdpClient, is_chromium
from sidecar.browser.crash_guard import run_unless_lost
from sidecar.browser.frame_tracker import FrameTracker, track_frame
from sidecar.errors import BrowserCrashed


class JobPage:
    """A page in its own context, with its CDP session and a future that is done once it is lost."""

    def __init__(self, context: BrowserContext, page: Page, *, runs_scripts: bool = True) -> None:
        self.context = context
        self.page = page
        self.runs_scripts = runs_scripts
        """Whether JavaScript is enabled in the context's pages."""
        self.cdp = CdpClient(page)
        self._frame: asyncio.Task[FrameTracker] | None = None
        self.lost: asyncio.Future[BrowserCrashed] = asyncio.get_running_loop().create_future()
        page.on("crash", lambda _: self.mark_lost("the page crashed during the job"))
        page.on("close", lambda _: self.mark_lost("the page was closed, or its browser crashed, during the job"))
        self.has_previous_document = False
        """Whether the page still shows the last job's document, whose scripts run."""
        self.is_persistent = False
        """Whether the context belongs to a profile, and later jobs reuse it."""
        self.last_console_message: ConsoleMessage | None = None
        """The last console message of the context."""
        # for the page's whole life: subscribing per job would cost two messages to the driver each time
        self.listen_to_console()
        context.on("requestfailed", _ignore)

    def listen_to_console(self) -> None:
        """Subscribes to console messages of the context."""
        self.context.on("console", self._on_console)

    def ignore_console(self) -> None:
        """Ends the subscription to console messages."""
        self.context.remove_listener("console", self._on_console)

    def _on_console(self, message: ConsoleMessage) -> None:
        self.last_console_message = message

    async def prepare(self) -> None:
        """Does in advance what the first job would wait for: opens a CDP session, or installs Playwright's script."""
        if await self.main_frame() is None:
            await self.ping()

    async def main_frame(self) -> FrameTracker | None:
        """The tracker of the page's main frame; None for browsers without CDP. Raises Playwright's errors."""
        if not is_chromium(self.context.browser):
            return None
        if self._frame is None:
            self._frame = asyncio.create_task(self._track_main_frame())
            self._frame.add_done_callback(consume_exception)
        return await asyncio.shield(self._frame)

    async def _track_main_frame(self) -> FrameTracker:
        frame = await track_frame(await self.cdp.session(self.page))
        frame.on_commit = self.cdp.prepare_world
        return frame

    async def ping(self) -> None:
        """Returns once the page has responded. Raises BrowserCrashed and Playwright's errors."""
        await run_unless_lost(self.cdp.call(self.page, "state"), self.lost)

    def mark_lost(self, reason: str) -> None:
        """Marks the page as lost, which ends the job."""
        if not self.lost.done():
            self.lost.set_result(BrowserCrashed(reason))


def _ignore(_: object) -> None:
    """Keeps the subscription open; jobs use their own listeners."""
