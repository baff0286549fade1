"""Remote browsers: a Playwright server and a Chromium with a debugging port, both real, used and left alive."""

import asyncio
import contextlib
import json
import os
import socket
import sys
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from sidecar.browser import discovery
from sidecar.browser.limits import Limits
from sidecar.browser.pool import BrowserPool
from sidecar.browser.processes.job_page import JobPage
from sidecar.browser.profiles.profile_store import FileProfileStore
from sidecar.clock import Clock
from sidecar.encryption import Encryptor
from sidecar.errors import BrowserCrashed, BrowserUnavailable
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from sidecar.settings import Settings
from tests.sidecar.browser.parts import children, is_browser, make_job, still_alive, title_of, works

pytestmark = pytest.mark.browser

PIPE = asyncio.subprocess.PIPE


def free_port() -> int:
    """A port without a listener."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def end(process: asyncio.subprocess.Process) -> None:
    """Ends a process and all below it."""
    for child in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    process.kill()
    await process.communicate()


async def debugging_chromium(port: int, folder: Path) -> asyncio.subprocess.Process:
    """Somebody else's Chromium, once it listens."""
    path = discovery.find("CHROMIUM", Settings()).path
    flags = ("--no-sandbox", "--disable-gpu", f"--remote-debugging-port={port}", f"--user-data-dir={folder}")
    process = await asyncio.create_subprocess_exec(path, "--headless", *flags, "about:blank", stderr=PIPE, stdin=PIPE)
    assert process.stderr
    while b"DevTools listening" not in await asyncio.wait_for(process.stderr.readline(), 30):
        pass
    return process


async def playwright_server(port: int, folder: Path) -> asyncio.subprocess.Process:
    """Somebody else's Playwright server, once it listens; its downloads are a link to the browser that is here."""
    found = discovery.find("CHROMIUM", Settings())
    revision = discovery.revision_of("chromium-headless-shell")
    place = folder / f"chromium_headless_shell-{revision}" / "chrome-headless-shell-linux64" / "chrome-headless-shell"
    place.parent.mkdir(parents=True)
    place.symlink_to(found.path)
    command = (sys.executable, "-m", "playwright", "run-server", "--host", "127.0.0.1", "--port", str(port))
    process = await asyncio.create_subprocess_exec(
        *command, stdout=PIPE, stdin=PIPE, env={**os.environ, "PLAYWRIGHT_BROWSERS_PATH": str(folder)}
    )
    assert process.stdout
    assert b"ws://" in await asyncio.wait_for(process.stdout.readline(), 30)
    return process


@pytest.fixture
async def chromium(tmp_path: Path) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Its endpoint and process."""
    port = free_port()
    process = await debugging_chromium(port, tmp_path)
    yield f"http://127.0.0.1:{port}", process
    if process.returncode is None:
        await end(process)


def targets(endpoint: str) -> list[str]:
    """URLs of the pages that the remote Chromium has."""
    with urllib.request.urlopen(f"{endpoint}/json/list", timeout=5) as answer:
        return [target["url"] for target in json.load(answer) if target["type"] == "page"]


async def check_actions_and_profiles(endpoint: str, folder: Path, site: str) -> None:
    """JavaScript actions, whose sandbox is a browser of ours, and a profile, over a remote browser.

    What one connection left, the next finds.
    """
    settings = Settings(home=str(folder), browser_endpoint=endpoint)
    states = FileProfileStore(settings.profiles_folder, Encryptor())
    count = "() => { localStorage.setItem('n', 1 + Number(localStorage.getItem('n'))) }"
    read = "() => Number(localStorage.getItem('n'))"
    visits: list[tuple[list[Any], tuple[int, ...]]] = [
        ([{"evaluate": read}], (1,)),
        ([f"page.evaluate({read})", "page.locator('h1').count()"], (2, 1)),
    ]
    for actions, values in visits:
        pool = BrowserPool(settings, Clock())
        runner = BrowserJobRunner(pool, settings.artifacts_folder, Clock(), states=lambda: states)
        job = make_job(f"{site}/second.html", actions=[{"evaluate": count}, *actions], profile="shop")
        try:
            reported = (await runner.run(job)).steps[0].values
        finally:
            await pool.close()
        assert reported == (None, *values)


async def test_jobs_run_in_a_chromium_with_a_debugging_port(
    chromium: tuple[str, asyncio.subprocess.Process], tmp_path: Path, new_site: str
) -> None:
    """It serves jobs, is left alive with its own page, and nothing of ours stays in it, not even the spare page."""
    endpoint, process = chromium
    pool = BrowserPool(Settings(browser_endpoint=endpoint), Clock())
    assert await works(pool)
    assert await works(pool)
    with pytest.raises(BrowserUnavailable, match="only CHROMIUM"):
        await pool.run("FIREFOX", title_of)
    await pool.close()
    assert process.returncode is None
    assert await asyncio.to_thread(targets, endpoint) == ["about:blank"]
    await check_actions_and_profiles(endpoint, tmp_path / "state", new_site)
    assert await asyncio.to_thread(targets, endpoint) == ["about:blank"]


async def test_jobs_run_on_a_playwright_server(tmp_path: Path, new_site: str) -> None:
    """A server that is stopped ends the connection, not the pool; closing the pool leaves the server running."""
    port = free_port()
    server = await playwright_server(port, tmp_path)
    try:
        await check_actions_and_profiles(f"ws://127.0.0.1:{port}", tmp_path / "state", new_site)
        assert not await still_alive(children(is_browser, server.pid), 30)  # they were started for our connections
        pool = BrowserPool(Settings(browser_endpoint=f"ws://127.0.0.1:{port}"), Clock(), Limits(first_backoff=0))
        assert await works(pool)
        assert children(is_browser, server.pid)
        assert server.returncode is None
    finally:
        await end(server)
    with pytest.raises(BrowserUnavailable, match="could not be reached"):
        await works(pool)
    server = await playwright_server(port, tmp_path / "again")
    assert await works(pool)
    await pool.close()
    await end(server)


async def test_a_dropped_connection_is_made_again(tmp_path: Path) -> None:
    """The job under it fails, the next waits for the back-off, and one after the browser's return works."""
    port, time = free_port(), [100.0]
    process = await debugging_chromium(port, tmp_path)
    settings = Settings(browser_endpoint=f"http://127.0.0.1:{port}")
    pool = BrowserPool(settings, Clock(monotonic=lambda: time[0]), Limits(first_backoff=2))
    began = asyncio.Event()

    async def stuck(job_page: JobPage) -> None:
        page = job_page.page
        began.set()
        await page.evaluate("new Promise(() => {})")

    job = asyncio.create_task(pool.run("CHROMIUM", stuck))
    await began.wait()
    await end(process)
    with pytest.raises(BrowserCrashed):
        await asyncio.wait_for(job, 10)
    with pytest.raises(BrowserUnavailable, match="could not be reached") as failed:
        await works(pool)
    assert failed.value.retryable
    process = await debugging_chromium(port, tmp_path)
    with pytest.raises(BrowserUnavailable, match="next try is in"):
        await works(pool)
    time[0] += 3
    assert await works(pool)
    await pool.close()
    await end(process)


async def test_an_endpoint_shows_no_password() -> None:
    """Neither `hello` nor an error repeats what may be secret in it."""
    settings = Settings(browser_endpoint=f"ws://user:hunter2@127.0.0.1:{free_port()}/key-hunter2?token=hunter2")
    assert "hunter2" not in str(discovery.available_browsers(settings))
    pool = BrowserPool(settings, Clock())
    with pytest.raises(BrowserUnavailable) as failed:
        await works(pool)
    assert "hunter2" not in failed.value.message
    await pool.close()
    with pytest.raises(BrowserUnavailable, match="SIDECAR_BROWSER_ENDPOINT"):
        discovery.find("CHROMIUM", Settings(browser_endpoint="ftp://x"))
