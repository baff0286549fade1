"""The parent's descriptors. Takes 0 and 1 for the protocol: nothing else can read or write there."""

import os
import stat
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Descriptors:
    """The protocol's own descriptors; they don't block and no child inherits them."""

    lines_in: int
    lines_out: int
    parent: int
    """Process that spawned us; `os.getppid` says another one when it is dead."""


def claim_stdio() -> Descriptors:
    """Moves the protocol away from 0 and 1: reads of 0 find its end, writes to 1 go to stderr."""
    null = os.open(os.devnull, os.O_RDWR)
    while null <= 2:  # one of the three is closed, and this took its place
        null = os.dup(null)
    lines_in = _unblocked(os.dup(0), os.O_RDONLY)
    lines_out = _unblocked(os.dup(1), os.O_WRONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    return Descriptors(lines_in, lines_out, os.getppid())


def write_first(descriptor: int, line: bytes) -> None:
    """Writes a short first line, before there is a loop that could wait; a closed stdout is noticed later."""
    try:
        os.write(descriptor, line)
    except OSError:
        return


def _unblocked(descriptor: int, direction: int) -> int:
    """A non-blocking descriptor of the same file.

    Pipes and terminals are reopened, because O_NONBLOCK belongs to the open file, which the shell or a sibling may
    share. A regular file never blocks, and reopening it would lose its offset.
    """
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        try:
            anew = os.open(f"/proc/self/fd/{descriptor}", direction | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:  # another user's pipe, or no /proc
            os.set_blocking(descriptor, False)
            return descriptor
        os.close(descriptor)
        return anew
    os.set_blocking(descriptor, False)
    return descriptor
