"""Reads the messages of a recorded session: what was sent, and what it was answered."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from sidecar_protocol import codec
from sidecar_protocol.codec import NotJson

from sidecar.recording.recording_folder import REPLIES, SESSION, RecordingError

_NOTE: Final = re.compile(rb',?"_log":\{[^{}]*\}\}$')
"""The note that recording adds to the end of a line."""


@dataclass(frozen=True, slots=True)
class SentLine:
    """A line of input; `line` has no `_log` and no newline, and is empty if it was no JSON and so was not kept."""

    seq: int
    at: str
    type: str
    id: Any
    line: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A line of output."""

    seq: int | None
    """The number of the request that it answers; None for an event."""
    read: int
    """The number of requests that had been read when it was sent."""
    message: dict[str, Any]
    at: str = ""
    """When it was sent, in RFC 3339; empty if the recording does not say."""
    milliseconds: float = 0.0
    """From the request to it."""


def sent_lines(folder: Path) -> Iterator[SentLine]:
    """The parent's lines, in order. Raises RecordingError."""
    last = 0
    for number, raw, members in _lines(folder / SESSION):
        note = members.pop("_log", None)
        if not isinstance(note, dict) or type(note.get("seq")) is not int:
            raise RecordingError(f"line {number} of {folder / SESSION} has no `_log` with its number")
        if note["seq"] <= last:
            said = f"line {number} of {folder / SESSION} has the number {note['seq']} and comes after number {last}"
            raise RecordingError(f"{said}: put the lines in their order again")
        last = note["seq"]
        kind, at = members.get("type"), note.get("at")
        line = b"" if note.get("unreadable") else _NOTE.sub(b"}", raw)
        yield SentLine(
            seq=note["seq"],
            at=at if isinstance(at, str) else "",
            type=kind if isinstance(kind, str) else "",
            id=members.get("id"),
            line=line,
        )


def answers(folder: Path) -> Iterator[Answer]:
    """The answers, in order, without `ready`. Raises RecordingError."""
    for number, _, members in _lines(folder / REPLIES):
        note = members.pop("_log", None)
        if not isinstance(note, dict) or not isinstance(note.get("read"), int):
            raise RecordingError(f"line {number} of {folder / REPLIES} has no `_log` that says when it was sent")
        at, took = note.get("at"), note.get("ms")
        yield Answer(
            seq=note.get("seq"),
            read=note["read"],
            message=members,
            at=at if isinstance(at, str) else "",
            milliseconds=took if isinstance(took, int | float) else 0.0,
        )


def _lines(path: Path) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
    """The lines of a file with their numbers, also as objects. A last line without its end is left out."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n") or not line.strip():
                    continue
                members = _object(line)
                if members is None:
                    raise RecordingError(f"line {number} of {path} is not a JSON object")
                yield number, line.rstrip(), members
    except OSError as failure:
        raise RecordingError(f"can't read {path}: {(failure.strerror or str(failure)).lower()}") from None


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        members = orjson.loads(line)
    except orjson.JSONDecodeError:
        try:  # numbers of any size
            members = codec.plain(line)
        except NotJson:
            return None
    return members if isinstance(members, dict) else None
