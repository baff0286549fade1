"""Limits for screenshots, PDFs and viewports: larger ones crash the browser that all jobs share."""

from typing import Final

from playwright.async_api import Page
from sidecar_protocol.errors import Detail
from sidecar_protocol.models import Model

from sidecar.browser import lenient_json
from sidecar.errors import LimitExceeded

MAX_IMAGE_SIDE: Final = 70_000
"""Pixels per side of a screenshot."""
MAX_IMAGE_PIXELS: Final = 90_000_000
"""Pixels of a screenshot or viewport in total; the browser holds several copies."""
MAX_PDF_HEIGHT: Final = 1_000_000
"""Height of a printed page in CSS pixels."""
MAX_PDF_PAGES: Final = 5_000
"""Pages of a PDF."""
_MAX_FIREFOX_SIDE: Final = 65_535
"""Pixels per side of a screenshot in Firefox, by Firefox's own limit."""


class PageSize(Model):
    """The size of a page in CSS pixels, and the device pixel ratio."""

    width: float
    height: float
    inner_width: float
    inner_height: float
    ratio: float
    scroll_x: float
    scroll_y: float
    zoom: float
    """The zoom factor, by pinching or by a phone that fits the page into its width."""


def decode_page_size(answer: str) -> PageSize:
    """The page's size from its answer to `size`."""
    return lenient_json.read(PageSize, answer)


def max_image_side(page: Page) -> int:
    """The maximum pixels per side of a screenshot in the page's browser."""
    browser = page.context.browser
    return _MAX_FIREFOX_SIDE if browser is not None and browser.browser_type.name == "firefox" else MAX_IMAGE_SIDE


def check_image_size(width: float, height: float, ratio: float, most: int = MAX_IMAGE_SIDE) -> None:
    """Raises LimitExceeded for a screenshot that would be too large; `most` is the limit per side."""
    wide, high = round(width * ratio), round(height * ratio)
    if max(wide, high) > most or wide * high > MAX_IMAGE_PIXELS:
        raise LimitExceeded(f"the screenshot would have {wide} x {high} pixels; {_limits_text(most)}")


def check_viewport(width: float, height: float, **details: Detail) -> None:
    """Raises LimitExceeded for a viewport that would be too large; the browser holds its pixels all the time."""
    if max(width, height) > MAX_IMAGE_SIDE or width * height > MAX_IMAGE_PIXELS:
        raise LimitExceeded(
            f"the viewport would have {width:.0f} x {height:.0f} pixels; {_limits_text(MAX_IMAGE_SIDE)}",
            retryable=None,
            **details,
        )


def max_image_height(width: float, ratio: float, most: int) -> float:
    """The maximum height of a screenshot of this width, in CSS pixels."""
    return min(most, MAX_IMAGE_PIXELS // max(1, round(width * ratio))) / ratio


def check_pdf_size(size: PageSize, scale: float, sheet: float | None = None) -> None:
    """Raises LimitExceeded for a PDF that would be too long; `sheet` is the printable height, if known."""
    height = size.height * scale
    if height > MAX_PDF_HEIGHT:
        raise LimitExceeded(f"the PDF would be {round(height)} pixels long; the limit is {MAX_PDF_HEIGHT}")
    if sheet is not None and height > MAX_PDF_PAGES * max(sheet, 1.0):
        raise LimitExceeded(f"the PDF would have more than {MAX_PDF_PAGES} pages")


def _limits_text(most: int) -> str:
    return f"the limit is {most} per side and {MAX_IMAGE_PIXELS // 1_000_000} million in total"
