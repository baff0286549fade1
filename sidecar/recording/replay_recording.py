"""`sidecar replay FOLDER`: prints the replies of an offline replay, checks them, or accepts them as they are now."""

import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO

from sidecar import files
from sidecar.recording.offline_replay import Compared, OfflineReplay, Selection
from sidecar.recording.recording_folder import EARLIER, MANIFEST, REPLIES, RecordingError
from sidecar.recording.replay import COMMAND, interruptible
from sidecar.recording.replay_output import ReplayPrinter
from sidecar.recording.replay_process import SidecarDied

_PERCENTILES: Final = (50, 90, 99)


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


@dataclass(slots=True)
class _Tally:
    replies: int = 0
    failed: int = 0
    different: int = 0
    unsent: int = 0
    durations: dict[str, list[float]] = field(default_factory=dict)

    def add(self, compared: Compared) -> None:
        self.replies += 1
        self.failed += compared.message is None or compared.message.get("type") == "error"
        self.different += bool(compared.differences)
        self.durations.setdefault(compared.type, []).append(compared.milliseconds)

    def __str__(self) -> str:
        text = f"{self.replies} replies, {self.failed} of them errors, {self.different} other than recorded"
        return f"{text}; {self.unsent} lines were no JSON and are not in the recording" if self.unsent else text


def replay_recording(folder: Path, options: ReplayOptions, out: TextIO, command: Sequence[str] = COMMAND) -> int:
    """Replays a recording. Gives the exit code.

    0; 1 with `check` if a reply differs, or if the sidecar died; 2 if there is nothing to replay; 130 after Ctrl-C;
    141 when the reader of stdout has closed the pipe.
    """
    printer, tally = ReplayPrinter(out), _Tally()
    return interruptible(printer, tally, lambda: _replay(folder, options, printer, tally, command))


def is_recording(path: Path) -> bool:
    """Whether a path is a recording, and no log."""
    return path.is_dir() and os.path.lexists(path / MANIFEST)


def _replay(folder: Path, options: ReplayOptions, printer: ReplayPrinter, tally: _Tally, command: Sequence[str]) -> int:
    compared: list[Compared] = []
    try:
        for _ in range(options.repeat):
            replay = OfflineReplay(folder, command, options.selection, options.realtime, options.ignored_parameters)
            for one in replay.run():
                tally.add(one)
                _print(one, options, printer)
                if options.update:
                    compared.append(one)
            tally.unsent += replay.unsent
        if options.update:
            _store(folder, compared)
    except RecordingError as wrong:
        printer.error(str(wrong))
        return 2
    except SidecarDied as died:
        printer.error(str(died))
        return 1
    if options.as_json:
        printer.raw(json.dumps({"summary": _summary(tally)}))
    else:
        _print_summary(tally, options, printer)
    return 1 if options.check and tally.different else 0


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


def _print_summary(tally: _Tally, options: ReplayOptions, printer: ReplayPrinter) -> None:
    if options.repeat > 1:
        for kind, values in sorted(tally.durations.items()):
            shown = ", ".join(f"p{rank} {value:.1f} ms" for rank, value in _percentiles(values).items())
            printer.info(f"{kind:<26} {len(values):>7} times: {shown}")
    printer.info(str(tally))


def _summary(tally: _Tally) -> dict[str, Any]:
    return {
        "replies": tally.replies,
        "errors": tally.failed,
        "different": tally.different,
        "unsent": tally.unsent,
        "ms": {
            kind: {f"p{rank}": round(value, 3) for rank, value in _percentiles(values).items()}
            for kind, values in sorted(tally.durations.items())
        },
    }


def _percentiles(values: list[float]) -> dict[int, float]:
    if len(values) == 1:
        return dict.fromkeys(_PERCENTILES, values[0])
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {rank: cuts[rank - 1] for rank in _PERCENTILES}


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
