"""What a session hands to the process that records it: frames with a kind, the time and a payload."""

import signal
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

INPUT: Final = 1
"""Lines of input, joined by newlines; a line over the limit is empty."""
OUTPUT: Final = 2
"""Whole lines of output."""
CALL: Final = 3
"""A pickled method name of `SessionRecording` with its arguments."""
CLOSE: Final = 4
"""The session is over; without it the session's process has died."""
ENDING_SIGNALS: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
"""Signals that the recording process leaves to the session's."""
_HEADER: Final = struct.Struct("<BQdd")


class Frame(NamedTuple):
    """One frame."""

    kind: int
    at: float
    """Unix time."""
    monotonic: float
    """Monotonic seconds."""
    payload: bytes


def encode_frame(frame: Frame) -> tuple[bytes, bytes]:
    """The frame as bytes, in two parts: what is long is not copied."""
    return _HEADER.pack(frame.kind, len(frame.payload), frame.at, frame.monotonic), frame.payload


class Reader(Protocol):
    """What frames are read from: a binary file."""

    def read(self, size: int, /) -> bytes:
        """As many bytes, or less at the end."""


def read_frames(stream: Reader) -> Iterator[Frame]:
    """The frames of a stream to its end; one that was cut off is left out."""
    while len(header := stream.read(_HEADER.size)) == _HEADER.size:
        kind, size, at, monotonic = _HEADER.unpack(header)
        payload = stream.read(size)
        if len(payload) < size:
            return
        yield Frame(kind, at, monotonic, payload)
