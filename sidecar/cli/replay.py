"""`sidecar replay PATH`, and v1's `-replay FILE`: sends a log again, or replays a recording without a network."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sidecar import settings
from sidecar.cli.output import standard_output

V1_DEFAULTS: Final = {"replay": None, "replaySkipCommands": "", "repeatReplay": 1, "secrets": None}
"""Defaults of v1's flags, which may be before or after a command, so the parser has none."""


def add_v1_arguments(parser: argparse.ArgumentParser) -> None:
    """v1's flags, with one dash or two, for `sidecar` without a command."""
    parser.add_argument("-replay", "--replay", metavar="FILE")
    _add_log_arguments(parser, skip=(), repeat=())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """v1's flags under shorter names too, and those of recordings."""
    parser.add_argument("file", metavar="PATH", help="a log, or the folder of a recording")
    _add_log_arguments(parser, skip=("--skip",), repeat=("--repeat",))
    parser.add_argument("--json", action="store_true", help="one line of JSON for each reply, and a summary")
    group = parser.add_argument_group("recordings")
    group.add_argument("--only", metavar="a,b", default="", help="send requests of these types only")
    group.add_argument("--until", metavar="SEQ", type=int, help="send no request after this one")
    group.add_argument("--speed", choices=("1x", "max"), default="max", help="1x: at the recording's intervals")
    group.add_argument("--ignore-param", metavar="NAME", action="append", default=[], help="a query parameter")
    group.add_argument("--check", action="store_true", help="exit with 1 if a reply is other than recorded")
    group.add_argument("--update", action="store_true", help="accept the replies as they are now")
    group.add_argument("--live", action="store_true", help="ask real servers; --secrets or SIDECAR_SECRET_<NAME>")
    group.add_argument("--step", action="store_true", help="ask at the terminal what becomes of each request")


def _add_log_arguments(parser: argparse.ArgumentParser, *, skip: Sequence[str], repeat: Sequence[str]) -> None:
    unset = argparse.SUPPRESS  # a default would override what was given before the command
    flags = "-replaySkipCommands", "--replaySkipCommands", *skip
    parser.add_argument(*flags, dest="replaySkipCommands", metavar="a,b", default=unset, help="types of requests")
    flags = "-repeatReplay", "--repeatReplay", *repeat
    parser.add_argument(*flags, dest="repeatReplay", metavar="N", type=int, default=unset)
    filled = "JSON file that fills redacted values back in"
    parser.add_argument("--secrets", metavar="FILE", type=Path, default=unset, help=filled)


def run(parsed: argparse.Namespace, flags: Mapping[str, str]) -> int:
    """Replays; gives the exit code."""
    from sidecar.recording.replay import COMMAND, replay

    file: str | None = getattr(parsed, "file", None)
    if file and parsed.replay:
        print("sidecar: one log at a time, please: by replay or by -replay", file=sys.stderr)
        return 2
    path, skip = Path(file or parsed.replay), _names(parsed.replaySkipCommands)
    given = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
    command = (*COMMAND, "--record=", *given)
    if file and path.is_dir():
        return _replay_recording(path, skip, parsed, command)
    out = standard_output()
    as_json = bool(getattr(parsed, "json", False))
    return replay(
        path,
        skip=skip,
        repeat=parsed.repeatReplay,
        secrets=parsed.secrets,
        out=out,
        command=command,
        as_json=as_json,
    )


def _replay_recording(path: Path, skip: frozenset[str], parsed: argparse.Namespace, command: Sequence[str]) -> int:
    from sidecar.recording.recording_folder import RecordingError
    from sidecar.recording.replay import ReplayError
    from sidecar.recording.replay_recording import ReplayOptions, newest, replay_recording
    from sidecar.recording.session_replay import Selection

    wrong = _misuse(parsed)
    if wrong:
        print(f"sidecar: {wrong}", file=sys.stderr)
        return 2
    try:
        secrets = {**settings.replay_secrets(), **_secrets_of(parsed.secrets)} if parsed.live else None
    except ReplayError as error:
        print(f"sidecar: {error}", file=sys.stderr)
        return 2
    options = ReplayOptions(
        selection=Selection(skip, _names(parsed.only), parsed.until),
        repeat=parsed.repeatReplay,
        realtime=parsed.speed == "1x",
        ignored_parameters=tuple(parsed.ignore_param),
        check=parsed.check,
        update=parsed.update,
        as_json=parsed.json,
        live_secrets=secrets,
        step=parsed.step,
    )
    try:
        return replay_recording(newest(path), options, standard_output(), command)
    except RecordingError as wrong:
        print(f"sidecar: {wrong}", file=sys.stderr)
        return 2


def _misuse(parsed: argparse.Namespace) -> str:
    """What does not fit together; empty if all does."""
    if parsed.repeatReplay < 1:
        return "--repeat has to be greater than 0"
    if parsed.live and parsed.update:
        return "--update is for offline replays: what real servers answer may hold secrets"
    if parsed.secrets and not parsed.live:
        return "--secrets is for --live: an offline replay needs none"
    if parsed.step and (parsed.json or parsed.repeatReplay > 1):
        return "--step asks a person: leave out --json and --repeat"
    if parsed.step and not (sys.stdin.isatty() and sys.stdout.isatty()):
        return "--step needs a terminal"
    return ""


def _secrets_of(path: Path | None) -> dict[str, Any]:
    from sidecar.recording.replay import load_secrets

    return load_secrets(path, lambda warning: print(f"sidecar: {warning}", file=sys.stderr)) if path else {}


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())
