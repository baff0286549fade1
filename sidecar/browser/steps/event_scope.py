"""Since when, and of which pages, what a context tells is the job's: a profile's page may still show the last job's."""

import contextlib
from typing import Any

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from sidecar.browser.background_tasks import BackgroundTasks
from sidecar.browser.processes.job_page import JobPage


class EventScope:
    """Begins at once in a fresh page; in one that another job has left, with the first document that the job opens.

    Pages that the last job's opens before that are no concern of the job's, and are closed.
    """

    def __init__(self, job_page: JobPage) -> None:
        self._job_page = job_page
        self._is_open = not job_page.has_previous_document
        self._awaiting = False
        self._foreign: set[Page] = set()
        self._closing = BackgroundTasks()
        if not self._is_open:
            _emitter(job_page.page).on("navigated", self._on_navigated)
            job_page.context.on("page", self._on_page)
            for page in job_page.context.pages:
                if page is not job_page.page:
                    self._on_page(page)

    def expect_document(self) -> None:
        """Called before the job opens its first document."""
        self._awaiting = True

    def covers(self, page: Page | None) -> bool:
        """Whether what this page tells now is the job's."""
        return self._is_open and page not in self._foreign

    def close(self) -> None:
        """Listens no more."""
        if not self._is_open:
            _emitter(self._job_page.page).remove_listener("navigated", self._on_navigated)
            self._job_page.context.remove_listener("page", self._on_page)

    def _on_navigated(self, told: dict[str, Any]) -> None:
        if self._awaiting and "newDocument" in told and "error" not in told:
            self.close()
            self._is_open, self._job_page.has_previous_document = True, False

    def _on_page(self, page: Page) -> None:
        self._foreign.add(page)
        self._closing.start(_close(page))


async def _close(page: Page) -> None:
    with contextlib.suppress(PlaywrightError):  # it is gone already
        await page.close()


def _emitter(page: Page) -> Any:
    return page.main_frame._impl_obj._event_emitter
