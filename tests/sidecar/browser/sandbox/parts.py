"""What several tests of scripting need."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil

from sidecar.browser.pool import BrowserPool
from sidecar.browser.processes.job_page import JobPage
from sidecar.browser.sandbox.action_session import ActionSession
from sidecar.browser.sandbox.sandbox_pool import SandboxPool
from sidecar.browser.steps.console import ConsoleRecorder


def is_sandbox(process: psutil.Process) -> bool:
    """The main process of the browser that actions run in."""
    command = process.cmdline()
    ours = any(argument.startswith("--user-data-dir=") and "sidecar-sandbox-" in argument for argument in command)
    typed = any(argument.startswith("--type=") for argument in command)
    return ours and not typed and not command[0].endswith("/sh")


async def stays(_: object) -> None:
    """Says of every page that it is not on its way to another one."""


def open_session(sandboxes: SandboxPool, lent: JobPage) -> ActionSession:
    """The session of a job on this page, with a minute for each action."""
    return ActionSession(sandboxes, lent.page, lent.cdp, ConsoleRecorder(lent, str), {}, lambda: 60_000.0, stays)


@asynccontextmanager
async def lent_page(pool: BrowserPool) -> AsyncIterator[JobPage]:
    """A page of Chromium that is held until the block ends."""
    opened: asyncio.Future[JobPage] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def hold(page: JobPage) -> None:
        opened.set_result(page)
        await over.wait()

    holding = asyncio.create_task(pool.run("CHROMIUM", hold))
    await asyncio.wait((opened, holding), return_when=asyncio.FIRST_COMPLETED)
    if holding.done():
        holding.result()
    yield opened.result()
    over.set()
    await holding
