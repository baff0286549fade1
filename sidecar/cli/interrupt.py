"""Ctrl-C ends a command within a second, with a sentence and exit code 130."""

import functools
import os
import signal
import threading
from collections.abc import Callable
from typing import Final, ParamSpec

from sidecar import stderr

INTERRUPTED: Final = 128 + signal.SIGINT
"""The exit code."""
CLEANUP_SECONDS: Final = 0.8
"""How long a command may clean up; what it has started ends with it."""

Arguments = ParamSpec("Arguments")


def interruptible(run: Callable[Arguments, int]) -> Callable[Arguments, int]:
    """What `run` returns; Ctrl-C ends the process with INTERRUPTED. The first one raises KeyboardInterrupt in `run`.

    What is still buffered for stdout is dropped: its reader may be what keeps the command waiting.
    """

    @functools.wraps(run)
    def interrupted(*arguments: Arguments.args, **options: Arguments.kwargs) -> int:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a background job of a shell without job control
            return run(*arguments, **options)
        signal.signal(signal.SIGINT, _interrupt)
        _watch()
        try:
            return run(*arguments, **options)
        except KeyboardInterrupt:
            _exit()
            return INTERRUPTED
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left to be interrupted

    return interrupted


def _watch() -> None:
    """Wakes the main thread at Ctrl-C: the kernel may give the signal to another one, while the main one waits."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)  # written in whichever thread gets it

    def wake() -> None:
        while signal.SIGINT not in os.read(reader, 64):
            pass
        signal.pthread_kill(main, signal.SIGINT)  # ignored if it is handled by now

    main = threading.get_ident()
    threading.Thread(target=wake, name="interrupt", daemon=True).start()


def exit_soon() -> None:
    """Ends this process with INTERRUPTED in CLEANUP_SECONDS, unless it ends before."""
    timer = threading.Timer(CLEANUP_SECONDS, _exit)
    timer.daemon = True
    timer.start()


def _interrupt(*_: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    exit_soon()
    raise KeyboardInterrupt


def _exit() -> None:
    stderr.write("sidecar: interrupted\n")
    os._exit(INTERRUPTED)
