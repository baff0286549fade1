"""Memory: a browser that has grown is replaced between jobs; and variables that a browser does not inherit."""

import pytest

from sidecar.browser.limits import Limits
from sidecar.browser.pool import BrowserPool
from sidecar.browser.processes.job_page import JobPage
from sidecar.clock import Clock
from sidecar.settings import Settings
from tests.sidecar.browser.parts import children, is_browser, is_driver, still_alive

pytestmark = pytest.mark.browser


async def title_of(lent: JobPage) -> str:
    """A short job that needs no server."""
    page = lent.page
    await page.goto("data:text/html,<title>fine</title>")
    return await page.title()


async def test_a_browser_over_its_memory_is_replaced() -> None:
    """One that holds more than the limit ends after its job; the next job starts another."""
    pool = BrowserPool(Settings(browser_memory_mb=1), Clock(), Limits(jobs_per_memory_check=1))
    assert await pool.run("CHROMIUM", title_of) == "fine"
    assert not await still_alive(children(is_browser), 30)
    assert await pool.run("CHROMIUM", title_of) == "fine"
    await pool.close()


async def test_a_browser_within_its_memory_stays() -> None:
    """One that holds less serves on."""
    pool = BrowserPool(Settings(browser_memory_mb=4000), Clock(), Limits(jobs_per_memory_check=1))
    assert await pool.run("CHROMIUM", title_of) == "fine"
    before = children(is_browser)
    assert await pool.run("CHROMIUM", title_of) == "fine"
    assert children(is_browser) == before
    await pool.close()


async def test_our_secrets_are_not_handed_to_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Driver and browser have an environment without SIDECAR_ variables; ours keeps them."""
    monkeypatch.setenv("SIDECAR_TOKEN_SECRET", "hunter2 and more of it, thirty-two")
    pool = BrowserPool(Settings(), Clock())
    assert await pool.run("CHROMIUM", title_of) == "fine"
    for process in (*children(is_driver), *children(is_browser)):
        assert "hunter2" not in str(process.environ())
    await pool.close()
