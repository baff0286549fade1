"""Captures artifacts: PNG, PDF, HTML, recordings, downloads; inline in the reply or as files."""

import asyncio
import base64
import contextlib
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from playwright.async_api import CDPSession, Page
from playwright.async_api import Error as PlaywrightError
from sidecar_protocol.jobs import Option, PdfOptions

from sidecar.browser import capture_limits, pdf, playwright_errors, screenshots
from sidecar.browser.cdp import CdpClient, is_chromium
from sidecar.browser.pdf import pixels
from sidecar.errors import ActionFailed, LimitExceeded, StoreFailed
from sidecar.scratch_folder import Scratch

ArtifactKind = Literal["screenshot", "pdf", "html", "video", "har", "trace", "download"]
WriteArtifact = Callable[[ArtifactKind, bytes], Path]
"""Writes a file."""
_SUFFIXES: Final[dict[ArtifactKind, str]] = {
    "screenshot": "png",
    "pdf": "pdf",
    "html": "html",
    "video": "webm",
    "har": "har",
    "trace": "zip",
    "download": "bin",
}
MAX_INLINE_BYTES: Final = 64 << 20
"""Bytes of an inline artifact; larger ones have to be files."""
_NO_FRAME: Final = "Unable to capture screenshot"
"""A busy Chromium had no frame to capture; the next try succeeds."""
_ATTEMPTS: Final = 3


class ArtifactSink:
    """The destination of a job's artifacts: inline as base64, or files by `write`, which is called in a thread."""

    def __init__(self, write: WriteArtifact | None) -> None:
        self._write = write
        self._paths: list[str] = []
        self.writes_files = write is not None
        """Whether `put` returns paths."""

    async def put(self, kind: ArtifactKind, data: bytes) -> str:
        """Returns base64 or a path. Raises LimitExceeded if it is too large for a reply, and `write`'s errors."""
        if self._write is not None:
            self._paths.append(str(await asyncio.to_thread(self._write, kind, data)))
            return self._paths[-1]
        if len(data) > MAX_INLINE_BYTES:
            said = f"the {kind} has {len(data)} bytes, a reply carries {MAX_INLINE_BYTES}; ask for artifacts as files"
            raise LimitExceeded(said, action=kind)
        return base64.b64encode(data).decode()

    async def put_base64(self, kind: ArtifactKind, content: str) -> str:
        """Stores base64 like `put`."""
        return content if self._write is None else await self.put(kind, base64.b64decode(content))

    async def put_text(self, kind: ArtifactKind, content: str) -> str:
        """Returns the text, or a path."""
        return content if self._write is None else await self.put(kind, content.encode())

    async def clear(self) -> None:
        """Removes the files of a failed job."""
        await asyncio.to_thread(_remove_files, self._paths)


async def capture_artifacts(
    page: Page, cdp: CdpClient, options: Sequence[Option], pdf: PdfOptions, sink: ArtifactSink
) -> dict[str, str]:
    """Captures `screenshot`, `html` and `pdf` of a page, if requested.

    Raises ActionFailed with one of these as its action, BrowserCrashed, and errors of the sink.
    """
    made: dict[str, str] = {}
    for option, kind, make in _MAKERS:
        if option in options:
            put = sink.put_text if kind == "html" else sink.put_base64
            made[kind] = await put(kind, await _await_artifact(kind, make(page, cdp, pdf)))
    return made


@contextlib.contextmanager
def scratch_folder(scratch: Scratch) -> Iterator[Path]:
    """A temporary folder, removed at the end. Raises StoreFailed."""
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(scratch.new())
        except OSError as error:
            said = f"temporary files can't be created: {error.strerror}"
            raise StoreFailed(said, retryable=False) from None
        yield folder


def _remove_files(paths: Iterable[str]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            Path(path).unlink(missing_ok=True)


def write_file(folder: Path, kind: ArtifactKind, data: bytes) -> Path:
    """Writes a new file of mode 0600 with a unique name in `folder`. Raises StoreFailed; leaves no partial file."""
    path = folder / f"{uuid.uuid4().hex}-{kind}.{_SUFFIXES[kind]}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        raise StoreFailed(f"the {kind} could not be written: {error.strerror}", retryable=False) from None
    return path


def pdf_arguments(options: PdfOptions) -> dict[str, Any]:
    """Playwright's arguments; `format` takes precedence over `size`, and A4 is the default."""
    margin, size = options.margin, options.size
    sides = {name: f"{pixels(getattr(margin, name)):g}px" for name in ("top", "right", "bottom", "left")}
    given: dict[str, Any] = {
        "landscape": options.landscape,
        "print_background": options.background,
        "scale": options.scale,
        "margin": sides,
    }
    if options.format is None and (size.width is not None or size.height is not None):
        measures = {"width": size.width, "height": size.height}
        given |= {name: f"{pixels(value):g}px" for name, value in measures.items() if value is not None}
    else:
        given["format"] = options.format or "A4"
    return given


async def _await_artifact(kind: ArtifactKind, making: Awaitable[str]) -> str:
    try:
        return await making
    except LimitExceeded as large:
        raise LimitExceeded(f"{kind} failed: {large.message}", action=kind) from None
    except PlaywrightError as error:
        if playwright_errors.is_closed(error):
            raise playwright_errors.to_crash(error) from None
        raise ActionFailed(f"{kind} failed: {playwright_errors.first_line(error)}", action=kind) from None


async def _screenshot(page: Page, cdp: CdpClient, _: PdfOptions) -> str:
    """A screenshot of the whole page: PNG in base64."""
    captured = None
    if is_chromium(page.context.browser):
        size = capture_limits.decode_page_size(await cdp.call(page, "size"))
        capture_limits.check_image_size(size.width, size.height, size.ratio)
        captured = await _capture_with_cdp(await cdp.session(page), size.ratio)
    return captured or base64.b64encode(await screenshots.capture(page, {"full_page": True, "type": "png"})).decode()


async def _capture_with_cdp(session: CDPSession, ratio: float) -> str | None:
    """A screenshot by Chromium's own command; None if it has no frame to capture."""
    # twice as fast as Playwright, which scrolls, waits for a frame and compresses more
    size = (await session.send("Page.getLayoutMetrics"))["cssContentSize"]
    capture_limits.check_image_size(size["width"], size["height"], ratio)  # the captured size is the checked one
    wanted = {
        "format": "png",
        "optimizeForSpeed": True,
        "captureBeyondViewport": True,
        "clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1},
    }
    for _attempt in range(_ATTEMPTS):
        try:
            image: str = (await session.send("Page.captureScreenshot", wanted))["data"]
            return image
        except PlaywrightError as error:
            if _NO_FRAME not in str(error):
                raise
    return None


async def _html(page: Page, _: CdpClient, __: PdfOptions) -> str:
    return await page.content()


async def _pdf(page: Page, cdp: CdpClient, options: PdfOptions) -> str:
    """The page as PDF, in base64."""
    sheet = options.size.width if options.landscape else options.size.height
    margins = pixels(options.margin.top) + pixels(options.margin.bottom)
    custom = options.format is None and sheet is not None
    async with contextlib.nullcontext() if options.js else _without_scripts(page, cdp):
        await page.emulate_media(media=options.media)
        if options.js and options.delay:
            await page.wait_for_timeout(options.delay)
        # the medium and the delay may have made the page higher since it was checked
        size = capture_limits.decode_page_size(await cdp.call(page, "size"))
        capture_limits.check_pdf_size(
            size, options.scale, pixels(sheet) - margins if custom and sheet is not None else None
        )
        return base64.b64encode(await pdf.print_measured_page(page, pdf_arguments(options))).decode()


@contextlib.asynccontextmanager
async def _without_scripts(page: Page, cdp: CdpClient) -> AsyncIterator[None]:
    """Disables the page's scripts, so that it is printed as it is, without its own print handlers."""
    session = await cdp.session(page)
    await session.send("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        yield
    finally:
        with contextlib.suppress(PlaywrightError):  # the page is closed
            await session.send("Emulation.setScriptExecutionDisabled", {"value": False})


_MAKERS: Final[tuple[tuple[Option, ArtifactKind, Callable[[Page, CdpClient, PdfOptions], Awaitable[str]]], ...]] = (
    ("SCREENSHOT", "screenshot", _screenshot),
    ("HTML", "html", _html),
    ("PDF", "pdf", _pdf),  # last: it changes the page's emulated medium
)
