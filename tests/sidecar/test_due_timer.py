"""One timer to the next due time, by the wall clock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sidecar.due_timer import MAX_SLEEP, RETRY_SECONDS, DueTimer
from sidecar.errors import StoreFailed
from tests.clocks import SteppedClock


class RecordingTimer:
    """What is due when, and when it was dealt with."""

    def __init__(self) -> None:
        self.time = SteppedClock()
        self.start = self.time.time
        self.dues: list[float] = []
        self.fired: list[float] = []
        self.asked = 0
        self.failures: list[Exception] = []
        self.due_timer = DueTimer(self.time.clock, self._next, self._on_due)

    async def _next(self) -> float | None:
        self.asked += 1
        return min(self.dues, default=None)

    async def _on_due(self) -> None:
        if self.failures:
            raise self.failures.pop()
        self.fired.append(self.time.time - self.start)
        self.dues = [due for due in self.dues if due > self.time.time]

    @asynccontextmanager
    async def running(self, *after: float) -> AsyncIterator[None]:
        """Runs the due timer, with entries due these seconds from now."""
        self.dues = [self.start + seconds for seconds in after]
        self.due_timer.start()
        await self.time.settle()
        yield
        await self.due_timer.close()
        assert self.time.sleeping == []


async def test_the_timer_fires_when_something_is_due_and_not_before() -> None:
    """The timer fires exactly at each due time."""
    timer = RecordingTimer()
    async with timer.running(5.0, 7.5):
        assert timer.time.sleeping == [5.0]
        await timer.time.advance(4.999)
        assert timer.fired == []
        await timer.time.advance(0.001)
        assert timer.fired == [5.0]
        await timer.time.advance(2.5)
        assert timer.fired == [5.0, 7.5]


async def test_late_entries_fire_at_once() -> None:
    """Entries that are already late, as after a restart, fire at once."""
    timer = RecordingTimer()
    async with timer.running(-3600.0, -1.0):
        assert timer.fired == [0.0]


async def test_it_hears_of_changes() -> None:
    """What is due earlier than anything before, also where nothing was."""
    timer = RecordingTimer()
    async with timer.running():
        assert timer.time.sleeping == [MAX_SLEEP]
        timer.dues.append(timer.start + 2)
        timer.due_timer.changed()
        await timer.time.settle()
        assert timer.time.sleeping == [2.0]
        await timer.time.advance(2)
        assert timer.fired == [2.0]


async def test_the_timer_checks_again_after_a_while() -> None:
    """Another process may have added something; and that is all that it does."""
    timer = RecordingTimer()
    async with timer.running(3600.0):
        before = timer.asked
        timer.dues.append(timer.start + MAX_SLEEP + 1)
        await timer.time.advance(MAX_SLEEP)
        assert timer.asked == before + 1
        await timer.time.advance(1)
        assert timer.fired == [MAX_SLEEP + 1]


async def test_the_clock_is_set_forward_a_day() -> None:
    """What became due is fired within the time that it sleeps at most."""
    timer = RecordingTimer()
    async with timer.running(3600.0):
        await timer.time.set(timer.start + 86_400)
        await timer.time.advance(MAX_SLEEP)
        assert timer.fired == [86_400 + MAX_SLEEP]


async def test_the_clock_is_set_back_an_hour() -> None:
    """What was nearly due is due an hour later, and once."""
    timer = RecordingTimer()
    async with timer.running(10.0):
        await timer.time.set(timer.start - 3600)
        await timer.time.advance(10)
        assert timer.fired == []
        for _ in range(int(3600 / MAX_SLEEP)):
            await timer.time.advance(MAX_SLEEP)
        assert timer.fired == [10.0]
        await timer.time.set(timer.start)
        await timer.time.advance(MAX_SLEEP)
        assert timer.fired == [10.0]


@pytest.mark.parametrize("failure", [StoreFailed("the disk is full", retryable=True), ZeroDivisionError("a fault")])
async def test_what_fails_is_tried_again_a_second_later(failure: Exception) -> None:
    """Any failure is retried after a second, without a busy loop."""
    timer = RecordingTimer()
    timer.failures = [failure, failure]
    async with timer.running(1.0):
        await timer.time.advance(1)
        assert timer.time.sleeping == [RETRY_SECONDS]
        await timer.time.advance(RETRY_SECONDS)
        assert timer.fired == []
        await timer.time.advance(RETRY_SECONDS)
        assert timer.fired == [1 + 2 * RETRY_SECONDS]


async def test_a_change_during_the_callback_is_not_missed() -> None:
    """What is added then is seen before it sleeps."""
    timer = RecordingTimer()
    go = asyncio.Event()

    async def on_due() -> None:
        timer.dues = []
        await go.wait()

    due_timer = DueTimer(timer.time.clock, timer._next, on_due)
    timer.dues = [timer.start]
    due_timer.start()
    await timer.time.settle()
    timer.dues = [timer.start + 3]
    due_timer.changed()
    go.set()
    await timer.time.settle()
    assert timer.time.sleeping == [3.0]
    await due_timer.close()


async def test_closing_ends_a_running_callback() -> None:
    """`close` ends a running callback; a timer that was never started can be closed, too."""
    timer = RecordingTimer()
    ended = asyncio.Event()

    async def on_due() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    due_timer = DueTimer(timer.time.clock, timer._next, on_due)
    await due_timer.close()
    timer.dues = [timer.start]
    due_timer.start()
    await timer.time.settle()
    await due_timer.close()
    assert ended.is_set()
