"""Chromium's own protocol to a job's pages, which costs them less than Playwright's calls do."""

from typing import Any, Final

import msgspec
from playwright.async_api import BrowserContext, CDPSession, Page
from playwright.async_api import Error as PlaywrightError

_encode: Final = msgspec.json.Encoder().encode


def is_chromium(context: BrowserContext) -> bool:
    """Whether the protocol is spoken there."""
    return context.browser is not None and context.browser.browser_type.name == "chromium"


class Devtools:
    """One session for each page that was asked for, kept as long as the page."""

    def __init__(self) -> None:
        self._sessions: dict[Page, CDPSession] = {}

    async def session(self, page: Page) -> CDPSession:
        """The page's session. Raises Playwright's errors, also where the browser is not Chromium."""
        session = self._sessions.get(page)
        if session is None:
            session = self._sessions[page] = await page.context.new_cdp_session(page)
            page.once("close", self._forget)
        return session

    def _forget(self, page: Page) -> None:
        self._sessions.pop(page, None)

    async def evaluate(self, page: Page, function: str, argument: Any = None) -> Any:
        """What a function gives in the page, as JSON; a promise is waited for. Raises Playwright's errors."""
        if not is_chromium(page.context):
            return await page.evaluate(function, argument)
        # Playwright's own call has each new document compile a script of its first, for values that are not JSON.
        expression = f"({function})({_encode(argument).decode()})"
        asked = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        answer = await (await self.session(page)).send("Runtime.evaluate", asked)
        if "exceptionDetails" in answer:
            raise PlaywrightError(_thrown(answer["exceptionDetails"]))
        return answer["result"].get("value")


def _thrown(details: dict[str, Any]) -> str:
    thrown = details.get("exception", {})
    return str(thrown.get("description") or thrown.get("value") or details["text"])
