"""What the steps of browser jobs did and looked like: a folder for each job in `jobs/`, its secrets replaced.

`job.json` is written last, so a folder without one is of a job whose recording was cut short.
"""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from sidecar import files
from sidecar.recording.job_artifacts import ArtifactRecorder
from sidecar.recording.recording_folder import JOBS
from sidecar.recording.redaction.redactor import Redactor

JOB: Final = "job.json"
PICTURE_SUFFIX: Final = ".jpg"


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

    def record(self, job: Mapping[str, Any], pictures: Sequence[bytes]) -> None:
        """Writes one: its notes, its pictures, which the notes name by their place, and its artifacts. Raises OSError.

        `artifacts` in `job` are what `job_artifacts.hold` gives.
        """
        held = job["artifacts"]
        notes = self._redacted({name: value for name, value in job.items() if name != "artifacts"})
        with self._lock:
            if self._on_bytes(len(orjson.dumps(notes)) + sum(map(len, pictures))):
                for one in held:
                    self._artifacts.discard(one)
                return
            self._number += 1
            folder = files.ensure_subfolder(files.ensure_subfolder(self._folder, JOBS), f"{self._number:06}")
            for number, picture in enumerate(pictures):
                _write(folder / picture_name(number), picture)
            notes["artifacts"] = [self._artifacts.record(one, folder, number) for number, one in enumerate(held)]
            new = folder / f"{JOB}.new"
            _write(new, orjson.dumps(notes))
            new.replace(folder / JOB)

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
