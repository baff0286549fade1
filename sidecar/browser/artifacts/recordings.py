"""What is recorded while a job runs: a video of its page, the network traffic, a trace."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page
from sidecar_protocol.jobs import Option

from sidecar.browser import playwright_errors
from sidecar.browser.artifacts.capture import Kind
from sidecar.browser.artifacts.redact_recordings import clean_har, clean_trace
from sidecar.errors import ActionFailed, BrowserUnavailable
from sidecar.truncation import Redact

_CLEAN: Final[dict[Kind, Callable[[bytes, Redact], bytes]]] = {"har": clean_har, "trace": clean_trace}


class Recorder:
    """Started before the first step, finished after the last; its files lie in `folder` until then."""

    def __init__(self, page: Page, options: Sequence[Option], folder: Path, hide: Redact) -> None:
        self._page = page
        self._folder = folder
        self._hide = hide
        self._wanted = [kind for kind, option in _OPTIONS.items() if option in options]

    async def start(self) -> None:
        """Begins to record. Raises ActionFailed with the option as its action, BrowserUnavailable, BrowserCrashed."""
        tracing = self._page.context.tracing
        for kind in self._wanted:
            if kind == "video":
                await _tell(kind, self._page.screencast.start(path=self._file(kind)))
            elif kind == "har":
                await _tell(kind, tracing.start_har(self._file(kind), content="embed"))
            else:
                await _tell(kind, tracing.start(screenshots=True, snapshots=True))

    async def finish(self) -> list[tuple[Kind, bytes]]:
        """Ends the recordings and gives them, secrets replaced. Raises ActionFailed, BrowserCrashed."""
        made: list[tuple[Kind, bytes]] = []
        tracing = self._page.context.tracing
        for kind in self._wanted:
            if kind == "video":
                await _tell(kind, self._page.screencast.stop())
            elif kind == "har":
                await _tell(kind, tracing.stop_har())
            else:
                await _tell(kind, tracing.stop(path=self._file(kind)))
            made.append((kind, await asyncio.to_thread(self._read, kind)))
        return made

    def _file(self, kind: Kind) -> Path:
        return self._folder / f"{kind}.{_SUFFIXES[kind]}"

    def _read(self, kind: Kind) -> bytes:
        try:
            data = self._file(kind).read_bytes()
        except OSError as error:
            raise ActionFailed(f"{_OPTIONS[kind]} failed: {error.strerror}", action=_OPTIONS[kind]) from None
        if not data:
            raise ActionFailed(f"{_OPTIONS[kind]} failed: the browser gave nothing to record", action=_OPTIONS[kind])
        return _CLEAN[kind](data, self._hide) if kind in _CLEAN else data


async def _tell(kind: Kind, doing: Awaitable[object]) -> None:
    try:
        await doing
    except PlaywrightError as error:
        if playwright_errors.is_dead(error):
            raise playwright_errors.crashed(error) from None
        if "Executable doesn't exist" in str(error):
            said = "RECORD needs ffmpeg where the browser runs; run `playwright install ffmpeg` there"
            raise BrowserUnavailable(said) from None
        option = _OPTIONS[kind]
        raise ActionFailed(f"{option} failed: {playwright_errors.first_line(error)}", action=option) from None


_OPTIONS: Final[dict[Kind, Option]] = {"video": "RECORD", "trace": "TRACE", "har": "HAR"}
RECORDED: Final = frozenset(_OPTIONS.values())
"""Options that need a recorder, and a folder for it."""
_SUFFIXES: Final[dict[Kind, str]] = {"video": "webm", "trace": "zip", "har": "har"}
