"""How large a picture, a print or a window may become: a browser that is asked for more dies, with everybody's jobs."""

from typing import Final

import msgspec
from playwright.async_api import Page
from sidecar_protocol.errors import Detail

from sidecar.errors import LimitExceeded

MAX_IMAGE_SIDE: Final = 70_000
"""Pixels of a picture's height, and of its width."""
MAX_IMAGE_PIXELS: Final = 90_000_000
"""Of a picture in all, and of a window; the browser holds several copies of it."""
MAX_PDF_HEIGHT: Final = 1_000_000
"""CSS pixels of a page that is printed, in height."""
MAX_PDF_PAGES: Final = 5_000
"""Of a print."""
_MAX_FIREFOX_SIDE: Final = 65_535
"""Of a picture that Firefox makes, by its own rules."""


class PageSize(msgspec.Struct, frozen=True):
    """A page's measures in CSS pixels, and the pixels of a picture for each of them."""

    width: float
    height: float
    inner_width: float
    inner_height: float
    ratio: float
    scroll_x: float
    scroll_y: float
    zoom: float
    """How far the user's fingers, or a phone that fits a page into its width, have made all of it larger."""


decode_page_size: Final = msgspec.json.Decoder(PageSize).decode


def max_image_side(page: Page) -> int:
    """Pixels of a picture's height, and of its width, that the page's browser makes."""
    browser = page.context.browser
    return _MAX_FIREFOX_SIDE if browser is not None and browser.browser_type.name == "firefox" else MAX_IMAGE_SIDE


def check_image_size(width: float, height: float, ratio: float, most: int = MAX_IMAGE_SIDE) -> None:
    """Raises LimitExceeded where a picture of so many CSS pixels would be too large; `most` is of each side."""
    wide, high = round(width * ratio), round(height * ratio)
    if max(wide, high) > most or wide * high > MAX_IMAGE_PIXELS:
        raise LimitExceeded(f"the screenshot would have {wide} x {high} pixels; {_limits_text(most)}")


def check_viewport(width: float, height: float, **details: Detail) -> None:
    """Raises LimitExceeded where a window would be too large, whose pixels the browser holds as long as it is there."""
    if max(width, height) > MAX_IMAGE_SIDE or width * height > MAX_IMAGE_PIXELS:
        raise LimitExceeded(
            f"the viewport would have {width:.0f} x {height:.0f} pixels; {_limits_text(MAX_IMAGE_SIDE)}",
            retryable=None,
            **details,
        )


def max_image_height(width: float, ratio: float, most: int) -> float:
    """CSS pixels that a picture of this width may be high."""
    return min(most, MAX_IMAGE_PIXELS // max(1, round(width * ratio))) / ratio


def check_pdf_size(size: PageSize, scale: float, sheet: float | None = None) -> None:
    """Raises LimitExceeded where a print would be too long; `sheet` is the CSS pixels of one, where they are known."""
    height = size.height * scale
    if height > MAX_PDF_HEIGHT:
        raise LimitExceeded(f"the PDF would be {round(height)} pixels long; the limit is {MAX_PDF_HEIGHT}")
    if sheet is not None and height > MAX_PDF_PAGES * max(sheet, 1.0):
        raise LimitExceeded(f"the PDF would have more than {MAX_PDF_PAGES} pages")


def _limits_text(most: int) -> str:
    return f"the limit is {most} per side and {MAX_IMAGE_PIXELS // 1_000_000} million in total"
