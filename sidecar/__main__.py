"""`python -m sidecar`, and the console script."""

import gc
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn


def _leave_the_folder() -> None:
    """`python -m` looks for modules in the working folder first, where a scraper may have a `protocol.py`."""
    try:
        here = Path.cwd()
    except OSError:  # it was removed meanwhile, so nothing is found in it
        return
    if not sys.flags.safe_path and sys.path and sys.path[0] in ("", str(here)):
        root = Path(__file__).resolve().parent.parent
        if root != here:
            del sys.path[0]


def _interrupted(*_: object) -> None:
    os.write(2, b"sidecar: interrupted\n")
    os._exit(128 + signal.SIGINT)


if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _interrupted)  # until a session or a command has a handler of its own
_leave_the_folder()
gc.disable()  # what is imported stays: to look through all of it, again and again, takes a twentieth of a start

from sidecar.cli.main import main as run  # noqa: E402  after the folder was left

gc.freeze()
gc.enable()


def main() -> None:
    """Runs the command line and leaves with its exit code."""
    _leave(run(sys.argv[1:]))


def _leave(code: int) -> NoReturn:
    """Ends the process. All is closed by now: to take 600 modules apart would take a tenth of a second."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream:
                stream.flush()
    except (OSError, ValueError):  # its reader is gone: Python's own end has a message and a code for that
        sys.exit(code)
    os._exit(code)


if __name__ == "__main__":
    main()
