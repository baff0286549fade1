"""The times of tasks, as pure functions."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import InvalidContent
from sidecar.tasks.interval import MAX_MS, last_time, next_time, parse_time_ms

moments = st.integers(min_value=0, max_value=MAX_MS // 2)
intervals = st.integers(min_value=1_000, max_value=366 * 24 * 3_600_000)


@given(moments, intervals, moments)
def test_the_next_time_is_the_first_of_its_row_that_comes_after(init: int, interval: int, after: int) -> None:
    """`init + k·interval`, later than `after`, and none of the row in between."""
    time = next_time(init, interval, after)
    assert time > after
    assert time >= init
    assert (time - init) % interval == 0
    assert time == init or time - interval <= after


@given(moments, intervals, moments)
def test_the_last_time_is_the_latest_of_its_row_that_has_come(init: int, interval: int, at: int) -> None:
    """Or `init`, before which there is none; the next one follows it."""
    time = last_time(init, interval, at)
    assert (time - init) % interval == 0
    if at < init:
        assert time == init
    else:
        assert time <= at < time + interval
        assert next_time(init, interval, at) == time + interval


@given(moments, intervals, st.integers(min_value=1, max_value=200))
def test_many_steps_do_not_drift(init: int, interval: int, steps: int) -> None:
    """From each time to the next, whenever in between it is asked."""
    time = next_time(init, interval, init - 1)
    for step in range(steps):
        time = next_time(init, interval, time + (step * 7919) % interval)
    assert time == init + steps * interval


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_moments_are_read_with_any_offset(wall: datetime, minutes: int) -> None:
    """RFC 3339 to the millisecond."""
    exact = wall.replace(microsecond=wall.microsecond // 1000 * 1000, tzinfo=UTC)
    sign, size = "-" if minutes < 0 else "+", abs(minutes)
    local = (exact + timedelta(minutes=minutes)).replace(tzinfo=None)
    text = f"{local.isoformat(timespec='milliseconds')}{sign}{size // 60:02}:{size % 60:02}"
    assert parse_time_ms(text, "init") == round(exact.timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2030-01-31T12:00:00Z", "2030-01-31T12:00:00+00:00"),
        ("2030-01-31t12:00:00z", "2030-01-31T12:00:00+00:00"),
        ("2030-01-31 12:00:00", "2030-01-31T12:00:00+00:00"),
        ("2030-01-31T12:00", "2030-01-31T12:00:00+00:00"),
        ("2030-01-31", "2030-01-31T00:00:00+00:00"),
        ("2030-01-31T12:00:00.5+02:00", "2030-01-31T10:00:00.500000+00:00"),
        ("2030-01-31T12:00:00.123456789Z", "2030-01-31T12:00:00.123000+00:00"),
    ],
)
def test_usual_forms_of_a_moment(text: str, moment: str) -> None:
    """Without an offset it is in UTC; a date is its midnight."""
    assert parse_time_ms(text, "init") == datetime.fromisoformat(moment).timestamp() * 1000


@pytest.mark.parametrize(
    "text",
    [
        *("now", "2030", "2030-02-30", "2030-01-31T25:00:00Z", "2030-W05-4", "20300131", "2030-01-31T12:00:00+2"),
        *("9999-99-99", "2030-01-31T12:00:00Z ", "\uff12030-01-31", "0000-01-01", "1969-12-31", "1706702400000"),
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
    ],
)
def test_invalid_times_of_day_are_refused(text: str) -> None:
    """Is refused by its place."""
    with pytest.raises(InvalidContent, match=r"^end: expected a date and time") as failed:
        parse_time_ms(text, "end")
    assert failed.value.details == {"field": "end"}
