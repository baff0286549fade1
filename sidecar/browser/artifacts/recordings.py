"""Recordings of a job: video, HAR, trace."""

import asyncio
import base64
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page
from sidecar_protocol.codec import plain
from sidecar_protocol.encoding import encode
from sidecar_protocol.jobs import Option

from sidecar.browser import playwright_errors
from sidecar.browser.artifacts.capture import ArtifactKind
from sidecar.browser.artifacts.redact_recordings import redact_har, redact_trace
from sidecar.clock import within
from sidecar.errors import ActionFailed, BrowserUnavailable, SidecarError
from sidecar.truncation import Redact

_REDACT: Final[dict[ArtifactKind, Callable[[bytes, Redact], bytes]]] = {"har": redact_har, "trace": redact_trace}

_ABANDON_SECONDS: Final = 1.5


class Recorder:
    """Started before the first step, finished after the last; its files are in `folder` until then."""

    def __init__(
        self,
        page: Page,
        options: Sequence[Option],
        folder: Path,
        redact: Redact,
        on_har: Callable[[bytes], None] | None = None,
        *,
        trace_failure: bool = False,
    ) -> None:
        """`trace_failure`: whether the trace is kept if the job fails.

        `on_har` takes the HAR with its secrets, in a thread, also if the job has not asked for one."""
        self._page = page
        self._options = options
        self._on_har = on_har
        self._folder = folder
        self._redact = redact
        self._trace_failure = trace_failure
        self.failure_trace: bytes | None = None
        """The redacted trace of a job that has failed, if it was to be kept."""
        extra = {kind for kind, wanted in (("har", on_har), ("trace", trace_failure)) if wanted}
        self._kinds = [kind for kind, option in _OPTIONS.items() if option in options or kind in extra]
        self._records_har = False

    async def start(self) -> None:
        """Starts recording. Raises ActionFailed with the option as its action, BrowserUnavailable, BrowserCrashed."""
        tracing = self._page.context.tracing
        for kind in self._kinds:
            if kind == "video":
                await _run_command(kind, self._page.screencast.start(path=self._file(kind)))
            elif kind == "har":
                await _run_command(kind, tracing.start_har(self._file(kind), content="embed"))
                self._records_har = True
            else:
                await _run_command(kind, tracing.start(screenshots=True, snapshots=True))

    async def finish(self) -> list[tuple[ArtifactKind, bytes]]:
        """Ends what the job has asked for, and returns it redacted. Raises ActionFailed, BrowserCrashed."""
        made: list[tuple[ArtifactKind, bytes]] = []
        tracing = self._page.context.tracing
        for kind in self._kinds:
            is_wanted = _OPTIONS[kind] in self._options
            if kind == "video":
                await _run_command(kind, self._page.screencast.stop())
            elif kind == "trace":
                await _run_command(kind, tracing.stop(path=self._file(kind)))
            elif is_wanted:
                await self._stop_har()
            if is_wanted:
                made.append((kind, await asyncio.to_thread(self._read_redacted, kind)))
        return made

    async def hand_over(self) -> None:
        """Ends the HAR and gives it to `on_har`. Raises ActionFailed, BrowserCrashed."""
        if self._on_har:
            await self._stop_har()
            await asyncio.to_thread(lambda take: take(self._read("har")), self._on_har)

    async def _stop_har(self) -> None:
        if self._records_har:
            self._records_har = False
            await _run_command("har", self._page.context.tracing.stop_har())

    async def abandon(self) -> None:
        """Saves the HAR of a job that has failed, for `on_har`, and its trace, if the browser still gives them."""
        tracing = self._page.context.tracing
        with contextlib.suppress(PlaywrightError, SidecarError, TimeoutError):
            async with within(_ABANDON_SECONDS):
                await self.hand_over()
                if self._trace_failure:
                    await tracing.stop(path=self._file("trace"))
                    self.failure_trace = await asyncio.to_thread(self._read_redacted, "trace")

    def _file(self, kind: ArtifactKind) -> Path:
        return self._folder / f"{kind}.{_SUFFIXES[kind]}"

    def _read_redacted(self, kind: ArtifactKind) -> bytes:
        data = self._read(kind)
        return _REDACT[kind](data, self._redact) if kind in _REDACT else data

    def _read(self, kind: ArtifactKind) -> bytes:
        try:
            data = self._file(kind).read_bytes()
        except OSError as error:
            raise ActionFailed(f"{_OPTIONS[kind]} failed: {error.strerror}", action=_OPTIONS[kind]) from None
        if not data:
            raise ActionFailed(f"{_OPTIONS[kind]} failed: the browser gave nothing to record", action=_OPTIONS[kind])
        return data


def with_bodies(har: bytes, bodies: Mapping[str, bytes]) -> bytes:
    """A HAR with bodies by URL for responses that have none: browsers give none of what they save as a file."""
    members = plain(har)
    for entry in members["log"]["entries"]:
        body, content = bodies.get(entry["request"]["url"]), entry["response"]["content"]
        if body is not None and not content.get("text"):
            content |= {"text": base64.b64encode(body).decode(), "encoding": "base64", "size": len(body)}
    return encode(members)


async def _run_command(kind: ArtifactKind, command: Awaitable[object]) -> None:
    try:
        await command
    except PlaywrightError as error:
        if playwright_errors.is_closed(error):
            raise playwright_errors.to_crash(error) from None
        if "Executable doesn't exist" in str(error):
            said = "RECORD needs ffmpeg where the browser runs; run `sidecar install ffmpeg` there"
            raise BrowserUnavailable(said) from None
        option = _OPTIONS[kind]
        raise ActionFailed(f"{option} failed: {playwright_errors.first_line(error)}", action=option) from None


_OPTIONS: Final[dict[ArtifactKind, Option]] = {"video": "RECORD", "trace": "TRACE", "har": "HAR"}
RECORDING_OPTIONS: Final = frozenset(_OPTIONS.values())
"""Options that need a recorder and a folder for it."""
_SUFFIXES: Final[dict[ArtifactKind, str]] = {"video": "webm", "trace": "zip", "har": "har"}
