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

    def __init__(self, lent: JobPage) -> None:
        self._lent = lent
        self._begun = not lent.has_previous_document
        self._awaiting = False
        self._foreign: set[Page] = set()
        self._closing = BackgroundTasks()
        if not self._begun:
            _emitter(lent.page).on("navigated", self._hear)
            lent.context.on("page", self._meet)
            for page in lent.context.pages:
                if page is not lent.page:
                    self._meet(page)

    def await_document(self) -> None:
        """Called before the job opens its first document."""
        self._awaiting = True

    def covers(self, page: Page | None) -> bool:
        """Whether what this page tells now is the job's."""
        return self._begun and page not in self._foreign

    def end(self) -> None:
        """Listens no more."""
        if not self._begun:
            _emitter(self._lent.page).remove_listener("navigated", self._hear)
            self._lent.context.remove_listener("page", self._meet)

    def _hear(self, told: dict[str, Any]) -> None:
        if self._awaiting and "newDocument" in told and "error" not in told:
            self.end()
            self._begun, self._lent.has_previous_document = True, False

    def _meet(self, page: Page) -> None:
        self._foreign.add(page)
        self._closing.start(_close(page))


async def _close(page: Page) -> None:
    with contextlib.suppress(PlaywrightError):  # it is gone already
        await page.close()


def _emitter(page: Page) -> Any:
    return page.main_frame._impl_obj._event_emitter
