"""Chromium's own protocol to a job's pages, which costs them less than Playwright's calls do."""

import asyncio
import contextlib
import secrets
from typing import Any, Final, TypeGuard

from playwright.async_api import Browser, CDPSession, Frame, Page
from playwright.async_api import Error as PlaywrightError

from sidecar.browser import isolated_world, playwright_errors
from sidecar.browser.background_tasks import consume_exception

_WORLD: Final = "sidecar"
_NO_WORLD: Final = "Cannot find context with specified id"


def is_chromium(browser: Browser | None) -> TypeGuard[Browser]:
    """Whether the protocol is spoken there."""
    return browser is not None and browser.browser_type.name == "chromium"


class CdpClient:
    """A session for a job's own page, kept as long as the page.

    Other pages are called through Playwright: it reports a crash, which a session does not, and nothing else watches a
    popup for one.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._session: CDPSession | None = None
        self._target_info: dict[str, Any] = {}
        self._frame = ""
        """The id of the page's main frame; empty until a document has come, or it was asked for."""
        self._key = ""
        """A key of our world that no page knows: another process may give the same number to a page's own world."""
        self._world: int | None = None
        """Ours in the document that is there."""
        self._pending_world: asyncio.Task[int] | None = None
        """Created while the document loads, for its first call."""
        page.on("framenavigated", self._on_frame_navigated)

    async def session(self, page: Page) -> CDPSession:
        """The kept session, or another page's new one. Raises Playwright's errors, also where this is not Chromium."""
        if page is not self._page:
            return await page.context.new_cdp_session(page)
        if self._session is None:
            self._session = await page.context.new_cdp_session(page)
        return self._session

    async def target_info(self) -> dict[str, Any]:
        """Chromium's description of the job's own page: a `targetId`, also its main frame's, and its context."""
        if not self._target_info:
            session = await self.session(self._page)
            self._target_info = (await session.send("Target.getTargetInfo"))["targetInfo"]
        return self._target_info

    async def ask(self, page: Page | Frame, name: str, argument: Any = None) -> Any:
        """The answer of the page's current document, or of the next one if it navigates meanwhile.

        Raises Playwright's errors.
        """
        try:
            answer = await self.call(page, name, argument)
        except PlaywrightError as error:
            if not playwright_errors.is_context_destroyed(error):
                raise
            answer = await isolated_world.call(page, name, argument)
        return isolated_world.decode_result(answer)

    async def call(self, page: Page | Frame, name: str, argument: Any = None) -> str:
        """The answer to one of `isolated_world.js`'s questions, as JSON text. Raises Playwright's errors.

        The page answers with the document that it has then, which may be on its way to the next one.
        """
        if isinstance(page, Frame) and page is self._page.main_frame:
            page = self._page
        if page is not self._page or not is_chromium(self._page.context.browser):
            return await isolated_world.call(page, name, argument)
        # Playwright's own call has each new document compile a script of its first, for selectors and much else
        session = await self.session(page)
        if self._world is not None:
            with contextlib.suppress(_StaleWorld):
                return await _call_function(session, self._world, self._key, False, name, argument)
        pending, self._pending_world = self._pending_world, None
        world = await _await_world(pending) if pending else None
        if world is not None:
            with contextlib.suppress(_StaleWorld):
                return await self._call_first(session, world, name, argument)
        with contextlib.suppress(_StaleWorld):
            return await self._call_first(session, await self._make_world(session), name, argument)
        raise PlaywrightError("Execution context was destroyed: the page has gone on")

    def prepare_world(self, frame: str) -> None:
        """Creates the isolated world in the main frame while its new document loads, before the first call needs it."""
        self._frame = frame
        if self._session is not None:
            self._pending_world = asyncio.create_task(self._make_world(self._session))
            self._pending_world.add_done_callback(consume_exception)

    async def _make_world(self, session: CDPSession) -> int:
        frame = self._frame or (await self.target_info())["targetId"]  # a page bears its main frame's name
        place = {"frameId": frame, "worldName": _WORLD}
        world: int = (await session.send("Page.createIsolatedWorld", place))["executionContextId"]
        return world

    async def _call_first(self, session: CDPSession, world: int, name: str, argument: Any) -> str:
        self._key, self._world = secrets.token_hex(16), world
        result = await _call_function(session, world, self._key, True, name, argument)
        if self._world != world:
            raise _StaleWorld
        return result

    def _on_frame_navigated(self, frame: Frame) -> None:
        if frame.parent_frame is None:
            self._world = None


class _StaleWorld(Exception):
    """The world's context id no longer exists, or belongs to another world."""


async def _await_world(pending: asyncio.Task[int]) -> int | None:
    """The world of the current document; None if that document is gone again."""
    try:
        return await asyncio.shield(pending)
    except PlaywrightError:
        return None


async def _call_function(session: CDPSession, world: int, *arguments: Any) -> str:
    parameters = {
        "functionDeclaration": isolated_world.FUNCTION,
        "executionContextId": world,
        "arguments": [{"value": value} for value in arguments],
        "awaitPromise": True,
        "returnByValue": True,
    }
    try:
        reply = await session.send("Runtime.callFunctionOn", parameters)
    except PlaywrightError as error:
        raise (_StaleWorld() if _NO_WORLD in error.message else error) from None
    if "exceptionDetails" in reply:
        raise PlaywrightError(_exception_text(reply["exceptionDetails"]))
    value = reply["result"].get("value")
    if value is None:
        raise _StaleWorld
    return str(value)


def _exception_text(details: dict[str, Any]) -> str:
    thrown = details.get("exception", {})
    return str(thrown.get("description") or thrown.get("value") or details["text"])
