"""Time that moves only when a test moves it."""

import asyncio
from typing import Final

from sidecar.clock import Clock

SETTLED: Final = 50
"""Turns of the loop after which everything that could go on has gone on."""


class ManualClock:
    """Hand `clock` to what is tested. `sleep` returns at once, moves time on and notes how long it was."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.time = now
        self.slept: list[float] = []
        self.clock = Clock(now=lambda: self.time, monotonic=lambda: self.time, sleep=self._sleep)

    def advance(self, seconds: float) -> None:
        """Moves time on."""
        self.time += seconds

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)


class SteppedClock:
    """Hand `clock` to what is tested. `sleep` returns when the test has moved time far enough."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.time = now
        self._passed = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []
        self.clock = Clock(now=lambda: self.time, monotonic=lambda: self._passed, sleep=self._sleep)

    @property
    def sleeping(self) -> list[float]:
        """For how many more seconds each sleeper sleeps."""
        return [wakes - self._passed for wakes, _ in self._sleepers]

    async def advance(self, seconds: float) -> None:
        """Lets time pass, and wakes sleepers whose time has come."""
        self.time += seconds
        self._passed += seconds
        await self.settle()

    async def set(self, now: float) -> None:
        """Sets the wall clock, as somebody does who corrects it: no time passes."""
        self.time = now
        await self.settle()

    async def settle(self) -> None:
        """Lets everybody go on until all wait."""
        for wakes, woken in self._sleepers:
            if wakes <= self._passed:
                woken.set()
        for _ in range(SETTLED):
            await asyncio.sleep(0)

    async def _sleep(self, seconds: float) -> None:
        sleeper = (self._passed + seconds, asyncio.Event())
        self._sleepers.append(sleeper)
        try:
            await sleeper[1].wait()
        finally:
            self._sleepers.remove(sleeper)


STEPPED = """
import sys, time
real, steps = time.time, sys.argv.pop(1)
def stepped():
    with open(steps) as file:
        return real() + float(file.read() or 0)
time.time = stepped
sys.argv[0] = "sidecar"
from sidecar.__main__ import main
main()
"""
"""Runs a sidecar whose wall clock is as many seconds ahead as a file says."""
