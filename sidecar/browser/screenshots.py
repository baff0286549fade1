"""Screenshots of pages and elements, never larger than the checked size.

A page may grow between our measurement and Playwright's. Playwright never captures more than its `clip` argument, so it
always gets one that is within the limits.
"""

import contextlib
import math
import time
from collections.abc import Mapping
from typing import Any, Final

from playwright.async_api import ElementHandle, FloatRect, Locator, Page
from playwright.async_api import Error as PlaywrightError

from sidecar.browser import isolated_world
from sidecar.browser.capture_limits import (
    PageSize,
    check_image_size,
    decode_page_size,
    max_image_height,
    max_image_side,
)

_DEFAULT_TIMEOUT_MS: Final = 30_000.0
"""Milliseconds; the default."""
_EMPTY: Final = "Clipped area is either empty or outside the resulting image"
_FINISH_ANIMATIONS: Final = """element => {
  const endless = [];
  for (const animation of element.ownerDocument.getAnimations()) {
    const ends = Number.isFinite(animation.effect?.getComputedTiming().endTime);
    if (animation.playbackRate === 0) continue;
    try { ends ? animation.finish() : endless.push(animation) && animation.cancel(); } catch {}
  }
  return endless;
}"""
"""Finishes or cancels animations as Playwright does for a screenshot without them; returns those to restart.

It runs in the page's own world: a page that interferes changes the position of its screenshot, never the size.
"""
_EPSILON: Final = 1e-3
"""Differences that Playwright ignores when it rounds."""


async def capture(owner: Page | Locator | ElementHandle, given: Mapping[str, Any]) -> bytes:
    """The result of the owner's `screenshot` with these arguments. Raises LimitExceeded, and Playwright's errors.

    Of an element, the part within the page.
    """
    if isinstance(owner, Page):
        return await _take_page(owner, given)
    until = time.monotonic() + float(given.get("timeout") or _DEFAULT_TIMEOUT_MS) / 1000
    if isinstance(owner, ElementHandle):
        return await _take_element(owner, given, until)
    handle = await owner.element_handle(timeout=_remaining_ms(until))
    try:
        return await _take_element(handle, given, until)
    finally:
        with contextlib.suppress(PlaywrightError):  # the page is closed
            await handle.dispose()


async def _take_page(page: Page, given: Mapping[str, Any]) -> bytes:
    size = decode_page_size(await isolated_world.call(page, "size"))
    ratio, most = _pixel_ratio(size, given), max_image_side(page)
    whole = given.get("full_page")
    wide, high = (size.width, size.height) if whole else _viewport(page, size)
    left, top, right, bottom = _edges(given.get("clip"), wide, math.inf if whole else high)
    check_image_size(right - left, min(bottom, max(high, top)) - top, ratio, most)
    # a page that is still growing may grow up to the limit
    bottom = min(bottom, top + max_image_height(right - left, ratio, most))
    if right <= left or bottom <= top:
        raise PlaywrightError(f"Page.screenshot: {_EMPTY}")
    clip = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    return await page.screenshot(**{**given, "clip": clip})


def _edges(clip: Any, wide: float, high: float) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a clip, limited to this width and height."""
    if clip is None:
        return 0.0, 0.0, wide, high
    try:
        x, y, width, height = (float(clip[name]) for name in ("x", "y", "width", "height"))
    except (KeyError, TypeError, ValueError):
        raise PlaywrightError("Page.screenshot: clip takes x, y, width and height, which are numbers") from None
    if math.isnan(x + y + width + height):
        raise PlaywrightError("Page.screenshot: clip takes x, y, width and height, which are numbers")
    return max(0.0, x), max(0.0, y), min(x + width, wide), min(y + height, high)


async def _take_element(element: ElementHandle, given: Mapping[str, Any], until: float) -> bytes:
    frame = await element.owner_frame()
    if frame is None:
        raise PlaywrightError("ElementHandle.screenshot: Element is not attached to the DOM")
    page = frame.page
    box = await _settled_box(element, given, until)
    size = decode_page_size(await isolated_world.call(page, "size"))
    x, y = box["x"] + size.scroll_x, box["y"] + size.scroll_y
    left, top = math.floor(x + _EPSILON), math.floor(y + _EPSILON)
    right, bottom = math.ceil(x + box["width"] - _EPSILON), math.ceil(y + box["height"] - _EPSILON)
    check_image_size(right - left, bottom - top, _pixel_ratio(size, given), max_image_side(page))
    rest = {**given, "timeout": _remaining_ms(until)}
    clip = {"x": float(left), "y": float(top), "width": float(right - left), "height": float(bottom - top)}
    seen = {**clip, "x": left - size.scroll_x, "y": top - size.scroll_y}
    if size.zoom == 1 and _contains(_viewport(page, size), seen):
        return await page.screenshot(**{**rest, "clip": seen})
    return await page.screenshot(**{**rest, "clip": clip, "full_page": True})


async def _settled_box(element: ElementHandle, given: Mapping[str, Any], until: float) -> FloatRect:
    """The position of an element in the viewport, scrolled into view, visible and stable."""
    await element.wait_for_element_state("visible", timeout=_remaining_ms(until))
    still = await element.evaluate_handle(_FINISH_ANIMATIONS) if given.get("animations") == "disabled" else None
    try:
        await element.scroll_into_view_if_needed(timeout=_remaining_ms(until))
        box = await element.bounding_box()
    finally:
        if still is not None:
            await still.evaluate("animations => animations.forEach((one) => one.play())")
            await still.dispose()
    if box is None or not box["width"] or not box["height"]:
        raise PlaywrightError("ElementHandle.screenshot: Node is either not visible or not an HTMLElement")
    return box


def _contains(window: tuple[float, float], box: Mapping[str, float]) -> bool:
    wide, high = window
    return min(box["x"], box["y"]) >= 0 and box["x"] + box["width"] <= wide and box["y"] + box["height"] <= high


def _viewport(page: Page, size: PageSize) -> tuple[float, float]:
    """Width and height of the viewport, which the page's scripts can't change."""
    seen = page.viewport_size
    return (seen["width"], seen["height"]) if seen else (size.inner_width, size.inner_height)


def _pixel_ratio(size: PageSize, given: Mapping[str, Any]) -> float:
    return 1.0 if given.get("scale") == "css" else size.ratio


def _remaining_ms(until: float) -> float:
    return max(1.0, (until - time.monotonic()) * 1000)
