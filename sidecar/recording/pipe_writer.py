"""Writes to a pipe without making the writer wait: what the pipe does not take at once is written by a thread."""

import os
import threading
import time
from collections import deque
from itertools import islice
from typing import Final

MAX_WAITING: Final = 64 << 20
"""Bytes that wait for the reader; then `write` waits, too."""
MAX_WAIT: Final = 30.0
"""Seconds that one `write`, or `close`, waits for the reader; then it is given up."""
_RETRY_SECONDS: Final = 0.005
"""Between two attempts of the thread. If it waited for the pipe itself, a busy reader would wake it after each read,
and each time it takes the interpreter away from the session."""
_MAX_PARTS: Final = 64
"""Of one write; the system takes up to 1,024."""


class PipeWriter:
    """The writing end of a pipe. Safe to use from several threads. Writing never raises."""

    def __init__(self, pipe: int, max_waiting: int = MAX_WAITING, max_wait: float = MAX_WAIT) -> None:
        """Owns the descriptor `pipe`."""
        os.set_blocking(pipe, False)
        self._pipe = pipe
        self._max_waiting = max_waiting
        self._max_wait = max_wait
        self._changed = threading.Condition()
        self._waiting: deque[bytes | memoryview] = deque()
        self._size = 0
        self._closing = False
        self._thread: threading.Thread | None = None
        self._thread_is_idle = False
        self._waiters = 0
        """Calls that wait for the reader."""
        self.failed = False
        """Whether the reader is gone, or took nothing for too long."""

    def write(self, *parts: bytes) -> None:
        """Writes all parts, one after the other, after what was written before. None of them is copied."""
        with self._changed:
            if self.failed or self._closing:
                return
            self._waiting += parts
            self._size += sum(map(len, parts))
            self._write_some()
            if self._size:
                self._start()
                self._wait_until(self._max_waiting)

    def close(self) -> None:
        """Writes what waits, and closes the pipe."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            self._wait_until(0)
        if self._thread:
            self._thread.join()
        os.close(self._pipe)

    def _wait_until(self, size: int) -> None:
        """Waits until no more than `size` bytes wait; gives the reader up if it takes nothing for too long."""
        self._waiters += 1
        while self._size > size and not self.failed:
            before, deadline = self._size, time.monotonic() + self._max_wait
            while self._size == before and not self.failed:
                if not self._changed.wait(max(deadline - time.monotonic(), 0)) and time.monotonic() >= deadline:
                    self._give_up()
        self._waiters -= 1

    def _start(self) -> None:
        """Lets the thread write what waits."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_waiting, name="recorder-pipe", daemon=True)
            self._thread.start()
        elif self._thread_is_idle:
            self._changed.notify_all()

    def _write_waiting(self) -> None:
        with self._changed:
            while not self.failed:
                self._write_some()
                if self._size:
                    self._changed.wait(_RETRY_SECONDS)
                elif self._closing:
                    return
                else:
                    self._thread_is_idle = True
                    self._changed.wait()
                    self._thread_is_idle = False

    def _write_some(self) -> None:
        """Writes as much as the pipe takes."""
        before = self._size
        try:
            while self._size:
                self._forget(os.writev(self._pipe, [*islice(self._waiting, _MAX_PARTS)]))
        except BlockingIOError:
            pass
        except OSError:
            self._give_up()
        if self._waiters and self._size != before:
            self._changed.notify_all()

    def _forget(self, written: int) -> None:
        """Drops what was written."""
        self._size -= written
        while written:
            first = self._waiting.popleft()
            if len(first) > written:
                self._waiting.appendleft(memoryview(first)[written:])
            written -= min(len(first), written)

    def _give_up(self) -> None:
        self.failed = True
        self._waiting.clear()
        self._size = 0
        self._changed.notify_all()
