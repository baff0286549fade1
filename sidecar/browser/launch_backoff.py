"""Back-off of launches: after a failed launch the next one is delayed, longer after each further failure."""

from collections.abc import Callable
from typing import Protocol

from sidecar.errors import BrowserUnavailable


class BackoffLimits(Protocol):
    """Seconds of the first pause, which is doubled each time up to the longest."""

    @property
    def first_backoff(self) -> float:
        """The delay after one failure."""

    @property
    def longest_backoff(self) -> float:
        """However many there were."""


class LaunchBackoff:
    """The failures in a row of one kind of browser."""

    def __init__(self, limits: BackoffLimits, monotonic: Callable[[], float]) -> None:
        self._limits = limits
        self._monotonic = monotonic
        self._failures = 0
        self._retry_at = 0.0
        self._last_failure = BrowserUnavailable("")

    def check(self) -> None:
        """Raises BrowserUnavailable, with the reason of the last failure, as long as it is too early to try again."""
        left = self._retry_at - self._monotonic()
        if left > 0:
            said = f"{self._last_failure.message} (the next try is in {left:.1f} s)"
            raise BrowserUnavailable(said, retryable=self._last_failure.retryable)

    def record_failure(self, failure: BrowserUnavailable) -> None:
        """Begins a pause, unless there is one."""
        now = self._monotonic()
        if now >= self._retry_at:
            pause = min(self._limits.first_backoff * 2**self._failures, self._limits.longest_backoff)
            self._failures, self._last_failure, self._retry_at = self._failures + 1, failure, now + pause

    def reset(self) -> None:
        """The next failure is the first again."""
        self._failures = 0
