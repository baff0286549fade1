"""A site to visit and a pool to visit it with: one for all tests of a module, since a browser's start takes seconds."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sidecar.browser.pool import BrowserPool
from sidecar.clock import Clock
from sidecar.settings import Settings
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
