"""Decides which events of a context belong to the job: a profile's page may still show the document of the last one."""

import contextlib
from typing import Any

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from sidecar.browser.background_tasks import BackgroundTasks
from sidecar.browser.processes.job_page import JobPage


class EventScope:
    """Starts at once in a fresh page; in a reused one, with the first document that the job opens.

    Popups that the last job's document opens before that are closed.
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
        """Whether current events of this page belong to the job."""
        return self._is_open and page not in self._foreign

    def close(self) -> None:
        """Stops listening."""
        if not self._is_open:
            _emitter(self._job_page.page).remove_listener("navigated", self._on_navigated)
            self._job_page.context.remove_listener("page", self._on_page)

    def _on_navigated(self, event: dict[str, Any]) -> None:
        if self._awaiting and "newDocument" in event and "error" not in event:
            self.close()
            self._is_open, self._job_page.has_previous_document = True, False

    def _on_page(self, page: Page) -> None:
        self._foreign.add(page)
        self._closing.start(_close(page))


async def _close(page: Page) -> None:
    with contextlib.suppress(PlaywrightError):  # it is closed already
        await page.close()


def _emitter(page: Page) -> Any:
    return page.main_frame._impl_obj._event_emitter
