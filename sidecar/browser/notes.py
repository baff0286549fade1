"""What a page said while a step ran: console lines and uncaught errors, the last ones, cut to length."""

from collections import deque
from typing import Final

from playwright.async_api import ConsoleMessage, Page
from playwright.async_api import Error as PlaywrightError

MOST_LINES: Final = 200
LONGEST_LINE: Final = 2_000


class Notes:
    """Listens to a page from its beginning; each step takes what came since the one before."""

    def __init__(self, page: Page) -> None:
        self._console: deque[str] = deque(maxlen=MOST_LINES)
        self._errors: deque[str] = deque(maxlen=MOST_LINES)
        page.on("console", self._hear)
        page.on("pageerror", self._fail)

    def take(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Console lines and errors since the last call."""
        taken = tuple(self._console), tuple(self._errors)
        self._console.clear()
        self._errors.clear()
        return taken

    def _hear(self, message: ConsoleMessage) -> None:
        self._console.append(message.text[:LONGEST_LINE])

    def _fail(self, error: PlaywrightError) -> None:
        name = error.name or "Error"
        said = error.message
        self._errors.append((said if said.startswith(name) else f"{name}: {said}")[:LONGEST_LINE])
