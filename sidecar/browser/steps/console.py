"""Console lines and uncaught errors of a job's pages, by step: the last ones, truncated."""

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
TAIL_LINES: Final = 20
"""Console lines that the error of a failed job has."""
MAX_EVENTS: Final = 2_000
"""Console lines of one job that are received as events: each keeps kilobytes here and in the driver until its context
closes. For more lines the pages are asked at the end of each step: the driver keeps at least their last 180.
"""
_FETCH_SECONDS: Final = 10.0
ConsoleOutput = tuple[tuple[str, ...], tuple[str, ...]]
"""Console lines, and uncaught errors."""
_LineId = tuple[float, str]


class ConsoleRecorder:
    """Records all pages of a context; each step gets what came since the step before."""

    def __init__(self, job_page: JobPage, redact: Redact, scope: EventScope | None = None) -> None:
        """`redact` removes secrets from lines before they are truncated."""
        self._redact = redact
        self._job_page = job_page
        self._scope = scope or EventScope(job_page)
        self._context = job_page.context
        self._console: deque[str] = deque(maxlen=MAX_LINES)
        self._errors: deque[str] = deque(maxlen=MAX_LINES)
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        """The last lines of the steps that have ended or failed."""
        self._received = 0
        self._fetches = False
        self._last_ids: dict[Page | None, _LineId] = {}
        """The last line of each page that was recorded."""
        self._messages: list[ConsoleMessage] = []
        """Pages whose console handles would outlive the job."""
        if job_page.last_console_message:
            self._last_ids[job_page.page] = _line_id(job_page.last_console_message)
        self._context.on("console", self._on_console)
        self._context.on("weberror", self._on_web_error)

    @property
    def flooded(self) -> bool:
        """Whether the driver holds much memory for console lines until the context closes."""
        return self._fetches

    def close(self) -> None:
        """Stops listening."""
        if self._fetches:
            unmute_console(self._context)
            self._job_page.listen_to_console()
        else:
            self._context.remove_listener("console", self._on_console)
        self._context.remove_listener("weberror", self._on_web_error)
        for message in self._messages:
            dispose_console_handles(message)

    def drain(self) -> ConsoleOutput:
        """Console lines and errors since the last call; after a flood, without those that only the pages have."""
        return self._note_tail(self._cut(self._drain_raw()))

    async def drain_all(self) -> ConsoleOutput:
        """Drains completely, and redacts in a thread, since searching long lines for secrets takes a while."""
        if self._fetches:
            await self._fetch()
        said = self._drain_raw()
        long = any(len(line) > MAX_LINE_CHARS for lines in said for line in lines)
        return self._note_tail(await asyncio.to_thread(self._cut, said) if long else said)

    def _note_tail(self, said: ConsoleOutput) -> ConsoleOutput:
        self.tail.extend(said[0])
        return said

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
        """Adds a line that an action logged."""
        self._console.append(cap_length(line))

    def fail(self, line: str) -> None:
        """Adds an error that a handler of an action raised."""
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
        """Reads the console lines of the pages since the last event or reading."""
        new: list[ConsoleMessage] = []
        with contextlib.suppress(PlaywrightError, TimeoutError):  # a closed page returns nothing
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
            self._console.clear()  # lines that came as events are older than these, and no longer among the last
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
