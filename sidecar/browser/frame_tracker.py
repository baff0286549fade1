"""Tracks navigations of a page's main frame by Chromium's events: as soon as they are requested, and failed ones too.

Playwright reports a navigation when its request is sent, which is late if requests are intercepted, and not at all if
it is answered with 204. `pyproject.toml` limits the versions whose inner objects are used.
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
    """Tracks the main frame of one page, from `track_frame` on."""

    def __init__(self, session: CDPSession, frame: str = "") -> None:
        """`frame` is the frame's id. In an empty page, which has no other frame, the first event contains it."""
        self.on_change: Callable[[], None] = do_nothing
        """Called after each of the changes below."""
        self.on_abort: Callable[[], None] = do_nothing
        """Called after a navigation that ended without a new document."""
        self.on_commit: Callable[[str], None] = lambda _: None
        """Called with the frame's id after a new document; the page's next user has to replace it."""
        self.commits = 0
        """The number of documents so far."""
        self.is_loading = False
        """Whether the current or the next document is loading."""
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
            # on the inner object: the public one inspects the listener's signature for each event, which takes longer
            # than handling it
            session._impl_obj.on(f"Page.{name}", handler)

    @property
    def is_navigating(self) -> bool:
        """Whether a navigation is pending or scheduled."""
        return self._scheduled or bool(self._target_url)

    @property
    def target_url(self) -> str:
        """The URL of the pending navigation; empty if there is none, or if it is unknown."""
        return self._target_url

    def clear_pending(self) -> None:
        """Forgets the pending navigation: it was announced but did not start."""
        self._scheduled, self._target_url = False, ""

    async def unblock_playwright(self) -> None:
        """Makes Playwright believe that a navigation has ended, so that waiting calls continue."""
        with contextlib.suppress(PlaywrightError):  # the page is closed
            parameters = {"frameId": self._id, "worldName": _WORLD}
            world = await self._session.send("Page.createIsolatedWorld", parameters)
            await self._session.send(
                "Runtime.evaluate", {"expression": _TOUCH, "contextId": world["executionContextId"]}
            )

    def _is_main(self, event: dict[str, Any]) -> bool:
        self._id = self._id or event["frameId"]
        return bool(event["frameId"] == self._id)

    def _on_scheduled(self, event: dict[str, Any]) -> None:
        if self._is_main(event) and event["delay"] == 0:
            self._scheduled = True
            self.on_change()

    def _on_schedule_cleared(self, event: dict[str, Any]) -> None:
        if self._is_main(event):
            self._scheduled = False
            self.on_change()

    def _on_requested(self, event: dict[str, Any]) -> None:
        if self._is_main(event) and event["disposition"] == "currentTab":
            self._target_url = event["url"]
            self.on_change()

    def _on_started(self, event: dict[str, Any]) -> None:
        if self._is_main(event) and event.get("navigationType") not in _SAME_DOCUMENT:
            self._target_url = event["url"]
            self.on_change()

    def _on_committed(self, event: dict[str, Any]) -> None:
        if "parentId" not in event["frame"]:
            self._id = event["frame"]["id"]
            self.commits += 1
            self.clear_pending()
            self.on_commit(self._id)
            self.on_change()

    def _on_loading_started(self, event: dict[str, Any]) -> None:
        if self._is_main(event):
            self.is_loading = True
            self.on_change()

    def _on_loading_stopped(self, event: dict[str, Any]) -> None:
        if self._is_main(event):
            self.is_loading = False
            aborted, self._target_url = bool(self._target_url), ""
            if aborted:
                self.on_abort()
            self.on_change()


async def track_frame(session: CDPSession, frame: str = "") -> FrameTracker:
    """Tracks the main frame with this id, in the session's page; an empty page needs none. Raises PlaywrightError."""
    tracker = FrameTracker(session, frame)
    await session.send("Page.enable")
    return tracker
