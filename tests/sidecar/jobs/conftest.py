"""A site, and a runner that keeps its browser warm over the whole module."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sidecar.browser.pool import BrowserPool
from sidecar.clock import Clock
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from sidecar.settings import Settings
from tests.site.server import TestSite


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[str]:
    """Its URL, without a slash at the end."""
    async with TestSite() as url:
        yield url


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for files of jobs."""
    return tmp_path_factory.mktemp("state") / "artifacts"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runner(folder: Path) -> AsyncIterator[BrowserJobRunner]:
    """Two jobs at once."""
    pool = BrowserPool(Settings(concurrency=2), Clock())
    yield BrowserJobRunner(pool, lambda: folder, Clock())
    await pool.close()
