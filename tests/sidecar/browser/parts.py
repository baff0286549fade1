"""What several browser tests need."""

import asyncio
import struct
import time
from collections.abc import Callable
from typing import Any

import psutil
from sidecar_protocol.decoding import decode_as
from sidecar_protocol.encoding import encode
from sidecar_protocol.jobs import SendJob

from sidecar.browser.pool import BrowserPool
from sidecar.browser.processes.job_page import JobPage


def make_job(url: str, **content: Any) -> SendJob:
    """A job of one step at `url`; step members and job members may be mixed."""
    step: dict[str, Any] = {"url": url}
    step |= {name: content.pop(name) for name in ("actions", "extract", "wait_until") if name in content}
    if "step_timeout_ms" in content:
        step["timeout_ms"] = content.pop("step_timeout_ms")
    return make_jobs([step], **content)


def make_jobs(steps: list[dict[str, Any]], **content: Any) -> SendJob:
    """A job of these steps, read as the codec reads it."""
    return decode_as(SendJob, encode({"steps": steps, **content}))


async def title_of(job_page: JobPage) -> str:
    """A short job that needs no server."""
    page = job_page.page
    await page.goto("data:text/html,<title>fine</title>")
    return await page.title()


async def works(pool: BrowserPool) -> bool:
    """Whether the next job is served."""
    return await pool.run("CHROMIUM", title_of) == "fine"


class Stuck:
    """A job that waits in a page until it is stopped; `began` is set when it is there."""

    def __init__(self) -> None:
        self.began = asyncio.Event()

    async def __call__(self, job_page: JobPage) -> str:
        """Waits for something that never comes."""
        page = job_page.page
        await page.goto("data:text/html,<title>stuck</title>")
        self.began.set()
        return str(await page.evaluate("new Promise(() => {})"))


def children(matches: Callable[[psutil.Process], bool] = lambda _: True, of: int | None = None) -> list[psutil.Process]:
    """Living processes below this one (or the one with this id) that match."""
    found = []
    for process in psutil.Process(of).children(recursive=True):
        try:
            if _lives(process) and matches(process):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


async def still_alive(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """The processes that have not ended after that many seconds. A zombie counts as ended."""
    alive, deadline = processes, time.monotonic() + seconds
    while alive and time.monotonic() < deadline:
        await asyncio.sleep(0.02)  # processes of other parents give no sign when they end
        alive = [process for process in alive if _lives(process)]
    return alive


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_browser(process: psutil.Process) -> bool:
    """A browser's main process, not the shell script that a distribution starts it with."""
    command = process.cmdline()
    typed = any(argument.startswith("--type=") for argument in command)
    return "--headless" in command and not typed and not command[0].endswith("/sh")


def is_renderer(process: psutil.Process) -> bool:
    """A process that holds a page."""
    return "--type=renderer" in process.cmdline()


def is_driver(process: psutil.Process) -> bool:
    """Playwright's own process."""
    return "run-driver" in process.cmdline()


def png_size(image: bytes) -> tuple[int, int]:
    """Width and height from a PNG's header."""
    assert image[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", image[16:24])
    return width, height
