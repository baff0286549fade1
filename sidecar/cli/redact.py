"""`sidecar redact FILE`: prints a log of input with its secrets replaced."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from sidecar.cli.output import discard_output, standard_output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The log to print."""
    parser.add_argument("log", metavar="FILE", type=Path, help="the log to print")


def run(parsed: argparse.Namespace, _: Mapping[str, str]) -> int:
    """Prints the log; gives 0, or 2 if it can't be read."""
    from sidecar.recording.redact_log import redact_log

    out = standard_output()
    try:
        unreadable = redact_log(parsed.log, out.buffer)
        out.flush()
    except BrokenPipeError:  # the reader has closed the pipe
        discard_output(out)
        return 0
    except OSError as failure:
        print(f"sidecar: can't read {parsed.log}: {(failure.strerror or str(failure)).lower()}", file=sys.stderr)
        return 2
    if unreadable:
        print(f"sidecar: {unreadable} lines were no JSON objects; only their lengths are kept", file=sys.stderr)
    return 0
