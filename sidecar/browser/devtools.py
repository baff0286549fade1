"""Chromium's own protocol to a job's pages, which costs them less than Playwright's calls do."""

from typing import Any, Final, TypeGuard

import msgspec
from playwright.async_api import Browser, CDPSession, Page
from playwright.async_api import Error as PlaywrightError

_encode: Final = msgspec.json.Encoder().encode


def is_chromium(browser: Browser | None) -> TypeGuard[Browser]:
    """Whether the protocol is spoken there."""
    return browser is not None and browser.browser_type.name == "chromium"


class Devtools:
    """A session for a job's own page, kept as long as the page.

    Other pages are asked by Playwright: it tells of a crash, of which a session has no news, and nobody else watches
    for that of a popup.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._session: CDPSession | None = None

    async def session(self, page: Page) -> CDPSession:
        """The kept session, or another page's new one. Raises Playwright's errors, also where this is not Chromium."""
        if page is not self._page:
            return await page.context.new_cdp_session(page)
        if self._session is None:
            self._session = await page.context.new_cdp_session(page)
        return self._session

    async def evaluate(self, page: Page, function: str, argument: Any = None) -> Any:
        """What a function gives in the page, as JSON; a promise is waited for. Raises Playwright's errors.

        The page answers with the document that it has then, which may be on its way to the next one.
        """
        if page is not self._page or not is_chromium(page.context.browser):
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
