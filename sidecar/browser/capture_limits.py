"""How large a picture, a print or a window may become: a browser that is asked for more dies, with everybody's jobs."""

from typing import Final

import msgspec
from playwright.async_api import Page
from sidecar_protocol.errors import Place

from sidecar.errors import LimitExceeded

MOST_HEIGHT: Final = 70_000
"""Pixels of a picture's height, and of its width."""
MOST_PIXELS: Final = 90_000_000
"""Of a picture in all, and of a window; the browser holds several copies of it."""
MOST_PRINTED: Final = 1_000_000
"""CSS pixels of a page that is printed, in height."""
MOST_SHEETS: Final = 5_000
"""Of a print."""
_FIREFOX_HEIGHT: Final = 65_535
"""Of a picture that Firefox makes, by its own rules."""


class Size(msgspec.Struct, frozen=True):
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


decode: Final = msgspec.json.Decoder(Size).decode


def most_side(page: Page) -> int:
    """Pixels of a picture's height, and of its width, that the page's browser makes."""
    browser = page.context.browser
    return _FIREFOX_HEIGHT if browser is not None and browser.browser_type.name == "firefox" else MOST_HEIGHT


def check_picture(width: float, height: float, ratio: float, most: int = MOST_HEIGHT) -> None:
    """Raises LimitExceeded where a picture of so many CSS pixels would be too large; `most` is of each side."""
    wide, high = round(width * ratio), round(height * ratio)
    if max(wide, high) > most or wide * high > MOST_PIXELS:
        raise LimitExceeded(f"the picture would have {wide} by {high} pixels; {_fit(most)}")


def check_window(width: float, height: float, **places: Place) -> None:
    """Raises LimitExceeded where a window would be too large, whose pixels the browser holds as long as it is there."""
    if max(width, height) > MOST_HEIGHT or width * height > MOST_PIXELS:
        raise LimitExceeded(
            f"the window would have {width:.0f} by {height:.0f} pixels; {_fit(MOST_HEIGHT)}", retryable=None, **places
        )


def most_height(width: float, ratio: float, most: int) -> float:
    """CSS pixels that a picture of this width may be high."""
    return min(most, MOST_PIXELS // max(1, round(width * ratio))) / ratio


def check_print(size: Size, scale: float, sheet: float | None = None) -> None:
    """Raises LimitExceeded where a print would be too long; `sheet` is the CSS pixels of one, where they are known."""
    height = size.height * scale
    if height > MOST_PRINTED:
        raise LimitExceeded(f"the print would be {round(height)} pixels long, {MOST_PRINTED} fit")
    if sheet is not None and height > MOST_SHEETS * max(sheet, 1.0):
        raise LimitExceeded(f"the print would have more than {MOST_SHEETS} sheets")


def _fit(most: int) -> str:
    return f"{most} in height and in width, and {MOST_PIXELS // 1_000_000} million in all, fit"
