"""Actions that involve more than their page: frames, downloads, uploads, dialogs, popups."""

import asyncio
import base64
import binascii
import contextlib
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Self

from playwright.async_api import CDPSession, Download, Frame, Page
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import TimeoutError as PlaywrightTimeout
from sidecar_protocol.jobs import NonEmpty, Timeout
from sidecar_protocol.models import Bound, Model, model_validator
from sidecar_protocol.wire_types import Secret

from sidecar.browser import isolated_world
from sidecar.browser.artifacts.capture import scratch_folder
from sidecar.browser.background_tasks import consume_exception
from sidecar.browser.cdp import is_chromium
from sidecar.browser.playwright_errors import NO_SUCH_OPTION
from sidecar.browser.steps.action_arguments import Frames, StrictArguments
from sidecar.clock import within

MAX_UPLOAD_BYTES: Final = 50_000_000
"""Bytes of all files of one action; Playwright transfers no more inline."""
MAX_DOWNLOAD_BYTES: Final = 64 << 20
"""Bytes of one file."""
_TOO_LARGE: Final = f"the file has more than {MAX_DOWNLOAD_BYTES >> 20} MiB"
OPTION_WAIT_MS: Final = 5_000.0
"""Milliseconds to wait for a missing option."""
_DOWNLOAD_STARTED: Final = ("Download is starting", "net::ERR_ABORTED")


@dataclass(frozen=True, slots=True)
class DownloadedFile:
    """A file that an action downloaded."""

    name: str
    data: bytes
    url: str = ""


@dataclass(frozen=True, slots=True)
class DialogAnswer:
    """The answer to the following dialogs."""

    accept: bool
    text: str | None


class UploadFile(Model):
    """A file to upload, contained in the message; local files are never read."""

    name: Annotated[str, Bound(pattern=r"^[^/\\\x00-\x1f]{1,255}$")]
    content: str
    """Base64."""
    mime_type: Annotated[str, Bound(pattern=r"^[\w.+-]+/[\w.+-]+$", max_length=200)] = "application/octet-stream"

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            base64.b64decode(self.content, validate=True)
        except binascii.Error:
            raise ValueError("content is not base64") from None
        return self


class SetInputFiles(StrictArguments):
    """Files for an `<input type="file">`; an empty list clears it."""

    files: Annotated[list[UploadFile], Bound(max_length=100)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(len(file.content) for file in self.files) * 3 // 4 > MAX_UPLOAD_BYTES:
            raise ValueError(f"the files are larger than {MAX_UPLOAD_BYTES} bytes together")
        return self


class DownloadFrom(Model):
    """The start of a download: a click on `selector`, or navigation to `url`."""

    selector: NonEmpty | None = None
    url: NonEmpty | None = None
    frame: Frames | None = None
    timeout: Timeout | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.selector is None) == (self.url is None):
            raise ValueError("download needs selector or url")
        return self


class OnDialog(Model):
    """The answer to dialogs until the next `on_dialog`."""

    accept: bool = True
    text: Secret | None = None
    """The answer to a prompt; by default the prompt's own default."""


class SwitchToPopup(Model):
    """The popup that a click on `selector` opens; without a selector the newest one, if necessary after waiting."""

    selector: NonEmpty | None = None
    frame: Frames | None = None
    timeout: Timeout | None = None


class SwitchToPage(Model):
    """A page by its number in order of opening: 0 is the job's own, 1 its first popup. It is waited for."""

    index: Annotated[int, Bound(ge=0, le=100)]
    timeout: Timeout | None = None


async def find_frame(page: Page, frames: str | Sequence[str], milliseconds: float) -> Frame:
    """The document of an iframe, found by one selector, or by several for nested ones."""
    target: Page | Frame = page
    for selector in [frames] if isinstance(frames, str) else frames:
        element = await target.wait_for_selector(selector, state="attached", timeout=milliseconds)
        frame = await element.content_frame() if element else None
        if frame is None:
            raise PlaywrightError(f"the element {selector!r} is not a frame")
        target = frame
    if isinstance(target, Page):
        raise PlaywrightError("no frame is named")
    return target


async def set_input_files(target: Page | Frame, given: dict[str, Any]) -> None:
    """Sets the files of an input."""
    files = [
        {"name": file["name"], "mimeType": file["mime_type"], "buffer": base64.b64decode(file["content"])}
        for file in given.pop("files")
    ]
    await target.set_input_files(files=files, **given)  # type: ignore[arg-type]


async def select_option(target: Page | Frame, given: dict[str, Any]) -> list[str]:
    """Selects options, which may appear some seconds after the box."""
    selector, timeout = given.pop("selector"), given.pop("timeout")
    loop = asyncio.get_running_loop()
    ends = loop.time() + timeout / 1000
    wait = min(timeout, OPTION_WAIT_MS)
    while True:
        try:
            return await target.select_option(selector, timeout=wait, **given)
        except PlaywrightTimeout as error:
            if NO_SUCH_OPTION in str(error):
                raise PlaywrightError(f"it has no such option; {await _describe_options(target, selector)}") from None
            wait = (ends - loop.time()) * 1000
            if wait < 1:
                raise


async def _describe_options(target: Page | Frame, selector: str) -> str:
    count, shown = 0, []
    for number, options in await isolated_world.options(target.locator(selector).first):
        count += number
        shown += [f"{value!r} ({label})" if value != label else repr(value) for value, label in options]
    if shown:
        return f"it has {', '.join(shown)}"
    return f"it has {count}, too long to be named" if count else "it has none"


async def download(target: Page | Frame, given: dict[str, Any]) -> DownloadedFile:
    """Starts a download, in the page or in a tab that it opens, and waits for its end."""
    page = _page_of(target)
    async with _DownloadWatcher(page) as coming:
        if "selector" in given:
            await target.click(given["selector"], timeout=given["timeout"])
        else:
            await _open_url(page, given)
        fetched = await coming.begins(given["timeout"])
        await _wait_for_end(fetched, coming.too_large)
    with scratch_folder(given["scratch"]) as folder:
        path = folder / "download"
        await fetched.save_as(path)
        await fetched.delete()
        if path.stat().st_size > MAX_DOWNLOAD_BYTES:
            raise PlaywrightError(_TOO_LARGE)
        data = await asyncio.to_thread(path.read_bytes)
    name = PurePosixPath(fetched.suggested_filename.replace("\\", "/")).name
    return DownloadedFile(name, data, fetched.url)


class _DownloadWatcher:
    """The next download of a page, or of a tab that opens meanwhile."""

    def __init__(self, page: Page) -> None:
        self.too_large = asyncio.Event()
        """Set when a download is known to exceed the limit; only Chromium reports that before its end."""
        self._page = page
        self._pages: list[Page] = []
        self._sessions: list[CDPSession] = []
        self._begun: asyncio.Future[Download] = asyncio.get_running_loop().create_future()
        self._watching: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._page.context.on("page", self._meet)
        self._hear(self._page)
        await self._watch(self._page)
        return self

    async def __aexit__(self, *failure: object) -> None:
        self._page.context.remove_listener("page", self._meet)
        for page in self._pages:
            page.remove_listener("download", self._begin)
        for task in self._watching:
            task.cancel()
        for session in self._sessions:
            with contextlib.suppress(PlaywrightError):  # the page is closed
                await session.detach()

    async def begins(self, milliseconds: float) -> Download:
        """The download. Raises Playwright's timeout if none starts."""
        try:
            async with within(milliseconds / 1000):
                return await self._begun
        except TimeoutError:
            raise PlaywrightTimeout(f"Timeout {milliseconds:g}ms exceeded: no download has begun") from None

    def _meet(self, page: Page) -> None:
        self._hear(page)
        task = asyncio.create_task(self._watch(page))
        self._watching.add(task)
        task.add_done_callback(consume_exception)

    def _hear(self, page: Page) -> None:
        self._pages.append(page)
        page.on("download", self._begin)

    def _begin(self, fetched: Download) -> None:
        if not self._begun.done():
            self._begun.set_result(fetched)

    async def _watch(self, page: Page) -> None:
        if not is_chromium(page.context.browser):
            return
        with contextlib.suppress(PlaywrightError):  # a tab that closes as its download starts
            session = await page.context.new_cdp_session(page)
            self._sessions.append(session)
            session.on("Page.downloadProgress", self._look)
            await session.send("Page.enable")

    def _look(self, progress: dict[str, Any]) -> None:
        if max(progress["receivedBytes"], progress["totalBytes"]) > MAX_DOWNLOAD_BYTES:
            self.too_large.set()


async def _wait_for_end(fetched: Download, too_large: asyncio.Event) -> None:
    """Waits for the end of a download. Raises PlaywrightError if it fails or exceeds the limit."""
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


async def _open_url(page: Page, given: dict[str, Any]) -> None:
    try:
        await page.goto(given["url"], timeout=given["timeout"])
    except PlaywrightError as error:
        if not any(said in str(error) for said in _DOWNLOAD_STARTED):
            raise


async def on_dialog(_: Page, given: dict[str, Any]) -> DialogAnswer:
    """Sets the answer to the following dialogs."""
    return DialogAnswer(given["accept"], given.get("text"))


async def switch_to_popup(target: Page | Frame, given: dict[str, Any]) -> Page:
    """The popup in which the job continues."""
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
    """The page with that number."""
    while len(page.context.pages) <= given["index"]:
        await _next_page(page, given["timeout"])
    wanted: Page = page.context.pages[given["index"]]
    return wanted


async def close_page(page: Page, _: dict[str, Any]) -> Page:
    """Closes a popup; the job continues in its own page."""
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
