"""Cron patterns: the conformance cases that the Open Cron Pattern Specification publishes, and what it leaves open."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import InvalidContent
from sidecar.tasks.cron import NICKNAMES, parse_cron

OCPS = {
    "15 10 * * *": (["2025-03-10 10:15"], ["2025-03-10 10:14"]),
    "30 8 * jan Mon": (["2025-01-06 08:30"], ["2025-02-03 08:30"]),
    "5-59/15 9 * * *": (
        ["2025-03-10 09:05", "2025-03-10 09:20", "2025-03-10 09:35", "2025-03-10 09:50"],
        ["2025-03-10 09:15"],
    ),
    "0 12 1 * MON": (
        ["2025-10-01 12:00", "2025-10-06 12:00", "2025-09-01 12:00", "2025-09-08 12:00"],
        ["2025-10-07 12:00"],
    ),
    "0 12 * * MON": (["2025-10-06 12:00"], ["2025-10-07 12:00"]),
    "0 12 1-31 * MON": (["2025-10-06 12:00", "2025-10-07 12:00"], ["2025-10-08 11:00"]),
    "@yearly": (["2026-01-01 00:00"], ["2026-01-02 00:00"]),
    "@monthly": (["2026-02-01 00:00"], ["2026-02-02 00:00"]),
    "@weekly": (["2025-10-05 00:00"], ["2025-10-06 00:00"]),
    "@daily": (["2025-10-07 00:00"], ["2025-10-07 00:01"]),
    "@hourly": (["2025-10-07 10:00"], ["2025-10-07 10:01"]),
    "0 0 L * *": (["2025-02-28 00:00"], ["2025-02-27 00:00"]),
    "0 0 * * FRI#L": (["2025-02-28 00:00"], ["2025-02-21 00:00"]),
    "0 0 * * TUE#3": (["2025-06-17 00:00"], ["2025-06-10 00:00"]),
    "0 12 15W * *": (["2025-06-16 12:00"], ["2025-06-15 12:00"]),
    "0 12 1W * *": (["2025-02-03 12:00"], ["2025-02-01 12:00"]),
    "0 12 1 * +MON": (["2025-09-01 12:00"], ["2025-09-08 12:00", "2025-10-01 12:00"]),
}
"""Of versions 1.0, 1.1, 1.3 and 1.4: what a pattern must match, and what it must not."""
REJECTED = [
    *("60 0 * * *", "0 0 10-5 * *", "0 0 /30 * *", "@Daily", "@daily 0 0 * * *", "0 12 1-15W * *", "0 12 +1 * MON"),
    "? 12 * * *",
]
"""What a parser must reject, of the same versions."""
FURTHER = {
    "0 0 * * 5L": (["2025-07-25 00:00"], ["2025-07-18 00:00"]),
    "0 0 * * friL,MON#1": (["2025-07-25 00:00", "2025-07-07 00:00"], ["2025-07-18 00:00", "2025-07-14 00:00"]),
    "0 0 * * 0#5": (["2025-08-31 00:00"], ["2025-08-24 00:00", "2025-09-28 00:00"]),
    "0 0 * * 7": (["2025-10-05 00:00"], ["2025-10-06 00:00"]),
    "0 0 * * FRI-SUN": (["2025-10-03 00:00", "2025-10-05 00:00"], ["2025-10-06 00:00"]),
    "0 0 * * 5-7/2": (["2025-10-03 00:00", "2025-10-05 00:00"], ["2025-10-04 00:00"]),
    "0 0 LW * *": (["2025-02-28 00:00", "2025-08-29 00:00", "2025-11-28 00:00"], ["2025-08-31 00:00"]),
    "0 0 31W * *": (
        ["2025-01-31 00:00", "2025-05-30 00:00", "2025-08-29 00:00"],
        ["2025-02-28 00:00", "2025-04-30 00:00"],
    ),
    "0 0 5W 7 *": (["2025-07-04 00:00"], ["2025-07-05 00:00"]),
    "0 0 15,L * *": (["2025-02-15 00:00", "2025-02-28 00:00"], ["2025-02-27 00:00"]),
    "0 0 1 * ?": (["2025-10-01 00:00"], ["2025-10-02 00:00"]),
    "0 0 ? * MON": (["2025-10-06 00:00"], ["2025-10-07 00:00"]),
    # the wildcard that begins a field, with a step too, thins out the other one, as in Vixie's cron
    "0 0 */2 * MON": (["2025-10-13 00:00"], ["2025-10-06 00:00", "2025-10-15 00:00"]),
    "\t*/15   0-4,8-12 * JAN-MAR,DEC MON-FRI ": (["2025-12-31 12:45"], ["2025-12-31 05:00", "2025-11-03 00:00"]),
}


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern comes at a wall clock time."""
    wall = datetime.fromisoformat(text)
    cron = parse_cron(pattern)
    return wall.day in cron.days_of(wall.year, wall.month) and wall.hour * 60 + wall.minute in cron.minutes


@pytest.mark.parametrize("pattern", [*OCPS, *FURTHER])
def test_a_pattern_comes_when_the_specification_says(pattern: str) -> None:
    """A pattern matches exactly when the specification says."""
    yes, no = (OCPS | FURTHER)[pattern]
    assert [one for one in yes if not matches(pattern, one)] == []
    assert [one for one in no if matches(pattern, one)] == []


def test_a_nickname_is_its_pattern() -> None:
    """Each of them."""
    assert {name: parse_cron(name) == parse_cron(pattern) for name, pattern in NICKNAMES.items()} == dict.fromkeys(
        ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"], True
    )


def test_a_date_that_never_comes_is_no_error_of_syntax() -> None:
    """As the specification has it; that it never comes is found where its times are asked for."""
    assert not any(parse_cron("* * 31 2 *").days_of(year, 2) for year in range(2000, 2030))


@pytest.mark.parametrize(
    "pattern",
    [
        *REJECTED,
        *("", " ", "* * * *", "* * * * * *", "0 15 10 * * * 2025", "@reboot", "@every 5m", "a b c d e"),
        *("*/0 * * * *", "0/10 * * * *", "*/ * * * *", "1- * * * *", "-1 * * * *", "1,,2 * * * *", ", * * * *"),
        *(
            "* 24 * * *",
            "* * 0 * *",
            "* * 32 * *",
            "* * * 0 *",
            "* * * 13 *",
            "* * * * 8",
            "* * * MON *",
            "* * * * JAN",
        ),
        *("* * W * *", "* * 1,15W * *", "* * 15W,1 * *", "* * 32W * *", "* * 0W * *", "* * L-3 * *", "* * L/2 * *"),
        *("* * * * L", "* * * * MON#6", "* * * * MON#0", "* * * * MON-FRI#2", "* * * * #2", "* * * * 8L", "* * * * LL"),
        *("* * * * MON+", "* * * * MON,+TUE", "* * * * ++MON", "* * * * +", "* * * ? *", "* ? * * *", "* * ?/2 * *"),
        *("*\u00a0* * * *", "\u0661 * * * *", "* * * * \u017fun", "*\n* * * *", "9" * 400 + " * * * *", "* * * 5-3 *"),
        *("* * * * FRI-MON", "* * * * 5-0"),
    ],
)
def test_invalid_patterns_are_refused(pattern: str) -> None:
    """Is refused by its place, without being repeated."""
    with pytest.raises(InvalidContent, match=r"^cron: ") as failed:
        parse_cron(pattern)
    assert failed.value.details == {"field": "cron"}
    assert len(failed.value.message) < 200


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("0/10 * * * *", "0-59/10"),
        ("* * * * * *", "no seconds"),
        ("60 * * * *", "0-59"),
        ("* * * FOO *", "JAN-DEC"),
        ("* * 1,15W * *", "15W or LW"),
        ("@fortnightly", "@daily"),
    ],
)
def test_an_error_names_the_way_out(pattern: str, says: str) -> None:
    """What could stand there instead."""
    with pytest.raises(InvalidContent) as failed:
        parse_cron(pattern)
    assert says in failed.value.message


@given(st.dates(min_value=date(1970, 1, 1), max_value=date(2200, 1, 1)))
def test_days_are_those_of_the_calendar(day: date) -> None:
    """Last, nearest and nth ones, by looking at each day itself."""
    month = [day.replace(day=1) + timedelta(days=more) for more in range(31)]
    month = [one for one in month if one.month == day.month]
    fridays = [one.day for one in month if one.weekday() == 4]
    working = [one.day for one in month if one.weekday() < 5]

    def days(pattern: str) -> list[int]:
        return list(parse_cron(f"0 0 {pattern}").days_of(day.year, day.month))

    assert days("L * *") == [month[-1].day]
    assert days("LW * *") == [working[-1]]
    assert days("* * FRI#L") == [fridays[-1]]
    assert days("* * FRI#5") == fridays[4:5]
    assert days("1W * *") == [working[0]]
    assert days(f"{day.day}W * *") == [min(working, key=lambda one: (abs(one - day.day), one))]
    assert days("* * 5") == fridays
    assert days(f"{day.day} * +FRI") == ([day.day] if day.weekday() == 4 else [])
    assert days(f"{day.day} * FRI") == sorted({day.day, *fridays})
