"""Runs work on a page and stops it when the page crashes."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, Final, TypeVar

from sidecar.browser import playwright_errors
from sidecar.errors import BrowserCrashed

T = TypeVar("T")
_CRASH_EVENT_SECONDS: Final = 0.25
"""Seconds in which the news of a page's crash follows the failure that it caused."""
_CLEANUP_SECONDS: Final = 2.0
"""Seconds for which cancelled work is waited for while it cleans up; a browser that answers needs some milliseconds."""


async def run_unless_lost(work: Coroutine[Any, Any, T], lost: Awaitable[BrowserCrashed]) -> T:
    """The outcome of `work`, unless its page is lost first. Raises BrowserCrashed."""
    task = asyncio.create_task(work)
    crash = asyncio.ensure_future(lost)
    try:
        await asyncio.wait((task, crash), return_when=asyncio.FIRST_COMPLETED)
        if task.done() and playwright_errors.may_be_crash(task.exception()):
            await asyncio.wait((crash,), timeout=_CRASH_EVENT_SECONDS)
        if task.done() and not (crash.done() and task.exception()):
            return task.result()
        raise crash.result()  # also where the work failed first: this is the reason
    finally:
        await cancel_or_abandon(task)


async def cancel_or_abandon(task: asyncio.Task[Any]) -> None:
    """Cancels work that has not ended, and sees it off.

    What it tells a browser as its last words may never be answered; then it is left behind, and ends with the browser.
    """
    task.cancel()
    await asyncio.wait((task,), timeout=_CLEANUP_SECONDS)
    task.add_done_callback(consume_exception)


def consume_exception(task: asyncio.Task[Any]) -> None:
    """Marks a failure as seen: somebody else has told it already, or nobody is left to be told."""
    if not task.cancelled():
        task.exception()
