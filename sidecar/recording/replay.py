"""Replays a recorded session to a new sidecar, line by line, and prints each reply and its duration."""

import codecs
import contextlib
import json
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from sidecar_protocol import codec
from sidecar_protocol.encoding import encode
from sidecar_protocol.wire_types import REDACTED, Raw

from sidecar import isolated_launch
from sidecar.recording.redaction.json_secrets import Sensitivity, Token, classify_tokens
from sidecar.recording.replay_output import ReplayPrinter
from sidecar.recording.replay_process import ReplayProcess, SidecarDied
from sidecar.recording.replay_tally import ReplayTally

COMMAND: Final = tuple(isolated_launch.command("--log-input="))
"""A sidecar without an input log, whatever the environment says: the replayed log would grow without end."""


INTERRUPTED: Final = 128 + signal.SIGINT
"""The exit code after Ctrl-C."""
PIPE_CLOSED: Final = 128 + signal.SIGPIPE
"""The exit code when the reader of stdout has closed the pipe."""

_MARK: Final = REDACTED.encode()
_PARTLY_HIDDEN: Final = frozenset({Sensitivity.SOURCE, Sensitivity.WEBHOOK})
"""Values of which the log hides only parts."""
_PLACEHOLDER: Final = f'"{REDACTED}"'


class ReplayError(Exception):
    """A replay can't start; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Command:
    """One line of a log that can be sent; `line` has no `_log` and no newline."""

    type: str
    line: bytes


@dataclass(frozen=True, slots=True)
class UnreplayableLine:
    """One line of a log that can't be sent, and why."""

    reason: str


class LogTally(ReplayTally):
    """Counts the commands that were sent and those that failed."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{self.failed} of {self.replies} commands failed"


class PlaceholderFiller:
    """Fills secrets into the lines of one session, in order.

    The value of a key replaces each `**********` under that key, in arrays and within texts too; the values of a list
    are used one after the other.
    """

    def __init__(self, secrets: Mapping[str, Any]) -> None:
        self._secrets = secrets
        self._used: dict[str, int] = {}

    def fill(self, line: bytes) -> tuple[bytes, list[str]]:
        """The filled line, and the keys without a value (left). All else stays byte for byte."""
        if _MARK not in line:
            return line, []
        text, unknown, done = line.decode(), list[str](), 0
        pieces: list[str] = []
        tokens = {token.start: token for token in classify_tokens(text)}
        for start in sorted(tokens):
            token = tokens[start]
            raw = text[start : token.end]
            if token.sensitivity is not Sensitivity.KEY and REDACTED in raw:
                pieces += (text[done:start], self._filled(raw, token, unknown))
                done = token.end
        return "".join([*pieces, text[done:]]).encode(), unknown

    def _filled(self, raw: str, token: Token, unknown: list[str]) -> str:
        key = token.key or ""
        if raw == _PLACEHOLDER:
            value = self._take(key, unknown)
            return raw if value is None else json.dumps(value)
        if token.sensitivity not in _PARTLY_HIDDEN and key not in self._secrets:
            return raw  # part of a value that the log hides elsewhere
        text: str = codec.plain(raw)
        parts = text.split(REDACTED)
        filled = [parts[0]]
        for part in parts[1:]:
            value = self._take(key, unknown)
            replacement = REDACTED if value is None else value if isinstance(value, str) else json.dumps(value)
            filled += (
                _escape_for_javascript(replacement) if token.sensitivity is Sensitivity.SOURCE else replacement,
                part,
            )
        return json.dumps("".join(filled))

    def _take(self, key: str, unknown: list[str]) -> Any:
        known = self._secrets.get(key)
        if isinstance(known, list):
            number = self._used.get(key, 0)
            self._used[key] = number + 1
            known = known[number] if number < len(known) else None
        if known is None:
            unknown.append(key)
        return known


def _escape_for_javascript(value: str) -> str:
    """The value as it is written in a JavaScript string or template literal."""
    return json.dumps(value)[1:-1].replace("`", "\\`").replace("${", "\\${")


def replay(
    path: Path,
    *,
    skip: frozenset[str],
    repeat: int,
    secrets: Path | None,
    out: TextIO,
    command: Sequence[str] = COMMAND,
    as_json: bool = False,
) -> int:
    """Replays a log `repeat` times, each in a session of its own, without commands whose type is in `skip`.

    `secrets` is a JSON file, key name -> value, that fills redacted values back in. With `as_json` each reply is a line
    of JSON. Gives the exit code: 0 when all
    commands succeeded; 1 when one failed, or the sidecar died; 2 when there is nothing to replay;
    130 after Ctrl-C; 141 when the reader of stdout has closed the pipe, as `| head` does.
    """
    printer, tally = ReplayPrinter(out, as_json=as_json), LogTally()
    return interruptible(printer, tally, lambda: _replay(path, skip, repeat, secrets, printer, tally, command))


def interruptible(printer: ReplayPrinter, tally: object, work: Callable[[], int]) -> int:
    """Returns the result of `work`; 130 after Ctrl-C, which prints the tally; 141 if the reader of stdout has ended."""
    try:
        try:
            with _one_interrupt():
                return work()
        except KeyboardInterrupt:
            printer.info(f"interrupted; {tally}")
            return INTERRUPTED
    except BrokenPipeError:
        printer.discard_output()
        return PIPE_CLOSED


def _replay(
    path: Path,
    skip: frozenset[str],
    repeat: int,
    secrets: Path | None,
    printer: ReplayPrinter,
    tally: LogTally,
    command: Sequence[str],
) -> int:
    try:
        if repeat < 1:
            raise ReplayError("repeatReplay must be greater than 0")
        known = load_secrets(secrets, printer.info) if secrets else {}
        size = _log_size(path)
    except ReplayError as error:
        printer.info(str(error))
        return 2
    unfilled: dict[str, None] = {}
    try:
        for _ in range(repeat):
            count, filler = _count(path, size, skip), PlaceholderFiller(known)
            printer.info(f"replaying {count} commands")
            with printer.progress(count) as progress, ReplayProcess(command) as child:
                for item in _read_commands(path, size, skip):
                    _replay_item(item, child, filler, unfilled, printer, tally)
                    progress.advance()
    except SidecarDied as error:
        printer.error(str(error))
        return 1
    if unfilled:
        printer.info(_secrets_hint(list(unfilled)))
    printer.types(tally, always=repeat > 1)
    if tally.failed:
        printer.info(str(tally))
    printer.summary({"commands": tally.replies, "errors": tally.failed, "ms": tally.durations()})
    return 1 if tally.failed else 0


@contextlib.contextmanager
def _one_interrupt() -> Iterator[None]:
    """Makes the first Ctrl-C a KeyboardInterrupt and ignores further ones."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler or not _is_main_thread():
        yield  # SIGINT is ignored, or handled by another thread
        return

    def interrupt(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _replay_item(
    item: Command | UnreplayableLine,
    child: ReplayProcess,
    filler: PlaceholderFiller,
    unfilled: dict[str, None],
    printer: ReplayPrinter,
    tally: LogTally,
) -> None:
    if isinstance(item, UnreplayableLine):
        printer.error(item.reason)
        return
    line, missing = filler.fill(item.line)
    unfilled |= dict.fromkeys(missing)
    began = time.perf_counter()
    reply = child.request(line)
    milliseconds = (time.perf_counter() - began) * 1000
    tally.add(item.type, milliseconds, failed=reply.get("type") == "error")
    printer.request_and_reply(milliseconds, item.type, reply)


def _log_size(path: Path) -> int:
    """The size of the log at the start; what is appended during the replay is not replayed."""
    try:
        about = path.stat()
        if stat.S_ISDIR(about.st_mode):
            raise ReplayError(f"can't replay {path}: it is a folder")
        if not stat.S_ISREG(about.st_mode):  # a pipe can be read once, and opening one may never end
            raise ReplayError(f"can't replay {path}: it is not a regular file")
        path.open("rb").close()
    except OSError as failure:
        raise ReplayError(f"can't replay {path}: {(failure.strerror or str(failure)).lower()}") from None
    return about.st_size


def _count(path: Path, size: int, skip: frozenset[str]) -> int:
    return sum(isinstance(item, Command) for item in _read_commands(path, size, skip))


def _read_commands(path: Path, size: int, skip: frozenset[str]) -> Iterator[Command | UnreplayableLine]:
    """The log's lines in order, without blank and skipped ones."""
    with path.open("rb") as log:
        for number, line in enumerate(log, 1):
            size -= len(line)
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            if line.strip():
                item = _parse(line.strip(), number)
                if isinstance(item, UnreplayableLine) or item.type not in skip:
                    yield item
            if size <= 0:
                return


def _parse(line: bytes, number: int) -> Command | UnreplayableLine:
    try:
        line.decode()
        members = codec.members(line)
    except ValueError as error:
        return UnreplayableLine(f"line {number} is not a JSON object: {error}")
    note: Any = codec.plain(members.pop("_log", Raw(b"null")))
    if isinstance(note, dict) and note.get("unreadable"):
        return UnreplayableLine(
            f"line {number} was not a request when it was logged ({note.get('bytes')} bytes, not kept)"
        )
    kind: Any = codec.plain(members.get("type", Raw(b'""')))
    return Command(kind if isinstance(kind, str) else "", encode(members))


def load_secrets(path: Path, warn: Callable[[str], None]) -> dict[str, Any]:
    """The secrets of a JSON file, key name -> value. Raises ReplayError."""
    try:
        known = codec.plain(path.read_bytes())
        if not isinstance(known, dict):
            raise codec.NotJson
        if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            warn(f"warning: {path} is readable by other users; chmod 600 it")
    except OSError as failure:
        raise ReplayError(f"can't read {path}: {(failure.strerror or str(failure)).lower()}") from None
    except codec.NotJson:
        raise ReplayError(f'{path} is not a JSON object of key names and values, like {{"api_key": "..."}}') from None
    return known


def _secrets_hint(keys: Sequence[str]) -> str:
    example = ", ".join(f'"{key}": "..."' for key in keys)
    return (
        f"hint: the log holds {REDACTED} in place of secrets; fill them in with --secrets FILE, a file with"
        f" {{{example}}}, or leave commands out with -replaySkipCommands"
    )
