"""Counts the replies of a replay, and how long each type of request took."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

PERCENTILES: Final = (50, 90, 99)


@dataclass(slots=True)
class TypeTally:
    """What was replied to one type of request."""

    failed: int = 0
    different: int = 0
    milliseconds: list[float] = field(default_factory=list)

    @property
    def percentiles(self) -> dict[int, float]:
        """Rank -> milliseconds."""
        if len(self.milliseconds) == 1:
            return dict.fromkeys(PERCENTILES, self.milliseconds[0])
        cuts = statistics.quantiles(self.milliseconds, n=100, method="inclusive")
        return {rank: cuts[rank - 1] for rank in PERCENTILES}


@dataclass(slots=True)
class ReplayTally:
    """Counts by type of request."""

    types: dict[str, TypeTally] = field(default_factory=dict)

    def add(self, kind: str, milliseconds: float, *, failed: bool, different: bool = False) -> None:
        """Counts one reply."""
        one = self.types.setdefault(kind, TypeTally())
        one.failed += failed
        one.different += different
        one.milliseconds.append(milliseconds)

    @property
    def replies(self) -> int:
        """All of them."""
        return sum(len(one.milliseconds) for one in self.types.values())

    @property
    def failed(self) -> int:
        """Those that are errors, or did not come."""
        return sum(one.failed for one in self.types.values())

    @property
    def different(self) -> int:
        """Those that are other than recorded."""
        return sum(one.different for one in self.types.values())

    def sorted(self) -> Iterator[tuple[str, TypeTally]]:
        """Type and its tally, by type."""
        yield from sorted(self.types.items())

    def durations(self) -> dict[str, Any]:
        """Type -> `p50` and so on -> milliseconds, for programs."""
        return {
            kind: {f"p{rank}": round(value, 3) for rank, value in one.percentiles.items()}
            for kind, one in self.sorted()
        }
