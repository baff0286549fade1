"""Small pictures of a page's viewport, without the secrets that it shows.

The page's texts are read before a picture is taken, those with a secret are covered, and they are read again at each
change of the document and afterwards: a picture in which a secret may have appeared meanwhile is dropped. What can't be
read is not shown: frames are left out, and of a page with too much text, or one that changes all the time, there is no
picture. Text that is drawn (images, canvases) is not read, nor a field's value that a script sets and takes back.
"""

import base64
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, cast

from playwright.async_api import CDPSession, Page
from playwright.async_api import Error as PlaywrightError

from sidecar.browser.cdp import CdpClient, is_chromium
from sidecar.truncation import Redact

MAX_TEXT: Final = 400_000
"""Characters on a page; of one with more there is no picture."""
_WORLD: Final = "sidecar-pictures"
_SOURCE: Final = files(__package__).joinpath("page_texts.js").read_text("utf-8")
_FUNCTION: Final = _SOURCE[_SOURCE.index("function (") :]
_MIN_RATIO, _MAX_RATIO = 0.1, 10.0
"""Of device pixels; others are no ratio."""
_FIELDS: Final = "input, textarea, select, iframe, frame, object, embed"


@dataclass(frozen=True, slots=True)
class PictureSize:
    """How large a picture may be, and how much is kept of it."""

    width: int
    """Pixels; of wider viewports it is scaled down, if the browser can."""
    quality: int
    """Of the JPEG, 0 to 100."""


SMALL: Final = PictureSize(560, 50)
LARGE: Final = PictureSize(1_000, 60)


class PagePictures:
    """Takes pictures of a job's pages; one at a time."""

    def __init__(self, cdp: CdpClient, own_page: Page, redact: Redact, *, scales: bool = True) -> None:
        """`redact` takes secrets out of a text. `scales`: whether pictures may be scaled, which a video would show."""
        self._cdp = cdp
        self._own_page = own_page
        self._redact = redact
        self._scales = scales
        self._world = 0

    async def take(self, page: Page, size: PictureSize, milliseconds: float) -> bytes | None:
        """A JPEG of the viewport; None if a secret can't be kept out of it. Raises Playwright's errors."""
        if page is self._own_page and is_chromium(page.context.browser):
            session = await self._cdp.session(page)
            return await self._take_with_cdp(session, page, size)
        return await self._take_with_playwright(page, size, milliseconds)

    async def _take_with_cdp(self, session: CDPSession, page: Page, size: PictureSize) -> bytes | None:
        before = await self._read(session)
        covering = self._covering(before)
        if before is None or covering is None:
            return None
        covers = bool(covering["covered"] or covering["fields"] or covering["frames"])
        if covers:
            await _call(session, self._world, "cover", covering)
        try:
            wanted = self._wanted(page, before["view"], size)
            data: str = (await session.send("Page.captureScreenshot", wanted))["data"]
        finally:
            after = await _call(session, self._world, "uncover" if covers else "readAgain", MAX_TEXT)
        return base64.b64decode(data) if self._is_covered(before, after, covering) else None

    async def _read(self, session: CDPSession) -> dict[str, Any] | None:
        """The page's texts. The world in which they are read lasts as long as the document."""
        if self._world:
            with contextlib.suppress(PlaywrightError):
                return cast("dict[str, Any] | None", await _call(session, self._world, "read", MAX_TEXT))
        place = {"frameId": (await self._cdp.target_info())["targetId"], "worldName": _WORLD}
        self._world = (await session.send("Page.createIsolatedWorld", place))["executionContextId"]
        return cast("dict[str, Any] | None", await _call(session, self._world, "read", MAX_TEXT))

    def _is_covered(self, before: Mapping[str, Any], shown: Sequence[dict[str, Any]] | None, covering: object) -> bool:
        """Whether all that is secret in what the page has shown since was covered."""
        if shown is None:
            return False
        names = ("texts", "fields", "frames")
        changed = [state for state in shown if any(before[name] != state[name] for name in names)]
        return all(self._covering(state) == covering for state in changed)

    def _covering(self, shown: dict[str, Any] | None) -> dict[str, Any] | None:
        """What to cover of a page; None if that is not possible."""
        if shown is None:
            return None
        texts, fields = shown["texts"], shown["fields"]
        covered = self._with_secrets(texts)
        if covered is None or any(index >= shown["plain"] for index in covered):
            return None  # a secret in several pieces, or in a shadow root, where no highlight reaches
        return {
            "covered": covered,
            "fields": self._has_secret("\n".join(fields)),
            "frames": shown["frames"] > 0,
        }

    def _with_secrets(self, texts: Sequence[str]) -> list[int] | None:
        """The numbers of the texts that hold a secret; None if one goes over several of them."""
        if not self._has_secret("\n".join(texts)) and not self._has_secret("".join(texts)):
            return []
        found = [index for index, text in enumerate(texts) if self._has_secret(text)]
        covered = set(found)
        rest = "".join("" if index in covered else text for index, text in enumerate(texts))
        return None if self._has_secret(rest) else found

    def _has_secret(self, text: str) -> bool:
        return bool(text) and self._redact(text) != text

    def _wanted(self, page: Page, view: Sequence[float], size: PictureSize) -> dict[str, Any]:
        wanted = {"format": "jpeg", "quality": size.quality, "optimizeForSpeed": True}
        viewport, (left, top, width, height, ratio) = page.viewport_size, view
        if not self._scales or viewport is None or not _MIN_RATIO <= ratio <= _MAX_RATIO:
            return wanted
        scale = min(1.0, size.width / viewport["width"]) / ratio
        return {**wanted, "clip": {"x": left, "y": top, "width": width, "height": height, "scale": scale}}

    async def _take_with_playwright(self, page: Page, size: PictureSize, milliseconds: float) -> bytes | None:
        """Slower, and as large as the viewport: Firefox, WebKit, popups."""
        before = await page.evaluate(f"(most) => ({_FUNCTION})('read', most)", MAX_TEXT)
        covering = self._covering(before)
        if covering is None or covering["covered"]:
            return None
        hidden = [page.locator(_FIELDS)] if covering["fields"] or covering["frames"] else []
        data = await page.screenshot(
            type="jpeg",
            quality=size.quality,
            scale="css",
            animations="allow",
            caret="initial",
            timeout=max(1.0, milliseconds),
            mask=hidden,
            mask_color="#5b6470",
        )
        after = await page.evaluate(f"(most) => ({_FUNCTION})('readAgain', most)", MAX_TEXT)
        return data if self._is_covered(before, after, covering) else None


async def _call(session: CDPSession, world: int, name: str, argument: Any) -> Any:
    parameters = {
        "functionDeclaration": _FUNCTION,
        "executionContextId": world,
        "arguments": [{"value": name}, {"value": argument}],
        "returnByValue": True,
    }
    reply = await session.send("Runtime.callFunctionOn", parameters)
    if "exceptionDetails" in reply:
        raise PlaywrightError(f"the page's texts can't be read: {reply['exceptionDetails'].get('text', '')}")
    return reply["result"].get("value")
