"""The folder of a recorded session: its files, its lock, and its manifest."""

import fcntl
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson
from sidecar_protocol import PROTOCOL_VERSION

from sidecar import files

SESSION: Final = "session.jsonl"
"""The file of the parent's lines."""
REPLIES: Final = "replies.jsonl"
"""The file of replies and events."""
EXCHANGES: Final = "exchanges.jsonl"
"""The file of HTTP exchanges with servers."""
PAGES: Final = "pages"
"""What pages of browser jobs loaded: a folder."""
JOBS: Final = "jobs"
"""What the steps of browser jobs did and looked like: a folder."""
SCRIPTS: Final = "scripts"
"""The files of tasks' scripts: a folder."""
TOKENS: Final = "visit_tokens.jsonl"
"""The file of visit tokens that were valid."""
MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
"""Raised with each change that older readers can't read."""
OLDER_MAJORS: Final = 2
"""Major versions of the protocol before this one whose recordings are read."""
EARLIER: Final = "earlier"
"""The folder to which a recording moves when the next one starts."""
_LOCK: Final = ".lock"
_NAMES: Final = (SESSION, REPLIES, EXCHANGES, PAGES, JOBS, SCRIPTS, TOKENS, MANIFEST)


class RecordingError(Exception):
    """A folder can't be recorded into, or holds no recording; the message is one sentence."""


class RecordingFolder:
    """A folder that this process records into, until it is closed."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self.lock = lock
        """The descriptor of its lock."""

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Replaces the manifest in one step. Raises OSError."""
        new = self.path / f"{MANIFEST}.new"
        with os.fdopen(files.create_file(new), "wb") as file:
            file.write(orjson.dumps({"format": FORMAT, **manifest}, option=orjson.OPT_INDENT_2) + b"\n")
        new.replace(self.path / MANIFEST)

    def close(self) -> None:
        """Lets others record into the folder."""
        os.close(self.lock)


def claim_folder(path: Path, started: str) -> RecordingFolder:
    """The folder to record into: `path`, made where it is missing, or one in it if another session records there.

    A recording that is there already moves to `earlier/`. `started` is the time, in RFC 3339. Raises OSError.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = _locked(path)
    if lock is None:
        name = f"{started.replace(':', '')}-{os.getpid()}"
        path = files.ensure_subfolder(path, name)
        lock = _locked(path)
        if lock is None:
            raise OSError(f"another process records into {path}")
    try:
        _move_aside(path)
    except BaseException:
        os.close(lock)
        raise
    return RecordingFolder(path, lock)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a recording. Raises RecordingError."""
    try:
        manifest = orjson.loads((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise RecordingError(f"{folder} holds no recording: {MANIFEST} is missing") from None
    except OSError as failure:
        raise RecordingError(f"can't read {folder / MANIFEST}: {(failure.strerror or str(failure)).lower()}") from None
    except orjson.JSONDecodeError:
        raise RecordingError(f"{folder / MANIFEST} is not JSON") from None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise RecordingError(f"{folder / MANIFEST} is not the manifest of a recording")
    if manifest["format"] > FORMAT:
        raise RecordingError(
            f"{folder} was recorded by a newer sidecar (format {manifest['format']}, this one reads {FORMAT})"
        )
    _check_protocol(folder, manifest.get("protocol"))
    return manifest


def is_being_written(folder: Path) -> bool:
    """Whether a process records into a folder."""
    try:
        lock = files.open_file(folder / _LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _check_protocol(folder: Path, protocol: Any) -> None:
    """Raises RecordingError unless the protocol is of this major version or of the two before it."""
    newest = int(PROTOCOL_VERSION.partition(".")[0])
    oldest = max(newest - OLDER_MAJORS, 1)
    major = str(protocol).partition(".")[0]
    if not re.fullmatch("[0-9]{1,9}", major):
        raise RecordingError(f"{folder / MANIFEST} has no version of the protocol (`protocol`, such as `2.0`)")
    if not oldest <= int(major) <= newest:
        sentence = f"{folder} was recorded with protocol {major}; this sidecar replays {oldest} to {newest}"
        raise RecordingError(f"{sentence}: use one of its time, or record anew")


def _locked(folder: Path) -> int | None:
    """The descriptor of the folder's lock; None if another process holds it."""
    lock = files.open_file(folder / _LOCK, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except BaseException:
        os.close(lock)
        raise
    return lock


def _move_aside(folder: Path) -> None:
    present = [name for name in _NAMES if os.path.lexists(folder / name)]
    if not present:
        return
    earlier = files.ensure_subfolder(folder, EARLIER)
    number = 1 + max((int(one.name) for one in earlier.iterdir() if one.name.isdecimal()), default=0)
    target = files.ensure_subfolder(earlier, f"{number:06}")
    for name in present:
        (folder / name).replace(target / name)
