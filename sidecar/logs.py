"""Messages for people: warnings on stderr, everything in the debug log where it is asked for; secrets in neither.

On stderr nothing is said twice within seconds.
"""

import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

REPEAT_INTERVAL: Final = 10.0
"""What was said on stderr is not said again for so long: a full disk is met several times a second."""
MAX_REMEMBERED: Final = 100
"""So many different messages are kept in mind."""


class _RedactingFormatter(logging.Formatter):
    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))


class RateLimitFilter(logging.Filter):
    """Lets a message through at most every `REPEAT_INTERVAL`; one with a traceback always."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = monotonic
        self._last_logged: dict[tuple[str, int, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is to be said."""
        if record.exc_info:
            return True
        now, message = self._now(), (record.name, record.levelno, record.getMessage())
        if now - self._last_logged.get(message, -REPEAT_INTERVAL) < REPEAT_INTERVAL:
            return False
        self._last_logged.pop(message, None)
        self._last_logged[message] = now
        if len(self._last_logged) > MAX_REMEMBERED:
            del self._last_logged[next(iter(self._last_logged))]
        return True


def _strip_contents(record: logging.LogRecord) -> bool:
    """Has SAQ's lines tell of a job by its short form, without what was asked for or said of it; lets all pass."""
    if isinstance(record.args, tuple):
        record.args = tuple(_short_form(value) for value in record.args)
    record.exc_info = None  # what failed is told by whoever ran it, with its secrets taken out
    return True


def _short_form(value: object) -> object:
    info = getattr(value, "info", None)
    return info() if callable(info) else value


def configure(debug_log: str, redact: Callable[[str], str]) -> None:
    """Sets up the root logger; `debug_log` is a file (0600), none where empty."""
    formatter = _RedactingFormatter(redact)
    stderr = logging.StreamHandler(sys.stderr)
    stderr.setLevel(logging.WARNING)
    stderr.addFilter(RateLimitFilter())
    handlers: list[logging.Handler] = [stderr]
    if debug_log:
        from sidecar import files  # late: few sessions have one

        os.close(files.open_file(Path(debug_log), os.O_CREAT | os.O_WRONLY))
        handlers.append(logging.FileHandler(debug_log))
    root = logging.getLogger()
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
    root.setLevel(logging.DEBUG if debug_log else logging.WARNING)
    # it logs each failed job as an error, with all that was asked for; we say what is wrong ourselves
    saq = logging.getLogger("saq")
    saq.setLevel(logging.INFO if debug_log else logging.CRITICAL)  # for DEBUG it tells of a job's content, too
    saq.addFilter(_strip_contents)
