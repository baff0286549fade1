"""How large a picture or a print may become: a browser that is asked for more dies, with the jobs of everybody."""

from typing import Any, Final

import msgspec
from playwright.async_api import ElementHandle, Locator, Page

from sidecar.browser import isolated_world
from sidecar.errors import LimitExceeded

MOST_HEIGHT: Final = 70_000
"""Pixels of a picture's height, and of its width."""
MOST_PIXELS: Final = 90_000_000
"""Of a picture in all; the browser holds several copies of it."""
MOST_PRINTED: Final = 1_000_000
"""CSS pixels of a page that is printed, in height."""
MOST_SHEETS: Final = 5_000
"""Of a print."""


class Size(msgspec.Struct, frozen=True):
    """A page's measures in CSS pixels, and the pixels of a picture for each of them."""

    width: float
    height: float
    inner_width: float
    inner_height: float
    ratio: float


decode: Final = msgspec.json.Decoder(Size).decode


def check_picture(width: float, height: float, ratio: float) -> None:
    """Raises LimitExceeded where a picture of so many CSS pixels would be too large."""
    wide, high = round(width * ratio), round(height * ratio)
    if max(wide, high) > MOST_HEIGHT or wide * high > MOST_PIXELS:
        raise LimitExceeded(
            f"the picture would have {wide} by {high} pixels; {MOST_HEIGHT} in height and in width, "
            f"and {MOST_PIXELS // 1_000_000} million in all, fit"
        )


def check_print(size: Size, scale: float, sheet: float | None = None) -> None:
    """Raises LimitExceeded where a print would be too long; `sheet` is the CSS pixels of one, where they are known."""
    height = size.height * scale
    if height > MOST_PRINTED:
        raise LimitExceeded(f"the print would be {round(height)} pixels long, {MOST_PRINTED} fit")
    if sheet is not None and height > MOST_SHEETS * max(sheet, 1.0):
        raise LimitExceeded(f"the print would have more than {MOST_SHEETS} sheets")


async def check_screenshot(owner: Page | Locator | ElementHandle, given: dict[str, Any]) -> None:
    """Looks at what `screenshot` with these arguments would take. Raises LimitExceeded, Playwright's errors."""
    page = owner if isinstance(owner, Page) else await _page_of(owner)
    size = decode(await isolated_world.ask(page, "size"))
    ratio = 1.0 if given.get("scale") == "css" else size.ratio
    if isinstance(owner, Locator):
        box: Any = await owner.bounding_box(timeout=given.get("timeout"))
    elif isinstance(owner, ElementHandle):
        box = await owner.bounding_box()
    else:
        whole = (size.width, size.height) if given.get("full_page") else (size.inner_width, size.inner_height)
        box = dict(zip(("width", "height"), whole, strict=True))
        clip = given.get("clip") or {}
        box = {name: min(box[name], float(clip.get(name, box[name]))) for name in box}
    if box:
        check_picture(box["width"], box["height"], ratio)


async def _page_of(owner: Locator | ElementHandle) -> Page:
    if isinstance(owner, Locator):
        return owner.page
    frame = await owner.owner_frame()
    if frame is None:
        raise LimitExceeded("the element is in no page")
    return frame.page
