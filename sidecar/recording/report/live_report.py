"""The report of a session that still runs: made again when its recording has grown."""

import asyncio
import time
from pathlib import Path
from typing import Any, Final

import orjson

from sidecar.recording.job_artifacts import NAME
from sidecar.recording.recording_folder import EXCHANGES, JOBS, MANIFEST, PAGES, REPLIES, SESSION
from sidecar.recording.report.report_page import render, report_data

DATA_ADDRESS: Final = "data"
_REST: Final = 4.0
"""How many times longer than the making of a report nothing is made again."""


class LiveReport:
    """Its page and its data. What was made is kept until the recording changes."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder = folder
        self._most = most
        self._data: dict[str, Any] = {}
        self._state: object = None
        self._next = 0.0

    async def page(self) -> bytes:
        """The page, which asks for newer data by itself. Raises RecordingError."""
        data = await self._newest()
        return await asyncio.to_thread(render, data, live=DATA_ADDRESS)

    async def data(self) -> bytes:
        """What the page shows, in JSON. Raises RecordingError."""
        return orjson.dumps(await self._newest())

    def artifact(self, job: str, name: str) -> Path | None:
        """The file of an artifact in the folder of a job; None if there is none."""
        path = self._folder / JOBS / job / name
        return path if job.isdecimal() and NAME.fullmatch(name) and path.is_file() else None

    async def _newest(self) -> dict[str, Any]:
        now = time.monotonic()
        state = _state(self._folder)
        if state != self._state and (now >= self._next or not self._data):
            self._data = await asyncio.to_thread(report_data, self._folder, self._most)
            self._state = state
            took = time.monotonic() - now
            self._next = time.monotonic() + took * _REST
        return self._data


def _state(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """What changes whenever the recording does."""
    found = []
    for name in (SESSION, REPLIES, EXCHANGES, MANIFEST, PAGES, JOBS):
        try:
            about = (folder / name).stat()
        except OSError:
            continue
        found.append((name, about.st_size, about.st_mtime_ns))
    return tuple(found)
