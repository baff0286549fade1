"""Which request has brought the document of a page, and what status that was answered with.

The driver tells it with each navigation; Playwright's client keeps it to itself. `pyproject.toml` names the versions
that do it in this way.
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
        """With what listens to them."""
        self._counts: dict[Page, int] = {}
        self._requests: dict[Page, Any] = {}
        """Playwright's own objects; None where the document came without one: from the history, or from nowhere."""

    def track(self, page: Page) -> None:
        """Listens to a page from now on."""

        def hear(told: dict[str, Any]) -> None:
            if "newDocument" in told and "error" not in told:
                sent = told["newDocument"].get("request")
                self._counts[page] = self.count(page) + 1
                self._requests[page] = sent and sent._object

        self._pages[page] = hear
        _emitter(page).on("navigated", hear)

    def close(self) -> None:
        """Listens no more."""
        for page, hear in self._pages.items():
            _emitter(page).remove_listener("navigated", hear)

    def count(self, page: Page) -> int:
        """How many documents have come since the page was met."""
        return self._counts.get(page, 0)

    def is_loaded_by(self, page: Page, request: Request) -> bool:
        """Whether this request has brought the document that the page shows."""
        return self._requests.get(page) is request._impl_obj

    async def status_and_headers(self, page: Page) -> tuple[int | None, dict[str, str]]:
        """Status and headers that the document came with; no status where it did not come from a server."""
        with contextlib.suppress(PlaywrightError):  # the page, or its document, is gone
            sent = self._requests.get(page)
            response = await sent.response() if sent else None
            if response:
                return response.status, response.headers
            if page.url.startswith(("http:", "https:")):  # a popup's first one, or one that the history has kept
                return await isolated_world.status(page), {}
        return None, {}


def _emitter(page: Page) -> Any:
    return page.main_frame._impl_obj._event_emitter
