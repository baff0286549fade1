"""Commands of the command line, and the flags of a session.

A command is a module of this package with `add_arguments(parser)` and `run(parsed, flags) -> int`; it is imported when
it is typed. `flags` are the settings that were given as flags, by field name, for `settings.load`. A SettingsError or
SidecarError that `run` raises becomes a sentence on stderr and exit code 2.
"""

import argparse
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final

from sidecar import __version__, settings
from sidecar.cli import replay

COMMANDS: Final = {
    "agenda": "list scheduled and past runs of a day, and missed ones",
    "doctor": "check the machine: browsers, queue, store key, folders",
    "redact": "print a log of input with its secrets replaced",
    "replay": "send a log again, or replay a recording without a network",
    "schema": "write the JSON Schema of every message",
    "token": "print a token signed with SIDECAR_TOKEN_SECRET",
    "worker": "run queued jobs without a parent, until a signal",
}
"""Each command's line of `--help`; its module has its name, with `_` for `-`."""
_FLAGS: Final = tuple(name for name in settings.SETTINGS if name not in settings.SECRETS)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A command to run; or none, and the flags of the session to serve."""

    run: Callable[[], int] | None = None
    flags: dict[str, str] = field(default_factory=dict)


class _CommandParser(argparse.ArgumentParser):
    """Parses one command's arguments; imports its module when it is typed."""

    command = ""
    _is_complete = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Adds the command's arguments first."""
        if self.command and not self._is_complete:
            self._is_complete = True
            _module(self.command).add_arguments(self)
        return super().parse_known_args(args, namespace)


def parse(arguments: Sequence[str]) -> Parsed:
    """Reads the arguments; exits with 2 and a usage line where they make no sense."""
    parsed = _parser().parse_args(arguments)
    flags = {name: str(value) for name in _FLAGS if (value := getattr(parsed, name, None)) is not None}
    if parsed.webhook:
        flags["webhook"] = " ".join(parsed.webhook)
    command = parsed.command or ("replay" if parsed.replay else None)
    return Parsed(run=lambda: _run(command, parsed, flags)) if command else Parsed(flags=flags)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sidecar",
        description="A child process for scrapers. Without arguments it serves JSON lines on stdin and stdout.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"sidecar {__version__}")
    group = parser.add_argument_group("session", "each is also a variable: --max-line is SIDECAR_MAX_LINE")
    for name in _FLAGS:
        _add_setting(group, name)
    replay.add_v1_arguments(parser.add_argument_group("replay"))
    parser.set_defaults(command=None, **replay.V1_DEFAULTS)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_CommandParser)
    for name, summary in COMMANDS.items():
        commands.add_parser(name, help=summary).command = name
    return parser


def _add_setting(group: argparse._ArgumentGroup, name: str) -> None:
    flag = f"--{name.replace('_', '-')}"
    if name == "log_input":
        group.add_argument(flag, nargs="?", const=settings.INPUT_LOG, metavar="FILE")
    elif name == "log_debug":
        group.add_argument(flag, nargs="?", const=settings.DEBUG_LOG, metavar="FILE")
    elif name == "webhook":
        group.add_argument(flag, action="append", metavar="URL", help="can be given several times")
    else:
        group.add_argument(flag, metavar=name.rpartition("_")[2].upper())


def _module(command: str) -> ModuleType:
    return importlib.import_module(f"sidecar.cli.{command.replace('-', '_')}")


def _run(command: str, parsed: argparse.Namespace, flags: Mapping[str, str]) -> int:
    from sidecar.errors import SidecarError

    try:
        code: int = _module(command).run(parsed, flags)
    except (settings.SettingsError, SidecarError) as wrong:
        print(f"sidecar: {wrong}", file=sys.stderr)
        return 2
    return code
