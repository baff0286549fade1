"""The origins that a context has visited lately: only their storage can have changed."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, Frame, Page


class VisitedOrigins:
    """Tracks the origins that a context visits, for as long as it is open."""

    def __init__(self, context: BrowserContext, state: Mapping[str, Any] | None = None) -> None:
        """`state` is the initial `storage_state` of the context."""
        self._context = context
        self.state: Mapping[str, Any] = state or {"cookies": [], "origins": []}
        """The context's `storage_state` at the last `update`."""
        self._visited: set[str] = set()
        for page in context.pages:
            self._watch_page(page)
        context.on("page", self._watch_page)

    @property
    def has_databases(self) -> bool:
        """Whether any origin had a database at the last `update`."""
        return any(origin.get("indexedDB") for origin in self.state["origins"])

    @property
    def visited(self) -> set[str]:
        """The origins visited since the last `update`, and those open now."""
        return self._visited | self._current()

    def update(self, state: Mapping[str, Any], visited_before: set[str]) -> None:
        """Sets the state, which was read after these origins were visited."""
        self.state = state
        self._visited = (self._visited - visited_before) | self._current()

    def _current(self) -> set[str]:
        frames = (frame for page in self._context.pages for frame in page.frames)
        return {origin for frame in frames if (origin := origin_of(frame.url))}

    def _watch_page(self, page: Page) -> None:
        page.on("framenavigated", self._on_navigated)

    def _on_navigated(self, frame: Frame) -> None:
        origin = origin_of(frame.url)
        if origin:
            self._visited.add(origin)


def origin_of(url: str) -> str:
    """Scheme, host and port of an address as browsers write it; empty if it has no storage of its own."""
    try:
        parts = urlsplit(url.removeprefix("blob:"))
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.scheme in ("http", "https") else ""
