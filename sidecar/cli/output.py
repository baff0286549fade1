"""Standard output of the commands: it may be closed, and its reader may leave early."""

import io
import os
import sys
from pathlib import Path
from typing import IO, TextIO


def standard_output() -> TextIO:
    """Standard output; a sink if the process was started without one."""
    return sys.stdout or Path(os.devnull).open("w", encoding="utf-8")


def discard_output(out: IO[str]) -> None:
    """Sends what is still buffered nowhere: the interpreter would try to write it at exit, and fail."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, out.fileno())
    os.close(sink)


def flush_output() -> None:
    """Writes what is buffered, while Ctrl-C can still end the wait for a reader."""
    if sys.stdout is not None:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            discard_output(sys.stdout)


def print_text(text: str) -> int:
    """Prints text, in spite of characters that the terminal can't show; gives 0, also if the reader has left early."""
    out = standard_output()
    if isinstance(out, io.TextIOWrapper):
        out.reconfigure(errors="backslashreplace")
    try:
        out.write(text)
        out.flush()
    except BrokenPipeError:
        discard_output(out)
    return 0
