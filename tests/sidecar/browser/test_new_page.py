"""The opening of a page, where Firefox's newest window is just closing; `test_firefox` meets the real one."""

from typing import Any

import pytest
from playwright.async_api import BrowserContext
from playwright.async_api import Error as PlaywrightError

from sidecar.browser import new_page
from sidecar.browser.new_page import open_page
from sidecar.browser.pool import BrowserPool
from sidecar.browser.processes.job_page import JobPage

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
CLOSING = "Protocol error (browsingContext.create): unknown error: lazy.TabManager.getTabBrowser(...) is undefined"


@pytest.mark.parametrize(
    ("message", "failures", "succeeds"), [(CLOSING, 3, True), (CLOSING, 9, False), ("Target crashed", 1, False)]
)
async def test_it_is_tried_again(
    pool: BrowserPool, monkeypatch: pytest.MonkeyPatch, message: str, failures: int, succeeds: bool
) -> None:
    """For this error alone, and not for ever."""
    left, opened = [PlaywrightError(message)] * failures, BrowserContext.new_page
    monkeypatch.setattr(new_page, "_PAUSES", (0.0,) * 5)

    async def failing(context: BrowserContext) -> Any:
        if left:
            raise left.pop()
        return await opened(context)

    async def work(job_page: JobPage) -> None:
        monkeypatch.setattr(BrowserContext, "new_page", failing)
        context = job_page.context
        if succeeds:
            assert (await open_page(context)).context is context
            return
        with pytest.raises(PlaywrightError, match=r"browsingContext|crashed"):
            await open_page(context)
        assert len(left) == max(0, failures - 6)

    await pool.run("CHROMIUM", work, {"viewport": {"width": 640, "height": 480}})
