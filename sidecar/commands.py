"""What the command line can do beside serving: `replay`, `schema`, `doctor`, and the flags of a session."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sidecar import __version__, settings


@dataclass(frozen=True, slots=True)
class Parsed:
    """A command to run; or none, and the flags of the session to serve."""

    run: Callable[[], int] | None = None
    flags: dict[str, str] = field(default_factory=dict)


def parse(arguments: Sequence[str]) -> Parsed:
    """Reads the arguments; exits with 2 and a usage line where they make no sense."""
    parsed = _parser().parse_args(arguments)
    flags = {
        name: str(value)
        for name in settings.Settings.__struct_fields__
        if (value := getattr(parsed, name, None)) is not None
    }
    if parsed.command == "schema":
        return Parsed(run=lambda: _schema(parsed.folder))
    if parsed.command == "doctor":
        return Parsed(run=lambda: _doctor(flags))
    if parsed.file or parsed.replay:
        return Parsed(run=lambda: _replay(parsed))
    return Parsed(flags=flags)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sidecar",
        description="A child process for scrapers. Without arguments it serves JSON lines on stdin and stdout.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"sidecar {__version__}")
    group = parser.add_argument_group("session", "each is also a variable: --max-line is SIDECAR_MAX_LINE")
    for name in settings.Settings.__struct_fields__:
        flag = f"--{name.replace('_', '-')}"
        if name == "log_input":
            group.add_argument(flag, nargs="?", const=settings.INPUT_LOG, metavar="FILE")
        elif name == "log_debug":
            group.add_argument(flag, nargs="?", const=settings.DEBUG_LOG, metavar="FILE")
        else:
            group.add_argument(flag, metavar=name.rpartition("_")[2].upper())
    _add_replay_flags(parser.add_argument_group("replay"), "-replay", "--replay")
    parser.set_defaults(file=None, command=None)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    replay = commands.add_parser("replay", help="send a recorded session again, a line for each command")
    replay.add_argument("file", metavar="FILE")
    _add_replay_flags(replay)
    schema = commands.add_parser("schema", help="write the JSON Schema of every message")
    schema.add_argument("folder", type=Path)
    commands.add_parser("doctor", help="say what this machine has and what is missing")
    return parser


def _add_replay_flags(parser: argparse.ArgumentParser | argparse._ArgumentGroup, *names: str) -> None:
    if names:
        parser.add_argument(*names, metavar="FILE")
    parser.add_argument("-replaySkipCommands", "--replaySkipCommands", metavar="a,b", default="")
    parser.add_argument("-repeatReplay", "--repeatReplay", metavar="N", type=int, default=1)
    parser.add_argument("--secrets", metavar="FILE", type=Path, help="JSON file that fills redacted values back in")


def _replay(parsed: argparse.Namespace) -> int:
    from sidecar.recording.replay import replay

    return replay(
        Path(parsed.file or parsed.replay),
        skip=frozenset(name.strip() for name in parsed.replaySkipCommands.split(",") if name.strip()),
        repeat=parsed.repeatReplay,
        secrets=parsed.secrets,
        out=sys.stdout,
    )


def _schema(folder: Path) -> int:
    from protocol.export import write_schemas

    for path in write_schemas(folder):
        print(path)
    return 0


def _doctor(flags: dict[str, str]) -> int:
    from sidecar.doctor import examine

    try:
        return examine(settings.load(flags), sys.stdout)
    except settings.SettingsError as wrong:
        print(f"sidecar: {wrong}", file=sys.stderr)
        return 2
