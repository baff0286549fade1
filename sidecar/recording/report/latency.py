"""Latencies of any number of messages in little memory."""

import math
from typing import Any, Final

_PER_DECADE: Final = 24
"""Buckets; a percentile is exact to a twentieth."""
_LOWEST: Final = 0.01
"""Milliseconds; what was faster counts as this."""
_BUCKETS: Final = 8 * _PER_DECADE
_SHOWN_PER_DECADE: Final = 6


class Latencies:
    """The latencies of one type of message, in buckets that grow with them."""

    def __init__(self) -> None:
        self.count = 0
        self.failed = 0
        self._most = 0.0
        self._buckets = [0] * (_BUCKETS + 1)

    def add(self, milliseconds: float, *, failed: bool) -> None:
        """Counts one."""
        self.count += 1
        self.failed += failed
        self._most = max(self._most, milliseconds)
        place = math.log10(max(milliseconds, _LOWEST) / _LOWEST) * _PER_DECADE
        self._buckets[min(int(place), _BUCKETS)] += 1

    def summary(self) -> dict[str, Any]:
        """Count, percentiles, and bars from the fastest to the slowest: lower edge in milliseconds, and count."""
        return {
            "count": self.count,
            "failed": self.failed,
            "p50": self._percentile(0.5),
            "p90": self._percentile(0.9),
            "p99": self._percentile(0.99),
            "max": round(self._most, 3),
            "bars": self._bars(),
        }

    def _percentile(self, share: float) -> float:
        wanted, seen = share * self.count, 0
        if wanted > self.count - 1:
            return _rounded(self._most)  # of few messages it is the slowest
        for number, count in enumerate(self._buckets):
            seen += count
            if count and seen >= wanted:
                return _rounded(min(self._most, _edge(number + 0.5)))
        return 0.0

    def _bars(self) -> list[tuple[float, int]]:
        size = _PER_DECADE // _SHOWN_PER_DECADE
        grouped = [sum(self._buckets[start : start + size]) for start in range(0, len(self._buckets), size)]
        filled = [number for number, count in enumerate(grouped) if count]
        if not filled:
            return []
        return [(_rounded(_edge(number * size)), grouped[number]) for number in range(filled[0], filled[-1] + 1)]


def _edge(number: float) -> float:
    return _LOWEST * math.pow(10.0, number / _PER_DECADE)


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
