"""`sidecar conformance`: checks an implementation of the protocol, or a client, against the published cases."""

import argparse
import sys
from collections.abc import Mapping
from tempfile import TemporaryDirectory

_BROWSER = "browser"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to check, and which cases."""
    parser.add_argument("program", nargs="*", metavar="COMMAND", help="the program to check, after `--`")
    parser.add_argument("--client", action="store_true", help="it is a client's driver; without this, a sidecar")
    parser.add_argument("--list", action="store_true", help="print the cases and do nothing")
    parser.add_argument("--only", metavar="WORD", default="", help="only the cases with this word in their names")
    parser.add_argument("--without", metavar="a,b", default="", help="leave out cases that need concurrency, json")
    parser.add_argument("--browser", action="store_true", help="add the cases that open a browser")
    parser.add_argument("--quiet", action="store_true", help="print only what has failed")
    parser.add_argument("--seconds", type=float, default=20.0, metavar="N", help="to wait for a line (default: 20)")


def run(parsed: argparse.Namespace, _: Mapping[str, str]) -> int:
    """Plays the cases; 1 where one has failed, 2 where there is nothing to check."""
    from sidecar import settings
    from sidecar.conformance import report
    from sidecar.conformance.cases import load

    kind = "client" if parsed.client else "sidecar"
    without = set(parsed.without.split(","))
    without |= set() if parsed.browser or parsed.list else {_BROWSER}
    wanted = [case for case in load(kind) if parsed.only in case.name and not case.needs & without]
    if not wanted:
        print(f"sidecar: no case has {parsed.only!r} in its name; `--list` prints all", file=sys.stderr)
        return 2
    if parsed.list:
        print(report.list_cases(wanted), end="")
        return 0
    if not parsed.program:
        print("sidecar: name the program to check: sidecar conformance -- COMMAND", file=sys.stderr)
        return 2
    with TemporaryDirectory(prefix="sidecar-conformance-") as home:
        env = settings.child_environment({"SIDECAR_HOME": home})
        try:
            return report.run(kind, wanted, parsed.program, env, parsed.seconds, quiet=parsed.quiet)
        except OSError as wrong:
            print(f"sidecar: {parsed.program[0]} can't be started: {wrong.strerror}", file=sys.stderr)
            return 2
