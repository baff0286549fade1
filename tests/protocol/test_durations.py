"""Durations: numbers, and text with units."""

import pytest
from sidecar_protocol.durations import Duration, format_milliseconds, parse_milliseconds

TEXTS = {
    "90s": 90_000,
    "1h": 3_600_000,
    "1 h 30 min": 5_400_000,
    "1h30m": 5_400_000,
    "2 Days": 172_800_000,
    "1.5 min": 90_000,
    "250ms": 250,
    " 1w ": 604_800_000,
    "0.5 ms": None,
    "90": None,
    "": None,
    "s": None,
    "1 fortnight": None,
    "30 min 1 h": None,
    "1h 1h": None,
    "-1s": None,
    "1,5 h": None,
    "1s" + " " * 100: None,
    "9" * 99 + "s": None,
}
SHOWN = {
    0: "0 s",
    250: "250 ms",
    3_600: "3.6 s",
    90_000: "1 min 30 s",
    3_600_000: "1 h",
    90_061_500: "1 d 1 h 1 min 1.5 s",
}


@pytest.mark.parametrize("text", TEXTS)
def test_text_with_units(text: str) -> None:
    """The larger unit first; what is not whole milliseconds is refused."""
    assert parse_milliseconds(text) == TEXTS[text]


@pytest.mark.parametrize("milliseconds", SHOWN)
def test_what_is_echoed_can_be_sent(milliseconds: int) -> None:
    """`every` of a task is an `interval`, too."""
    assert format_milliseconds(milliseconds) == SHOWN[milliseconds]
    assert parse_milliseconds(SHOWN[milliseconds]) == milliseconds


def test_a_unit_of_seconds() -> None:
    """Text is converted; what is no whole number of them is refused."""
    seconds = Duration(ge=1, le=100_000, unit="seconds")
    assert (seconds.read(60), seconds.read("1h")) == (60, 3_600)
    wrongs: tuple[object, ...] = ("500ms", "0s", 0, 100_001, 1.5, True, None, [])
    for wrong in wrongs:
        with pytest.raises(ValueError, match=r'"90s" or "1h"'):
            seconds.read(wrong)


def test_fractions_are_for_those_who_take_them() -> None:
    """Delays between key strokes do."""
    assert Duration(ge=0, le=10, fractions=True).read(0.5) == 0.5
    with pytest.raises(ValueError, match="expected milliseconds"):
        Duration(ge=0, le=10).read(0.5)
