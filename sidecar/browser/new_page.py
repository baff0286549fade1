"""Opens a page. Firefox looks for its place in its newest window, and fails where that one is just closing."""

import asyncio
from typing import Final

from playwright.async_api import BrowserContext, Page
from playwright.async_api import Error as PlaywrightError

_NO_WINDOW: Final = "(browsingContext.create)"
"""Part of the error of such a Firefox."""
_PAUSES: Final = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds until it is asked again."""


async def open_page(context: BrowserContext) -> Page:
    """A new page of the context. Raises Playwright's errors."""
    for pause in _PAUSES:
        try:
            return await context.new_page()
        except PlaywrightError as error:
            if _NO_WINDOW not in error.message:
                raise
        await asyncio.sleep(pause)
    return await context.new_page()
