"""The pool under cancellation and load, and its end: jobs fail alone, the pool lives, nothing stays behind."""

import asyncio
import signal
import sys
from pathlib import Path

import psutil
import pytest

from sidecar.browser.limits import Limits
from sidecar.browser.pool import BrowserPool
from sidecar.clock import Clock
from sidecar.errors import BrowserUnavailable, QueueFull, ShuttingDown
from sidecar.settings import Settings
from tests.sidecar.browser.parts import Stuck, children, is_browser, is_driver, still_alive, title_of, works


@pytest.mark.browser
async def test_a_cancelled_job_ends_at_once_and_leaves_the_pool_healthy() -> None:
    """Its context is closed and its place is free, whenever it was cancelled."""
    pool = BrowserPool(Settings(concurrency=1), Clock())
    for turns in (0, 1, 5, 50):  # before the launch, during it, while the page opens
        job = asyncio.create_task(pool.run("CHROMIUM", title_of))
        for _ in range(turns):
            await asyncio.sleep(0)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
    assert await works(pool)
    stuck = Stuck()
    job = asyncio.create_task(pool.run("CHROMIUM", stuck))
    await stuck.began.wait()
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(job, 20)
    assert await works(pool)
    assert len(children(is_browser)) == 1
    await pool.close()


@pytest.mark.browser
async def test_too_many_waiting_jobs_are_refused() -> None:
    """One job runs, one waits, the third fails with queue_full at once; the waiting one gets its turn."""
    pool = BrowserPool(Settings(concurrency=1, max_queued_jobs=1), Clock())
    stuck = Stuck()
    running = asyncio.create_task(pool.run("CHROMIUM", stuck))
    await stuck.began.wait()
    waiting = asyncio.create_task(works(pool))
    await asyncio.sleep(0)
    with pytest.raises(QueueFull, match="the queue of browser jobs is full: 1 waiting"):
        await works(pool)
    running.cancel()
    assert await waiting
    await pool.close()


@pytest.mark.browser
async def test_a_browser_is_replaced_after_its_jobs() -> None:
    """A new process takes over after a number of jobs, and never under a running one."""
    pool = BrowserPool(Settings(concurrency=2), Clock(), Limits(jobs_per_browser=2))
    stuck = Stuck()
    running = asyncio.create_task(pool.run("CHROMIUM", stuck))
    await stuck.began.wait()
    (first,) = children(is_browser)
    assert await works(pool)
    assert await works(pool)
    assert first.is_running()
    assert len(children(is_browser)) == 2
    assert not running.done()
    running.cancel()
    assert not await still_alive([first], 30)
    await pool.close()


@pytest.mark.browser
async def test_an_idle_browser_is_closed() -> None:
    """After its idle time no process is left, and the next job starts one."""
    pool = BrowserPool(Settings(), Clock(), Limits(idle=0.05))
    assert await works(pool)
    assert not await still_alive(children(), 30)
    assert await works(pool)
    await pool.close()


@pytest.mark.browser
async def test_close_leaves_no_process() -> None:
    """Driver and browser end within bounds, running jobs fail, new ones are refused."""
    pool = BrowserPool(Settings(), Clock())
    stuck = Stuck()
    job = asyncio.create_task(pool.run("CHROMIUM", stuck))
    await stuck.began.wait()
    assert children()
    await asyncio.wait_for(pool.close(), 10)
    assert not children()
    with pytest.raises(ShuttingDown):
        await job
    with pytest.raises(ShuttingDown):
        await works(pool)


@pytest.mark.browser
async def test_close_during_a_launch_leaves_no_process() -> None:
    """A job whose browser was still starting fails, and its processes are gone."""
    pool = BrowserPool(Settings(), Clock())
    job = asyncio.create_task(pool.run("CHROMIUM", title_of))
    while not children(is_driver):  # noqa: ASYNC110 - a process of another's making gives no sign
        await asyncio.sleep(0.01)
    await asyncio.wait_for(pool.close(), 20)
    with pytest.raises(ShuttingDown):
        await job
    assert not await still_alive(children(), 30)


async def test_an_executable_that_is_missing_is_named() -> None:
    """A wrong path in the settings is found before the job waits for a place."""
    pool = BrowserPool(Settings(chromium="/nowhere/chromium"), Clock())
    with pytest.raises(BrowserUnavailable, match="/nowhere/chromium") as failed:
        await works(pool)
    assert not failed.value.retryable
    await pool.close()


async def test_after_a_failed_launch_the_next_waits_longer(tmp_path: Path) -> None:
    """A browser that does not start is not started again and again: the pause doubles and then ends."""
    broken = tmp_path / "chromium"
    broken.write_text(f"#!/bin/sh\necho x >> {tmp_path}/tries\necho no display >&2\nexit 1\n")
    broken.chmod(0o755)
    time = [100.0]
    pool = BrowserPool(Settings(chromium=str(broken)), Clock(monotonic=lambda: time[0]), Limits(first_backoff=2))
    for moment, tries, said in [
        (100.0, 1, "did not start: no display"),
        (101.0, 1, "next try is in 1.0 s"),
        (102.5, 2, "did not start"),
        (105.0, 2, "next try is in 1.5 s"),
        (107.0, 3, "did not start"),
    ]:
        time[0] = moment
        with pytest.raises(BrowserUnavailable, match=said):
            await works(pool)
        assert len((tmp_path / "tries").read_text().splitlines()) == tries
    await pool.close()


@pytest.mark.browser
@pytest.mark.parametrize(
    ("complaint", "advice"),
    [
        ("no memory just now", None),
        ("[0101/1:ERROR:zygote.cc(1)] No usable sandbox! Update your kernel", "--cap-add SYS_ADMIN"),
        ("Failed to move to new namespace: PID namespaces supported", "SIDECAR_CHROMIUM_SANDBOX=false"),
        ("error while loading shared libraries: libnss3.so: cannot open", "sidecar install chromium --with-deps"),
    ],
)
async def test_a_failed_launch_says_whether_the_next_can_succeed(
    tmp_path: Path, complaint: str, advice: str | None
) -> None:
    """What may pass is retryable; what the machine forbids is not, and says what to change, also while it is paused."""
    broken = tmp_path / "chromium"
    broken.write_text(f"#!/bin/sh\necho 'dbus is not there' >&2\necho '{complaint}' >&2\nexit 1\n")
    broken.chmod(0o755)
    pool = BrowserPool(Settings(chromium=str(broken)), Clock(monotonic=lambda: 100.0))
    for _ in range(2):
        with pytest.raises(BrowserUnavailable, match="did not start") as failed:
            await works(pool)
        assert failed.value.retryable is (advice is None)
        assert complaint in failed.value.message or advice is None
        assert (advice or "") in failed.value.message
    await pool.close()


async def test_a_browser_that_never_answers_is_given_up(tmp_path: Path) -> None:
    """The launch has a hard limit, and the silent process is ended with it."""
    silent = tmp_path / "chromium"
    silent.write_text("#!/bin/sh\nexec sleep 60\n")
    silent.chmod(0o755)
    pool = BrowserPool(Settings(chromium=str(silent)), Clock(), Limits(launch=1.5, close=2))
    with pytest.raises(BrowserUnavailable, match="did not start"):
        await asyncio.wait_for(works(pool), 15)
    await pool.close()
    assert not await still_alive(children(), 30)


HOLD = """
import asyncio, signal, sys
from sidecar.browser.pool import BrowserPool
from sidecar.clock import Clock
from sidecar.settings import Settings

async def title_of(job_page):
    page = job_page.page
    await page.goto("data:text/html,<title>fine</title>")
    return await page.title()

async def main():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pool = BrowserPool(Settings(), Clock())
    while True:
        print(await pool.run("CHROMIUM", title_of), flush=True)
        if not await asyncio.to_thread(sys.stdin.readline):
            break
    await pool.close()

asyncio.run(main())
"""


async def hold() -> asyncio.subprocess.Process:
    """A Python process of its own group that has run one job and keeps its browser warm."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD, stdin=pipe, stdout=pipe, start_new_session=True
    )
    assert process.stdout
    assert await asyncio.wait_for(process.stdout.readline(), 60) == b"fine\n"
    return process


@pytest.mark.browser
async def test_no_process_survives_a_kill() -> None:
    """Python ended with SIGKILL: driver and browser end, too."""
    process = await hold()
    left = children(of=process.pid)
    assert len(left) > 3
    process.kill()
    await process.communicate()
    assert not await still_alive(left, 30)


@pytest.mark.browser
async def test_an_interrupt_at_the_terminal_leaves_the_browser_alone() -> None:
    """SIGINT to the whole group ends nothing that a job in flight needs; stdout holds our lines only."""
    process = await hold()
    before = children(is_browser, process.pid)
    psutil.Process(process.pid).send_signal(signal.SIGINT)
    for child in psutil.Process(process.pid).children():
        child.send_signal(signal.SIGINT)
    assert process.stdin
    process.stdin.write(b"again\n")
    assert process.stdout
    assert await asyncio.wait_for(process.stdout.readline(), 20) == b"fine\n"
    after = children(is_browser, process.pid)
    assert before
    assert after == before
    process.stdin.close()
    assert await asyncio.wait_for(process.stdout.read(), 20) == b""
    await process.wait()
    assert process.returncode == 0
