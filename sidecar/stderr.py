"""Writes to stderr without waiting: many a parent never reads it, and a full pipe would hold up everything."""

import os
import select
from typing import Final

_STDERR: Final = 2
_PIECE: Final = select.PIPE_BUF
"""Bytes that a writable pipe or socket takes at once."""


def write(text: str) -> bool:
    """Writes text as far as stderr takes it now; whether that was all of it. The rest is dropped."""
    data = text.encode(errors="backslashreplace")
    poll = select.poll()
    poll.register(_STDERR, select.POLLOUT)
    try:
        for start in range(0, len(data), _PIECE):
            if not poll.poll(0):
                return False
            os.write(_STDERR, data[start : start + _PIECE])
    except OSError:  # closed, or its reader is gone
        return False
    return True
