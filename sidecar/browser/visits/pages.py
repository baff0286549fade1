"""Actions that reach beyond the page they begin in: frames, downloads, uploads, dialogs, popups."""

import asyncio
import base64
import binascii
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any, Final

import msgspec
from playwright.async_api import Download, Frame, Page
from playwright.async_api import Error as PlaywrightError

from protocol.base import Secret, WireModel
from protocol.jobs import NonEmpty, Timeout
from sidecar.browser.artifacts.making import scratch_folder
from sidecar.browser.devtools import is_chromium
from sidecar.browser.visits.arguments import Frames, Strict

MOST_UPLOADED: Final = 50_000_000
"""Bytes of all files of one action; Playwright takes no more inline."""
MOST_DOWNLOADED: Final = 64 << 20
"""Bytes of one file."""
_TOO_LARGE: Final = f"the file has more than {MOST_DOWNLOADED >> 20} MiB"
_STARTING: Final = ("Download is starting", "net::ERR_ABORTED")


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that an action brought."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class DialogAnswer:
    """What dialogs get from now on."""

    accept: bool
    text: str | None


class UploadFile(WireModel, frozen=True, kw_only=True):
    """A file that the page gets, from the message itself; files of this machine are never read."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[^/\\\x00-\x1f]{1,255}$")]
    content: str
    """Base64."""
    mime_type: Annotated[str, msgspec.Meta(pattern=r"^[\w.+-]+/[\w.+-]+$", max_length=200)] = "application/octet-stream"

    def __post_init__(self) -> None:
        try:
            base64.b64decode(self.content, validate=True)
        except binascii.Error:
            raise ValueError("content is not base64") from None


class SetInputFiles(Strict, frozen=True, kw_only=True):
    """Files for an `<input type="file">`; an empty list takes them out again."""

    files: Annotated[list[UploadFile], msgspec.Meta(max_length=100)]

    def __post_init__(self) -> None:
        if sum(len(file.content) for file in self.files) * 3 // 4 > MOST_UPLOADED:
            raise ValueError(f"the files are larger than {MOST_UPLOADED} bytes together")


class DownloadFrom(WireModel, frozen=True, kw_only=True):
    """What starts a download: a click on `selector`, or opening `url`."""

    selector: NonEmpty | None = None
    url: NonEmpty | None = None
    frame: Frames | None = None
    timeout: Timeout | None = None

    def __post_init__(self) -> None:
        if (self.selector is None) == (self.url is None):
            raise ValueError("download needs selector or url")


class OnDialog(WireModel, frozen=True, kw_only=True):
    """What dialogs get from now on, until another order."""

    accept: bool = True
    text: Secret | None = None
    """What a prompt gets; its default where absent."""


class SwitchToPopup(WireModel, frozen=True, kw_only=True):
    """The popup that a click on `selector` opens; without a selector the newest there is, waited for if need be."""

    selector: NonEmpty | None = None
    frame: Frames | None = None
    timeout: Timeout | None = None


class SwitchToPage(WireModel, frozen=True, kw_only=True):
    """A page by its number in order of opening: 0 is the job's own, 1 its first popup. It is waited for."""

    index: Annotated[int, msgspec.Meta(ge=0, le=100)]
    timeout: Timeout | None = None


async def find_frame(page: Page, frames: str | Sequence[str], milliseconds: float) -> Frame:
    """The document in an iframe, found by selector, or by one selector after the other where they are nested."""
    target: Page | Frame = page
    for selector in [frames] if isinstance(frames, str) else frames:
        element = await target.wait_for_selector(selector, state="attached", timeout=milliseconds)
        frame = await element.content_frame() if element else None
        if frame is None:
            raise PlaywrightError(f"the element {selector!r} is no frame")
        target = frame
    if isinstance(target, Page):
        raise PlaywrightError("no frame is named")
    return target


async def set_input_files(target: Page | Frame, given: dict[str, Any]) -> None:
    """Hands files to an input."""
    files = [
        {"name": file.name, "mimeType": file.mime_type, "buffer": base64.b64decode(file.content)}
        for file in given.pop("files")
    ]
    await target.set_input_files(files=files, **given)  # type: ignore[arg-type]


async def download(target: Page | Frame, given: dict[str, Any]) -> Downloaded:
    """Starts a download and waits for its end."""
    page = _page_of(target)
    async with _growing(page) as too_large:
        async with page.expect_download(timeout=given["timeout"]) as coming:
            if "selector" in given:
                await target.click(given["selector"], timeout=given["timeout"])
            else:
                await _open(page, given)
        fetched: Download = await coming.value
        await _whole(fetched, too_large)
    with scratch_folder(given["scratch"]) as folder:
        path = folder / "download"
        await fetched.save_as(path)
        await fetched.delete()
        if path.stat().st_size > MOST_DOWNLOADED:
            raise PlaywrightError(_TOO_LARGE)
        data = await asyncio.to_thread(path.read_bytes)
    return Downloaded(PurePosixPath(fetched.suggested_filename.replace("\\", "/")).name, data)


@asynccontextmanager
async def _growing(page: Page) -> AsyncIterator[asyncio.Event]:
    """Set when a download of the page's is known to become too large; before its end only Chromium tells."""
    too_large = asyncio.Event()

    def look(progress: dict[str, Any]) -> None:
        if max(progress["receivedBytes"], progress["totalBytes"]) > MOST_DOWNLOADED:
            too_large.set()

    if not is_chromium(page.context.browser):
        yield too_large
        return
    session = await page.context.new_cdp_session(page)
    session.on("Page.downloadProgress", look)
    await session.send("Page.enable")
    try:
        yield too_large
    finally:
        with contextlib.suppress(PlaywrightError):  # the page is gone
            await session.detach()


async def _whole(fetched: Download, too_large: asyncio.Event) -> None:
    """Waits for the end of a download. Raises PlaywrightError where it fails, and once it is too large."""
    failing, growing = asyncio.ensure_future(fetched.failure()), asyncio.ensure_future(too_large.wait())
    try:
        await asyncio.wait((failing, growing), return_when=asyncio.FIRST_COMPLETED)
        if growing.done():
            await fetched.cancel()
            raise PlaywrightError(_TOO_LARGE)
        failure = await failing
    finally:
        failing.cancel()
        growing.cancel()
    if failure is not None:
        raise PlaywrightError(f"the download failed: {failure}")


async def _open(page: Page, given: dict[str, Any]) -> None:
    try:
        await page.goto(given["url"], timeout=given["timeout"])
    except PlaywrightError as error:
        if not any(said in str(error) for said in _STARTING):
            raise


async def on_dialog(_: Page, given: dict[str, Any]) -> DialogAnswer:
    """Gives orders for the dialogs to come."""
    return DialogAnswer(given["accept"], given.get("text"))


async def switch_to_popup(target: Page | Frame, given: dict[str, Any]) -> Page:
    """The popup to go on in."""
    page = _page_of(target)
    if "selector" in given:
        coming: AbstractAsyncContextManager[Any] = page.expect_popup(timeout=given["timeout"])
        async with coming as popup:
            await target.click(given["selector"], timeout=given["timeout"])
        opened: Page = await popup.value
        return opened
    pages = page.context.pages
    return pages[-1] if len(pages) > 1 else await _next_page(page, given["timeout"])


async def switch_to_page(page: Page, given: dict[str, Any]) -> Page:
    """The page of that number."""
    while len(page.context.pages) <= given["index"]:
        await _next_page(page, given["timeout"])
    wanted: Page = page.context.pages[given["index"]]
    return wanted


async def close_page(page: Page, _: dict[str, Any]) -> Page:
    """Closes a popup; the job's own page is where the job goes on."""
    own = page.context.pages[0]
    if page is own:
        raise PlaywrightError("the job's own page stays open")
    await page.close()
    return own


async def _next_page(page: Page, milliseconds: float) -> Page:
    opened: Page = await page.context.wait_for_event("page", timeout=milliseconds)
    return opened


def _page_of(target: Page | Frame) -> Page:
    return target.page if isinstance(target, Frame) else target
