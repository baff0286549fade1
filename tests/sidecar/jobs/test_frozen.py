"""A browser, or its driver, that answers nothing any more: its job ends, the next has a new one, and nothing stays."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from sidecar.browser.limits import Limits
from sidecar.browser.pool import BrowserPool
from sidecar.clock import Clock
from sidecar.errors import ActionFailed, BrowserCrashed, BrowserUnavailable, TimedOut
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from sidecar.jobs.token_scope import Scope
from sidecar.settings import Settings
from tests.scopes import ScopedRunner
from tests.sidecar.browser.parts import children, is_browser, is_driver, make_job, still_alive
from tests.site.server import TestSite

pytestmark = pytest.mark.browser

LIMITS = Limits(context=3, close=1, save=1, driver_response=1)
SECONDS = 40
"""More than all limits together."""
MISSING = {"actions": [{"click": "#none"}], "step_timeout_ms": 800, "timeout_ms": 1600}
JOBS: dict[str, dict[str, Any]] = {
    "plain": {},
    "blocking": {"context": {"block": ["image"]}},
    "profile": {"profile": "p"},
}
WHO = {"browser": is_browser, "driver": is_driver}


class Freezer:
    """Halts processes; what is left of them goes on at the end of the test."""

    def __init__(self) -> None:
        self._frozen: list[psutil.Process] = []

    def freeze(self, matches: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
        """Halts those below us that match."""
        found = children(matches)
        assert found
        for process in found:
            process.suspend()
        self._frozen += found
        return found

    def thaw(self) -> None:
        """Lets them go on."""
        for process in self._frozen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    """That of a test."""
    freezer = Freezer()
    yield freezer
    freezer.thaw()


@pytest.fixture
async def site() -> AsyncIterator[str]:
    """Its URL, without a slash at the end."""
    async with TestSite() as url:
        yield url


@pytest.fixture
async def runner(site: str, tmp_path: Path, freezer: Freezer) -> AsyncIterator[ScopedRunner]:
    """One job at a time, with a visit token for the site; at its end nothing is left of its browsers."""
    pool = BrowserPool(Settings(concurrency=1), Clock(), LIMITS)
    yield ScopedRunner(BrowserJobRunner(pool, lambda: tmp_path, Clock()), lambda _: Scope(site, False))
    started = children()
    await asyncio.wait_for(pool.close(), SECONDS)
    assert not await still_alive(started, 30)


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("kind", JOBS)
async def test_frozen_while_it_works(kind: str, who: str, site: str, runner: ScopedRunner, freezer: Freezer) -> None:
    """The job has a typed failure soon after its time."""
    await runner.run(make_job(f"{site}/"))
    asyncio.get_running_loop().call_later(0.3, freezer.freeze, WHO[who])
    job = make_job(f"{site}/form.html", **MISSING, **JOBS[kind])
    with pytest.raises((ActionFailed, TimedOut, BrowserCrashed)):
        await asyncio.wait_for(runner.run(job), SECONDS)
    next_one = await asyncio.wait_for(runner.run(make_job(f"{site}/", timeout_ms=15_000)), SECONDS)
    assert next_one.steps[0].status == 200


@pytest.mark.parametrize("who", WHO)
async def test_frozen_while_it_waits(who: str, site: str, runner: ScopedRunner, freezer: Freezer) -> None:
    """At most one job fails because of a frozen idle browser."""
    job = make_job(f"{site}/", timeout_ms=15_000)
    await runner.run(job)
    freezer.freeze(WHO[who])
    with contextlib.suppress(TimedOut, BrowserCrashed):
        await asyncio.wait_for(runner.run(make_job(f"{site}/", timeout_ms=1500)), SECONDS)
    assert (await asyncio.wait_for(runner.run(job), SECONDS)).steps[0].status == 200


async def test_frozen_while_it_starts(site: str, tmp_path: Path, freezer: Freezer) -> None:
    """The job fails in the time that a launch may take, and no process stays."""
    pool = BrowserPool(Settings(concurrency=1), Clock(), replace(LIMITS, launch=1.5))
    job = asyncio.create_task(BrowserJobRunner(pool, lambda: tmp_path, Clock()).run(make_job(f"{site}/")))
    while not children(is_driver):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    started = freezer.freeze(is_driver)
    with pytest.raises(BrowserUnavailable, match="did not start within"):
        await asyncio.wait_for(job, SECONDS)
    await asyncio.wait_for(pool.close(), SECONDS)
    assert not await still_alive(started, 30)


async def test_a_frozen_driver_at_the_end(site: str, tmp_path: Path, freezer: Freezer) -> None:
    """It is killed, and its browser with it."""
    pool = BrowserPool(Settings(concurrency=1), Clock(), LIMITS)
    await BrowserJobRunner(pool, lambda: tmp_path, Clock()).run(make_job(f"{site}/"))
    started = children()
    freezer.freeze(is_driver)
    await asyncio.wait_for(pool.close(), SECONDS)
    assert not await still_alive(started, 30)
