"""Runs work on a page and stops it when the page crashes."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, Final, TypeVar

from sidecar.browser import playwright_errors
from sidecar.browser.background_tasks import consume_exception
from sidecar.errors import BrowserCrashed

T = TypeVar("T")
_CRASH_EVENT_SECONDS: Final = 0.25
"""Seconds for the crash event to follow the failure that the crash caused."""
_CLEANUP_SECONDS: Final = 2.0
"""Seconds for cancelled work to clean up; a responsive browser needs milliseconds."""


async def run_unless_lost(work: Coroutine[Any, Any, T], lost: Awaitable[BrowserCrashed]) -> T:
    """The outcome of `work`, unless its page crashes first. Raises BrowserCrashed."""
    task = asyncio.create_task(work)
    crash = asyncio.ensure_future(lost)
    try:
        await asyncio.wait((task, crash), return_when=asyncio.FIRST_COMPLETED)
        if task.done() and playwright_errors.may_be_crash(task.exception()):
            await asyncio.wait((crash,), timeout=_CRASH_EVENT_SECONDS)
        if task.done() and not (crash.done() and task.exception()):
            return task.result()
        raise crash.result()  # even if the work failed first: the crash is the cause
    finally:
        await cancel_or_abandon(task)


async def cancel_or_abandon(task: asyncio.Task[Any]) -> None:
    """Cancels work and waits for its clean-up, for a limited time.

    If the browser does not respond to the clean-up, the task is left behind and ends with the browser.
    """
    task.cancel()
    await asyncio.wait((task,), timeout=_CLEANUP_SECONDS)
    task.add_done_callback(consume_exception)
