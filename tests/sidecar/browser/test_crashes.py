"""Processes that are killed under a pool's jobs and between them: one pool for all, whose next job always works."""

import asyncio
from collections.abc import Callable
from functools import partial

import psutil
import pytest
from playwright.async_api import Browser

from sidecar.browser.pool import BrowserPool
from sidecar.browser.processes.job_page import JobPage
from sidecar.errors import BrowserCrashed
from tests.sidecar.browser.parts import Stuck, children, is_browser, is_driver, is_renderer, still_alive, works
from tests.site.server import TestSite

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

Victim = Callable[[psutil.Process], bool]


@pytest.mark.parametrize("victim", [is_renderer, is_browser, is_driver])
async def test_a_process_killed_under_a_job_fails_that_job_only(pool: BrowserPool, victim: Victim) -> None:
    """Renderer, browser or driver: the job says browser_crashed, may be repeated, and the next one works."""
    stuck = Stuck()
    job = asyncio.create_task(pool.run("CHROMIUM", stuck))
    await stuck.began.wait()
    for process in children(victim):
        process.kill()
    with pytest.raises(BrowserCrashed) as failed:
        await asyncio.wait_for(job, 30)
    assert failed.value.retryable
    assert await works(pool)


async def test_a_navigation_of_a_killed_page_is_a_crash(pool: BrowserPool) -> None:
    """A page that dies while it waits for a server is not taken for a bad address."""
    site = TestSite()
    async with site as url:
        job = asyncio.create_task(pool.run("CHROMIUM", lambda job_page: job_page.page.goto(f"{url}/hang")))
        await site.hanging.wait()
        for process in children(is_renderer):
            process.kill()
        with pytest.raises(BrowserCrashed):
            await asyncio.wait_for(job, 30)


@pytest.mark.parametrize("victim", [is_browser, is_driver])
async def test_a_process_killed_between_jobs_is_not_noticed(pool: BrowserPool, victim: Victim) -> None:
    """A warm browser that died while idle costs the next job a launch, not an error."""
    assert await works(pool)
    dead = children(victim)
    for process in dead:
        process.kill()
    assert not await still_alive(dead, 30)
    assert await works(pool)


async def test_two_jobs_share_a_browser_and_nothing_else(pool: BrowserPool, site: str) -> None:
    """Cookies of one job are not seen by another that runs at the same time."""
    both = asyncio.Barrier(2)

    async def visit(name: str, job_page: JobPage) -> tuple[str, Browser | None]:
        page = job_page.page
        await page.goto(f"{site}/set-cookie?value={name}")
        await both.wait()
        await page.goto(f"{site}/cookies")
        return await page.inner_text("ul"), page.context.browser

    ann, bob = await asyncio.gather(*(pool.run("CHROMIUM", partial(visit, name)) for name in ("ann", "bob")))
    assert (ann[0], bob[0]) == ("visitor=ann", "visitor=bob")
    assert ann[1]
    assert ann[1] is bob[1]
