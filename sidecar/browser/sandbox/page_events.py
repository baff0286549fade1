"""Events of the job's pages, forwarded to the handlers of its actions."""

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
"""Events queued for the sandbox; further ones are dropped and the step's errors say so."""


class PageEvents:
    """Subscriptions of one job.

    `send` queues a message, `backlog` counts queued ones, `report` adds an error to the step.
    """

    def __init__(
        self,
        handles: HandleTable,
        send: Callable[[list[Any]], None],
        backlog: Callable[[], int],
        start_task: StartTask,
        report: Callable[[str], None],
    ) -> None:
        self._handles = handles
        self._send = send
        self._backlog = backlog
        self._start_task = start_task
        self._report = report
        self._listeners: dict[tuple[int, str], Callable[[Any], None]] = {}
        self._open_dialogs: dict[int, Dialog] = {}
        self._last_dialog = 0
        self.routed_context = False
        """Whether the requests of all pages of the context are routed, future pages included."""
        self._dropping = False

    def subscribe(self, number: Any, event: Any) -> None:
        """Forwards these events to the sandbox until `unsubscribe`. Raises CallRefused."""
        owner = self._handles.get(number)
        if not isinstance(event, str) or event not in EVENTS.get(type(owner).__name__, ()):
            raise CallRefused(f"actions can't subscribe to {event} of a {type(owner).__name__}", "forbidden")
        if (number, event) in self._listeners:
            return

        def forward(value: Any) -> None:
            self._forward(number, owner, event, value)

        self._listeners[number, event] = forward
        owner.on(event, forward)

    def unsubscribe(self, number: Any, event: Any) -> None:
        """Ends a subscription."""
        forward = self._listeners.pop((number, event), None)
        if forward:
            self._handles.get(number).remove_listener(event, forward)

    def handles_dialogs(self, page: Page | None) -> bool:
        """Whether a handler of the job's answers the dialogs of this page."""
        owners = [self._handles.get(number) for number, event in self._listeners if event == "dialog"]
        return any(owner is page or isinstance(owner, BrowserContext) for owner in owners)

    async def route(self, number: Any) -> None:
        """Routes each request of this page or context through the sandbox. Raises CallRefused."""
        owner = self._handles.get(number)
        if not hasattr(owner, "route"):
            raise CallRefused("only a page or a context can be routed", "forbidden")

        def forward_route(route: Route) -> None:
            if not self._forward(number, owner, "route", route):
                self._start_task(_suppress_errors(route.fallback))

        self.routed_context |= isinstance(owner, BrowserContext)
        await owner.route(lambda _: True, forward_route)

    def dialog_handled(self, number: Any) -> None:
        """Dismisses a dialog whose handlers have all returned, unless one of them has answered it."""
        dialog = self._open_dialogs.pop(number, None)
        if dialog:
            self._start_task(_suppress_errors(dialog.dismiss))

    def close(self) -> None:
        """Ends all subscriptions; open dialogs end with the job's pages."""
        for number, event in tuple(self._listeners):
            self.unsubscribe(number, event)
        self._open_dialogs.clear()

    def _forward(self, number: int, owner: Any, event: str, value: Any) -> bool:
        dialog_number = None
        try:
            if self._backlog() >= MAX_PENDING_EVENTS:
                raise CallRefused("their handlers are too slow")
            encoded = self._handles.encode(value)
        except CallRefused as refused:
            if not self._dropping:
                self._report(f"{event} events are dropped: {refused}")
            self._dropping = True
            if isinstance(value, Dialog):
                self._start_task(_suppress_errors(value.dismiss))
            return False
        self._dropping = False
        if isinstance(value, Dialog):
            self._last_dialog += 1
            dialog_number = self._last_dialog
            self._open_dialogs[dialog_number] = value
        self._send(["event", number, type(owner).__name__, event, encoded, dialog_number])
        return True


async def _suppress_errors(call: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """Awaits a call whose failure does not matter: the page, or another handler, may have been faster."""
    with contextlib.suppress(Exception):
        await call()


async def cancel_all(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancels the tasks and waits for their end."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.gather(*tasks, return_exceptions=True)
