"""Holds Chromium's document requests at the browser until the job's visit token was checked.

A page's own session would miss the first request of a popup, and would see a request before a route of the job changes
its address. The browser's session sees it last, and exists before the page.
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
        {"urlPattern": "*", "resourceType": "Other", "requestStage": "Request"},  # scripts of service workers
    ]
}


class DocumentGate:
    """Asks the guard of each context before a document is requested, and blocks service workers."""

    def __init__(self, session: CDPSession) -> None:
        self._session = session
        self._contexts: dict[str, str] = {}
        """The guard of each page, by its main frame, whose id is the page's."""
        self._guards: dict[str, AllowsUrl] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        session.on("Target.targetCreated", self._on_target_created)
        session.on("Target.targetDestroyed", self._on_target_destroyed)
        session.on("Fetch.requestPaused", lambda paused: self._start(self._decide(paused)))

    async def enable(self) -> None:
        """Starts to hold document requests. Raises Playwright's errors."""
        await self._session.send("Target.setDiscoverTargets", {"discover": True})
        await self._session.send("Fetch.enable", _INTERCEPTED)

    def set_guard(self, context: str, allows: AllowsUrl) -> None:
        """Sets the guard of a context's pages, until the last of them is closed.

        It stays after the job: the context is still being closed.
        """
        self._guards[context] = allows

    def _on_target_created(self, event: dict[str, Any]) -> None:
        target = event["targetInfo"]
        if target["type"] == "page":
            self._contexts[target["targetId"]] = target.get("browserContextId", "")

    def _on_target_destroyed(self, event: dict[str, Any]) -> None:
        context = self._contexts.pop(event["targetId"], None)
        if context is not None and context not in self._contexts.values():
            self._guards.pop(context, None)

    async def _decide(self, paused: dict[str, Any]) -> None:
        asked = {"requestId": paused["requestId"]}
        with contextlib.suppress(PlaywrightError):  # its page or the browser is closed
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
        """The context of the page with this main frame; empty for a frame within a page."""
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
"""The gate of each browser, from its first job with a token."""


async def gate_for(browser: Browser) -> DocumentGate:
    """The browser's gate, opened if necessary. Raises Playwright's errors."""
    if browser not in _gates:
        _gates[browser] = task = asyncio.create_task(_open(browser))
        task.add_done_callback(partial(_drop_failed, browser))
    return await asyncio.shield(_gates[browser])


def _drop_failed(browser: Browser, task: asyncio.Task[DocumentGate]) -> None:
    """Lets the next job open the gate again."""
    if task.cancelled() or task.exception():
        _gates.pop(browser, None)


async def _open(browser: Browser) -> DocumentGate:
    gate = DocumentGate(await browser.new_browser_cdp_session())
    await gate.enable()
    return gate
