"""Sets a page's viewport, within the limits of Chromium's main process, which holds all its pixels."""

from collections.abc import Mapping
from typing import Any

from playwright.async_api import Page

from sidecar.browser import capture_limits


async def resize(page: Page, given: Mapping[str, Any]) -> None:
    """Calls the page's `set_viewport_size` with these arguments. Raises LimitExceeded, and Playwright's errors."""
    wanted = given.get("viewport_size")
    sides: list[Any] = [wanted.get("width"), wanted.get("height")] if isinstance(wanted, dict) else []
    if sides and all(isinstance(side, int | float) for side in sides):
        capture_limits.check_viewport(sides[0], sides[1])
    await page.set_viewport_size(**given)
