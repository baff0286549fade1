"""Drivers that start ahead of a job: taken once, replaced where they have died, and ended where no job wants them."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from sidecar.browser.processes import driver_process
from sidecar.browser.processes.driver_process import DriverProcesses
from sidecar.errors import BrowserUnavailable
from sidecar.scratch_folder import Scratch
from sidecar.settings import Settings

pytestmark = pytest.mark.browser


@pytest.fixture
async def drivers() -> AsyncIterator[DriverProcesses]:
    """Without a job yet."""
    scratch = Scratch()
    made = DriverProcesses(Settings(), scratch)
    yield made
    await made.close()
    scratch.close()


@pytest.fixture
async def ended() -> AsyncIterator[contextlib.AsyncExitStack]:
    """Ends the processes that a test was given."""
    async with contextlib.AsyncExitStack() as stack:
        yield stack


async def taken(drivers: DriverProcesses, ended: contextlib.AsyncExitStack, kind: str = "CHROMIUM") -> int:
    """The process id of a driver for a browser of this kind."""
    process = await drivers.start(kind)  # type: ignore[arg-type]
    ended.push_async_callback(process.wait)
    ended.callback(process.kill)
    return process.pid


def own_children() -> set[int]:
    """Process ids of living children of ours."""
    found = psutil.Process().children()
    return {one.pid for one in found if one.is_running() and one.status() != psutil.STATUS_ZOMBIE}


async def started_ahead(drivers: DriverProcesses) -> int:
    """The process id of the driver that this starts ahead."""
    before = own_children()
    drivers.expect()
    while not (new := own_children() - before):  # noqa: ASYNC110
        await asyncio.sleep(0)
    return new.pop()


async def until_ended(pid: int) -> None:
    """Waits until a child of ours has ended, all its threads included: the first may be gone before the others."""
    with contextlib.suppress(ChildProcessError):  # asyncio has noticed
        await asyncio.to_thread(os.waitid, os.P_PID, pid, os.WEXITED | os.WNOWAIT)


@pytest.mark.parametrize("kind", ["CHROMIUM", "FIREFOX"])
async def test_the_first_browser_takes_it(
    drivers: DriverProcesses, ended: contextlib.AsyncExitStack, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The driver is started once, without our settings in its environment."""
    monkeypatch.setenv("SIDECAR_STORE_KEY", "a secret")
    ahead = await started_ahead(drivers)
    drivers.expect()
    assert await taken(drivers, ended, kind) == ahead
    environ = psutil.Process(ahead).environ()
    assert environ["PLAYWRIGHT_SKIP_NAVIGATION_CHECK"] == "1"
    assert not [name for name in environ if name.startswith("SIDECAR_")]
    assert await taken(drivers, ended, kind) != ahead


async def test_a_browser_that_is_not_there_leaves_it(ended: contextlib.AsyncExitStack) -> None:
    """For the next job."""
    scratch = Scratch()
    ended.callback(scratch.close)
    drivers = DriverProcesses(Settings(firefox="/nowhere"), scratch)
    ahead = await started_ahead(drivers)
    with pytest.raises(BrowserUnavailable):
        await drivers.start("FIREFOX")
    assert await taken(drivers, ended) == ahead


async def test_one_that_has_died_is_replaced(drivers: DriverProcesses, ended: contextlib.AsyncExitStack) -> None:
    """By a living one."""
    ahead = await started_ahead(drivers)
    os.kill(ahead, 9)
    await until_ended(ahead)
    pid = await taken(drivers, ended)
    assert pid != ahead
    assert psutil.pid_exists(pid)


async def test_an_unused_driver_ends(drivers: DriverProcesses, monkeypatch: pytest.MonkeyPatch) -> None:
    """When its time is over, and with the session."""
    monkeypatch.setattr(driver_process, "UNUSED_SECONDS", 0.01)
    ahead = await started_ahead(drivers)
    await until_ended(ahead)
    monkeypatch.setattr(driver_process, "UNUSED_SECONDS", 60)
    ahead = await started_ahead(drivers)
    await drivers.close()
    assert ahead not in own_children()


async def test_a_job_that_is_cancelled_takes_it_along(drivers: DriverProcesses) -> None:
    """It was this job's already."""
    drivers.expect()
    starting = asyncio.create_task(drivers.start("CHROMIUM"))
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert own_children() == set()


async def test_a_missing_folder_fails_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is started ahead fails in silence."""

    def refuse(_: Scratch) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Scratch, "short", refuse)
    drivers = DriverProcesses(Settings(), Scratch())
    drivers.expect()
    with pytest.raises(BrowserUnavailable, match=r"temporary files can't be created: No space left"):
        await drivers.start("CHROMIUM")
    await drivers.close()


SPY = """
import json, subprocess, sys
start = subprocess.Popen.__init__
def spy(self, command, *given, **named):
    if "run-driver" in command:
        print(json.dumps(sorted(sys.modules)), file=sys.stderr, flush=True)
    return start(self, command, *given, **named)
subprocess.Popen.__init__ = spy
sys.argv = ["sidecar"]
from sidecar.__main__ import main
main()
"""
"""Runs the sidecar and says on stderr what is loaded when a driver starts."""


def test_a_session_starts_it_before_it_reads_a_job(tmp_path: Path) -> None:
    """So that it starts while pydantic and Playwright are imported; a refused job's ends with the session."""
    lines = b'{"type":"send_job","content":{"steps":[]}}\n' * 2
    done = subprocess.run(
        [sys.executable, "-c", SPY], input=lines, capture_output=True, cwd=tmp_path, timeout=60, check=True
    )
    replies = [json.loads(line) for line in done.stdout.splitlines()]
    assert [reply["type"] for reply in replies] == ["ready", "error", "error"]
    (loaded,) = (json.loads(line) for line in done.stderr.splitlines())
    assert not {"pydantic", "playwright.async_api", "sidecar_protocol.models"} & set(loaded)


async def test_a_death_is_seen_before_asyncio_notices_it() -> None:
    """A dead driver is never given to a job."""
    process = await asyncio.create_subprocess_exec("sleep", "60")
    assert not driver_process._has_ended(process)
    os.kill(process.pid, 9)
    with contextlib.suppress(
        ChildProcessError
    ):  # asyncio's thread was quicker; its loop, which gets no turn, does not know
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222
    assert process.returncode is None
    assert driver_process._has_ended(process)
    await process.wait()
    assert driver_process._has_ended(process)
