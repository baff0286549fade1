"""The input log: every line of the parent, with its secrets replaced, a sequence number and a time.

Lines are in the log before they are handled, but for long ones, and those that come while these are written: a thread
writes them, in their order, since 4 MB of escapes take seconds.
"""

import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, Self

from sidecar.clock import Clock
from sidecar.recording.append_file import AppendFile
from sidecar.recording.redaction.redactor import Redactor, unreadable_line
from sidecar.settings import SettingsError
from sidecar.wall_clock import rfc3339

log = logging.getLogger(__name__)

_CHECK_BATCH: Final = 64
"""Lines that are tested for secrets together; if the test fails, each is tested separately."""

LONG_LINE: Final = 32 << 10
"""Bytes of a line that a thread writes."""
MAX_WAITING: Final = 8 << 20
"""Bytes that may wait for the thread behind one long line; beyond, the caller waits until it has written some."""
_BATCH_BYTES: Final = 2_048
"""What a batch takes in memory, in addition to its lines."""


class InputLog:
    """An open input log. Recording never raises: a disk error is logged once and ends it."""

    def __init__(self, path: Path, redactor: Redactor, clock: Clock, *, buffered: bool = False) -> None:
        """Opens or creates the log for appending, mode 0600. Raises OSError, also if it is not a regular file.

        With `buffered` lines are written by `flush`, and when there are many, and all of them by the caller.
        """
        self._redactor = redactor
        self._clock = clock
        self._seq = 0
        self._file = AppendFile(path, "input", buffered=buffered)
        self._may_wait = not buffered
        self._thread: ThreadPoolExecutor | None = None
        self._waiting: deque[tuple[Future[None], int]] = deque()
        """What the thread has not written yet, in order, and its bytes."""
        self._waiting_bytes = 0

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
        self._forget_written()
        if self._waiting or (self._may_wait and max(map(len, lines), default=0) >= LONG_LINE):
            self._write_later(lines, readable, at)
        else:
            self._write(lines, readable, at)

    def _write_later(self, lines: Sequence[bytes], readable: Sequence[object], at: str) -> None:
        thread = self._started_thread()
        if thread is None:
            self._write(lines, readable, at)
            return
        size = sum(map(len, lines)) + _BATCH_BYTES
        self._waiting.append((thread.submit(self._write, lines, list(map(bool, readable)), at), size))
        self._waiting_bytes += size
        while self._waiting_bytes > MAX_WAITING and len(self._waiting) > 1:
            self._waiting[0][0].exception()
            self._forget_written()

    def _started_thread(self) -> ThreadPoolExecutor | None:
        """The thread; None where the system has no more of them, which leaves the work to the caller."""
        if self._thread is None:
            thread = ThreadPoolExecutor(1, thread_name_prefix="input-log")
            try:
                thread.submit(int)  # nothing: what is submitted without a thread stays in its queue
            except RuntimeError:
                return None
            self._thread = thread
        return self._thread

    def _forget_written(self) -> None:
        while self._waiting and self._waiting[0][0].done():
            written, size = self._waiting.popleft()
            self._waiting_bytes -= size
            if failure := written.exception():
                log.error("a line of input was not logged", exc_info=failure)

    def _wait(self) -> None:
        """Waits for the thread."""
        if self._waiting:
            self._waiting[-1][0].exception()
            self._forget_written()

    def _write(self, lines: Sequence[bytes], readable: Sequence[object], at: str) -> None:
        suffix = b',"at":"%s"}}\n' % at.encode()
        logged: list[bytes] = []
        for start in range(0, len(lines), _CHECK_BATCH):
            end = start + _CHECK_BATCH
            self._stamp(lines[start:end], readable[start:end], suffix, logged)
        self._file.write(b"".join(logged))

    def flush(self) -> None:
        """Writes what is buffered."""
        self._wait()
        self._file.flush()

    def close(self) -> None:
        """Syncs the log to disk and closes it."""
        self._wait()
        if self._thread:
            self._thread.shutdown()
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
