"""A site, and a pool and a runner that keep their browser warm over the whole module.

Firefox costs seven seconds of a processor at each start: what is tried in it is in `test_in_firefox`, in one.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sidecar_protocol.wire_types import BrowserName

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
def browser() -> BrowserName:
    """That of all tests but those of `test_in_firefox`, which gives them its own."""
    return "CHROMIUM"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for files of jobs."""
    return tmp_path_factory.mktemp("state") / "artifacts"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[BrowserPool]:
    """Two jobs at once."""
    pool = BrowserPool(Settings(concurrency=2), Clock())
    yield pool
    await pool.close()


@pytest.fixture(scope="module")
def runner(pool: BrowserPool, folder: Path) -> BrowserJobRunner:
    """One of the module's pool."""
    return BrowserJobRunner(pool, lambda: folder, Clock())
