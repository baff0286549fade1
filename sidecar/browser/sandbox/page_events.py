"""What happens in the job's pages, told to the handlers of its actions."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Final

from playwright.async_api import BrowserContext, Dialog, Page, Route

from sidecar.browser.sandbox.allowlist import EVENTS
from sidecar.browser.sandbox.handles import HandleTable
from sidecar.browser.sandbox.wire_values import CallRefused

StartTask = Callable[[Coroutine[Any, Any, Any]], None]
MAX_PENDING_EVENTS: Final = 1_000
"""Events that wait for the sandbox; more are dropped, and that is said."""


class PageEvents:
    """Subscriptions of one job.

    `send` passes a message on, `backlog` says how many wait, `begin` starts a task, `complain` tells the step's errors.
    """

    def __init__(
        self,
        handles: HandleTable,
        send: Callable[[list[Any]], None],
        backlog: Callable[[], int],
        begin: StartTask,
        complain: Callable[[str], None],
    ) -> None:
        self._handles = handles
        self._send = send
        self._backlog = backlog
        self._begin = begin
        self._complain = complain
        self._listeners: dict[tuple[int, str], Callable[[Any], None]] = {}
        self._open: dict[int, Dialog] = {}
        self._last = 0
        self.routed_context = False
        """Requests of all pages of the context, also of those to come, are asked about."""
        self._dropping = False

    def subscribe(self, number: Any, event: Any) -> None:
        """From now on tells the sandbox of these events. Raises Refused."""
        owner = self._handles.get(number)
        if not isinstance(event, str) or event not in EVENTS.get(type(owner).__name__, ()):
            raise CallRefused(f"actions don't hear {event} of a {type(owner).__name__}", "forbidden")
        if (number, event) in self._listeners:
            return

        def hear(what: Any) -> None:
            self._tell(number, owner, event, what)

        self._listeners[number, event] = hear
        owner.on(event, hear)

    def unsubscribe(self, number: Any, event: Any) -> None:
        """Ends `subscribe`."""
        hear = self._listeners.pop((number, event), None)
        if hear:
            self._handles.get(number).remove_listener(event, hear)

    def handles_dialogs(self, page: Page | None) -> bool:
        """Whether a handler of the job's answers the dialogs of this page."""
        owners = [self._handles.get(number) for number, event in self._listeners if event == "dialog"]
        return any(owner is page or isinstance(owner, BrowserContext) for owner in owners)

    async def route(self, number: Any) -> None:
        """From now on asks the sandbox about each request of this page or context. Raises Refused."""
        owner = self._handles.get(number)
        if not hasattr(owner, "route"):
            raise CallRefused("only pages and contexts have routes", "forbidden")

        def ask(route: Route) -> None:
            if not self._tell(number, owner, "route", route):
                self._begin(_quietly(route.fallback))

        self.routed_context |= isinstance(owner, BrowserContext)
        await owner.route(lambda _: True, ask)

    def dialog_handled(self, number: Any) -> None:
        """All handlers of a dialog have returned: it is dismissed, unless one of them has answered it."""
        dialog = self._open.pop(number, None)
        if dialog:
            self._begin(_quietly(dialog.dismiss))

    def close(self) -> None:
        """Hears nothing more; dialogs that wait end with the job's pages."""
        for number, event in tuple(self._listeners):
            self.unsubscribe(number, event)
        self._open.clear()

    def _tell(self, number: int, owner: Any, event: str, what: Any) -> bool:
        answer = None
        try:
            if self._backlog() >= MAX_PENDING_EVENTS:
                raise CallRefused("their handlers are too slow")
            value = self._handles.encode(what)
        except CallRefused as refused:
            if not self._dropping:
                self._complain(f"{event} events are dropped: {refused}")
            self._dropping = True
            if isinstance(what, Dialog):
                self._begin(_quietly(what.dismiss))
            return False
        self._dropping = False
        if isinstance(what, Dialog):
            self._last += 1
            answer = self._last
            self._open[answer] = what
        self._send(["event", number, type(owner).__name__, event, value, answer])
        return True


async def _quietly(ending: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """The page, or another handler, may have been faster."""
    with contextlib.suppress(Exception):
        await ending()


async def cancel_all(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancels what is still under way, and sees it off."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.gather(*tasks, return_exceptions=True)
