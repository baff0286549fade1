"""A site to visit and a pool to visit it with: one for all tests of a module, since a browser's start takes seconds."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sidecar.browser.pool import BrowserPool
from sidecar.clock import Clock
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from sidecar.settings import Settings
from tests.scopes import ScopedRunner
from tests.sidecar.browser.two_hosts import RunnerOf, TwoHosts, two_hosts
from tests.site.server import TestSite


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[str]:
    """Its URL, without a slash at the end."""
    async with TestSite() as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[BrowserPool]:
    """Two jobs at once, in browsers that stay warm over the whole module."""
    pool = BrowserPool(Settings(concurrency=2), Clock())
    yield pool
    await pool.close()


@pytest.fixture
async def new_site() -> AsyncIterator[str]:
    """A site for one test, in a loop of its own."""
    async with TestSite() as url:
        yield url


@pytest.fixture
async def new_pool() -> AsyncIterator[BrowserPool]:
    """A pool whose browsers no other test has used."""
    pool = BrowserPool(Settings(concurrency=2), Clock())
    yield pool
    await pool.close()


@pytest_asyncio.fixture(loop_scope="module")
async def hosts() -> AsyncIterator[TwoHosts]:
    """A server for one test, which says what was asked outside a scope."""
    async with two_hosts() as running:
        yield running


@pytest.fixture
def runner_of(pool: BrowserPool, tmp_path: Path) -> RunnerOf:
    """A runner whose jobs all have this scope."""
    return lambda scope: ScopedRunner(BrowserJobRunner(pool, lambda: tmp_path, Clock()), lambda _: scope)
