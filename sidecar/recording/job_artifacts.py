"""Files that recorded jobs made: linked or copied into the folder of their job, secrets in texts replaced."""

import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from sidecar import files
from sidecar.recording.page_recordings import redact_har
from sidecar.recording.recording_folder import JOBS
from sidecar.recording.redaction.redactor import Redactor

MAX_TEXT: Final = 16 << 20
"""Bytes; a longer text is not recorded, as it is not searched for secrets."""
NAME: Final = re.compile(r"artifact-\d{2,6}\.[a-z0-9]{1,8}")
"""The name of such a file in its job's folder."""
_STAGED: Final = ".staged"
"""The folder in `jobs/` that holds on to files until the recorder takes them."""
_TEXTS: Final = frozenset({"html", "har"})
_DOWNLOAD: Final = "download"
_HEAD: Final = 64 << 10
"""Bytes of a download that tell whether it is a text."""


def hold(recording: Path, kind: str, path: Path) -> dict[str, str] | None:
    """Holds on to an artifact, which the parent may move as soon as it knows the path.

    Gives what `ArtifactRecorder.record` takes; None if there is no such file: those of a failed job are removed. Raises
    nothing.
    """
    if not path.exists():
        return None
    held = path
    try:
        staged = files.ensure_subfolder(files.ensure_subfolder(recording, JOBS), _STAGED) / path.name
        os.link(path, staged, follow_symlinks=False)
        held = staged
    except OSError:  # another disk, or one without links: the recorder copies it
        pass
    return {"kind": kind, "name": path.name, "from": str(held)}


class ArtifactRecorder:
    """Writes the artifacts of jobs into their folders."""

    def __init__(self, redactor: Redactor, on_bytes: Callable[[int], bool], room: Callable[[], int]) -> None:
        """`on_bytes` takes the size of what will be written, and says whether the recording is full.

        `room` gives the bytes that it may still have.
        """
        self._redactor = redactor
        self._on_bytes = on_bytes
        self._room = room

    def record(self, held: Mapping[str, str], folder: Path, number: int) -> dict[str, Any]:
        """Writes one. Gives its note: `kind`, `name`, `size`, and `file` unless it is left out. Raises nothing."""
        source, kind = Path(held["from"]), held["kind"]
        note: dict[str, Any] = {"kind": kind, "name": held["name"]}
        is_staged = source.parent.name == _STAGED
        try:
            size = note["size"] = source.stat().st_size
            target = folder / f"artifact-{number:02}{source.suffix}"
            if size <= self._room() and self._write(source, target, kind, size, is_staged=is_staged):
                self._on_bytes(size)
                note["file"] = target.name
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass  # it was moved away, or is no HAR: it stays a note
        finally:
            if is_staged:
                source.unlink(missing_ok=True)
        return note

    def discard(self, held: Mapping[str, str]) -> None:
        """Lets go of one that is not recorded."""
        source = Path(held["from"])
        if source.parent.name == _STAGED:
            source.unlink(missing_ok=True)

    def _write(self, source: Path, target: Path, kind: str, size: int, *, is_staged: bool) -> bool:
        """False for a text that is too long."""
        if kind in _TEXTS or (kind == _DOWNLOAD and _is_text(source)):
            if size > MAX_TEXT:
                return False
            data = self._redacted(kind, source.read_bytes())
            with os.fdopen(files.create_file(target), "wb") as file:
                file.write(data)
        elif is_staged:
            source.replace(target)
        else:
            with source.open("rb") as original, os.fdopen(files.create_file(target), "wb") as copy:
                shutil.copyfileobj(original, copy)
        return True

    def _redacted(self, kind: str, data: bytes) -> bytes:
        if kind == "har":
            return orjson.dumps(redact_har(orjson.loads(data), self._redactor))
        try:
            return self._redactor.redact_body(data.decode()).encode(errors="surrogatepass")
        except UnicodeDecodeError:
            return self._redactor.redact_body(data.decode("latin-1")).encode("latin-1", "replace")


def _is_text(path: Path) -> bool:
    with path.open("rb") as file:
        return b"\0" not in file.read(_HEAD)
