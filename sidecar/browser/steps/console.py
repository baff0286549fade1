"""What the pages said while a step ran: console lines and uncaught errors, the last ones, cut to length."""

import asyncio
from collections import deque
from typing import Final

from playwright.async_api import BrowserContext, ConsoleMessage, WebError

from sidecar.truncation import WHOLE, Hide, bounded, shortened

MOST_LINES: Final = 200
LONGEST_LINE: Final = 2_000
Said = tuple[tuple[str, ...], tuple[str, ...]]
"""Console lines, and errors."""


class Notes:
    """Listens to all pages of a context; each step takes what came since the one before."""

    def __init__(self, context: BrowserContext, hide: Hide) -> None:
        """`hide` takes out of a line all that is secret, where it has to be cut."""
        self._hide = hide
        self._context = context
        self._console: deque[str] = deque(maxlen=MOST_LINES)
        self._errors: deque[str] = deque(maxlen=MOST_LINES)
        context.on("console", self._hear)
        context.on("weberror", self._hear_error)

    def detach(self) -> None:
        """Hears no more."""
        self._context.remove_listener("console", self._hear)
        self._context.remove_listener("weberror", self._hear_error)

    def take(self) -> Said:
        """Console lines and errors since the last call."""
        return self._cut(self._grab())

    async def taken(self) -> Said:
        """The same; looking for secrets in lines that have to be cut takes a while, and is no work for the loop."""
        said = self._grab()
        long = any(len(line) > LONGEST_LINE for lines in said for line in lines)
        return await asyncio.to_thread(self._cut, said) if long else said

    def _grab(self) -> Said:
        said = tuple(self._console), tuple(self._errors)
        self._console.clear()
        self._errors.clear()
        return said

    def _cut(self, said: Said) -> Said:
        console, errors = (
            tuple(shortened(one, LONGEST_LINE, self._hide, whole=WHOLE) for one in lines) for lines in said
        )
        return console, errors

    def log(self, line: str) -> None:
        """Adds a line that an action wrote."""
        self._console.append(bounded(line))

    def fail(self, line: str) -> None:
        """Adds an error that an action's handlers left behind."""
        self._errors.append(bounded(line))

    def _hear(self, message: ConsoleMessage) -> None:
        self.log(message.text)

    def _hear_error(self, thrown: WebError) -> None:
        error = thrown.error
        name = getattr(error, "name", None) or "Error"
        said = getattr(error, "message", str(error))
        self.fail(said if said.startswith(name) else f"{name}: {said}")
