"""A browser, or its driver, that answers nothing any more: its job ends, the next has a new one, and nothing stays."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from sidecar.browser.limits import Limits
from sidecar.browser.pool import BrowserPool
from sidecar.clock import Clock
from sidecar.errors import ActionFailed, BrowserCrashed, BrowserUnavailable, TimedOut
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from sidecar.jobs.token_scope import Scope
from sidecar.settings import Settings
from tests.scopes import ScopedRunner
from tests.sidecar.browser.parts import children, is_browser, is_driver, make_job, still_alive

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

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
        self.frozen: list[psutil.Process] = []

    def freeze(self, matches: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
        """Halts those below us that match."""
        found = children(matches)
        assert found
        for process in found:
            process.suspend()
        self.frozen += found
        return found

    def thaw(self) -> None:
        """Lets them go on."""
        for process in self.frozen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    """That of a test."""
    freezer = Freezer()
    yield freezer
    freezer.thaw()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def frozen_pool() -> AsyncIterator[tuple[BrowserPool, set[psutil.Process]]]:
    """One job at a time; with all processes that tests have seen of it, of which nothing is left at its end."""
    pool, seen = BrowserPool(Settings(concurrency=1), Clock(), LIMITS), set[psutil.Process]()
    yield pool, seen
    seen.update(children())
    await asyncio.wait_for(pool.close(), SECONDS)
    assert not await still_alive(list(seen), 30)


@pytest_asyncio.fixture(loop_scope="module")
async def runner(
    frozen_pool: tuple[BrowserPool, set[psutil.Process]], site: str, tmp_path: Path, freezer: Freezer
) -> AsyncIterator[ScopedRunner]:
    """With a visit token for the site; at its end nothing is left of what was frozen, whose successors work."""
    pool, seen = frozen_pool
    runner = ScopedRunner(BrowserJobRunner(pool, lambda: tmp_path, Clock()), lambda _: Scope(site, False))
    await runner.run(make_job(f"{site}/"))
    seen.update(children())
    yield runner
    assert freezer.frozen
    assert not await still_alive(freezer.frozen, 30)


def new_driver(before: list[psutil.Process]) -> Callable[[psutil.Process], bool]:
    """Matches drivers that were not there before."""
    return lambda process: is_driver(process) and process not in before


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("kind", JOBS)
async def test_frozen_while_it_works(kind: str, who: str, site: str, runner: ScopedRunner, freezer: Freezer) -> None:
    """The job has a typed failure soon after its time."""
    asyncio.get_running_loop().call_later(0.3, freezer.freeze, WHO[who])
    job = make_job(f"{site}/form.html", **MISSING, **JOBS[kind])
    with pytest.raises((ActionFailed, TimedOut, BrowserCrashed)):
        await asyncio.wait_for(runner.run(job), SECONDS)
    next_one = await asyncio.wait_for(runner.run(make_job(f"{site}/", timeout_ms=15_000)), SECONDS)
    assert next_one.steps[0].status == 200


@pytest.mark.parametrize("who", WHO)
async def test_frozen_while_it_waits(who: str, site: str, runner: ScopedRunner, freezer: Freezer) -> None:
    """At most one job fails because of a frozen idle browser."""
    freezer.freeze(WHO[who])
    with contextlib.suppress(TimedOut, BrowserCrashed):
        await asyncio.wait_for(runner.run(make_job(f"{site}/", timeout_ms=1500)), SECONDS)
    next_one = await asyncio.wait_for(runner.run(make_job(f"{site}/", timeout_ms=15_000)), SECONDS)
    assert next_one.steps[0].status == 200


async def test_frozen_while_it_starts(site: str, tmp_path: Path, freezer: Freezer) -> None:
    """The job fails in the time that a launch may take, and no process stays."""
    pool, before = BrowserPool(Settings(concurrency=1), Clock(), replace(LIMITS, launch=1.5)), children()
    job = asyncio.create_task(BrowserJobRunner(pool, lambda: tmp_path, Clock()).run(make_job(f"{site}/")))
    while not children(new_driver(before)):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    started = freezer.freeze(new_driver(before))
    with pytest.raises(BrowserUnavailable, match="did not start within"):
        await asyncio.wait_for(job, SECONDS)
    await asyncio.wait_for(pool.close(), SECONDS)
    assert not await still_alive(started, 30)


async def test_a_frozen_driver_at_the_end(site: str, tmp_path: Path, freezer: Freezer) -> None:
    """It is killed, and its browser with it."""
    pool, before = BrowserPool(Settings(concurrency=1), Clock(), LIMITS), children()
    await BrowserJobRunner(pool, lambda: tmp_path, Clock()).run(make_job(f"{site}/"))
    started = [process for process in children() if process not in before]
    freezer.freeze(new_driver(before))
    await asyncio.wait_for(pool.close(), SECONDS)
    assert not await still_alive(started, 30)
