"""Handlers of overlays (`page.addLocatorHandler`): Playwright waits for each until the sandbox has run it."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from playwright.async_api import Locator, Page

from sidecar.browser.sandbox.wire_values import CallRefused

MAX_HANDLERS: Final = 100
"""Handlers of one job; each is asked for before every action on an element."""


class LocatorHandlers:
    """The overlay handlers of one job. `send` queues a message to the sandbox that also resumes it."""

    def __init__(self, resolve: Callable[[Any], Any], send: Callable[[list[Any]], None]) -> None:
        """`resolve` gives the object of a reference, and raises CallRefused."""
        self._resolve = resolve
        self._send = send
        self._count = 0
        self._runs: dict[int, asyncio.Future[None]] = {}
        self._last_run = 0
        self._closed = False

    async def add(self, page: Any, locator: Any, handler_id: Any, options: Any) -> None:
        """Runs the sandbox's handler of that id when the locator is visible. Raises CallRefused, Playwright's errors.

        `options` are `{times, noWaitAfter}`.
        """
        owner, seen = self._resolve(page), self._resolve(locator)
        if not isinstance(owner, Page) or not isinstance(seen, Locator):
            raise CallRefused("addLocatorHandler needs a page, a locator and a handler")
        match options:
            case {"times": int() | None as times, "noWaitAfter": bool() | None as no_wait_after}:
                pass
            case _:
                raise CallRefused("addLocatorHandler takes times, a number, and noWaitAfter, true or false")
        self._count += 1
        if self._count > MAX_HANDLERS:
            raise CallRefused(f"the job has more than {MAX_HANDLERS} locator handlers", "limit_exceeded")

        async def run(_: Locator) -> None:
            await self._run(handler_id)

        await owner.add_locator_handler(seen, run, no_wait_after=no_wait_after, times=times)

    async def _run(self, handler_id: Any) -> None:
        if self._closed:
            return
        self._last_run += 1
        number = self._last_run
        self._runs[number] = asyncio.get_running_loop().create_future()
        self._send(["overlay", handler_id, number])
        try:
            await self._runs[number]
        finally:
            del self._runs[number]

    def handled(self, number: Any) -> None:
        """Ends a run: its handler has returned, or has failed."""
        run = self._runs.get(number) if type(number) is int else None
        if run and not run.done():
            run.set_result(None)

    def close(self) -> None:
        """Ends all runs, and those that begin from now on."""
        self._closed = True
        for number in self._runs:
            self.handled(number)
