"""A file that lines are appended to: one write a batch, or less often if it is buffered, synced to disk by a thread."""

import logging
import os
import threading
from pathlib import Path
from typing import Final

from sidecar import files

log = logging.getLogger(__name__)

SYNC_INTERVAL: Final = 1.0
"""Seconds between syncs to disk by a thread."""
MAX_BUFFERED: Final = 1 << 20
"""Bytes of a buffered file that are not written yet."""


class AppendFile:
    """An open file. Writing never raises: a disk error is logged once and ends it."""

    def __init__(self, path: Path, contents: str, *, buffered: bool = False) -> None:
        """Opens or creates the file, mode 0600; `contents` names what is written ("input"), for the log.

        With `buffered` lines are written by `flush`, and when there are many.

        Raises OSError, also if it is not a regular file.
        """
        self._path = path
        self._contents = contents
        self._file, self._torn = _open(path)
        self.failed = False
        """Whether nothing more is written."""
        self._buffered = buffered
        self._buffer: list[bytes] = []
        self._size = 0
        self._unsynced = threading.Event()
        self._closing = threading.Event()
        self._syncer: threading.Thread | None = None

    def write(self, lines: bytes) -> None:
        """Appends whole lines with one write."""
        if not self._buffered:
            self._append(lines)
            return
        self._buffer.append(lines)
        self._size += len(lines)
        if self._size >= MAX_BUFFERED:
            self.flush()

    def flush(self) -> None:
        """Writes what is buffered."""
        if self._buffer:
            lines = b"".join(self._buffer)
            self._buffer.clear()
            self._size = 0
            self._append(lines)

    def _append(self, lines: bytes) -> None:
        if self.failed:
            return
        if self._torn:  # a previous process was interrupted while writing a line
            lines = b"\n" + lines
            self._torn = False
        try:
            written = os.write(self._file, lines)
            while written < len(lines):
                written += os.write(self._file, memoryview(lines)[written:])
        except OSError as failure:
            self._give_up(failure)
            return
        self._unsynced.set()
        if self._syncer is None:
            self._syncer = threading.Thread(target=self._keep_syncing, name=f"{self._contents}-log", daemon=True)
            self._syncer.start()

    def close(self) -> None:
        """Writes what is buffered, syncs the file to disk and closes it."""
        self.flush()
        self._closing.set()
        self._unsynced.set()
        if self._syncer:
            self._syncer.join()
        self._sync()
        os.close(self._file)
        self.failed = True

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
        if not self.failed:
            self.failed = True
            log.warning("%s is no longer logged to %s: %s", self._contents, self._path, failure.strerror or failure)


def _open(path: Path) -> tuple[int, bool]:
    """The file, and whether its last line is incomplete. Symbolic links are not followed."""
    file = files.open_file(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    try:
        size = os.fstat(file).st_size
        return file, size > 0 and os.pread(file, 1, size - 1) != b"\n"
    except BaseException:
        os.close(file)
        raise
