"""`sidecar install WHAT`: gets a browser or ffmpeg, by Playwright's own way, else by apt."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from sidecar.browser import installation
from sidecar.settings import Settings, child_environment, load

WHAT: Final = tuple(installation.PROGRAMS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to get."""
    parser.add_argument("what", metavar="WHAT", nargs="+", choices=WHAT, help=", ".join(WHAT))
    parser.add_argument("--force", action="store_true", help="even if there is one")


def run(parsed: argparse.Namespace, flags: Mapping[str, str]) -> int:
    """Gets each; gives 1 if one could not be had. Raises SettingsError."""
    settings = load(flags)
    return max(_install(what, settings, force=parsed.force) for what in parsed.what)


def _install(what: str, settings: Settings, *, force: bool) -> int:
    program = installation.PROGRAMS[what]
    found = program.find(settings)
    if found and not force:
        print(f"{what} is {found}")
        return 0
    for way in _ways(program):
        print(f"sidecar: {' '.join(way[-3:])} …", file=sys.stderr, flush=True)
        if _succeeds(way, settings) and (found := program.find(settings)):
            print(f"{what} is {found}, installed now")
            return 0
    as_root = f"; as root: `apt-get install {program.debian}`" if program.debian else ""
    print(f"sidecar: {what} could not be installed, see above{as_root}; or set {program.setting}", file=sys.stderr)
    return 1


def _ways(program: installation.Program) -> list[Sequence[str]]:
    """Playwright's own, then Debian's packages where we may install some."""
    ways: list[Sequence[str]] = [installation.playwright_command(program)]
    if program.debian and os.geteuid() == 0 and (apt := shutil.which("apt-get")):
        ways += [[apt, "install", "-y", "--no-install-recommends", program.debian]]
    return ways


def _succeeds(command: Sequence[str], settings: Settings) -> bool:
    variables = {"DEBIAN_FRONTEND": "noninteractive"}
    if settings.browsers_path:
        variables["PLAYWRIGHT_BROWSERS_PATH"] = settings.browsers_path
    if command[1] == "install":  # apt: its lists may be old, or missing as in an image
        _succeeds([command[0], "update"], settings)
    # its own process group: what it starts ends with it
    with subprocess.Popen(  # noqa: S603  commands of ours
        command, stdin=subprocess.DEVNULL, stdout=2, env=child_environment(variables), process_group=0
    ) as child:
        try:
            return child.wait() == 0
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            raise
