"""Logging: warnings on stderr, and everything in an optional debug log, both without secrets.

Repeated messages on stderr are suppressed for some seconds.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sidecar import stderr
from sidecar.settings import SettingsError
from sidecar.work_log import LOGGER, WorkLine

REPEAT_INTERVAL: Final = 10.0
"""Seconds for which a repeated message is suppressed: a full disk fails several times a second."""
MAX_REMEMBERED: Final = 100
"""The number of messages that are remembered."""


class _RedactingFormatter(logging.Formatter):
    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))


class _JsonFormatter(logging.Formatter):
    """An object a line: `at`, `level`, `logger`, then `message` (and `traceback`), or an event and its fields."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        from datetime import UTC, datetime  # late: few logs are JSON

        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        said: dict[str, Any] = {
            "at": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        work = record.args[0] if isinstance(record.args, tuple) and record.args else None
        if isinstance(work, WorkLine):
            said |= {"event": work.event, **work.fields}
        else:
            said["message"] = record.getMessage()
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        # each text before it is encoded, and the whole once more: a secret may be part of several
        hidden = {name: self._redact(value) if isinstance(value, str) else value for name, value in said.items()}
        return self._redact(json.dumps(hidden, ensure_ascii=False, default=str))


class RateLimitFilter(logging.Filter):
    """Lets a message through at most every `REPEAT_INTERVAL`; one with a traceback always."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = monotonic
        self._last_logged: dict[tuple[str, int, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the message is logged."""
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


class StderrHandler(logging.Handler):
    """Writes messages to stderr. Those that it has no room for are dropped; the next one says how many."""

    def __init__(self, write: Callable[[str], bool] = stderr.write) -> None:
        super().__init__()
        self._write = write
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one message, or drops it."""
        missing = f"({self._lost} messages are missing here: stderr was not read)\n" if self._lost else ""
        if self._write(f"{missing}{self.format(record)}\n"):
            self._lost = 0
        else:
            self._lost += 1


def _strip_contents(record: logging.LogRecord) -> bool:
    """Shortens jobs in SAQ's messages to their identity, without content or errors; lets all messages pass."""
    if isinstance(record.args, tuple):
        record.args = tuple(_short_form(value) for value in record.args)
    record.exc_info = None  # the executor logs the failure, redacted
    return True


def _short_form(value: object) -> object:
    info = getattr(value, "info", None)
    return info() if callable(info) else value


def configure(
    debug_log: str, redact: Callable[[str], str], log_format: str = "text", *, work_on_stderr: bool = False
) -> None:
    """Sets up the root logger; `debug_log` is a file (mode 0600), or empty for none. Raises SettingsError.

    `log_format` is `text` or `json`. `work_on_stderr`: stderr gets a line for each job, delivery, task and login.
    """
    formatter = _JsonFormatter(redact) if log_format == "json" else _RedactingFormatter(redact)
    handlers: list[logging.Handler] = []
    if sys.stderr is not None:  # descriptor 2 is open
        warnings = StderrHandler()
        warnings.setLevel(logging.WARNING)
        warnings.addFilter(RateLimitFilter())
        handlers.append(warnings)
    if debug_log:
        from sidecar import files  # late: few sessions have one

        try:
            os.close(files.open_file(Path(debug_log), os.O_CREAT | os.O_WRONLY))
            handlers.append(logging.FileHandler(debug_log))
        except OSError as failure:
            raise SettingsError(f"the debug log {debug_log} can't be used: {failure.strerror}") from None
    root = logging.getLogger()
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
    root.setLevel(logging.DEBUG if debug_log else logging.WARNING)
    if work_on_stderr and sys.stderr is not None:
        of_work, lines = logging.getLogger(LOGGER), StderrHandler()
        lines.setFormatter(formatter)
        of_work.addHandler(lines)
        of_work.setLevel(logging.INFO)
    # SAQ logs each failed job as an error with its content; the queue logs failures itself
    saq = logging.getLogger("saq")
    saq.setLevel(logging.INFO if debug_log else logging.CRITICAL)  # at DEBUG it also logs a job's content
    saq.addFilter(_strip_contents)
