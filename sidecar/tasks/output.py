"""What a script of a task writes, as much of it as is kept."""

from collections import deque
from typing import Final

MAX_OUTPUT_LINES: Final = 200
MAX_OUTPUT_CHARS: Final = 64 * 1024
"""Characters of one run's output that are kept, the last ones."""


class ScriptOutput:
    """What a script writes to its console, and the errors that nobody caught."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque()
        self._size = 0
        self.cut = False

    def log(self, line: str) -> None:
        """One line; the oldest make room for it."""
        self._lines.append(line)
        self._size += len(line)
        while len(self._lines) > MAX_OUTPUT_LINES or (self._size > MAX_OUTPUT_CHARS and len(self._lines) > 1):
            self._size -= len(self._lines.popleft())
            self.cut = True

    def fail(self, line: str) -> None:
        """One error."""
        self.log(f"uncaught {line}")

    @property
    def lines(self) -> tuple[str, ...]:
        """What is kept."""
        return tuple(self._lines)
