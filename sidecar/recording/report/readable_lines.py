"""Reads what can be read of a recording's files: a report is asked for when something went wrong."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from sidecar import files

MAX_LINE: Final = 64 << 20
"""Bytes; a longer line is skipped."""


class Unreadable:
    """Counts what could not be read."""

    def __init__(self) -> None:
        self.lines = 0
        self.files: list[str] = []


def read_lines(path: Path, unreadable: Unreadable) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file, one a line. Lines that are none are counted, and a missing file has none.

    One line is held at a time. A last line without its end is left out: it is still being written.
    """
    try:
        file = os.fdopen(files.open_file(path, os.O_RDONLY), "rb")
    except FileNotFoundError:
        return
    except OSError:
        unreadable.files.append(path.name)
        return
    with file:
        while line := file.readline(MAX_LINE):
            if not line.endswith(b"\n"):
                if len(line) == MAX_LINE:
                    unreadable.lines += 1
                    _skip_line(file)
                continue
            if not line.strip():
                continue
            value = _object(line)
            if value is None:
                unreadable.lines += 1
            else:
                yield value


def read_object(path: Path, unreadable: Unreadable, most: int) -> dict[str, Any] | None:
    """The one JSON object of a file with a limit of bytes; None if it is missing or unreadable."""
    try:
        with os.fdopen(files.open_file(path, os.O_RDONLY), "rb") as file:
            data = file.read(most + 1)
    except FileNotFoundError:
        return None
    except OSError:
        data = b""
    value = _object(data) if len(data) <= most else None
    if value is None:
        unreadable.files.append(f"{path.parent.name}/{path.name}")
    return value


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(data)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _skip_line(file: Any) -> None:
    while (more := file.readline(MAX_LINE)) and not more.endswith(b"\n"):
        pass
