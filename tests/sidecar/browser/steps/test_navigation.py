"""Waits for a document leave nothing behind when the job's time is over."""

import asyncio
from typing import cast

import pytest
from playwright.async_api import Page

from sidecar.browser.steps.navigation import NavigationTracker


async def test_a_cancelled_wait_leaves_no_task() -> None:
    """Else asyncio complains on stderr, at the end of the process, of a task that was destroyed."""
    tracker = NavigationTracker.__new__(NavigationTracker)  # without a browser: two of its members are enough
    tracker.failures = {}
    tracker._failure_event = asyncio.Event()
    before = asyncio.all_tasks()
    arrived = asyncio.Event()
    wait = asyncio.create_task(tracker.unless_failed(cast(Page, object()), arrived.wait()))
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(asyncio.all_tasks() - before) == 3
    wait.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
