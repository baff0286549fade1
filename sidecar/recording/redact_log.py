"""`sidecar redact FILE`: a log of input, such as RT-CV scraper client v1 wrote it, without its secrets."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from sidecar.recording.redaction.redactor import Redactor

MAX_REMEMBERED: Final = 100_000


def redact_log(path: Path, out: IO[bytes]) -> int:
    """Writes the log with its secrets replaced by `**********`; gives the number of lines that were no JSON.

    It is read twice: a secret may stand in a line before the one that says that it is one. A line that is no JSON
    object may hold half a secret, so only its length is written. Raises OSError.
    """
    redactor, unreadable = Redactor(max_remembered=MAX_REMEMBERED), 0
    for line in _lines(path):
        redactor.redact_request(line)  # remembers what it finds
    for line in _lines(path):
        redacted = redactor.redact_request(line)
        unreadable += redacted is None
        out.write((redacted if redacted is not None else redactor.redact_line(line)) + b"\n")
    return unreadable


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as log:
        for line in log:
            if line.strip():
                yield line.strip()
