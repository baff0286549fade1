"""Time that moves only when a test moves it."""

from sidecar.clock import Clock


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
