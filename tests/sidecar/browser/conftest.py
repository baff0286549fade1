"""A site to visit and a pool to visit it with."""

from collections.abc import AsyncIterator

import pytest

from sidecar.browser.pool import BrowserPool
from sidecar.clock import Clock
from sidecar.settings import Settings
from tests.site.server import TestSite


@pytest.fixture
async def site() -> AsyncIterator[str]:
    """Its URL, without a slash at the end."""
    async with TestSite() as url:
        yield url


@pytest.fixture
async def pool() -> AsyncIterator[BrowserPool]:
    """Two jobs at once; closed afterwards."""
    pool = BrowserPool(Settings(concurrency=2), Clock())
    yield pool
    await pool.close()
