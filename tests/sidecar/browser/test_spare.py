"""The page that is opened ahead: used once by a job without wishes, never by two, dropped when it dies."""

import asyncio

import pytest
from playwright.async_api import BrowserContext

from sidecar.browser.limits import Limits
from sidecar.browser.pool import BrowserPool
from sidecar.browser.processes.job_page import JobPage
from sidecar.clock import Clock
from sidecar.settings import Settings
from tests.sidecar.browser.parts import children, is_browser, is_renderer, still_alive

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def contexts(job_page: JobPage) -> int:
    """How many contexts the job's browser has."""
    page = job_page.page
    assert page.context.browser
    return len(page.context.browser.contexts)


async def cookies(job_page: JobPage) -> str:
    """Leaves a cookie; says which were there."""
    page = job_page.page
    before = await page.context.cookies()
    await page.context.add_cookies([{"name": "a", "value": "b", "url": "http://a.example"}])
    return str(before)


async def agent(job_page: JobPage) -> str:
    """The user agent that the page reports."""
    page = job_page.page
    return str(await page.evaluate("navigator.userAgent"))


async def test_each_job_has_a_context_of_its_own(pool: BrowserPool) -> None:
    """Jobs after one another, served by spare pages, see nothing of each other."""
    assert [await pool.run("CHROMIUM", cookies) for _ in range(4)] == ["[]"] * 4


async def test_at_most_one_is_kept(pool: BrowserPool) -> None:
    """However many jobs have run, a quiet browser holds one page ahead."""
    await asyncio.gather(*(pool.run("CHROMIUM", cookies) for _ in range(6)))
    assert await pool.run("CHROMIUM", contexts) <= 2 + 2  # its own, the next spare, and two that are ending


async def test_a_job_with_wishes_does_not_get_it(pool: BrowserPool) -> None:
    """A context that was opened without its options is not used for it."""
    await pool.run("CHROMIUM", cookies)
    assert await pool.run("CHROMIUM", agent, {"user_agent": "mine"}) == "mine"
    assert await pool.run("CHROMIUM", agent) != "mine"


async def test_a_spare_page_that_died_is_not_lent(pool: BrowserPool) -> None:
    """A spare page whose renderer was killed is replaced: the next job gets a fresh one."""
    await pool.run("CHROMIUM", cookies)
    dead = children(is_renderer)
    for process in dead:
        process.kill()
    assert not await still_alive(dead, 30)
    assert await pool.run("CHROMIUM", cookies) == "[]"


async def test_the_spare_page_is_opened_during_the_work_of_consecutive_jobs() -> None:
    """The second of two such jobs sees the third one's context appear, and no other."""
    pool = BrowserPool(Settings(concurrency=1), Clock(monotonic=lambda: 100.0))
    seen: list[BrowserContext] = []

    async def first(job_page: JobPage) -> None:
        page = job_page.page
        seen.append(page.context)

    async def second(job_page: JobPage) -> int:
        page = job_page.page
        seen.append(page.context)
        browser = page.context.browser
        assert browser
        async with asyncio.timeout(30):
            while not [ahead for ahead in browser.contexts if ahead not in seen]:
                await page.evaluate("0")
        return len([ahead for ahead in browser.contexts if ahead not in seen])

    await pool.run("CHROMIUM", first)
    assert await pool.run("CHROMIUM", second) == 1
    await pool.close()


async def test_nothing_of_it_is_left_after_the_end() -> None:
    """Nothing of a spare page is left, even if the browser froze while it was opened."""
    others = children(is_browser)
    pool = BrowserPool(Settings(concurrency=1), Clock(), Limits(close=0.5))
    await pool.run("CHROMIUM", cookies)
    frozen = [one for one in children(is_browser) if one not in others]
    assert frozen
    for process in frozen:
        process.suspend()
    await asyncio.wait_for(pool.close(), 30)
    assert [task for task in asyncio.all_tasks() if "_open_ahead" in str(task.get_coro())] == []
    assert not await still_alive(frozen, 30)
