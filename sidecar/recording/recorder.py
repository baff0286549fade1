"""The process that records a session: reads frames from stdin, writes the recording's files.

It works at a low priority, so that a session on a busy machine is not slowed down; the writer of the pipe bounds what
waits meanwhile. Warnings for the session's log go to stdout, one a line. It ends with its stdin; when the session's
process has died, it writes what that had sent, at the usual priority, and is gone within two seconds.
"""

import gc
import io
import logging
import os
import pickle
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from sidecar_protocol import codec

from sidecar.clock import Clock
from sidecar.recording.frames import CALL, ENDING_SIGNALS, INPUT, OUTPUT, Frame, read_frames
from sidecar.recording.recording_folder import RecordingFolder
from sidecar.recording.session_recording import SessionRecording

_BUFFER: Final = 1 << 20
_FEW_BYTES: Final = 1 << 16
"""After a smaller read it waits for more."""
_GATHER_SECONDS: Final = 0.002
"""How long it waits. Each frame would wake it otherwise, which the session pays for."""
_LAST_SECONDS: Final = 1.5
"""How long it may write on after the session's process has died."""
_LOWER_PRIORITY: Final = 10
"""Than that of the session, as `nice` counts."""
_PYTHON_FRAMES: Final = 200
"""Levels of recursion for our own calls, as in a session."""
_COLLECT_AFTER: Final = 100_000
"""Objects: what is recorded has no cycles, and much of it waits for its reply."""


class _GatheringPipe(io.RawIOBase):
    """Reads a pipe in large pieces, so that frames pile up while a session is busy."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._last = _FEW_BYTES
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self.before_wait: Callable[[], None] | None = None
        """Is called when nothing or little has come, before it waits for more."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._last < _FEW_BYTES or not self._poll.poll(0):
            if self.before_wait:
                self.before_wait()
            time.sleep(_GATHER_SECONDS)
        self._last = os.readv(self._descriptor, [buffer])
        return self._last


class _FrameClock:
    """The time at which the session handed the current frame over."""

    def __init__(self) -> None:
        self.frame = Frame(CALL, 0.0, 0.0, b"")

    def clock(self) -> Clock:
        return Clock(now=lambda: self.frame.at, monotonic=lambda: self.frame.monotonic)


class _Work:
    """Records frame by frame until the last one: in the background, until it is taken over."""

    def __init__(self, frames: Iterator[Frame], recording: SessionRecording, time_of: _FrameClock) -> None:
        self._frames = frames
        self._recording = recording
        self._time_of = time_of
        self._turn = threading.Lock()
        self._done = self._is_taken_over = False
        self.failure: BaseException | None = None

    def run_in_background(self, on_end: int) -> None:
        """Records at a low priority; closes the descriptor `on_end` at the end."""
        os.nice(_LOWER_PRIORITY)  # of this thread alone
        while not (self._done or self._is_taken_over):
            with self._turn:
                self._take_one()
        os.close(on_end)

    def take_over(self) -> None:
        """Records what is left, at the priority of the calling thread; that of the other can only be lowered."""
        self._is_taken_over = True
        with self._turn:
            while not self._done:
                self._take_one()

    def _take_one(self) -> None:
        try:
            frame = next(self._frames, None)
            if frame is not None:
                self._time_of.frame = frame
            if frame is None or not _apply(frame, self._recording):
                self._done = True
                self._recording.close(ended=frame is not None)
        except BaseException as failure:
            self._done, self.failure = True, failure


def main(folder: str, lock: str) -> None:
    """Records one session into a folder that its process has claimed; `lock` is the descriptor of its lock."""
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.WARNING)
    logging.raiseExceptions = False  # the session's process may be gone
    sys.setrecursionlimit(codec.MAX_NESTING + _PYTHON_FRAMES)
    time_of, pipe = _FrameClock(), _GatheringPipe(0)
    frames = read_frames(io.BufferedReader(pipe, _BUFFER))
    first = next(frames, None)
    if first is None:
        return
    manifest, max_bytes, key = pickle.loads(first.payload)  # noqa: S301 - from the session's own process
    claimed = RecordingFolder(Path(folder), int(lock))
    recording = SessionRecording(claimed, manifest, max_bytes, time_of.clock(), key)
    pipe.before_wait = recording.flush
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
    work = _Work(frames, recording, time_of)
    ended, on_end = os.pipe()
    threading.Thread(target=work.run_in_background, args=(on_end,), name="recording", daemon=True).start()
    if _parent_is_gone(ended):
        threading.Thread(target=_exit_late, name="end", daemon=True).start()
        work.take_over()
    if work.failure:
        raise work.failure


def _apply(frame: Frame, recording: SessionRecording) -> bool:
    """Records one frame; False for the last one."""
    if frame.kind == INPUT:
        recording.record(frame.payload.split(b"\n"))
    elif frame.kind == OUTPUT:
        recording.record_sent(frame.payload)
    elif frame.kind == CALL:
        name, arguments = pickle.loads(frame.payload)  # noqa: S301 - from the session's own process
        getattr(recording, name)(*arguments)
    else:
        return False
    return True


def _parent_is_gone(ended: int) -> bool:
    """Waits until the reader of stdout has gone: True; or until everything is recorded: False."""
    poll = select.poll()
    poll.register(1, 0)
    poll.register(ended, 0)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if ended in ready:
            return False
        if 1 in ready:
            return True


def _exit_late() -> None:
    time.sleep(_LAST_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
