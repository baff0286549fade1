"""Messages for people: warnings on stderr, everything in the debug log where it is asked for; secrets in neither."""

import logging
import os
import sys
from typing import Protocol


class Texts(Protocol):
    """Takes known secrets out of a text."""

    def text(self, text: str) -> str: ...  # noqa: D102


class _Redacting(logging.Formatter):
    def __init__(self, redactor: Texts) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.text(super().format(record))


def configure(debug_log: str, redactor: Texts) -> None:
    """Sets up the root logger; `debug_log` is a file (0600), none where empty."""
    formatter = _Redacting(redactor)
    stderr = logging.StreamHandler(sys.stderr)
    stderr.setLevel(logging.WARNING)
    handlers: list[logging.Handler] = [stderr]
    if debug_log:
        descriptor = os.open(debug_log, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
        os.fchmod(descriptor, 0o600)  # also where it was there before
        os.close(descriptor)
        handlers.append(logging.FileHandler(debug_log))
    root = logging.getLogger()
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
    root.setLevel(logging.DEBUG if debug_log else logging.WARNING)
    # it logs each failed job as an error, with all that was asked for; we say what is wrong ourselves
    logging.getLogger("saq").setLevel(logging.DEBUG if debug_log else logging.CRITICAL)
