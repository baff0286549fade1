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
    parser.add_argument(
        "--with-deps", action="store_true", help="also the system's libraries that browsers need, as root"
    )


def run(parsed: argparse.Namespace, flags: Mapping[str, str]) -> int:
    """Gets each; gives 1 if one could not be had. Raises SettingsError."""
    settings = load(flags)
    return max(_install(what, settings, force=parsed.force, libraries=parsed.with_deps) for what in parsed.what)


def _install(what: str, settings: Settings, *, force: bool, libraries: bool) -> int:
    program = installation.PROGRAMS[what]
    libraries = libraries and program.has_libraries
    found = program.find(settings)
    if found and not force:
        if libraries and not _succeeds(installation.libraries_command(program), settings):
            print(
                f"sidecar: the libraries of {what} could not be installed, see above; that needs root", file=sys.stderr
            )
            return 1
        return _report(what, found, settings)
    for way in _ways(program, libraries=libraries):
        print(f"sidecar: {' '.join(way[-3:])} …", file=sys.stderr, flush=True)
        if _succeeds(way, settings) and (found := program.find(settings)):
            return _report(what, found, settings, ", installed now")
    as_root = f"; as root: `apt-get install {program.debian}`" if program.debian else ""
    print(f"sidecar: {what} could not be installed, see above{as_root}; or set {program.setting}", file=sys.stderr)
    return 1


def _report(what: str, path: str, settings: Settings, suffix: str = "") -> int:
    """Says where it is; gives 1, and the way out, if the system lacks a library that it needs."""
    print(f"{what} is {path}{suffix}")
    if not installation.PROGRAMS[what].has_libraries:
        return 0
    library = installation.missing_library(path, _environment(settings))
    if library is None:
        return 0
    print(
        f"sidecar: {what} needs {library}, which is missing; as root: `sidecar install {what} --with-deps`",
        file=sys.stderr,
    )
    return 1


def _ways(program: installation.Program, *, libraries: bool) -> list[Sequence[str]]:
    """Playwright's own, then Debian's packages where we may install some."""
    ways: list[Sequence[str]] = [installation.playwright_command(program, libraries=libraries)]
    if program.debian and os.geteuid() == 0 and (apt := shutil.which("apt-get")):
        ways += [[apt, "install", "-y", "--no-install-recommends", program.debian]]
    return ways


def _environment(settings: Settings) -> dict[str, str]:
    variables = {"DEBIAN_FRONTEND": "noninteractive"}
    if settings.browsers_path:
        variables["PLAYWRIGHT_BROWSERS_PATH"] = settings.browsers_path
    return child_environment(variables)


def _succeeds(command: Sequence[str], settings: Settings) -> bool:
    if command[1] == "install":  # apt: its lists may be old, or missing as in an image
        _succeeds([command[0], "update"], settings)
    # its own process group: what it starts ends with it
    with subprocess.Popen(  # noqa: S603  commands of ours
        command, stdin=subprocess.DEVNULL, stdout=2, env=_environment(settings), process_group=0
    ) as child:
        try:
            return child.wait() == 0
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            raise
