"""Commands of the command line, and the flags of a session.

A command is a line in COMMANDS, and a module of this package with `add_arguments(parser)` and
`run(parsed, flags) -> int`; it is imported when it is typed. `flags` are the settings that were given as flags, by
field name, for `settings.load`. A SettingsError or SidecarError that `run` raises becomes a sentence on stderr and exit
code 2, Ctrl-C one and 130.
"""

import argparse
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Final

from sidecar import __version__, settings
from sidecar.cli import replay
from sidecar.cli.arguments import CommandParser, Parser, check_flags
from sidecar.cli.interrupt import interruptible
from sidecar.cli.output import flush_output

COMMANDS: Final = {
    "agenda": "scheduled and past runs of a day, and missed ones",
    "client": "write a client for Node, Deno, Go, PHP, Ruby or bash",
    "completion": "a script that completes commands and flags in bash, zsh or fish",
    "conformance": "check another sidecar, or a client, against the protocol's cases",
    "deliveries": "webhooks and copies for servers that have not arrived, and why",
    "doctor": "check the machine: browsers, queue, store key, folders",
    "export": "a recording as HAR, Playwright trace or web archive",
    "get": "open a page in a browser and print what is asked of it",
    "install": "get chromium, firefox, webkit or ffmpeg",
    "jobs": "async jobs that wait, run and ran, and why they failed",
    "redact": "print a log of input with its secrets replaced",
    "replay": "send a log again, or replay a recording without a network",
    "report": "write a page that shows what happened in a recorded session",
    "run": "start a scraper that talks to the sidecar over HTTP",
    "run-job": "run a browser job from a file; its artifacts become files",
    "schema": "print or write the JSON Schema of messages",
    "serve": "serve a session over HTTP, until a signal",
    "tasks": "periodic tasks: when they run next, what ran, why it failed",
    "token": "print a token signed with SIDECAR_TOKEN_SECRET",
    "worker": "run queued jobs without a parent, until a signal",
}
"""Each command's line of `--help`, at most 64 characters; its module has its name, with `_` for `-`."""
HELP: Final = """\
usage: sidecar [SETTING ...] [COMMAND ...]

Without a command it serves JSON lines on stdin and stdout to its parent.

{commands}

`sidecar COMMAND --help`: a command's arguments    `sidecar --version`
`sidecar --help-all`: every setting, its flag, its variable, and v1's -replay
"""
_HELP_ALL: Final = """\
{help}
v1's flags:
  -replay FILE [-replaySkipCommands a,b] [-repeatReplay N] [--secrets FILE]
      As `sidecar replay FILE`.

settings (each flag is also a variable: --max-line is SIDECAR_MAX_LINE):
{settings}
"""
_FLAGS: Final = tuple(name for name in settings.SETTINGS if name not in settings.SECRETS)
_BEFORE: Final = "setting_"
"""Of the names of parsed settings that stand before a command; those after it may repeat them."""
_AFTER: Final = "command_setting_"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A command to run; or none, and the flags of the session to serve."""

    run: Callable[[], int] | None = None
    flags: dict[str, str] = field(default_factory=dict)


class _RootParser(Parser):
    """The parser of what stands before a command."""

    def format_help(self) -> str:
        """Fits a screen."""
        width = max(map(len, COMMANDS))
        return HELP.format(commands="\n".join(f"  {name:{width}}  {line}" for name, line in COMMANDS.items()))


class _HelpAll(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from sidecar.cli.settings_help import settings_text  # late: it reads the source of the settings

        print(_HELP_ALL.format(help=parser.format_help(), settings=settings_text()), end="")
        raise SystemExit(0)


def parse(arguments: Sequence[str]) -> Parsed:
    """Reads the arguments; exits with 2 and one line on stderr if they are wrong."""
    parser, _ = parsers()
    check_flags(parser, arguments, COMMANDS)
    parsed = parser.parse_args(arguments)
    flags = _flags(parsed)
    command = parsed.command or ("replay" if parsed.replay else None)
    return Parsed(run=lambda: _run(command, parsed, flags)) if command else Parsed(flags=flags)


def parsers() -> tuple[Parser, dict[str, CommandParser]]:
    """The parser of all arguments, and that of each command, by its name."""
    root = _RootParser(prog="sidecar")
    root.add_argument("--version", action="version", version=f"sidecar {__version__}")
    root.add_argument("--help-all", action=_HelpAll, nargs=0)
    _add_settings(root, _BEFORE)
    replay.add_v1_arguments(root)
    root.set_defaults(command=None, **replay.V1_DEFAULTS)
    commands = root.add_subparsers(dest="command", metavar="COMMAND", parser_class=CommandParser)
    by_name = {}
    for name, summary in COMMANDS.items():
        description = f"{summary[0].upper()}{summary[1:]}."
        by_name[name] = parser = commands.add_parser(name, description=description, conflict_handler="resolve")
        parser.epilog = "Settings are flags of each command, too: see `sidecar --help-all`."
        parser.add_command_arguments = partial(_complete, name)
    return root, by_name


def _complete(command: str, parser: CommandParser) -> None:
    _add_settings(parser, _AFTER)
    _module(command).add_arguments(parser)


def _add_settings(parser: Parser, prefix: str) -> None:
    for name in _FLAGS:
        flag, dest, hidden = f"--{name.replace('_', '-')}", f"{prefix}{name}", argparse.SUPPRESS
        if name == "log_input":
            parser.add_argument(flag, dest=dest, nargs="?", const=settings.INPUT_LOG, help=hidden)
        elif name == "log_debug":
            parser.add_argument(flag, dest=dest, nargs="?", const=settings.DEBUG_LOG, help=hidden)
        elif name == "webhook":
            parser.add_argument(flag, dest=dest, action="append", help=hidden)
        else:
            parser.add_argument(flag, dest=dest, help=hidden)


def _flags(parsed: argparse.Namespace) -> dict[str, str]:
    flags: dict[str, str] = {}
    for prefix in (_BEFORE, _AFTER):
        for name in _FLAGS:
            value = getattr(parsed, f"{prefix}{name}", None)
            if name == "webhook" and value:
                flags[name] = " ".join([*flags.get(name, "").split(), *value])
            elif value is not None:
                flags[name] = value
    return flags


def _module(command: str) -> ModuleType:
    return importlib.import_module(f"sidecar.cli.{command.replace('-', '_')}")


@interruptible
def _run(command: str, parsed: argparse.Namespace, flags: Mapping[str, str]) -> int:
    from sidecar.errors import SidecarError

    try:
        code: int = _module(command).run(parsed, flags)
    except (settings.SettingsError, SidecarError) as wrong:
        print(f"sidecar: {wrong}", file=sys.stderr)
        return 2
    flush_output()
    return code
