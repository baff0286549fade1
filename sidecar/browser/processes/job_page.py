"""What a job is lent."""

import asyncio

from playwright.async_api import BrowserContext, ConsoleMessage, Page

from sidecar.browser.cdp import CdpClient, is_chromium
from sidecar.browser.crash_guard import consume_exception, run_unless_lost
from sidecar.browser.frame_tracker import FrameTracker
from sidecar.errors import BrowserCrashed


class JobPage:
    """A page in a context of its own, what its browser tells of it, and the news that it died."""

    def __init__(self, context: BrowserContext, page: Page, *, runs_scripts: bool = True) -> None:
        self.context = context
        self.page = page
        self.runs_scripts = runs_scripts
        """Whether the pages' own scripts, and whatever waits for them, run."""
        self.cdp = CdpClient(page)
        self._frame: asyncio.Task[FrameTracker] | None = None
        self.lost: asyncio.Future[BrowserCrashed] = asyncio.get_running_loop().create_future()
        page.on("crash", lambda _: self.mark_lost("the page crashed during the job"))
        page.on("close", lambda _: self.mark_lost("the page was closed, or its browser crashed, during the job"))
        self.has_previous_document = False
        """The document of the last job is still there, and its scripts run."""
        self.is_persistent = False
        """Its context is a profile's, which other jobs get after this one."""
        self.last_console_message: ConsoleMessage | None = None
        """Of its context's console."""
        # for the page's whole life: a job that begins and ends to listen costs two messages to the driver for each
        self.listen_to_console()
        context.on("requestfailed", _ignore)

    def listen_to_console(self) -> None:
        """Has the driver tell of all that is written to the console."""
        self.context.on("console", self._on_console)

    def ignore_console(self) -> None:
        """Has it tell no more of that."""
        self.context.remove_listener("console", self._on_console)

    def _on_console(self, message: ConsoleMessage) -> None:
        self.last_console_message = message

    async def prepare(self) -> None:
        """Does what the first job would wait for: a session, or in other browsers Playwright's script."""
        if await self.main_frame() is None:
            await self.ping()

    async def main_frame(self) -> FrameTracker | None:
        """What is known of the page's main frame; None where the browser tells nothing. Raises Playwright's errors."""
        if not is_chromium(self.context.browser):
            return None
        if self._frame is None:
            self._frame = asyncio.create_task(self._track_main_frame())
            self._frame.add_done_callback(consume_exception)
        return await asyncio.shield(self._frame)

    async def _track_main_frame(self) -> FrameTracker:
        session = await self.cdp.session(self.page)
        # in one turn: the page is new and empty, so nothing happens there before both are answered
        target, _ = await asyncio.gather(self.cdp.target(), session.send("Page.enable"))
        frame = FrameTracker(session, target["targetId"])
        frame.on_commit = self.cdp.expect
        return frame

    async def ping(self) -> None:
        """Returns once the page has answered. Raises BrowserCrashed and Playwright's errors."""
        await run_unless_lost(self.cdp.ask(self.page, "state"), self.lost)

    def mark_lost(self, reason: str) -> None:
        """Tells the job that there is nothing left to work on."""
        if not self.lost.done():
            self.lost.set_result(BrowserCrashed(reason))


def _ignore(_: object) -> None:
    """Who listens to these hears them by listeners of their own."""
