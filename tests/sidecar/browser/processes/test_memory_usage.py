"""Memory: a browser that has grown is replaced between jobs; and variables that a browser does not inherit."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sidecar.browser.limits import Limits
from sidecar.browser.pool import BrowserPool
from sidecar.clock import Clock
from sidecar.settings import Settings
from tests.sidecar.browser.parts import children, is_browser, is_driver, still_alive, works

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def roomy() -> AsyncIterator[BrowserPool]:
    """A pool whose browsers may have more memory than they need, and may not have a secret."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIDECAR_TOKEN_SECRET", "hunter2 and more of it, thirty-two")
        pool = BrowserPool(Settings(browser_memory_mb=4000), Clock(), Limits(jobs_per_memory_check=1))
        yield pool
        await pool.close()


async def test_a_browser_over_its_memory_is_replaced() -> None:
    """One that holds more than the limit ends after its job; the next job starts another."""
    others = children(is_browser)
    pool = BrowserPool(Settings(browser_memory_mb=1), Clock(), Limits(jobs_per_memory_check=1))
    assert await works(pool)
    assert not await still_alive([one for one in children(is_browser) if one not in others], 30)
    assert await works(pool)
    await pool.close()


async def test_a_browser_within_its_memory_stays(roomy: BrowserPool) -> None:
    """One that holds less serves on."""
    assert await works(roomy)
    before = children(is_browser)
    assert await works(roomy)
    assert children(is_browser) == before


async def test_our_secrets_are_not_handed_to_the_driver(roomy: BrowserPool) -> None:
    """Driver and browser have an environment without SIDECAR_ variables; ours keeps them."""
    assert await works(roomy)
    for matches in (is_driver, is_browser):
        found = children(matches)
        assert found
        for process in found:
            assert "hunter2" not in str(process.environ())
