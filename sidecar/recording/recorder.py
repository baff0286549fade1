"""The process that records a session: reads frames from stdin, writes the recording's files.

Warnings for the session's log go to stdout, one a line. It ends with its stdin; when the session's process has died, it
writes what that had sent, and is gone within two seconds.
"""

import logging
import os
import pickle
import select
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Final

from sidecar.clock import Clock
from sidecar.recording.frames import CALL, ENDING_SIGNALS, INPUT, OUTPUT, Frame, read_frames
from sidecar.recording.recording_folder import RecordingFolder
from sidecar.recording.session_recording import SessionRecording

_BUFFER: Final = 1 << 20
_LAST_SECONDS: Final = 1.5
"""How long it may write on after the session's process has died."""


class _FrameClock:
    """The time at which the session handed the current frame over."""

    def __init__(self) -> None:
        self.frame = Frame(CALL, 0.0, 0.0, b"")

    def clock(self) -> Clock:
        return Clock(now=lambda: self.frame.at, monotonic=lambda: self.frame.monotonic)


def main(folder: str, lock: str) -> None:
    """Records one session into a folder that its process has claimed; `lock` is the descriptor of its lock."""
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.WARNING)
    logging.raiseExceptions = False  # the session's process may be gone
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    time_of = _FrameClock()
    with os.fdopen(0, "rb", buffering=_BUFFER) as stdin:
        frames = read_frames(stdin)
        first = next(frames, None)
        if first is None:
            return
        manifest, max_bytes, key = pickle.loads(first.payload)  # noqa: S301 - from the session's own process
        claimed = RecordingFolder(Path(folder), int(lock))
        recording = SessionRecording(claimed, manifest, max_bytes, time_of.clock(), key)
        ended = False
        for frame in frames:
            time_of.frame = frame
            ended = not _apply(frame, recording)
        recording.close(ended=ended)


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


def _end_with_parent() -> None:
    """Ends the process some time after the reader of its stdout has gone."""
    poll = select.poll()
    poll.register(1, 0)
    poll.poll()
    time.sleep(_LAST_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
