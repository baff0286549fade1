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
    """The default callback."""


class FrameTracker:
    """Tracks one page's main frame, from `track_frame` on."""

    def __init__(self, session: CDPSession, frame: str) -> None:
        self.on_change: Callable[[], None] = do_nothing
        """Called after each of the changes below."""
        self.on_abort: Callable[[], None] = do_nothing
        """Called where a navigation has ended, and the document is still the one that was there."""
        self.on_commit: Callable[[], None] = do_nothing
        """Called where a document has come; whoever is lent the page later on has no part in it."""
        self.commits = 0
        """Documents that have come."""
        self.is_loading = False
        """Whether it loads, be it the document that is there or the next one."""
        self._session = session
        self._id = frame
        self._scheduled = False
        self._target_url = ""
        for name, handler in {
            "frameScheduledNavigation": self._on_scheduled,
            "frameClearedScheduledNavigation": self._on_schedule_cleared,
            "frameRequestedNavigation": self._on_requested,
            "frameStartedNavigating": self._on_started,
            "frameNavigated": self._on_committed,
            "frameStartedLoading": self._on_loading_started,
            "frameStoppedLoading": self._on_loading_stopped,
        }.items():
            # at its inner object: the outer one looks up the listener's signature for each event, which takes longer
            # than all that is done with the event
            session._impl_obj.on(f"Page.{name}", handler)

    @property
    def is_navigating(self) -> bool:
        """Whether it is on its way to another document, or has to set out at once."""
        return self._scheduled or bool(self._target_url)

    @property
    def target_url(self) -> str:
        """The address that it is on its way to; empty where it is not, or where that is not known."""
        return self._target_url

    def clear_pending(self) -> None:
        """Takes it for a frame that stays: what it has announced did not begin."""
        self._scheduled, self._target_url = False, ""

    async def unblock_playwright(self) -> None:
        """Has Playwright believe that a navigation has ended: whatever waits for that goes on."""
        with contextlib.suppress(PlaywrightError):  # the page is gone
            parameters = {"frameId": self._id, "worldName": _WORLD}
            world = await self._session.send("Page.createIsolatedWorld", parameters)
            await self._session.send(
                "Runtime.evaluate", {"expression": _TOUCH, "contextId": world["executionContextId"]}
            )

    def _on_scheduled(self, event: dict[str, Any]) -> None:
        if event["frameId"] == self._id and event["delay"] == 0:
            self._scheduled = True
            self.on_change()

    def _on_schedule_cleared(self, event: dict[str, Any]) -> None:
        if event["frameId"] == self._id:
            self._scheduled = False
            self.on_change()

    def _on_requested(self, event: dict[str, Any]) -> None:
        if event["frameId"] == self._id and event["disposition"] == "currentTab":
            self._target_url = event["url"]
            self.on_change()

    def _on_started(self, event: dict[str, Any]) -> None:
        if event["frameId"] == self._id and event.get("navigationType") not in _SAME_DOCUMENT:
            self._target_url = event["url"]
            self.on_change()

    def _on_committed(self, event: dict[str, Any]) -> None:
        if "parentId" not in event["frame"]:
            self._id = event["frame"]["id"]
            self.commits += 1
            self.clear_pending()
            self.on_commit()
            self.on_change()

    def _on_loading_started(self, event: dict[str, Any]) -> None:
        if event["frameId"] == self._id:
            self.is_loading = True
            self.on_change()

    def _on_loading_stopped(self, event: dict[str, Any]) -> None:
        if event["frameId"] == self._id:
            self.is_loading = False
            aborted, self._target_url = bool(self._target_url), ""
            if aborted:
                self.on_abort()
            self.on_change()


async def track_frame(session: CDPSession, frame: str) -> FrameTracker:
    """Follows the main frame, of this id, of the session's page. Raises Playwright's errors."""
    tracker = FrameTracker(session, frame)
    await session.send("Page.enable")
    return tracker
