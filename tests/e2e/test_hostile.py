"""Input that is made to hold up the process: the kinds of `make hostile` that need no browser."""

from dataclasses import replace

import pytest

from benchmarks.hostile import measure, verdict
from benchmarks.hostility import KINDS

QUICK = [name for name, kind in KINDS.items() if not kind.browser]
FEWER = {"C6 typed values, line by line": 1_250, "small lines": 8_000}
"""Lines of kinds that send many small ones: `make hostile` sends more, but what grows does so between these as well."""


@pytest.mark.timeout(300)  # the longest takes half a minute of CPU, more on a machine with neighbours
@pytest.mark.parametrize("name", QUICK)
def test_it_costs_linear_time_and_bounded_memory(name: str) -> None:
    """Four times as much of it costs about four times as much; each line has one reply, and none is `internal`."""
    kind = KINDS[name]
    assert verdict(measure(replace(kind, size=FEWER.get(name, kind.size)))) == ""
