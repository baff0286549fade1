"""A site, and browsers that stay warm over the whole module."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sidecar.browser.pool import BrowserPool
from sidecar.browser.processes.job_page import JobPage
from sidecar.browser.sandbox.action_session import ActionSession
from sidecar.clock import Clock
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from sidecar.settings import Settings
from tests.sidecar.browser.sandbox.parts import lent_page, open_session
from tests.site.server import TestSite


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[str]:
    """Its URL, without a slash at the end."""
    async with TestSite() as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[BrowserPool]:
    """Eight pages at once, one of which `lent` may hold."""
    pool = BrowserPool(Settings(concurrency=8), Clock())
    yield pool
    await pool.close()


@pytest.fixture(scope="module")
def runner(pool: BrowserPool, tmp_path_factory: pytest.TempPathFactory) -> BrowserJobRunner:
    """Runs jobs on the pool's pages."""
    folder: Path = tmp_path_factory.mktemp("state")
    return BrowserJobRunner(pool, lambda: folder, Clock())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lent(pool: BrowserPool) -> AsyncIterator[JobPage]:
    """A page of Chromium for all tests of the module."""
    async with lent_page(pool) as page:
        yield page


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session(pool: BrowserPool, lent: JobPage, site: str) -> AsyncIterator[ActionSession]:
    """A sandbox for actions that leave it and the page as they were: a job of its own costs each ten times as much."""
    await lent.page.goto(f"{site}/actions.html")
    session = open_session(pool.sandbox_pool, lent)
    yield session
    await session.close()
