"""Writes to a pipe without making the writer wait: what the pipe does not take at once is written by a thread."""

import os
import select
import threading
import time
from collections import deque
from typing import Final

MAX_WAITING: Final = 64 << 20
"""Bytes that wait for the reader; then `write` waits, too."""
MAX_WAIT: Final = 30.0
"""Seconds that one `write`, or `close`, waits for the reader; then it is given up."""


class PipeWriter:
    """The writing end of a pipe. Safe to use from several threads. Writing never raises."""

    def __init__(self, pipe: int, max_waiting: int = MAX_WAITING, max_wait: float = MAX_WAIT) -> None:
        """Owns the descriptor `pipe`."""
        os.set_blocking(pipe, False)
        self._pipe = pipe
        self._max_waiting = max_waiting
        self._max_wait = max_wait
        self._changed = threading.Condition()
        self._waiting: deque[memoryview] = deque()
        self._size = 0
        self._closing = False
        self._thread: threading.Thread | None = None
        self.failed = False
        """Whether the reader is gone, or took nothing for too long."""

    def write(self, data: bytes) -> None:
        """Writes all of `data` after what was written before."""
        with self._changed:
            if self.failed or self._closing:
                return
            view = memoryview(data)
            written = 0 if self._waiting else self._write_now(view)
            if written < len(data):
                self._waiting.append(view[written:])
                self._size += len(data) - written
                self._start()
                self._changed.notify_all()
                self._wait_until(self._max_waiting)

    def close(self) -> None:
        """Writes what waits, and closes the pipe."""
        with self._changed:
            self._closing = True
            self._wait_until(0)
            self._changed.notify_all()
        if self._thread:
            self._thread.join()
        os.close(self._pipe)

    def _wait_until(self, size: int) -> None:
        """Waits until no more than `size` bytes wait; gives the reader up if it takes nothing for too long."""
        while self._size > size and not self.failed:
            before, deadline = self._size, time.monotonic() + self._max_wait
            while self._size == before and not self.failed:
                if not self._changed.wait(max(deadline - time.monotonic(), 0)) and time.monotonic() >= deadline:
                    self._give_up()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_waiting, name="recorder-pipe", daemon=True)
            self._thread.start()

    def _write_waiting(self) -> None:
        poll = select.poll()
        poll.register(self._pipe, select.POLLOUT)
        while True:
            with self._changed:
                while not self._waiting and not self._closing and not self.failed:
                    self._changed.wait()
                if not self._waiting:
                    return
            poll.poll(1000)
            with self._changed:
                while self._waiting:
                    data = self._waiting[0]
                    written = self._write_now(data)
                    self._size -= written
                    if written < len(data):
                        if self._waiting:
                            self._waiting[0] = data[written:]
                        break
                    self._waiting.popleft()
                self._changed.notify_all()

    def _write_now(self, data: memoryview) -> int:
        """How many bytes the pipe took."""
        written = 0
        try:
            while written < len(data):
                written += os.write(self._pipe, data[written:])
        except BlockingIOError:
            return written
        except OSError:
            self._give_up()
            return written
        return written

    def _give_up(self) -> None:
        self.failed = True
        self._waiting.clear()
        self._size = 0
        self._changed.notify_all()
