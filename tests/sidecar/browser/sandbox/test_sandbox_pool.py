"""The browser of the sandboxes: launched, replaced, ended."""

import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import psutil
import pytest

from sidecar.browser.pool import BrowserPool
from sidecar.browser.sandbox.cdp_pipe import SandboxBrowser
from sidecar.browser.sandbox.sandbox_pool import SandboxLimits, SandboxPool
from sidecar.clock import Clock
from sidecar.errors import BrowserFailed, BrowserUnavailable, SandboxCrashed, ShuttingDown
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from sidecar.settings import Settings
from tests.sidecar.browser.parts import children, is_renderer, make_job, still_alive
from tests.sidecar.browser.sandbox.parts import is_sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.browser
async def test_sandboxes_are_recycled_and_leave_nothing(tmp_path: Path) -> None:
    """After a number of sandboxes a new browser takes over; an idle one ends; `close` leaves nothing behind."""
    sandboxes = SandboxPool(Settings(), SandboxLimits(sandboxes_per_browser=2, idle=0.05))
    first = await sandboxes.acquire()
    (process,) = children(is_sandbox)
    # whatever a script does, all others come first; where it may, Chromium itself changes this later for its pages
    sources = children(lambda one: "--type=zygote" in one.cmdline() and one.ppid() == process.pid)
    assert {one.nice() - psutil.Process().nice() for one in sources} == {5}
    profile = next(one for one in process.cmdline() if one.startswith("--user-data-dir=")).partition("=")[2]
    second, third = await sandboxes.acquire(), await sandboxes.acquire()
    assert len(children(is_sandbox)) == 2
    for sandbox in (first, second, third):
        assert not sandbox.lost.done()
    sandboxes.release(first)
    sandboxes.release(second)
    assert not await still_alive([process], 30)
    sandboxes.release(third)
    assert not await still_alive(children(is_sandbox), 30)
    sandboxes.release(await sandboxes.acquire())
    await sandboxes.close()
    assert not await still_alive(children(is_sandbox), 30)
    assert not Path(profile).exists()  # noqa: ASYNC240 - it is over
    with pytest.raises(ShuttingDown):
        await sandboxes.acquire()


async def until_lent(pool: BrowserPool) -> None:
    """A job has taken a sandbox."""
    async with asyncio.timeout(20):
        while not pool.sandbox_pool._lent:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.browser
async def test_a_browser_that_holds_too_much_is_left_and_then_ended(
    site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond half of its bound a browser gets no new job; beyond it running jobs fail and waiting ones move on."""
    pool = BrowserPool(Settings(concurrency=2), Clock())
    runner = BrowserJobRunner(pool, lambda: tmp_path, Clock())
    limits = SandboxLimits()
    held = {"bytes": 0}
    monkeypatch.setattr(SandboxBrowser, "resident_bytes", lambda _: held["bytes"])
    job = make_job(f"{site}/second.html", actions=["await new Promise((done) => setTimeout(done, 1500)); 1"])
    running = asyncio.create_task(runner.run(job))
    await until_lent(pool)
    held["bytes"] = limits.memory // 2 + 1
    assert (await running).steps[0].values == (1,)
    held["bytes"] = 0
    stuck = make_job(f"{site}/second.html", actions=["new Promise(() => {})"])
    running = asyncio.create_task(runner.run(stuck))
    await until_lent(pool)
    waiting = await pool.sandbox_pool.acquire()
    held["bytes"] = limits.memory + 1
    with pytest.raises(SandboxCrashed):
        await asyncio.wait_for(running, 30)
    assert waiting.browser_gone
    held["bytes"] = 0
    pool.sandbox_pool.release(waiting)
    fine = await runner.run(make_job(f"{site}/second.html", actions=["page.title()"]))
    assert fine.steps[0].values == ("Second page",)
    await pool.close()


@pytest.mark.browser
async def test_a_job_whose_sandbox_died_before_it_began_has_another(site: str, tmp_path: Path) -> None:
    """Taken ahead, killed while the page was opened: the job does not notice."""
    pool = BrowserPool(Settings(concurrency=1), Clock())
    runner = BrowserJobRunner(pool, lambda: tmp_path, Clock())
    try:
        await runner.run(make_job(f"{site}/second.html", actions=["1"]))
        running = asyncio.create_task(runner.run(make_job(f"{site}/slow?ms=3000", actions=["page.title()"])))
        await until_lent(pool)
        for process in children(is_sandbox):
            process.kill()
        assert (await running).steps[0].values == ("Slow",)
    finally:
        await pool.close()


@pytest.mark.browser
async def test_a_frozen_browser_is_replaced() -> None:
    """One that does not say that a sandbox has ended gets no further job, also where each job gives up early."""
    sandboxes = SandboxPool(Settings(), SandboxLimits(close=0.5))
    lent = await sandboxes.acquire()
    frozen = children(is_sandbox)
    for process in frozen:
        process.suspend()
    sandboxes.release(lent)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sandboxes.acquire(), 0.1)
    assert not await still_alive(frozen, 30)
    sandboxes.release(await asyncio.wait_for(sandboxes.acquire(), 5))
    await sandboxes.close()
    assert not await still_alive(children(is_sandbox), 30)


@pytest.mark.browser
async def test_what_a_cancelled_job_had_opened_is_the_next_ones() -> None:
    """No abandoned page is left in the browser."""
    sandboxes = SandboxPool(Settings(), SandboxLimits())
    sandboxes.release(await sandboxes.acquire())
    sandboxes.release(await sandboxes.acquire())
    for milliseconds in (5, 10, 15, 20):
        with contextlib.suppress(TimeoutError):
            sandboxes.release(await asyncio.wait_for(sandboxes.acquire(), milliseconds / 1000))
    lent = await sandboxes.acquire()
    async with asyncio.timeout(10):
        while len(children(is_renderer)) > 1:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert not lent.lost.done()
    sandboxes.release(lent)
    await sandboxes.close()


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\nexec sleep 60\n", "no program"])
async def test_a_sandbox_browser_that_does_not_start(tmp_path: Path, script: str) -> None:
    """The launch has a limit, and its failure is browser_unavailable."""
    broken = tmp_path / "chromium"
    broken.write_text(script)
    broken.chmod(0o755)
    sandboxes = SandboxPool(Settings(chromium=str(broken)), SandboxLimits(launch=0.5, close=0.5))
    with pytest.raises(BrowserUnavailable, match="did not start"):
        await asyncio.wait_for(sandboxes.acquire(), 10)
    await sandboxes.close()
    assert not await still_alive(children(), 30)


async def test_after_a_failed_launch_the_next_waits_longer(tmp_path: Path) -> None:
    """A browser that does not start is not started again at once; one that does ends the wait."""
    broken = tmp_path / "chromium"
    broken.write_text(f"#!/bin/sh\necho x >> {tmp_path}/tries\nexit 1\n")
    broken.chmod(0o755)
    sandboxes = SandboxPool(Settings(chromium=str(broken)), SandboxLimits(first_backoff=60))
    with pytest.raises(BrowserUnavailable, match="did not start"):
        await sandboxes.acquire()
    for _ in range(3):
        with pytest.raises(BrowserUnavailable, match="the next try is in") as failed:
            await sandboxes.acquire()
        assert failed.value.retryable
    assert (tmp_path / "tries").read_text() == "x\n"
    await sandboxes.close()


HOLD = """
import asyncio
import os
from sidecar.browser.sandbox.sandbox_pool import SandboxPool
from sidecar.settings import Settings

async def main():
    await SandboxPool(Settings()).acquire()
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.browser
async def test_no_sandbox_survives_a_kill() -> None:
    """Python ended with SIGKILL: the pipe is closed, and the browser at its other end goes."""
    pipe = asyncio.subprocess.PIPE
    holder = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLD, stdout=pipe)
    assert holder.stdout
    assert await asyncio.wait_for(holder.stdout.readline(), 30) == b"ready\n"
    left = children(of=holder.pid)
    assert len(left) > 2
    holder.send_signal(signal.SIGKILL)
    await holder.communicate()
    assert not await still_alive(left, 30)


async def test_close_under_a_running_action_leaves_no_process(site: str, tmp_path: Path) -> None:
    """The job fails with the shutdown or the loss of its sandbox; both browsers end."""
    before = {process.pid for process in children()}
    pool = BrowserPool(Settings(), Clock())
    runner = BrowserJobRunner(pool, lambda: tmp_path, Clock())
    task = asyncio.create_task(runner.run(make_job(f"{site}/second.html", actions=["for (;;);"])))
    await asyncio.wait((task,), timeout=2)
    await asyncio.wait_for(pool.close(), 30)
    with pytest.raises((ShuttingDown, BrowserFailed)):
        await asyncio.wait_for(task, 30)
    assert not await still_alive([one for one in children() if one.pid not in before], 30)
