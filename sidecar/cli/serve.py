"""`sidecar serve --http ADDRESS`: the messages of a session over HTTP, until a signal."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Mapping
from functools import partial

from sidecar import settings
from sidecar.clock import Clock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    help_text = "127.0.0.1:4000, unix:PATH; other machines' addresses need SIDECAR_HTTP_TOKEN"
    parser.add_argument("--http", metavar="ADDRESS", required=True, help=help_text)


def run(parsed: argparse.Namespace, flags: Mapping[str, str]) -> int:
    """Serves; gives the exit code."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))  # nothing was accepted yet
    from sidecar.composition.http_session import serve_http, until_signal
    from sidecar.server.http.listen_address import parse

    loaded, address = settings.load(flags), parse(parsed.http)
    return asyncio.run(serve_http(loaded, address, Clock(), partial(until_signal, partial(print, flush=True))))
