"""What a job is lent."""

import asyncio

from playwright.async_api import BrowserContext, Page

from sidecar.browser.devtools import Devtools, is_chromium
from sidecar.browser.race import race
from sidecar.errors import BrowserCrashed


class JobPage:
    """A page in a context of its own, what its browser tells of it, and the news that it died."""

    def __init__(self, context: BrowserContext, page: Page, *, runs_scripts: bool = True) -> None:
        self.context = context
        self.page = page
        self.runs_scripts = runs_scripts
        """Whether the pages' own scripts, and whatever waits for them, run."""
        self.devtools = Devtools(page)
        self.lost: asyncio.Future[BrowserCrashed] = asyncio.get_running_loop().create_future()
        page.on("crash", lambda _: self.lose("the page crashed under the job"))
        page.on("close", lambda _: self.lose("the page was closed, or its browser died, under the job"))

    async def prepare(self) -> None:
        """Does what the first reading would wait for: a session, or in other browsers Playwright's script."""
        if is_chromium(self.context.browser):
            await self.devtools.target()
        else:
            await self.answer()

    async def answer(self) -> None:
        """Returns once the page has answered. Raises BrowserCrashed and Playwright's errors."""
        await race(self.devtools.ask(self.page, "state"), self.lost)

    def lose(self, why: str) -> None:
        """Tells the job that there is nothing left to work on."""
        if not self.lost.done():
            self.lost.set_result(BrowserCrashed(why))
