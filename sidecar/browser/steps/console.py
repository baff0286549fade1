"""What the pages said while a step ran: console lines and uncaught errors, the last ones, cut to length."""

import asyncio
import contextlib
from collections import deque
from typing import Final

from playwright.async_api import ConsoleMessage, Page, WebError
from playwright.async_api import Error as PlaywrightError

from sidecar.browser.processes.driver import dispose_console_handles, mute_console, unmute_console
from sidecar.browser.processes.job_page import JobPage
from sidecar.browser.steps.event_scope import EventScope
from sidecar.clock import within
from sidecar.truncation import SANDBOX_MAX, Redact, cap_length, truncate

MAX_LINES: Final = 200
MAX_LINE_CHARS: Final = 2_000
MAX_EVENTS: Final = 2_000
"""Lines of one job that are heard as they come: each keeps kilobytes here and in the driver, as long as the context. Of
a job that says more, the pages are asked at the end of each step: the driver has their last lines, 180 at least."""
_FETCH_SECONDS: Final = 10.0
ConsoleOutput = tuple[tuple[str, ...], tuple[str, ...]]
"""Console lines, and errors."""
_LineId = tuple[float, str]


class ConsoleRecorder:
    """Listens to all pages of a context; each step takes what came since the one before."""

    def __init__(self, job_page: JobPage, redact: Redact, scope: EventScope | None = None) -> None:
        """`redact` takes out of a line all that is secret, where it has to be cut."""
        self._redact = redact
        self._job_page = job_page
        self._scope = scope or EventScope(job_page)
        self._context = job_page.context
        self._console: deque[str] = deque(maxlen=MAX_LINES)
        self._errors: deque[str] = deque(maxlen=MAX_LINES)
        self._received = 0
        self._fetches = False
        self._last_ids: dict[Page | None, _LineId] = {}
        """Of each page, the last line that was heard, or told when it was asked."""
        self._messages: list[ConsoleMessage] = []
        """Whose handles would outlive the job."""
        if job_page.last_console_message:
            self._last_ids[job_page.page] = _line_id(job_page.last_console_message)
        self._context.on("console", self._on_console)
        self._context.on("weberror", self._on_web_error)

    @property
    def flooded(self) -> bool:
        """Whether so much was said that the driver keeps much of it as long as the context."""
        return self._fetches

    def close(self) -> None:
        """Hears no more."""
        if self._fetches:
            unmute_console(self._context)
            self._job_page.listen_to_console()
        else:
            self._context.remove_listener("console", self._on_console)
        self._context.remove_listener("weberror", self._on_web_error)
        for message in self._messages:
            dispose_console_handles(message)

    def drain(self) -> ConsoleOutput:
        """Console lines and errors since the last call; of a job that says very much, those that are known here."""
        return self._cut(self._drain_raw())

    async def drain_all(self) -> ConsoleOutput:
        """The same, whole. To look for secrets in lines that have to be cut takes a while, and is not for the loop."""
        if self._fetches:
            await self._fetch()
        said = self._drain_raw()
        long = any(len(line) > MAX_LINE_CHARS for lines in said for line in lines)
        return await asyncio.to_thread(self._cut, said) if long else said

    def _drain_raw(self) -> ConsoleOutput:
        said = tuple(self._console), tuple(self._errors)
        self._console.clear()
        self._errors.clear()
        return said

    def _cut(self, said: ConsoleOutput) -> ConsoleOutput:
        console, errors = (
            tuple(truncate(one, MAX_LINE_CHARS, self._redact, whole=SANDBOX_MAX) for one in lines) for lines in said
        )
        return console, errors

    def log(self, line: str) -> None:
        """Adds a line that an action wrote."""
        self._console.append(cap_length(line))

    def fail(self, line: str) -> None:
        """Adds an error that an action's handlers left behind."""
        self._errors.append(cap_length(line))

    def _on_console(self, message: ConsoleMessage) -> None:
        self._last_ids[message.page] = _line_id(message)
        self._record(message)
        self._received += 1
        if self._received == MAX_EVENTS:
            self._fetches = True
            self._context.remove_listener("console", self._on_console)
            self._job_page.ignore_console()
            mute_console(self._context)

    def _record(self, message: ConsoleMessage) -> None:
        if self._job_page.is_persistent:
            self._messages.append(message)
        if self._scope.covers(message.page):
            self.log(message.text)

    async def _fetch(self) -> None:
        """What the pages have said since they were heard, or asked."""
        new: list[ConsoleMessage] = []
        with contextlib.suppress(PlaywrightError, TimeoutError):  # a page that is gone tells nothing more
            async with within(_FETCH_SECONDS):
                for page in self._context.pages:
                    new += self._new_messages(page, await page.console_messages(filter="all"))
        for message in sorted(new, key=lambda one: one.timestamp):
            self._record(message)

    def _new_messages(self, page: Page, messages: list[ConsoleMessage]) -> list[ConsoleMessage]:
        known, ids = self._last_ids.get(page), [_line_id(message) for message in messages]
        if ids:
            self._last_ids[page] = ids[-1]
        if known in ids:
            return messages[len(ids) - ids[::-1].index(known) :]
        if known:
            self._console.clear()  # what was heard of it came long before these, and is none of its last lines
        return messages

    def _on_web_error(self, thrown: WebError) -> None:
        if not self._scope.covers(thrown.page):
            return
        error = thrown.error
        name = getattr(error, "name", None) or "Error"
        said = getattr(error, "message", str(error))
        self.fail(said if said.startswith(name) else f"{name}: {said}")


def _line_id(message: ConsoleMessage) -> _LineId:
    return message.timestamp, message.text
