"""Commands of the command line, and the flags of a session."""

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, TextIO

from sidecar import __version__, settings

_FLAGS: Final = tuple(name for name in settings.SETTINGS if name not in settings.SECRETS)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A command to run; or none, and the flags of the session to serve."""

    run: Callable[[], int] | None = None
    flags: dict[str, str] = field(default_factory=dict)


def parse(arguments: Sequence[str]) -> Parsed:
    """Reads the arguments; exits with 2 and a usage line where they make no sense."""
    parsed = _parser().parse_args(arguments)
    flags = {name: str(value) for name in _FLAGS if (value := getattr(parsed, name, None)) is not None}
    if parsed.webhook:
        flags["webhook"] = " ".join(parsed.webhook)
    commands: dict[str, Callable[[], int]] = {
        "agenda": lambda: _agenda(flags, as_json=parsed.json),
        "doctor": lambda: _doctor(flags),
        "redact": lambda: _redact(parsed.log),
        "schema": lambda: _schema(parsed.folder, parsed.typescript),
        "token": lambda: _token(parsed, flags),
        "worker": lambda: _worker(flags),
    }
    if parsed.command in commands:
        return Parsed(run=commands[parsed.command])
    if parsed.file or parsed.replay:
        return Parsed(run=lambda: _replay(parsed, flags))
    return Parsed(flags=flags)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sidecar",
        description="A child process for scrapers. Without arguments it serves JSON lines on stdin and stdout.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"sidecar {__version__}")
    group = parser.add_argument_group("session", "each is also a variable: --max-line is SIDECAR_MAX_LINE")
    for name in _FLAGS:
        flag = f"--{name.replace('_', '-')}"
        if name == "log_input":
            group.add_argument(flag, nargs="?", const=settings.INPUT_LOG, metavar="FILE")
        elif name == "log_debug":
            group.add_argument(flag, nargs="?", const=settings.DEBUG_LOG, metavar="FILE")
        elif name == "webhook":
            group.add_argument(flag, action="append", metavar="URL", help="can be given several times")
        else:
            group.add_argument(flag, metavar=name.rpartition("_")[2].upper())
    _add_replay_flags(parser.add_argument_group("replay"), "-replay", "--replay")
    parser.set_defaults(file=None, command=None, replaySkipCommands="", repeatReplay=1, secrets=None)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    replay = commands.add_parser("replay", help="send a log again, or replay a recording without a network")
    replay.add_argument("file", metavar="PATH", help="a log, or the folder of a recording")
    _add_replay_flags(replay)
    _add_recording_flags(replay)
    redact = commands.add_parser("redact", help="print a log of input with its secrets replaced")
    redact.add_argument("log", metavar="FILE", type=Path)
    schema = commands.add_parser("schema", help="write the JSON Schema of every message")
    schema.add_argument("folder", type=Path)
    schema.add_argument("--typescript", type=Path, metavar="FILE", help="write TypeScript declarations, too")
    commands.add_parser("doctor", help="check the machine: browsers, queue, store key, folders")
    commands.add_parser("worker", help="run queued jobs without a parent, until a signal")
    agenda = commands.add_parser("agenda", help="list scheduled and past runs of a day, and missed ones")
    agenda.add_argument("--json", action="store_true", help="as one line of JSON")
    _add_token_commands(commands.add_parser("token", help="print a token signed with SIDECAR_TOKEN_SECRET"))
    return parser


def _add_token_commands(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    kinds.add_parser("issuer", help="the token that `issue_token` asks for; it does not expire")
    visit = kinds.add_parser("visit", help="a token for jobs within a scope")
    visit.add_argument("--scope", metavar="URL", required=True)
    visit.add_argument("--strict", action="store_true", help="only this URL, not its whole domain")
    held = "everything that pages load must be in the scope too"
    visit.add_argument("--strict-resources", action="store_true", help=held)
    visit.add_argument("--validity", metavar="SECONDS", type=int, default=604_800)


def _add_replay_flags(parser: argparse.ArgumentParser | argparse._ArgumentGroup, *names: str) -> None:
    if names:
        parser.add_argument(*names, metavar="FILE")
    # a default of its own would make the command forget what stands before it
    unset = argparse.SUPPRESS
    skip: tuple[str, ...]
    repeat: tuple[str, ...]
    skip, repeat = ("-replaySkipCommands", "--replaySkipCommands"), ("-repeatReplay", "--repeatReplay")
    if not names:
        skip, repeat = (*skip, "--skip"), (*repeat, "--repeat")
    parser.add_argument(*skip, dest="replaySkipCommands", metavar="a,b", default=unset, help="types of requests")
    parser.add_argument(*repeat, dest="repeatReplay", metavar="N", type=int, default=unset)
    secrets = "JSON file that fills redacted values back in"
    parser.add_argument("--secrets", metavar="FILE", type=Path, default=unset, help=secrets)


def _add_recording_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("recordings")
    group.add_argument("--only", metavar="a,b", default="", help="send requests of these types only")
    group.add_argument("--until", metavar="SEQ", type=int, help="send no request after this one")
    group.add_argument("--speed", choices=("1x", "max"), default="max", help="1x: at the recording's intervals")
    group.add_argument("--ignore-param", metavar="NAME", action="append", default=[], help="a query parameter")
    group.add_argument("--check", action="store_true", help="exit with 1 if a reply is other than recorded")
    group.add_argument("--update", action="store_true", help="accept the replies as they are now")
    group.add_argument("--json", action="store_true", help="one line of JSON for each reply, and a summary")


def _replay(parsed: argparse.Namespace, flags: dict[str, str]) -> int:
    from sidecar.recording.replay import COMMAND, replay

    if parsed.file and parsed.replay:
        print("sidecar: one log at a time, please: by replay or by -replay", file=sys.stderr)
        return 2
    path, skip = Path(parsed.file or parsed.replay), _names(parsed.replaySkipCommands)
    given = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
    command = (*COMMAND, "--record=", *given)
    if parsed.file and path.is_dir():
        return _replay_recording(path, skip, parsed, command)
    return replay(path, skip=skip, repeat=parsed.repeatReplay, secrets=parsed.secrets, out=_output(), command=command)


def _replay_recording(path: Path, skip: frozenset[str], parsed: argparse.Namespace, command: Sequence[str]) -> int:
    from sidecar.recording.offline_replay import Selection
    from sidecar.recording.recording_folder import RecordingError
    from sidecar.recording.replay_recording import ReplayOptions, newest, replay_recording

    options = ReplayOptions(
        selection=Selection(skip, _names(parsed.only), parsed.until),
        repeat=parsed.repeatReplay,
        realtime=parsed.speed == "1x",
        ignored_parameters=tuple(parsed.ignore_param),
        check=parsed.check,
        update=parsed.update,
        as_json=parsed.json,
    )
    try:
        return replay_recording(newest(path), options, _output(), command)
    except RecordingError as wrong:
        print(f"sidecar: {wrong}", file=sys.stderr)
        return 2


def _redact(path: Path) -> int:
    from sidecar.recording.redact_log import redact_log

    out = _output()
    try:
        unreadable = redact_log(path, out.buffer)
        out.flush()
    except BrokenPipeError:  # whoever read it has seen enough
        _let_go_of(out)
        return 0
    except OSError as failure:
        print(f"sidecar: can't read {path}: {(failure.strerror or str(failure)).lower()}", file=sys.stderr)
        return 2
    if unreadable:
        print(f"sidecar: {unreadable} lines were no JSON objects; only their lengths are kept", file=sys.stderr)
    return 0


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def _schema(folder: Path, typescript: Path | None) -> int:
    from sidecar_protocol.json_schema import write_schemas
    from sidecar_protocol.typescript import declarations

    for path in write_schemas(folder):
        print(path)
    if typescript:
        typescript.parent.mkdir(parents=True, exist_ok=True)
        typescript.write_text(declarations(), encoding="utf-8")
        print(typescript)
    return 0


def _token(parsed: argparse.Namespace, flags: dict[str, str]) -> int:
    from sidecar.clock import Clock
    from sidecar.errors import SidecarError
    from sidecar.jobs.visit_tokens import VisitTokens

    try:
        tokens = VisitTokens(settings.load(flags).token_secret, Clock())
        if parsed.kind == "issuer":
            print(tokens.issuer())
        else:
            narrow = {"strict": parsed.strict, "strict_resources": parsed.strict_resources}
            print(tokens.issue(parsed.scope, parsed.validity, **narrow))
    except (settings.SettingsError, SidecarError) as wrong:
        print(f"sidecar: {wrong}", file=sys.stderr)
        return 2
    return 0


def _worker(flags: dict[str, str]) -> int:
    from sidecar.composition import worker

    try:
        return worker.run(settings.load(flags))
    except settings.SettingsError as wrong:
        print(f"sidecar: {wrong}", file=sys.stderr)
        return 2


def _agenda(flags: dict[str, str], *, as_json: bool) -> int:
    from sidecar.cli.agenda import show
    from sidecar.clock import Clock
    from sidecar.errors import SidecarError

    out = _output()
    if isinstance(out, io.TextIOWrapper):
        out.reconfigure(errors="backslashreplace")  # names may contain characters that the terminal can't show
    try:
        code = show(settings.load(flags), Clock(), out, as_json=as_json)
        out.flush()
    except BrokenPipeError:  # the reader has closed the pipe
        _let_go_of(out)
        return 0
    except (settings.SettingsError, SidecarError, OSError) as wrong:
        print(f"sidecar: {wrong}", file=sys.stderr)
        if isinstance(wrong, OSError):
            _let_go_of(out)
        return 2
    return code


def _output() -> TextIO:
    """Standard output; nowhere, if we were started without one."""
    return sys.stdout or Path(os.devnull).open("w", encoding="utf-8")


def _let_go_of(out: IO[str]) -> None:
    """Spares the interpreter the attempt to write at its end what could not be written."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, out.fileno())
    os.close(nowhere)


def _doctor(flags: dict[str, str]) -> int:
    from sidecar.cli.doctor import examine

    try:
        return examine(settings.load(flags), _output())
    except settings.SettingsError as wrong:
        print(f"sidecar: {wrong}", file=sys.stderr)
        return 2
