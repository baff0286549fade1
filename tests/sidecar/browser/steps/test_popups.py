"""Chromium's own count of a job's pages."""

import asyncio

import pytest

from sidecar.browser.pool import BrowserPool
from sidecar.browser.processes.job_page import JobPage
from sidecar.browser.steps.popups import PopupTracker


@pytest.mark.browser
async def test_a_tab_that_names_no_opener_is_counted(new_pool: BrowserPool, new_site: str) -> None:
    """A middle click opens one in the background; before it there is nothing to count."""

    async def work(job_page: JobPage) -> tuple[int, int]:
        page = job_page.page
        targets = PopupTracker(page, job_page.cdp)
        await page.goto(f"{new_site}/actions.html")
        before = await targets.count()
        await page.click("#popup", button="middle")
        async with asyncio.timeout(30):
            while (after := await targets.count()) < 2:
                await page.evaluate("0")
        return before, after

    assert await new_pool.run("CHROMIUM", work) == (0, 2)
