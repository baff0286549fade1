"""The command line. Without arguments: serve a session on stdin and stdout."""

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

from sidecar_protocol import PROTOCOL_VERSION, codec
from sidecar_protocol.replies import Ready

from sidecar import __version__, settings
from sidecar.server import stdio_fds

GREETING: Final = b"""\
sidecar: waiting for messages, one line of JSON each, as a scraper would send them. Try:
  {"type":"ping"}
Ctrl-D ends it. `sidecar get URL` scrapes a page, `sidecar --help` lists the commands.
"""
"""What a person at a terminal reads on stderr."""


def main(arguments: Sequence[str]) -> int:
    """Runs one command; gives the exit code: 0, or 2 for arguments or settings that can't be used."""
    flags: dict[str, str] = {}
    if arguments:
        from sidecar.cli import commands  # late: a scraper passes no arguments and waits for `ready`

        parsed = commands.parse(arguments)
        if parsed.run is not None:
            return parsed.run()
        flags = parsed.flags
    try:
        loaded = settings.load(flags)
        _check(loaded)
    except settings.SettingsError as wrong:
        print(f"sidecar: {wrong}", file=sys.stderr)
        return 2
    return serve(loaded)


def _check(loaded: settings.Settings) -> None:
    """What no session could begin with is said instead of `ready`. Raises SettingsError."""
    files = loaded.home or loaded.log_input or loaded.log_debug or loaded.record or loaded.offline
    if files or loaded.webhook or loaded.push_url:
        from sidecar.composition.startup_checks import check_settings  # late: a plain session has nothing to check

        check_settings(loaded)


def _greet() -> None:
    """Says what to type if a person is there instead of a parent."""
    with contextlib.suppress(OSError):  # a descriptor is closed
        if os.isatty(0) and os.isatty(2):
            os.write(2, GREETING)


def serve(loaded: settings.Settings) -> int:
    """One session: `ready` leaves before anything that takes time is imported."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # until the app takes over: nothing was read yet, so there is nothing to finish
        signal.signal(number, lambda *_: os._exit(0))
    _greet()
    claimed = stdio_fds.claim_stdio()
    ready = Ready(protocol=PROTOCOL_VERSION, version=__version__, pid=os.getpid())
    stdio_fds.write_first(claimed.lines_out, codec.encode(ready))
    gc.disable()  # until the app is put together, which collects no more than the modules before it

    import asyncio

    from sidecar.clock import Clock
    from sidecar.composition.session import serve as serve_session

    try:
        clock = Clock()
        if loaded.offline:
            from sidecar.composition.recording import recorded_clock

            clock = recorded_clock(loaded, clock)
        asyncio.run(serve_session(loaded, claimed, clock))
    except settings.SettingsError as wrong:
        print(f"sidecar: {wrong}", file=sys.stderr)
        return 2
    return 0
