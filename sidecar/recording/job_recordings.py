"""What the steps of browser jobs did and looked like: a folder for each job in `jobs/`, its secrets replaced.

Of a job that goes on, `job.json` says so; one that stays so, or a folder without one, is of a job that was interrupted.
"""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from sidecar import files
from sidecar.recording.job_artifacts import ArtifactRecorder
from sidecar.recording.recording_folder import JOBS
from sidecar.recording.redaction.redactor import Redactor

JOB: Final = "job.json"
PICTURE_SUFFIX: Final = ".jpg"


@dataclass(frozen=True, slots=True)
class _Running:
    """What is written of a job that goes on."""

    folder: Path | None = None
    pictures: int = 0


class JobRecorder:
    """Writes the jobs of a recording. Safe to use from several threads."""

    def __init__(
        self, folder: Path, redactor: Redactor, on_bytes: Callable[[int], bool], artifacts: ArtifactRecorder
    ) -> None:
        """`on_bytes` takes the size of what will be written, and says whether the recording is full."""
        self._folder = folder
        self._redactor = redactor
        self._on_bytes = on_bytes
        self._artifacts = artifacts
        self._lock = threading.Lock()
        self._number = 0
        self._running: dict[int, _Running] = {}
        """By their seed: jobs that go on, and are in the recording already."""

    def record(self, job: Mapping[str, Any], pictures: Sequence[bytes]) -> None:
        """Writes one: its notes, its pictures, which the notes name by their place, and its artifacts. Raises OSError.

        `artifacts` in `job` are what `job_artifacts.hold` gives.
        """
        held = job["artifacts"]
        notes = self._redacted({name: value for name, value in job.items() if name != "artifacts"})
        with self._lock:
            known = self._running.pop(job["seed"], _Running())
            new = pictures[known.pictures :]
            if self._on_bytes(len(orjson.dumps(notes)) + sum(map(len, new))):
                for one in held:
                    self._artifacts.discard(one)
                return
            folder = known.folder or self._new_folder()
            self._write_pictures(folder, pictures, 0)  # those before may be of an attempt that failed
            for number in range(len(pictures), known.pictures):
                (folder / picture_name(number)).unlink(missing_ok=True)
            notes["artifacts"] = [self._artifacts.record(one, folder, number) for number, one in enumerate(held)]
            self._write_notes(folder, notes)

    def record_progress(self, job: Mapping[str, Any], pictures: Sequence[bytes], before: int) -> None:
        """Writes what a job that goes on did so far, and the pictures that follow the `before` earlier ones.

        Raises OSError.
        """
        notes = self._redacted({**job, "running": True})
        with self._lock:
            if self._on_bytes(sum(map(len, pictures))):
                return
            known = self._running.get(job["seed"], _Running())
            folder = known.folder or self._new_folder()
            self._running[job["seed"]] = _Running(folder, before + len(pictures))
            self._write_pictures(folder, pictures, before)
            self._write_notes(folder, notes)

    def _new_folder(self) -> Path:
        self._number += 1
        return files.ensure_subfolder(files.ensure_subfolder(self._folder, JOBS), f"{self._number:06}")

    def _write_pictures(self, folder: Path, pictures: Sequence[bytes], before: int) -> None:
        for number, picture in enumerate(pictures, before):
            _write(folder / picture_name(number), picture)

    def _write_notes(self, folder: Path, notes: Mapping[str, Any]) -> None:
        new = folder / f"{JOB}.new"
        _write(new, orjson.dumps(notes))
        new.replace(folder / JOB)
        os.utime(folder.parent)  # so that a report of the running session is made again

    def _redacted(self, value: Any) -> Any:
        """All texts."""
        if isinstance(value, str):
            return self._redactor.redact_text(value)
        if isinstance(value, Mapping):
            return {key: self._redacted(inner) for key, inner in value.items()}
        return [self._redacted(inner) for inner in value] if isinstance(value, list | tuple) else value


def picture_name(number: int) -> str:
    """The file of a picture in its job's folder."""
    return f"{number:03}{PICTURE_SUFFIX}"


def _write(path: Path, data: bytes) -> None:
    with os.fdopen(files.create_file(path), "wb") as file:
        file.write(data)
