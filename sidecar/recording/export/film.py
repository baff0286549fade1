"""The pictures of a recording's jobs, each with its time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from sidecar import files
from sidecar.recording.job_recordings import JOB, picture_name
from sidecar.recording.recording_folder import JOBS

MAX_NOTES: Final = 8 << 20
"""Bytes of a job's notes; those of a longer file are left out."""
_START: Final = b"\xff\xd8"
_SIZES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of the part of a JPEG that says how large it is."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture."""

    job: str
    """The job's folder."""
    at: float
    """Unix time."""
    data: bytes
    """A JPEG."""
    width: int
    height: int


def film_frames(folder: Path) -> Iterator[Frame]:
    """The pictures of all jobs, those of one job by their times; what can't be read is left out."""
    try:
        names = sorted(one.name for one in (folder / JOBS).iterdir() if one.name.isdecimal())
    except OSError:
        return
    for name in names:
        yield from sorted(_frames(folder / JOBS / name), key=lambda frame: frame.at)


def _frames(folder: Path) -> Iterator[Frame]:
    try:
        if (folder / JOB).stat().st_size > MAX_NOTES:
            return
        job = orjson.loads(files.read(folder / JOB))
        moments = list(_moments(job))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return
    for at, number in moments:
        try:
            data = files.read(folder / picture_name(number))
        except OSError:
            continue
        if size := jpeg_size(data):
            yield Frame(folder.name, at, data, *size)


def _moments(job: dict[str, Any]) -> Iterator[tuple[float, int]]:
    """Unix time and number of each picture."""
    began = float(job["began"])
    notes = [(note, note.get("ms", 0)) for step in job["steps"] for note in (*step["actions"], step)]
    if job.get("failure"):
        notes.append((job["failure"], 0))
    for note, milliseconds in notes:
        if isinstance(number := note.get("picture"), int):
            yield began + (note["at"] + milliseconds) / 1000, number


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a JPEG in pixels; None if it is none."""
    place = len(_START)
    while data.startswith(_START) and place + 9 <= len(data) and data[place] == 0xFF:
        if data[place + 1] in _SIZES:
            return int.from_bytes(data[place + 7 : place + 9]), int.from_bytes(data[place + 5 : place + 7])
        place += 2 + int.from_bytes(data[place + 2 : place + 4])
    return None
