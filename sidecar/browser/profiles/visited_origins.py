"""Which origins a context has had documents of lately: only what these have stored can have changed."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, Frame, Page


class VisitedOrigins:
    """Listens to a context for as long as that is open."""

    def __init__(self, context: BrowserContext, state: Mapping[str, Any] | None = None) -> None:
        """`state` is the `storage_state` that the context began with."""
        self._context = context
        self.state: Mapping[str, Any] = state or {"cookies": [], "origins": []}
        """The context's `storage_state` when it was looked at last."""
        self._visited: set[str] = set()
        for page in context.pages:
            self._watch_page(page)
        context.on("page", self._watch_page)

    @property
    def has_databases(self) -> bool:
        """Whether any origin had one when it was looked at last."""
        return any(origin.get("indexedDB") for origin in self.state["origins"])

    @property
    def visited(self) -> set[str]:
        """Since the last `update`; also all that are there now."""
        return self._visited | self._current()

    def update(self, state: Mapping[str, Any], visited_before: set[str]) -> None:
        """Notes the state, which is that after these were met."""
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
    """Scheme, host and port of an address as browsers write it; empty where it has no storage of its own."""
    try:
        parts = urlsplit(url.removeprefix("blob:"))
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.scheme in ("http", "https") else ""
