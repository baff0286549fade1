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

    def __init__(self, lent: JobPage, hide: Redact, time: EventScope | None = None) -> None:
        """`hide` takes out of a line all that is secret, where it has to be cut."""
        self._hide = hide
        self._lent = lent
        self._time = time or EventScope(lent)
        self._context = lent.context
        self._console: deque[str] = deque(maxlen=MAX_LINES)
        self._errors: deque[str] = deque(maxlen=MAX_LINES)
        self._heard = 0
        self._asks = False
        self._newest: dict[Page | None, _LineId] = {}
        """Of each page, the last line that was heard, or told when it was asked."""
        self._messages: list[ConsoleMessage] = []
        """Whose handles would outlive the job."""
        if lent.last_console_message:
            self._newest[lent.page] = _line_id(lent.last_console_message)
        self._context.on("console", self._hear)
        self._context.on("weberror", self._hear_error)

    @property
    def flooded(self) -> bool:
        """Whether so much was said that the driver keeps much of it as long as the context."""
        return self._asks

    def detach(self) -> None:
        """Hears no more."""
        if self._asks:
            unmute_console(self._context)
            self._lent.listen_to_console()
        else:
            self._context.remove_listener("console", self._hear)
        self._context.remove_listener("weberror", self._hear_error)
        for message in self._messages:
            dispose_console_handles(message)

    def take(self) -> ConsoleOutput:
        """Console lines and errors since the last call; of a job that says very much, those that are known here."""
        return self._cut(self._grab())

    async def taken(self) -> ConsoleOutput:
        """The same, whole. To look for secrets in lines that have to be cut takes a while, and is not for the loop."""
        if self._asks:
            await self._ask()
        said = self._grab()
        long = any(len(line) > MAX_LINE_CHARS for lines in said for line in lines)
        return await asyncio.to_thread(self._cut, said) if long else said

    def _grab(self) -> ConsoleOutput:
        said = tuple(self._console), tuple(self._errors)
        self._console.clear()
        self._errors.clear()
        return said

    def _cut(self, said: ConsoleOutput) -> ConsoleOutput:
        console, errors = (
            tuple(truncate(one, MAX_LINE_CHARS, self._hide, whole=SANDBOX_MAX) for one in lines) for lines in said
        )
        return console, errors

    def log(self, line: str) -> None:
        """Adds a line that an action wrote."""
        self._console.append(cap_length(line))

    def fail(self, line: str) -> None:
        """Adds an error that an action's handlers left behind."""
        self._errors.append(cap_length(line))

    def _hear(self, message: ConsoleMessage) -> None:
        self._newest[message.page] = _line_id(message)
        self._note(message)
        self._heard += 1
        if self._heard == MAX_EVENTS:
            self._asks = True
            self._context.remove_listener("console", self._hear)
            self._lent.ignore_console()
            mute_console(self._context)

    def _note(self, message: ConsoleMessage) -> None:
        if self._lent.is_persistent:
            self._messages.append(message)
        if self._time.covers(message.page):
            self.log(message.text)

    async def _ask(self) -> None:
        """What the pages have said since they were heard, or asked."""
        new: list[ConsoleMessage] = []
        with contextlib.suppress(PlaywrightError, TimeoutError):  # a page that is gone tells nothing more
            async with within(_FETCH_SECONDS):
                for page in self._context.pages:
                    new += self._newer(page, await page.console_messages(filter="all"))
        for message in sorted(new, key=lambda one: one.timestamp):
            self._note(message)

    def _newer(self, page: Page, messages: list[ConsoleMessage]) -> list[ConsoleMessage]:
        known, marks = self._newest.get(page), [_line_id(message) for message in messages]
        if marks:
            self._newest[page] = marks[-1]
        if known in marks:
            return messages[len(marks) - marks[::-1].index(known) :]
        if known:
            self._console.clear()  # what was heard of it came long before these, and is none of its last lines
        return messages

    def _hear_error(self, thrown: WebError) -> None:
        if not self._time.covers(thrown.page):
            return
        error = thrown.error
        name = getattr(error, "name", None) or "Error"
        said = getattr(error, "message", str(error))
        self.fail(said if said.startswith(name) else f"{name}: {said}")


def _line_id(message: ConsoleMessage) -> _LineId:
    return message.timestamp, message.text
