"""Chromium's documents, held by the browser as a whole: nothing is asked for before its job's token was looked at.

A page's own session would come too late for the first request of a popup, and would see a request before a route of the
job's has changed its address. The browser's comes last, and is there before the page.
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary

from playwright.async_api import Browser, CDPSession
from playwright.async_api import Error as PlaywrightError

from sidecar.browser.url_policy import AllowsUrl

_INTERCEPTED: Final = {
    "patterns": [
        {"urlPattern": "*", "resourceType": "Document", "requestStage": "Request"},
        {"urlPattern": "*", "resourceType": "Other", "requestStage": "Request"},  # service workers' scripts are these
    ]
}


class DocumentGate:
    """Asks the guard of each context before a document is requested, and lets no service worker begin."""

    def __init__(self, session: CDPSession) -> None:
        self._session = session
        self._contexts: dict[str, str] = {}
        """Of each page, by its main frame, which bears the page's name."""
        self._guards: dict[str, AllowsUrl] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        session.on("Target.targetCreated", self._on_target_created)
        session.on("Target.targetDestroyed", self._on_target_destroyed)
        session.on("Fetch.requestPaused", lambda paused: self._start(self._decide(paused)))

    async def enable(self) -> None:
        """From here on documents are held. Raises Playwright's errors."""
        await self._session.send("Target.setDiscoverTargets", {"discover": True})
        await self._session.send("Fetch.enable", _INTERCEPTED)

    def set_guard(self, context: str, allows: AllowsUrl) -> None:
        """From now on asks this one about the pages of a context, until the last of them has closed.

        It goes on after the job's end, because so does the page while its context is being closed.
        """
        self._guards[context] = allows

    def _on_target_created(self, told: dict[str, Any]) -> None:
        target = told["targetInfo"]
        if target["type"] == "page":
            self._contexts[target["targetId"]] = target.get("browserContextId", "")

    def _on_target_destroyed(self, told: dict[str, Any]) -> None:
        context = self._contexts.pop(told["targetId"], None)
        if context is not None and context not in self._contexts.values():
            self._guards.pop(context, None)

    async def _decide(self, paused: dict[str, Any]) -> None:
        asked = {"requestId": paused["requestId"]}
        with contextlib.suppress(PlaywrightError):  # its page has closed, or the browser
            if await self._is_refused(paused):
                await self._session.send("Fetch.failRequest", {**asked, "errorReason": "BlockedByClient"})
            else:
                await self._session.send("Fetch.continueRequest", asked)

    async def _is_refused(self, paused: dict[str, Any]) -> bool:
        if not self._guards:
            return False
        request = paused["request"]
        if paused["resourceType"] != "Document":
            return any(name.lower() == "service-worker" for name in request["headers"])
        allows = self._guards.get(await self._context_of(paused.get("frameId", "")))
        return allows is not None and not allows(request["url"])

    async def _context_of(self, frame: str) -> str:
        """The context of the page whose main frame this is; empty for a frame within a page."""
        if frame in self._contexts:
            return self._contexts[frame]
        with contextlib.suppress(PlaywrightError):  # most frames have no target of their own
            target = (await self._session.send("Target.getTargetInfo", {"targetId": frame}))["targetInfo"]
            if target["type"] == "page":
                return str(target.get("browserContextId", ""))
        return ""

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


_gates: WeakKeyDictionary[Browser, asyncio.Task[DocumentGate]] = WeakKeyDictionary()
"""One for each browser, from the first job with a token to the browser's end."""


async def gate_for(browser: Browser) -> DocumentGate:
    """The browser's, opened if need be. Raises Playwright's errors."""
    if browser not in _gates:
        _gates[browser] = task = asyncio.create_task(_open(browser))
        task.add_done_callback(partial(_drop_failed, browser))
    return await asyncio.shield(_gates[browser])


def _drop_failed(browser: Browser, task: asyncio.Task[DocumentGate]) -> None:
    """Lets the next job open the gate anew."""
    if task.cancelled() or task.exception():
        _gates.pop(browser, None)


async def _open(browser: Browser) -> DocumentGate:
    gate = DocumentGate(await browser.new_browser_cdp_session())
    await gate.enable()
    return gate
