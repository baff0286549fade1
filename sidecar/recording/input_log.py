"""The input log: every line of the parent, with its secrets replaced, a sequence number and a time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from sidecar.clock import Clock
from sidecar.recording.append_file import AppendFile
from sidecar.recording.redaction.redactor import Redactor, unreadable_line
from sidecar.settings import SettingsError
from sidecar.wall_clock import rfc3339

_CHECK_BATCH: Final = 64
"""Lines that are tested for secrets together; if the test fails, each is tested separately."""


class InputLog:
    """An open input log. Recording never raises: a disk error is logged once and ends it."""

    def __init__(self, path: Path, redactor: Redactor, clock: Clock, *, buffered: bool = False) -> None:
        """Opens or creates the log for appending, mode 0600. Raises OSError, also if it is not a regular file.

        With `buffered` lines are written by `flush`, and when there are many.
        """
        self._redactor = redactor
        self._clock = clock
        self._seq = 0
        self._file = AppendFile(path, "input", buffered=buffered)

    @classmethod
    def open(cls, path: Path, redactor: Redactor, clock: Clock) -> Self:
        """Opens the log that the settings name. Raises SettingsError."""
        try:
            return cls(path, redactor, clock)
        except OSError as failure:
            raise SettingsError(f"the input log {path} can't be used: {failure.strerror}") from None

    @property
    def failed(self) -> bool:
        """Whether nothing more is written."""
        return self._file.failed

    def record(self, lines: Sequence[bytes], readable: Sequence[object]) -> None:
        """Appends a batch with one write; `readable` is true for each line that is a valid request."""
        if self._file.failed:
            return
        at = rfc3339(self._clock.now(), "milliseconds")
        suffix = b',"at":"%s"}}\n' % at.encode()
        logged: list[bytes] = []
        for start in range(0, len(lines), _CHECK_BATCH):
            end = start + _CHECK_BATCH
            self._stamp(lines[start:end], readable[start:end], suffix, logged)
        self._file.write(b"".join(logged))

    def flush(self) -> None:
        """Writes what is buffered."""
        self._file.flush()

    def close(self) -> None:
        """Syncs the log to disk and closes it."""
        self._file.close()

    def _stamp(self, lines: Sequence[bytes], readable: Sequence[object], suffix: bytes, logged: list[bytes]) -> None:
        """Adds `_log` to lines without secrets without parsing them; the redactor handles the others."""
        batch = b"\n".join(lines)
        if b"\r" in batch:  # whitespace in JSON, but a line end to many readers of the log
            lines = [line.replace(b"\r", b" ") for line in lines]
        clean = all(readable) and self._redactor.is_clean(batch)
        seq = self._seq
        if clean and batch.endswith(b"}") and batch.count(b"}\n") == len(lines) - 1:
            self._seq = seq + len(lines)
            logged += [b'%s,"_log":{"seq":%d%s' % (line[:-1], at, suffix) for at, line in enumerate(lines, seq + 1)]
            return
        for index, line in enumerate(lines):
            seq += 1
            if not clean and not (readable[index] and self._redactor.is_clean(line)):
                logged.append(self._read_and_stamp(line, seq, suffix))
            elif line[-1] == 0x7D:  # }
                logged.append(b'%s,"_log":{"seq":%d%s' % (line[:-1], seq, suffix))
            else:
                logged.append(b'%s,"_log":{"seq":%d%s' % (line.rstrip()[:-1], seq, suffix))
        self._seq = seq

    def _read_and_stamp(self, line: bytes, seq: int, suffix: bytes) -> bytes:
        redacted = self._redactor.redact_request(line)
        if redacted is None:
            return b'%s,"seq":%d%s' % (unreadable_line(line)[:-2], seq, suffix)
        start = redacted.rstrip()[:-1].rstrip()
        return b'%s%s"_log":{"seq":%d%s' % (start, b"" if start.strip() == b"{" else b",", seq, suffix)
