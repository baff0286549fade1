"""`sidecar replay FOLDER`: prints the replies of a replay, checks them, or accepts them as they are now."""

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from sidecar import files
from sidecar.recording.recorded_session import sent_lines
from sidecar.recording.recording_folder import EARLIER, MANIFEST, REPLIES, RecordingError, is_being_written
from sidecar.recording.replay import COMMAND, interruptible
from sidecar.recording.replay_output import ReplayPrinter, ReplayProgress
from sidecar.recording.replay_process import SidecarDied
from sidecar.recording.replay_tally import ReplayTally
from sidecar.recording.secret_filler import SecretFiller
from sidecar.recording.session_replay import Compared, Selection, SessionReplay
from sidecar.recording.step_prompt import Quit, StepPrompt
from sidecar.settings import REPLAY_SECRET


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """Options of a replay."""

    selection: Selection = field(default_factory=Selection)
    repeat: int = 1
    realtime: bool = False
    ignored_parameters: tuple[str, ...] = ()
    check: bool = False
    """Whether another reply than the recorded one is a failure."""
    update: bool = False
    """Whether the replies of this replay replace those of the recording."""
    as_json: bool = False
    live_secrets: Mapping[str, Any] | None = None
    """Secrets for real servers: they answer in place of the recording."""
    step: bool = False
    """Whether a person at a terminal is asked before each line."""


@dataclass(slots=True)
class _Outcome:
    """What all repetitions together gave."""

    tally: ReplayTally = field(default_factory=ReplayTally)
    unsent: int = 0
    compared: list[Compared] = field(default_factory=list)
    """For `update`."""

    def __str__(self) -> str:
        tally = self.tally
        text = f"{tally.replies} replies, {tally.failed} of them errors, {tally.different} other than recorded"
        return f"{text}; {self.unsent} lines were no JSON and are not in the recording" if self.unsent else text


def replay_recording(folder: Path, options: ReplayOptions, out: TextIO, command: Sequence[str] = COMMAND) -> int:
    """Replays a recording. Gives the exit code.

    0; 1 with `check` if a reply differs, or if the sidecar died; 2 if there is nothing to replay; 130 after Ctrl-C;
    141 when the reader of stdout has closed the pipe.
    """
    printer, outcome = ReplayPrinter(out), _Outcome()
    return interruptible(printer, outcome, lambda: _replay(folder, options, printer, outcome, command, out))


def is_recording(path: Path) -> bool:
    """Whether a path is a recording, and no log."""
    return path.is_dir() and os.path.lexists(path / MANIFEST)


def _replay(
    folder: Path,
    options: ReplayOptions,
    printer: ReplayPrinter,
    outcome: _Outcome,
    command: Sequence[str],
    out: TextIO,
) -> int:
    missing: dict[str, None] = {}
    if is_being_written(folder) and not options.as_json:
        printer.info(f"{folder} is still being recorded: it is replayed as far as it goes")
    try:
        for _ in range(options.repeat):
            missing |= _replay_once(folder, options, printer, outcome, command, out)
        if options.update:
            _store(folder, outcome.compared)
    except Quit:
        printer.info("ended before the last request")
    except RecordingError as wrong:
        printer.error(str(wrong))
        return 2
    except SidecarDied as died:
        printer.error(str(died))
        return 1
    _print_summary(outcome, options, printer, missing)
    return 1 if options.check and outcome.tally.different else 0


def _replay_once(
    folder: Path,
    options: ReplayOptions,
    printer: ReplayPrinter,
    outcome: _Outcome,
    command: Sequence[str],
    out: TextIO,
) -> dict[str, None]:
    """Gives the names of secrets that were missing."""
    secrets = None if options.live_secrets is None else SecretFiller(options.live_secrets)
    replay = SessionReplay(
        folder, command, options.selection, options.realtime, options.ignored_parameters, secrets=secrets
    )
    if options.step:
        replay.on_line, replay.one_by_one = StepPrompt(folder, out).choose, True
    quiet = options.as_json or options.step
    progress = contextlib.nullcontext(ReplayProgress()) if quiet else printer.progress(_count(folder, options))
    try:
        with progress as shown, contextlib.closing(replay.run()) as replies:
            for one in replies:
                failed = one.message is None or one.message.get("type") == "error"
                outcome.tally.add(one.type, one.milliseconds, failed=failed, different=bool(one.differences))
                _print(one, options, printer)
                shown.advance()
                if options.update:
                    outcome.compared.append(one)
    finally:
        outcome.unsent += replay.unsent
    return secrets.missing if secrets else {}


def _count(folder: Path, options: ReplayOptions) -> int:
    return sum(options.selection.takes(line) for line in sent_lines(folder))


def _print(one: Compared, options: ReplayOptions, printer: ReplayPrinter) -> None:
    if options.as_json:
        printer.raw(json.dumps(_as_json(one), ensure_ascii=False))
        return
    if one.message is not None:
        printer.request_and_reply(one.milliseconds, one.type, one.message)
    for difference in one.differences:
        seq = one.answer.seq if one.answer else None
        place = f"{one.type}{f' (request {seq})' if seq else ''}{f': {difference.path}' if difference.path else ''}"
        printer.difference(place, difference.before, difference.after)


def _as_json(one: Compared) -> dict[str, Any]:
    return {
        "seq": one.answer.seq if one.answer else None,
        "type": one.type,
        "ms": round(one.milliseconds, 3),
        "message": one.message,
        "differences": [{"path": each.path, "before": each.before, "after": each.after} for each in one.differences],
    }


def _print_summary(
    outcome: _Outcome, options: ReplayOptions, printer: ReplayPrinter, missing: Mapping[str, None]
) -> None:
    tally = outcome.tally
    if options.as_json:
        summary: dict[str, Any] = {"replies": tally.replies, "errors": tally.failed, "different": tally.different}
        summary |= {"unsent": outcome.unsent, "ms": tally.durations()}
        printer.raw(json.dumps({"summary": summary}))
        return
    printer.types(tally, always=options.repeat > 1)
    printer.info(str(outcome))
    if missing:
        example = ", ".join(f'"{name}": "…"' for name in missing)
        variables = ", ".join(REPLAY_SECRET + name.upper().replace("-", "_") for name in missing)
        printer.info(f"hint: give these secrets with --secrets FILE, a file with {{{example}}}, or as {variables}")


def _store(folder: Path, compared: Sequence[Compared]) -> None:
    """Replaces the recording's replies. Raises RecordingError."""
    new = folder / f"{REPLIES}.new"
    try:
        with os.fdopen(files.create_file(new), "wb") as file:
            for one in compared:
                if one.message is not None and one.answer is not None:
                    note: dict[str, Any] = {"read": one.answer.read}
                    if one.answer.seq is not None:
                        note = {"seq": one.answer.seq, **note, "ms": round(one.milliseconds, 3)}
                    file.write(json.dumps({**one.message, "_log": note}, ensure_ascii=False).encode() + b"\n")
        new.replace(folder / REPLIES)
    except OSError as failure:
        raise RecordingError(f"can't write {folder / REPLIES}: {failure.strerror or failure}") from None


def newest(folder: Path) -> Path:
    """The folder itself if it is a recording, else the newest recording in it. Raises RecordingError."""
    if is_recording(folder):
        return folder
    inside = sorted(one for one in folder.iterdir() if one.name != EARLIER and is_recording(one))
    if not inside:
        raise RecordingError(f"{folder} holds no recording: {MANIFEST} is missing")
    return inside[-1]
