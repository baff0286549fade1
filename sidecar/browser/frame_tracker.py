"""Where a page's main frame goes, as Chromium tells it: at once, and also where it comes to nothing.

Playwright tells of a navigation when its request goes out, which is late where requests are intercepted, and never
that one has been answered with 204. `pyproject.toml` names the versions whose inner objects are such.
"""

import contextlib
from collections.abc import Callable
from typing import Any, Final

from playwright.async_api import CDPSession
from playwright.async_api import Error as PlaywrightError

_SAME_DOCUMENT: Final = ("sameDocument", "historySameDocument")
_WORLD: Final = "sidecar moves"
_TOUCH: Final = "history.replaceState(history.state, '')"


def do_nothing() -> None:
    """Is told a change that nobody wants to know."""


class FrameTracker:
    """One page's, from when it is followed on."""

    def __init__(self, session: CDPSession, frame: str) -> None:
        self.on_change: Callable[[], None] = do_nothing
        """Called after each of the changes below."""
        self.on_drop: Callable[[], None] = do_nothing
        """Called where a navigation has ended, and the document is still the one that was there."""
        self.on_commit: Callable[[], None] = do_nothing
        """Called where a document has come; whoever is lent the page later on has no part in it."""
        self.commits = 0
        """Documents that have come."""
        self.loading = False
        """Whether it loads, be it the document that is there or the next one."""
        self._session = session
        self._id = frame
        self._scheduled = False
        self._leaving = ""
        for name, hear in {
            "frameScheduledNavigation": self._schedule,
            "frameClearedScheduledNavigation": self._clear,
            "frameRequestedNavigation": self._request,
            "frameStartedNavigating": self._start,
            "frameNavigated": self._commit,
            "frameStartedLoading": self._start_loading,
            "frameStoppedLoading": self._stop_loading,
        }.items():
            # at its inner object: the outer one looks up the listener's signature for each event, which takes longer
            # than all that is done with the event
            session._impl_obj.on(f"Page.{name}", hear)

    @property
    def leaving(self) -> bool:
        """Whether it is on its way to another document, or has to set out at once."""
        return self._scheduled or bool(self._leaving)

    @property
    def target(self) -> str:
        """The address that it is on its way to; empty where it is not, or where that is not known."""
        return self._leaving

    def forget(self) -> None:
        """Takes it for a frame that stays: what it has announced did not begin."""
        self._scheduled, self._leaving = False, ""

    async def touch(self) -> None:
        """Has Playwright believe that a navigation has ended: whatever waits for that goes on."""
        with contextlib.suppress(PlaywrightError):  # the page is gone
            asked = {"frameId": self._id, "worldName": _WORLD}
            world = await self._session.send("Page.createIsolatedWorld", asked)
            await self._session.send(
                "Runtime.evaluate", {"expression": _TOUCH, "contextId": world["executionContextId"]}
            )

    def _schedule(self, told: dict[str, Any]) -> None:
        if told["frameId"] == self._id and told["delay"] == 0:
            self._scheduled = True
            self.on_change()

    def _clear(self, told: dict[str, Any]) -> None:
        if told["frameId"] == self._id:
            self._scheduled = False
            self.on_change()

    def _request(self, told: dict[str, Any]) -> None:
        if told["frameId"] == self._id and told["disposition"] == "currentTab":
            self._leaving = told["url"]
            self.on_change()

    def _start(self, told: dict[str, Any]) -> None:
        if told["frameId"] == self._id and told.get("navigationType") not in _SAME_DOCUMENT:
            self._leaving = told["url"]
            self.on_change()

    def _commit(self, told: dict[str, Any]) -> None:
        if "parentId" not in told["frame"]:
            self._id = told["frame"]["id"]
            self.commits += 1
            self.forget()
            self.on_commit()
            self.on_change()

    def _start_loading(self, told: dict[str, Any]) -> None:
        if told["frameId"] == self._id:
            self.loading = True
            self.on_change()

    def _stop_loading(self, told: dict[str, Any]) -> None:
        if told["frameId"] == self._id:
            self.loading = False
            dropped, self._leaving = bool(self._leaving), ""
            if dropped:
                self.on_drop()
            self.on_change()


async def track_frame(session: CDPSession, frame: str) -> FrameTracker:
    """Follows the main frame, of this id, of the session's page. Raises Playwright's errors."""
    followed = FrameTracker(session, frame)
    await session.send("Page.enable")
    return followed
