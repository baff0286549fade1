"""Chooses the pictures that a report embeds: those of failures first, then the last of each job, then others."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sidecar import files
from sidecar.recording.recording_folder import JOBS

MAX_PICTURE: Final = 400_000
"""Bytes; a larger file is no picture of ours."""
_JPEG: Final = b"\xff\xd8\xff"


def embed_pictures(folder: Path, jobs: list[dict[str, Any]], most: int) -> tuple[dict[str, str], int]:
    """Pictures as base64 by `job number/file`, with a limit of characters in total, and the number left out.

    Where a picture is not embedded, its name is taken out of the jobs.
    """
    embedded: dict[str, str] = {}
    used = left_out = 0
    for job, note in _by_importance(jobs):
        name = note["picture"]
        data = _read(folder / JOBS / job["folder"] / name)
        size = (len(data) + 2) // 3 * 4 + 40 if data else 0
        if data and used + size <= most:
            used += size
            place = f"{job['n']}/{name}"
            embedded[place] = base64.b64encode(data).decode()
            note["picture"] = place
        else:
            note["picture"] = None
            left_out += 1
            job["pictures_left_out"] = job.get("pictures_left_out", 0) + 1
    return embedded, left_out


def _by_importance(jobs: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Jobs with their notes that name a picture; from job to job, so that each has its share."""
    ranked: list[tuple[int, int, dict[str, Any], dict[str, Any]]] = []
    for place, job in enumerate(jobs):
        if job["folder"] is None:
            continue
        notes = [note for step in job["steps"] for note in (*step["actions"], step)]
        if job["failure"]:
            notes.append(job["failure"])
        notes = [note for note in notes if note.get("picture")]
        if not job["ok"] and notes:
            ranked.append((0, place, job, notes.pop()))
        ranked += [(1 + age, place, job, note) for age, note in enumerate(reversed(notes))]
    ranked.sort(key=lambda one: one[:2])
    for _, _, job, note in ranked:
        yield job, note


def _read(path: Path) -> bytes | None:
    try:
        if path.stat().st_size > MAX_PICTURE:
            return None
        data = files.read(path)
    except OSError:
        return None
    return data if data.startswith(_JPEG) else None
