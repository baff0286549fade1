"""stdin and stdout: lines in from one descriptor, lines out to the other, with back-pressure."""

import asyncio
import codecs
import os
import select
import stat
from collections.abc import Callable, Sequence
from typing import Final, Protocol

READ_SIZE: Final = 1 << 16
"""Bytes of one read: a pipe's capacity."""
HIGH_WATER: Final = 1 << 20
"""Unsent bytes beyond which nothing more is read, so that a parent which does not read slows us down."""
LOW_WATER: Final = 1 << 18
LINE_WEIGHT: Final = 64
"""Bytes of overhead that a queued line counts for."""


class LineSplitter:
    """Bytes in pieces of any size -> lines. A line over the limit becomes one None and is not held in memory."""

    def __init__(self, max_line: int) -> None:
        self._max_line = max_line
        self._parts: list[bytes] = []
        self._held = 0
        self._skipping = False
        self._at_start = True

    def feed(self, chunk: bytes) -> list[bytes | None]:
        """The lines that this chunk completes, without their newline."""
        if self._skipping:
            _, newline, chunk = chunk.partition(b"\n")
            if not newline:
                return []
            self._skipping = False
        lines: list[bytes | None] = list(chunk.split(b"\n"))
        tail = lines.pop() or b""
        if lines and self._parts:
            lines[0] = b"".join([*self._parts, lines[0] or b""])
            self._parts, self._held = [], 0
        if self._max_line < READ_SIZE or (lines and len(lines[0] or b"") > self._max_line):
            lines = [None if line is not None and len(line) > self._max_line else line for line in lines]
        if tail:
            self._parts.append(tail)
            self._held += len(tail)
            if self._held > self._max_line:
                self._parts, self._held, self._skipping = [], 0, True
                lines.append(None)
        return self._without_mark(lines) if self._at_start and lines else lines

    def finish(self) -> list[bytes | None]:
        """The last line, if it had no newline."""
        rest = b"".join(self._parts)
        self._parts, self._held = [], 0
        if self._at_start:
            rest = rest.removeprefix(codecs.BOM_UTF8)
        return [rest] if rest else []

    def _without_mark(self, lines: list[bytes | None]) -> list[bytes | None]:
        """The line without the byte-order mark that PowerShell and some editors write before a first line."""
        self._at_start = False
        first, *others = lines
        return [first and first.removeprefix(codecs.BOM_UTF8), *others]


class LineReader:
    """Reads lines from a descriptor of any kind and passes them on in batches, until `hold`."""

    def __init__(
        self,
        descriptor: int,
        max_line: int,
        on_lines: Callable[[Sequence[bytes | None]], None],
        on_end: Callable[[], None],
    ) -> None:
        self._descriptor = descriptor
        self._splitter = LineSplitter(max_line)
        self._on_lines = on_lines
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._polled = True
        self._holds: set[str] = set()
        self._ended = False
        self._last_chance = False

    def start(self) -> None:
        """Begins to read."""
        try:
            self._loop.add_reader(self._descriptor, self._on_readable)
        except PermissionError:  # regular files and the like of /dev/null are always ready, so epoll refuses them
            self._polled = False
            self._loop.call_soon(self._on_readable)

    def hold(self, reason: str) -> None:
        """Stops reading until every reason is released."""
        if not self._holds and self._polled and not self._ended:
            self._loop.remove_reader(self._descriptor)
        self._holds.add(reason)

    def release(self, reason: str) -> None:
        """Takes one reason back."""
        if reason in self._holds:
            self._holds.remove(reason)
            if not self._holds:
                self._resume()

    def end_when_empty(self) -> None:
        """Handles the end of our pipe's writer: its remaining input counts, and then input has ended.

        Another process may hold the pipe open, so its end might never come.
        """
        self._last_chance = True
        if not self._holds and not self._ended:
            self._on_readable()

    def stop(self) -> None:
        """Reads no more."""
        if not self._ended:
            self._ended = True
            if self._polled and not self._holds:
                self._loop.remove_reader(self._descriptor)

    def _resume(self) -> None:
        if self._ended:
            return
        if self._polled:
            self._loop.add_reader(self._descriptor, self._on_readable)
            if self._last_chance:
                self._loop.call_soon(self._on_readable)
        else:
            self._loop.call_soon(self._on_readable)

    def _on_readable(self) -> None:
        if self._ended or self._holds:
            return
        try:
            chunk = os.read(self._descriptor, READ_SIZE)
        except BlockingIOError:
            if self._last_chance:
                self._end()
            return
        except OSError:  # a terminal that hung up
            chunk = b""
        if not chunk:
            self._end()
            return
        lines = self._splitter.feed(chunk)
        if lines:
            self._on_lines(lines)
        if not self._holds and not self._ended and (self._last_chance or not self._polled):
            self._loop.call_soon(self._on_readable)

    def _end(self) -> None:
        self.stop()
        lines = self._splitter.finish()
        if lines:
            self._on_lines(lines)
        self._on_end()


class Commit(Protocol):
    """Starts to write to disk what was accepted since the last call; None if that is nothing."""

    def __call__(self) -> asyncio.Future[None] | None: ...  # noqa: D102


class LineWriter:
    """Writes lines to a descriptor, many at once. No line leaves before what it says is on disk."""

    def __init__(
        self,
        descriptor: int,
        commit: Commit,
        on_clogged: Callable[[bool], None],
        on_closed: Callable[[], None],
        on_write: Callable[[bytes], None] | None = None,
    ) -> None:
        """`on_write` takes whole lines before they are written."""
        self._descriptor = descriptor
        self._commit = commit
        self._on_write = on_write
        self._on_clogged = on_clogged
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self._lines: list[bytes] = []
        self._queued = 0
        self._on_commit_failure: dict[int, Callable[[BaseException], bytes]] = {}
        self._scheduled = False
        self._committing = False
        self._unsent = bytearray()
        self._clogged = False
        self._closed = False
        self._nothing_waits = asyncio.Event()
        self._nothing_waits.set()
        self._is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._watch_for_closing()

    def send(self, line: bytes, on_commit_failure: Callable[[BaseException], bytes] | None = None) -> None:
        """Queues one line. `on_commit_failure` makes the line to send where the disk refuses what this one promises."""
        if on_commit_failure is not None:
            self._on_commit_failure[len(self._lines)] = on_commit_failure
        self._lines.append(line)
        self._queued += len(line) + LINE_WEIGHT
        if self._queued > HIGH_WATER:
            self._nothing_waits.clear()
            self.flush()
        elif not self._scheduled:
            self._scheduled = True
            self._nothing_waits.clear()
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Writes what is queued, after the commit that it depends on."""
        self._scheduled = False
        if self._committing or not self._lines:
            self._tell_clogged()
            return
        lines, self._lines, self._queued = self._lines, [], 0
        on_commit_failure, self._on_commit_failure = self._on_commit_failure, {}
        try:
            committed = self._commit()
        except Exception as failure:  # callers that wait for these lines must not wait forever
            self._write(_answers(lines, on_commit_failure, failure))
            return
        if committed is None:
            self._write(b"".join(lines))
            return
        self._committing = True
        committed.add_done_callback(lambda done: self._on_committed(done, lines, on_commit_failure))

    async def drain(self) -> None:
        """Waits until everything queued has left, or stdout is closed."""
        self.flush()
        await self._nothing_waits.wait()

    def _on_committed(
        self,
        done: asyncio.Future[None],
        lines: list[bytes],
        on_commit_failure: dict[int, Callable[[BaseException], bytes]],
    ) -> None:
        failure = asyncio.CancelledError() if done.cancelled() else done.exception()
        self._committing = False
        self._write(_answers(lines, on_commit_failure, failure))
        self.flush()

    def _write(self, data: bytes) -> None:
        if self._closed:
            return
        if self._on_write:
            self._on_write(data)
        if not self._unsent:
            data = data[self._write_some(data) :]
            while data and self._is_file and not self._closed:  # short only where the disk is full
                data = data[self._write_some(data) :]
            if data and not self._closed:
                self._loop.add_writer(self._descriptor, self._on_writable)
        self._unsent += data
        self._tell_clogged()

    def _on_writable(self) -> None:
        del self._unsent[: self._write_some(self._unsent)]
        if self._closed or not self._unsent:
            self._loop.remove_writer(self._descriptor)
        self._tell_clogged()

    def _write_some(self, data: bytes | bytearray) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            return 0
        except OSError:
            self._close()
            return 0

    def _tell_clogged(self) -> None:
        waiting = len(self._unsent) + self._queued
        if not waiting and not self._committing:
            self._nothing_waits.set()
        if self._clogged != (waiting > (LOW_WATER if self._clogged else HIGH_WATER)):
            self._clogged = not self._clogged
            self._on_clogged(self._clogged)

    def _watch_for_closing(self) -> None:
        """A reader that goes away shows as an error on our end of a pipe, also while we have nothing to say."""
        try:
            self._loop.add_reader(self._descriptor, self._on_state)
        except OSError:  # a regular file has no reader
            return

    def _on_state(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, 0)
        # one-way closing of a socket is no reason to end: only its own side is done
        self._loop.remove_reader(self._descriptor)
        if poll.poll(0):
            self._close()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self._unsent.clear()
            self._nothing_waits.set()
            self._loop.remove_reader(self._descriptor)
            self._on_closed()


def _answers(
    lines: list[bytes], on_commit_failure: dict[int, Callable[[BaseException], bytes]], failure: BaseException | None
) -> bytes:
    """Lines as they leave once their commit has ended; one that promised what failed is replaced."""
    if failure is not None:
        for index, make in on_commit_failure.items():
            lines[index] = make(failure)
    return b"".join(lines)
