"""Finds the request that loaded a page's document, and its status.

The driver reports it with each navigation; Playwright's client hides it. `pyproject.toml` limits Playwright's versions.
"""

import contextlib
from typing import Any

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page, Request

from sidecar.browser import isolated_world


class DocumentResponses:
    """Counts the documents of pages."""

    def __init__(self) -> None:
        self._pages: dict[Page, Any] = {}
        """The pages, with their listeners."""
        self._counts: dict[Page, int] = {}
        self._requests: dict[Page, Any] = {}
        """Playwright's own objects; None for a document without a request: from the history, or `about:blank`."""

    def track(self, page: Page) -> None:
        """Starts to track a page."""

        def hear(event: dict[str, Any]) -> None:
            if "newDocument" in event and "error" not in event:
                sent = event["newDocument"].get("request")
                self._counts[page] = self.count(page) + 1
                self._requests[page] = sent and sent._object

        self._pages[page] = hear
        _emitter(page).on("navigated", hear)

    def close(self) -> None:
        """Stops tracking."""
        for page, hear in self._pages.items():
            _emitter(page).remove_listener("navigated", hear)

    def count(self, page: Page) -> int:
        """The number of documents since the page was tracked."""
        return self._counts.get(page, 0)

    def is_loaded_by(self, page: Page, request: Request) -> bool:
        """Whether this request loaded the document that the page shows."""
        return self._requests.get(page) is request._impl_obj

    async def status_and_headers(self, page: Page) -> tuple[int | None, dict[str, str]]:
        """Status and headers of the page's document; no status if it does not come from a server."""
        with contextlib.suppress(PlaywrightError):  # the page or its document is gone
            sent = self._requests.get(page)
            response = await sent.response() if sent else None
            if response:
                return response.status, response.headers
            if page.url.startswith(("http:", "https:")):  # the first document of a popup, or one from the history
                return await isolated_world.status(page), {}
        return None, {}


def _emitter(page: Page) -> Any:
    return page.main_frame._impl_obj._event_emitter
