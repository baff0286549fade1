"""PDFs of pages, with a limited number of sheets: a page may grow while it is printed, even only in print."""

import re
from collections.abc import Mapping
from typing import Any, Final

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from sidecar.browser import capture_limits, isolated_world
from sidecar.browser.capture_limits import MAX_PDF_PAGES
from sidecar.errors import LimitExceeded

_PIXELS: Final = {"px": 1.0, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4, "pt": 96 / 72, "pc": 16.0}
_RANGE: Final = re.compile(r"\s*([0-9]{0,9})\s*(?:(-)\s*([0-9]{0,9})\s*)?")
_PDF_PAGE: Final = re.compile(rb"/Type /Page[\n /]")
_TOO_MANY_PAGES: Final = f"the PDF would have more than {MAX_PDF_PAGES} pages"


async def print_pdf(page: Page, given: Mapping[str, Any]) -> bytes:
    """The result of the page's `pdf` with these arguments. Raises LimitExceeded, and Playwright's errors."""
    scale = given.get("scale")
    size = capture_limits.decode_page_size(await isolated_world.call(page, "size"))
    capture_limits.check_pdf_size(size, scale if isinstance(scale, int | float) else 1.0, _page_height(given))
    return await print_measured_page(page, given)


async def print_measured_page(page: Page, given: Mapping[str, Any]) -> bytes:
    """Prints a page whose size was checked; its size in print is limited by the number of sheets."""
    ranges = given.get("page_ranges")
    pdf = await page.pdf(**{**given, "page_ranges": _bounded_ranges(ranges) if ranges else f"1-{MAX_PDF_PAGES + 1}"})
    if len(_PDF_PAGE.findall(pdf)) > MAX_PDF_PAGES:
        raise LimitExceeded(_TOO_MANY_PAGES)
    return pdf


def pixels(length: float | str) -> float:
    """CSS pixels of a number, or of a number with a unit."""
    if isinstance(length, str):
        number = length.rstrip("abcdefghijklmnopqrstuvwxyz")
        return float(number) * _PIXELS[length[len(number) :]] if number != length else float(length)
    return float(length)


def _page_height(given: Mapping[str, Any]) -> float | None:
    """The printable height of a sheet in CSS pixels; None for a standard format, which is always large enough."""
    height = given.get("width" if given.get("landscape") else "height")
    if given.get("format") or height is None:
        return None
    margin = given.get("margin") or {}
    try:
        return pixels(height) - sum(pixels(margin.get(side) or 0) for side in ("top", "bottom"))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None  # Playwright reports the mistake


def _bounded_ranges(ranges: Any) -> str:
    """These page ranges, limited to the maximum number of sheets."""
    bounded = []
    for part in str(ranges).split(","):
        found = _RANGE.fullmatch(part)
        if found is None or not (found[1] or found[3]):
            raise PlaywrightError("Page.pdf: pageRanges takes pages as in 1-5, 8, 11-13")
        first = int(found[1] or 1)
        last = int(found[3] or MAX_PDF_PAGES) if found[2] else first
        if first > MAX_PDF_PAGES:
            raise LimitExceeded(_TOO_MANY_PAGES)
        bounded.append(f"{first}-{min(last, MAX_PDF_PAGES)}")
    return ",".join(bounded)
