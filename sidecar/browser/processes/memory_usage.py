"""The memory usage of a browser's processes, which Chromium lists and the kernel accounts for."""

import asyncio

from playwright.async_api import Browser
from playwright.async_api import Error as PlaywrightError

from sidecar.browser.cdp import is_chromium


async def megabytes(browser: Browser) -> float:
    """The proportional set size of all its processes, in MB of 10^6 bytes; 0 if it is unknown."""
    if not is_chromium(browser):
        return 0.0
    try:
        session = await browser.new_browser_cdp_session()
        listed = (await session.send("SystemInfo.getProcessInfo"))["processInfo"]
        await session.detach()
    except PlaywrightError:
        return 0.0  # on its way out
    return await asyncio.to_thread(_sum, [int(process["id"]) for process in listed])


def _sum(processes: list[int]) -> float:
    return sum(map(_pss, processes)) / 1e6


def _pss(process: int) -> int:
    import psutil  # late: takes 10 ms, which would slow the first job

    try:
        # only Linux knows it
        return int(getattr(psutil.Process(process).memory_full_info(), "pss", 0))
    except psutil.Error:
        return 0  # it has ended, or runs on another machine
