"""One timer to the next due time, by the wall clock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sidecar.due_timer import MAX_SLEEP, RETRY_SECONDS, DueTimer
from sidecar.errors import StoreFailed
from tests.clocks import SteppedClock


class Bell:
    """What is due when, and when it was dealt with."""

    def __init__(self) -> None:
        self.time = SteppedClock()
        self.start = self.time.time
        self.dues: list[float] = []
        self.rung: list[float] = []
        self.asked = 0
        self.failures: list[Exception] = []
        self.alarm = DueTimer(self.time.clock, self._next, self._ring)

    async def _next(self) -> float | None:
        self.asked += 1
        return min(self.dues, default=None)

    async def _ring(self) -> None:
        if self.failures:
            raise self.failures.pop()
        self.rung.append(self.time.time - self.start)
        self.dues = [due for due in self.dues if due > self.time.time]

    @asynccontextmanager
    async def running(self, *after: float) -> AsyncIterator[None]:
        """Runs the alarm, with things due so many seconds from now."""
        self.dues = [self.start + seconds for seconds in after]
        self.alarm.start()
        await self.time.settle()
        yield
        await self.alarm.close()
        assert self.time.sleeping == []


async def test_it_rings_when_something_is_due_and_not_before() -> None:
    """To the moment, each time."""
    bell = Bell()
    async with bell.running(5.0, 7.5):
        assert bell.time.sleeping == [5.0]
        await bell.time.advance(4.999)
        assert bell.rung == []
        await bell.time.advance(0.001)
        assert bell.rung == [5.0]
        await bell.time.advance(2.5)
        assert bell.rung == [5.0, 7.5]


async def test_what_is_late_is_rung_at_once() -> None:
    """As after a restart."""
    bell = Bell()
    async with bell.running(-3600.0, -1.0):
        assert bell.rung == [0.0]


async def test_it_hears_of_changes() -> None:
    """What is due earlier than anything before, also where nothing was."""
    bell = Bell()
    async with bell.running():
        assert bell.time.sleeping == [MAX_SLEEP]
        bell.dues.append(bell.start + 2)
        bell.alarm.changed()
        await bell.time.settle()
        assert bell.time.sleeping == [2.0]
        await bell.time.advance(2)
        assert bell.rung == [2.0]


async def test_it_looks_again_after_a_while_by_itself() -> None:
    """Another process may have added something; and that is all that it does."""
    bell = Bell()
    async with bell.running(3600.0):
        before = bell.asked
        bell.dues.append(bell.start + MAX_SLEEP + 1)
        await bell.time.advance(MAX_SLEEP)
        assert bell.asked == before + 1
        await bell.time.advance(1)
        assert bell.rung == [MAX_SLEEP + 1]


async def test_the_clock_is_set_forward_a_day() -> None:
    """What became due is rung within the time that it sleeps at most."""
    bell = Bell()
    async with bell.running(3600.0):
        await bell.time.set(bell.start + 86_400)
        await bell.time.advance(MAX_SLEEP)
        assert bell.rung == [86_400 + MAX_SLEEP]


async def test_the_clock_is_set_back_an_hour() -> None:
    """What was nearly due is due an hour later, and once."""
    bell = Bell()
    async with bell.running(10.0):
        await bell.time.set(bell.start - 3600)
        await bell.time.advance(10)
        assert bell.rung == []
        for _ in range(int(3600 / MAX_SLEEP)):
            await bell.time.advance(MAX_SLEEP)
        assert bell.rung == [10.0]
        await bell.time.set(bell.start)
        await bell.time.advance(MAX_SLEEP)
        assert bell.rung == [10.0]


@pytest.mark.parametrize("failure", [StoreFailed("the disk is full", retryable=True), ZeroDivisionError("a fault")])
async def test_what_fails_is_tried_again_a_second_later(failure: Exception) -> None:
    """Whatever it was, and without a busy loop."""
    bell = Bell()
    bell.failures = [failure, failure]
    async with bell.running(1.0):
        await bell.time.advance(1)
        assert bell.time.sleeping == [RETRY_SECONDS]
        await bell.time.advance(RETRY_SECONDS)
        assert bell.rung == []
        await bell.time.advance(RETRY_SECONDS)
        assert bell.rung == [1 + 2 * RETRY_SECONDS]


async def test_a_change_while_it_rings_is_not_missed() -> None:
    """What is added then is seen before it sleeps."""
    bell = Bell()
    go = asyncio.Event()

    async def on_due() -> None:
        bell.dues = []
        await go.wait()

    alarm = DueTimer(bell.time.clock, bell._next, on_due)
    bell.dues = [bell.start]
    alarm.start()
    await bell.time.settle()
    bell.dues = [bell.start + 3]
    alarm.changed()
    go.set()
    await bell.time.settle()
    assert bell.time.sleeping == [3.0]
    await alarm.close()


async def test_closing_ends_a_ring_under_way() -> None:
    """And an alarm that was never started can be closed."""
    bell = Bell()
    ended = asyncio.Event()

    async def on_due() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    alarm = DueTimer(bell.time.clock, bell._next, on_due)
    await alarm.close()
    bell.dues = [bell.start]
    alarm.start()
    await bell.time.settle()
    await alarm.close()
    assert ended.is_set()
