"""The times of a task: intervals, and cron patterns over clock changes by the rule of OCPS 1.4."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import InvalidContent
from sidecar.tasks.interval import MAX_MS
from sidecar.tasks.timetable import Timetable, timetable

ZONES = ["UTC", "Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/Havana"]
PATTERNS = ["*/20 * * * *", "30 2 * * *", "0,30 0-3 * * *", "15 1 * * SUN", "0 0 L * *", "0 */6 1-7 3,4,10,11 *"]
moments = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2050, 1, 1))  # noqa: DTZ001


def cron(pattern: str, zone: str = "UTC", init: int = 0) -> Timetable:
    """A pattern's times."""
    return timetable(init, None, pattern, zone)


def at(text: str, zone: str = "UTC") -> int:
    """A moment, written with or without an offset."""
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).timestamp() * 1000)


def following(table: Timetable, start: int, count: int, zone: str) -> list[str]:
    """The next times, as that zone's clock shows them."""
    found = []
    for _ in range(count):
        time = table.next(start)
        assert time is not None
        assert time > start
        assert table.last(time) == time
        found.append(datetime.fromtimestamp(time / 1000, ZoneInfo(zone)).isoformat(timespec="minutes"))
        start = time
    return found


@pytest.mark.parametrize(
    ("pattern", "zone", "start", "times"),
    [
        ("30 2 * * *", "America/New_York", "2025-03-08T12:00", ["2025-03-10T02:30-04:00", "2025-03-11T02:30-04:00"]),
        ("*/30 * * * *", "America/New_York", "2025-03-09T01:10", ["2025-03-09T01:30-05:00", "2025-03-09T03:00-04:00"]),
        ("0 2,3 * * *", "Europe/Amsterdam", "2025-03-29T12:00", ["2025-03-30T03:00+02:00", "2025-03-31T02:00+02:00"]),
        # half an hour is skipped there
        ("15,45 2 * * *", "Australia/Lord_Howe", "2025-10-04T12:00", ["2025-10-05T02:45+11:00"]),
        # midnight itself is skipped there
        ("0 0 * * *", "America/Havana", "2025-03-08T12:00", ["2025-03-10T00:00-04:00"]),
        # and here once a whole day was, the zone having changed sides
        ("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00", ["2011-12-29T12:00-10:00", "2011-12-31T12:00+14:00"]),
    ],
)
def test_a_time_that_the_clock_skips_is_left_out(pattern: str, zone: str, start: str, times: list[str]) -> None:
    """Neither earlier nor later."""
    assert following(cron(pattern, zone), at(start, zone), len(times), zone) == times


@pytest.mark.parametrize(
    ("pattern", "zone", "start", "times"),
    [
        ("30 1 * * *", "America/New_York", "2025-11-01T12:00", ["2025-11-02T01:30-04:00", "2025-11-03T01:30-05:00"]),
        (
            "0 * * * *",
            "America/New_York",
            "2025-11-02T00:30",
            ["2025-11-02T01:00-04:00", "2025-11-02T02:00-05:00", "2025-11-02T03:00-05:00"],
        ),
        (
            "*/30 * * * *",
            "Europe/Amsterdam",
            "2025-10-26T01:45",
            ["2025-10-26T02:00+02:00", "2025-10-26T02:30+02:00", "2025-10-26T03:00+01:00"],
        ),
        # from the middle of the hour that is shown again
        ("*/30 * * * *", "Europe/Amsterdam", "2025-10-26T02:10+01:00", ["2025-10-26T03:00+01:00"]),
        ("0 23 * * *", "America/Havana", "2025-11-01T12:00", ["2025-11-01T23:00-04:00", "2025-11-02T23:00-05:00"]),
        ("*/30 0 * * *", "America/Havana", "2025-11-01T12:00", ["2025-11-02T00:00-04:00", "2025-11-02T00:30-04:00"]),
    ],
)
def test_a_time_that_the_clock_shows_twice_comes_once(pattern: str, zone: str, start: str, times: list[str]) -> None:
    """The first time."""
    assert following(cron(pattern, zone), at(start, zone), len(times), zone) == times


def test_the_last_time_while_the_clock_repeats_itself() -> None:
    """At 02:10 for the second time, 02:30 has passed already."""
    table, zone = cron("*/30 * * * *", "Europe/Amsterdam"), "Europe/Amsterdam"
    assert table.last(at("2025-10-26T02:10+01:00")) == at("2025-10-26T02:30+02:00")
    assert table.last(at("2025-10-26T02:10+02:00")) == at("2025-10-26T02:00+02:00")
    assert table.last(at("2025-10-26T03:00", zone)) == at("2025-10-26T03:00", zone)


@given(st.sampled_from(PATTERNS), st.sampled_from(ZONES), moments, st.integers(0, 40))
def test_next_last_and_count_agree(pattern: str, zone: str, start: datetime, steps: int) -> None:
    """Each time is the last one until the next; all of them are counted, over clock changes too."""
    table, begin = cron(pattern, zone), round(start.replace(tzinfo=UTC).timestamp() * 1000)
    times = [begin]
    for _ in range(steps + 1):
        time = table.next(times[-1])
        assert time is not None
        times.append(time)
    for earlier, later in pairwise(times[1:]):
        assert earlier < later
        assert table.last(later - 1) == earlier
    assert table.count(begin + 1, times[-1]) == steps
    assert table.count(begin + 1, times[-1] + 1) == steps + 1
    before = table.last(begin)
    assert before is not None
    assert before <= begin
    assert table.next(before) == times[1]


@given(st.sampled_from(PATTERNS), st.sampled_from(ZONES), moments)
def test_every_time_is_one_of_the_pattern_and_none_is_left_out(pattern: str, zone: str, start: datetime) -> None:
    """By looking at each minute of the clock."""
    table, begin = cron(pattern, zone), round(start.replace(second=0, microsecond=0, tzinfo=UTC).timestamp() * 1000)
    time, known = table.next(begin - 1), ZoneInfo(zone)
    assert time is not None
    shown = datetime.fromtimestamp(time / 1000, known)
    assert not shown.fold
    minute, seen = datetime.fromtimestamp(begin / 1000, known), timetable(0, None, pattern, "UTC")
    for _ in range(min(2_000, (time - begin) // 60_000)):
        wall = round(minute.replace(tzinfo=UTC).timestamp() * 1000)
        assert minute.fold or seen.last(wall) != wall
        minute = (minute.astimezone(UTC) + timedelta(minutes=1)).astimezone(known)
    wall = round(shown.replace(tzinfo=UTC).timestamp() * 1000)
    assert seen.last(wall) == wall


def test_years_of_minutes_are_counted_at_once() -> None:
    """Day by day. Each spring skips an hour; each autumn shows one twice, which comes once."""
    table, first, end = (
        cron("* * * * *", "Europe/Amsterdam"),
        at("2025-01-01T00:00+01:00"),
        at("2075-01-01T00:00+01:00"),
    )
    assert table.count(first, end) == (end - first) // 60_000 - 50 * 60


@pytest.mark.parametrize(
    ("pattern", "zone"),
    [
        ("0 0 30 2 *", "UTC"),
        ("0 0 31 4,6,9,11 *", "UTC"),
        ("0 0 31W 2 *", "UTC"),
        ("0 0 1-7 * +MON#2", "UTC"),
        # always in the hour that is skipped
        ("* 2 8-14 3 +SUN", "America/New_York"),
    ],
)
def test_what_never_comes_has_no_next_time(pattern: str, zone: str) -> None:
    """Found in bounded time."""
    now = at("2025-01-01T00:00Z")
    table = cron(pattern, zone, init=now)
    assert table.next(now) is None
    assert table.last(now) is None
    assert table.count(now, now + 10**12) == 0


def test_what_comes_once_in_forty_years_comes() -> None:
    """The longest pause there is: no leap year in 2100."""
    assert following(cron("0 0 29 2 +MON"), at("2072-03-01T00:00Z"), 1, "UTC") == ["2112-02-29T00:00+00:00"]


def test_nothing_comes_before_init_or_beyond_the_years() -> None:
    """Which begin and end the row."""
    init = at("2025-05-05T12:30Z")
    table = cron("0 * * * *", init=init)
    assert table.next(0) == at("2025-05-05T13:00Z")
    assert cron("30 * * * *", init=init).next(0) == init
    assert table.last(at("2025-05-05T12:59Z")) is None
    assert table.last(init - 1) is None
    assert table.count(0, at("2025-05-05T15:00Z")) == 2
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12"):
        assert cron("* * * * *", zone).next(MAX_MS) is None
        assert cron("* * * * *", zone).next(at("9998-12-31T23:59Z")) in (None, at("9999-01-01T00:00Z"))


@given(st.integers(0, 10**13), st.integers(1_000, 10**10), st.integers(0, 10**13), st.integers(0, 1_000))
def test_times_of_an_interval_are_counted(init: int, interval: int, first: int, count: int) -> None:
    """From a moment on, before another."""
    table = timetable(init, interval, None, None)
    time = table.next(first - 1)
    assert time is not None
    assert table.count(first, time) == 0
    assert table.count(first, time + count * interval) == count
    assert table.count(first, time + count * interval + 1) == count + 1
    last = table.last(first)
    assert last is None if first < init else last is not None and last <= first < last + interval


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "../etc/passwd", "Europe", "localtime ", "+01:00"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    """By its place."""
    with pytest.raises(InvalidContent, match=r"^zone: there is no time zone of that name"):
        cron("0 0 * * *", zone)
