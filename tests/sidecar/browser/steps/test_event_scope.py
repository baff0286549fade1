"""Whose events those of a reused page are, and what becomes of the windows of the last job's document."""

import asyncio

import pytest

from sidecar.browser.pool import BrowserPool
from sidecar.browser.processes.job_page import JobPage
from sidecar.browser.steps.event_scope import EventScope

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
EMPTY = "data:text/html,empty"


async def test_a_window_of_the_last_document_is_closed_and_never_the_job_s(pool: BrowserPool) -> None:
    """One that was there before, and one that opens before the job's first document; later ones are the job's."""

    async def work(job_page: JobPage) -> None:
        page = job_page.page
        await page.goto(EMPTY)
        async with page.expect_popup() as earlier:
            await page.evaluate("void open('about:blank')")
        job_page.has_previous_document = True
        scope = EventScope(job_page)
        async with page.expect_popup() as meanwhile:
            await page.evaluate("void open('about:blank')")
        foreign = [await earlier.value, await meanwhile.value]
        assert not scope.covers(page)
        scope.expect_document()
        await page.goto(EMPTY)
        async with page.expect_popup() as own:
            await page.evaluate("void open('about:blank')")
        assert [scope.covers(one) for one in (page, await own.value, *foreign)] == [True, True, False, False]
        async with asyncio.timeout(20):
            while not all(one.is_closed() for one in foreign):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert not (await own.value).is_closed()
        scope.close()

    await pool.run("CHROMIUM", work, {"viewport": {"width": 640, "height": 480}})
