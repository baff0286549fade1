"""The input log: every line of the parent, with its secrets replaced, a sequence number and a time."""

import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sidecar import files
from sidecar.clock import Clock
from sidecar.recording.redaction.redactor import Redactor, unreadable_line
from sidecar.wall_clock import rfc3339

log = logging.getLogger(__name__)

SYNC_INTERVAL: Final = 1.0
"""Seconds between syncs to disk by a thread."""
_CHECK_BATCH: Final = 64
"""Lines that are tested for secrets together; if the test fails, each is tested by itself."""


class InputLog:
    """An open input log. Recording never raises: a disk error is logged once and ends it."""

    def __init__(self, path: Path, redactor: Redactor, clock: Clock) -> None:
        """Opens or creates the log for appending, mode 0600. Raises OSError, also if it is not a regular file."""
        self._path = path
        self._redactor = redactor
        self._clock = clock
        self._seq = 0
        self._file, self._torn = _open(path)
        self._failed = False
        self._unsynced = threading.Event()
        self._closing = threading.Event()
        self._syncer: threading.Thread | None = None

    def record(self, lines: Sequence[bytes], readable: Sequence[bool]) -> None:
        """Appends a batch with one write; `readable` says for each line whether it is a valid request."""
        if self._failed:
            return
        at = rfc3339(self._clock.now(), "milliseconds")
        suffix = b',"at":"%s"}}\n' % at.encode()
        logged: list[bytes] = []
        for start in range(0, len(lines), _CHECK_BATCH):
            end = start + _CHECK_BATCH
            self._stamp(lines[start:end], readable[start:end], suffix, logged)
        self._write(b"".join(logged))

    def close(self) -> None:
        """Syncs the log to disk and closes it."""
        self._closing.set()
        self._unsynced.set()
        if self._syncer:
            self._syncer.join()
        self._sync()
        os.close(self._file)
        self._failed = True

    def _stamp(self, lines: Sequence[bytes], readable: Sequence[bool], suffix: bytes, logged: list[bytes]) -> None:
        """Adds `_log` to lines without secrets without parsing them; the redactor handles the others."""
        batch = b"\n".join(lines)
        if b"\r" in batch:  # whitespace in JSON, but a line end to many readers of the log
            lines = [line.replace(b"\r", b" ") for line in lines]
        clean = self._redactor.is_clean(batch) and False not in readable
        seq = self._seq
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

    def _write(self, batch: bytes) -> None:
        if self._torn:  # a previous process was interrupted while writing a line
            batch = b"\n" + batch
            self._torn = False
        try:
            written = os.write(self._file, batch)
            while written < len(batch):
                written += os.write(self._file, memoryview(batch)[written:])
        except OSError as failure:
            self._give_up(failure)
            return
        self._unsynced.set()
        if self._syncer is None:
            self._syncer = threading.Thread(target=self._keep_syncing, name="input-log", daemon=True)
            self._syncer.start()

    def _keep_syncing(self) -> None:
        while not self._closing.is_set():
            self._unsynced.wait()
            self._unsynced.clear()
            self._sync()
            self._closing.wait(SYNC_INTERVAL)

    def _sync(self) -> None:
        try:
            os.fdatasync(self._file)
        except OSError as failure:
            self._give_up(failure)

    def _give_up(self, failure: OSError) -> None:
        if not self._failed:
            self._failed = True
            log.warning("input is no longer logged to %s: %s", self._path, failure.strerror or failure)


def _open(path: Path) -> tuple[int, bool]:
    """The file, and whether its last line is incomplete. Symbolic links are not followed."""
    file = files.open_file(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    try:
        size = os.fstat(file).st_size
        return file, size > 0 and os.pread(file, 1, size - 1) != b"\n"
    except BaseException:
        os.close(file)
        raise
