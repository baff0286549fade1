"""Wall clocks, zones and the moments that they mean. Gaps and folds: PEP 495 with fold=0."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar import wall_clock
from sidecar.errors import InvalidContent

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
NEW_YORK = ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
NOW = datetime(2026, 2, 14, 12, 0, 0, tzinfo=UTC).timestamp()
FIELD = "trigger.single.time"

ZONES = st.sampled_from([AMSTERDAM, NEW_YORK, LORD_HOWE, ZoneInfo("UTC"), ZoneInfo("Asia/Kathmandu")])
FIRST, LAST = datetime(1990, 1, 1), datetime(2036, 12, 31)  # noqa: DTZ001
WALLS = st.datetimes(FIRST, LAST).map(lambda one: one.replace(microsecond=0))


def wall(text: str) -> datetime:
    """What a clock shows."""
    return wall_clock.parse_wall_time(text, FIELD)


@contextmanager
def machine_in(name: str) -> Iterator[None]:
    """The C library takes `name` for the machine's zone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", name)
        time.tzset()
        yield
    time.tzset()


def utc(text: str) -> float:
    """Unix time of an RFC 3339 one."""
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "2014-2-15 13:16:59",  # the seed's own examples of what can't be
        "2014-12-15 13:16",
        "2026-02-30 10:00:00",
        "2026-13-01 10:00:00",
        "2026-03-01 24:00:00",
        "2026-03-01 10:60:00",
        "2026-03-01 10:00:60",
        "2026-03-01T10:00:00",
        "2026-03-01  10:00:00",
        " 2026-03-01 10:00:00",
        "2026-03-01 10:00:00\n",
        "2026-03-01 10:00:00Z",
        "2026-03-01 10:00:00.5",
        "0000-03-01 10:00:00",
        "٢٠٢٦-03-01 10:00:00",
        "",
    ],
)
def test_invalid_times_are_refused(text: str) -> None:
    """Only existing times in the form YYYY-MM-DD HH:MM:SS, zero-padded, are accepted."""
    with pytest.raises(InvalidContent) as refused:
        wall_clock.parse_wall_time(text, FIELD)
    assert refused.value.detail.field == FIELD


@given(WALLS)
def test_what_is_written_is_read(moment: datetime) -> None:
    """Every second of every day."""
    assert wall_clock.parse_wall_time(moment.strftime("%Y-%m-%d %H:%M:%S"), FIELD) == moment


@pytest.mark.parametrize(
    ("zone", "shown", "meant"),
    [
        (AMSTERDAM, "2026-03-29 01:59:59", "2026-03-29T00:59:59+00:00"),
        (AMSTERDAM, "2026-03-29 02:30:00", "2026-03-29T01:30:00+00:00"),  # skipped: 03:30 on the new clock
        (AMSTERDAM, "2026-03-29 03:00:00", "2026-03-29T01:00:00+00:00"),
        (AMSTERDAM, "2026-10-25 02:30:00", "2026-10-25T00:30:00+00:00"),  # shown twice: the first
        (AMSTERDAM, "2026-10-25 03:00:00", "2026-10-25T02:00:00+00:00"),
        (NEW_YORK, "2026-03-08 02:30:00", "2026-03-08T07:30:00+00:00"),
        (NEW_YORK, "2026-03-08 03:00:00", "2026-03-08T07:00:00+00:00"),
        (NEW_YORK, "2026-11-01 01:30:00", "2026-11-01T05:30:00+00:00"),
        (NEW_YORK, "2026-11-01 02:00:00", "2026-11-01T07:00:00+00:00"),
        (LORD_HOWE, "2026-10-04 02:15:00", "2026-10-03T15:45:00+00:00"),  # a change of half an hour
        (LORD_HOWE, "2026-10-04 02:30:00", "2026-10-03T15:30:00+00:00"),
        (LORD_HOWE, "2026-04-05 01:45:00", "2026-04-04T14:45:00+00:00"),
        (LORD_HOWE, "2026-04-05 02:00:00", "2026-04-04T15:30:00+00:00"),
    ],
)
def test_gaps_and_folds(zone: ZoneInfo, shown: str, meant: str) -> None:
    """A skipped time is as far past the gap as it lies in it, a repeated one is its first."""
    assert wall_clock.instant(wall(shown), zone) == utc(meant)


@given(WALLS, ZONES)
def test_a_moment_shows_its_time_unless_the_clock_skips_it(shown: datetime, zone: ZoneInfo) -> None:
    """A skipped time is shown later by the length of the gap."""
    back = wall_clock.wall_time_at(wall_clock.instant(shown, zone), zone)
    assert back - shown in {timedelta(0), timedelta(minutes=30), timedelta(hours=1)}
    if back != shown:
        just_before, just_after = (wall_clock.instant(shown + timedelta(hours=h), zone) for h in (-1, 1))
        assert just_after - just_before < timedelta(hours=2).total_seconds()


@given(WALLS, ZONES)
def test_a_repeated_time_is_its_first(shown: datetime, zone: ZoneInfo) -> None:
    """No earlier moment of that day shows it."""
    moment = wall_clock.instant(shown, zone)
    assert all(wall_clock.wall_time_at(moment - back, zone) != shown for back in (1800.0, 3600.0))


@given(WALLS, ZONES, st.integers(0, 366 * 86_400 * 2))
def test_what_is_ahead(now_shown: datetime, zone: ZoneInfo, seconds: int) -> None:
    """What is accepted is in the future and hardly over a year away; what is refused is neither."""
    now = wall_clock.instant(now_shown, zone)
    shown = wall_clock.wall_time_at(now + seconds - 86_400, zone)
    try:
        moment = wall_clock.instant_ahead(shown, zone, now, FIELD)
    except InvalidContent:
        moment = wall_clock.instant(shown, zone)
        assert moment <= now or moment > now + 365 * 86_400 - 2 * 3600
    else:
        assert now < moment <= now + 366 * 86_400 + 2 * 3600


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("2026-02-14 13:00:00", "the time is not in the future"),  # now, to the second
        ("2026-02-14 12:59:59", "the time is not in the future"),
        ("0001-01-01 00:00:00", "the time is not in the future"),
        ("2027-02-14 13:00:01", "the time is more than one year ahead"),
        ("9999-12-31 23:59:59", "the time is more than one year ahead"),
    ],
)
@pytest.mark.parametrize("zone", [AMSTERDAM, None])
def test_times_that_are_not_ahead(shown: str, said: str, zone: ZoneInfo | None) -> None:
    """Times in the past are refused, in a named zone and in the C library's."""
    with machine_in("CET-1CEST,M3.5.0,M10.5.0/3"), pytest.raises(InvalidContent, match=said) as refused:
        wall_clock.instant_ahead(wall(shown), zone, NOW, FIELD)
    assert refused.value.detail.field == FIELD


def test_a_year_ahead_is_allowed() -> None:
    """A year ahead is allowed to the second, by the clock, leap days included."""
    assert wall_clock.instant_ahead(wall("2027-02-14 13:00:00"), AMSTERDAM, NOW, FIELD) == utc(
        "2027-02-14T12:00:00+00:00"
    )
    assert wall_clock.instant_ahead(wall("2026-02-14 13:00:01"), AMSTERDAM, NOW, FIELD) == NOW + 1
    assert wall_clock.one_year_after(wall("2028-02-29 10:00:00")) == wall("2029-03-01 10:00:00")


@pytest.mark.parametrize("name", ["Europe", "Mars/Olympus", "../etc/passwd", "/etc/localtime", "a\0b", "x" * 5000, ""])
def test_invalid_zones_are_refused(name: str) -> None:
    """Only IANA names are zones."""
    with pytest.raises(InvalidContent) as refused:
        wall_clock.load_zone(name, "trigger.single.zone")
    assert refused.value.detail.field == "trigger.single.zone"


@pytest.mark.parametrize("name", ["Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "UTC"])
@given(shown=WALLS)
def test_the_machines_zone_is_like_the_named_one(name: str, shown: datetime) -> None:
    """The C library's zone gives the same times as the named one, at gaps and folds too."""
    with machine_in(name):
        assert wall_clock.instant(shown, None) == wall_clock.instant(shown, ZoneInfo(name))
        moment = wall_clock.instant(shown, None)
        assert wall_clock.wall_time_at(moment, None) == wall_clock.wall_time_at(moment, ZoneInfo(name))


@pytest.mark.parametrize(
    ("moment", "written"),
    [(0.0, "1970-01-01T00:00:00Z"), (1_800_000_000.25, "2027-01-15T08:00:00.250Z")],
)
def test_moments_are_written_in_utc(moment: float, written: str) -> None:
    """Moments are written in UTC to the second, or to the millisecond if there is one."""
    assert wall_clock.rfc3339(moment) == written


def test_moments_are_written_as_finely_as_asked() -> None:
    """Moments are written with the requested precision, zeros included, and with an offset."""
    assert wall_clock.rfc3339(0.0, "milliseconds") == "1970-01-01T00:00:00.000Z"
    assert wall_clock.rfc3339(1.5, "seconds") == "1970-01-01T00:00:01Z"
    assert wall_clock.rfc3339(1.5, "microseconds", offset="+00:00") == "1970-01-01T00:00:01.500000+00:00"
