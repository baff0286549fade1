"""A task's times, in milliseconds of Unix time: `init + k·interval`, or those of a cron pattern in a time zone.

What a clock change does to a cron time is OCPS 1.4's rule (4.3.1): a time that the clock skips is left out, one that it
shows twice comes once, the first time.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from sidecar.errors import InvalidContent
from sidecar.tasks.cron import CronPattern, parse_cron
from sidecar.tasks.interval import last_time, next_time
from sidecar.wall_clock import load_zone

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

HORIZON_YEARS: Final = 100
"""Years without a time after which a pattern never matches: 29 February on a given weekday takes 40 at most."""
_LAST_YEAR: Final = 9_998
"""Times after it are out of range: some zone's clock shows the year 10000 then."""
_DAY: Final = timedelta(days=1)
_MINUTE_MS: Final = 60_000
NO_TIMES: Final = "interval: a task needs either an interval or a cron"
UTC_NAME: Final = "UTC"
"""The zone of a cron pattern that names none."""


class Timetable(Protocol):
    """The times at which a task runs."""

    def next(self, after: int) -> int | None:
        """The first time later than `after`; None where there is none."""

    def last(self, at: int) -> int | None:
        """The last time that is not later than `at`; None where there is none."""

    def count(self, first: int, end: int) -> int:
        """The number of times from `first` on before `end`."""


def timetable(init: int, interval: int | None, cron: str | None, zone: str | None) -> Timetable:
    """A task's, of which one of `interval` and `cron` is given.

    Raises InvalidContent for what is no pattern, and for a zone that this machine does not know.
    """
    if cron is not None:
        return CronTimetable(init=init, pattern=parse_cron(cron), zone=_zone(zone or UTC_NAME))
    if interval is None:
        raise InvalidContent(NO_TIMES, "interval")
    return IntervalTimetable(init=init, interval=interval)


@lru_cache(maxsize=256)
def _zone(name: str) -> "ZoneInfo":
    return load_zone(name, "zone")


@dataclass(frozen=True, slots=True)
class IntervalTimetable:
    """`init + k·interval`."""

    init: int
    interval: int

    def next(self, after: int) -> int:
        """See Timetable."""
        return next_time(self.init, self.interval, after)

    def last(self, at: int) -> int | None:
        """See Timetable."""
        return None if at < self.init else last_time(self.init, self.interval, at)

    def count(self, first: int, end: int) -> int:
        """See Timetable."""
        begin = next_time(self.init, self.interval, first - 1)
        return max(0, -((begin - end) // self.interval))


@dataclass(frozen=True, slots=True)
class CronTimetable:
    """The times at which a zone's clock matches the pattern, from `init` on."""

    init: int
    pattern: CronPattern
    zone: "ZoneInfo"

    def next(self, after: int) -> int | None:
        """See Timetable; None where none comes within `HORIZON_YEARS`."""
        begin = max(after, self.init - 1)
        wall = self._wall(begin)
        if wall is None:
            return None
        for day in self._days_from(wall.date()):
            minutes = self.pattern.minutes
            if day == wall.date():
                minutes = minutes[bisect_left(minutes, _minute(wall)) :]
            for minute in minutes:
                moment = self._moment(day, minute)
                if moment is not None and moment > begin:
                    return moment
        return None

    def last(self, at: int) -> int | None:
        """See Timetable."""
        wall = self._wall(at)
        if wall is None or at < self.init:
            return None
        # while a clock shows times again, the times after them that it showed before have passed too
        latest = wall + self._repeated(wall) if wall.fold else wall
        for day in self._days_until(latest.date()):
            minutes = self.pattern.minutes
            if day == latest.date():
                minutes = minutes[: bisect_right(minutes, _minute(latest))]
            for minute in reversed(minutes):
                moment = self._moment(day, minute)
                if moment is not None and moment <= at:
                    return moment if moment >= self.init else None
        return None

    def count(self, first: int, end: int) -> int:
        """See Timetable; whole days are counted, and not their times."""
        start, stop = self._wall(max(first, self.init)), self._wall(end)
        if first >= end or start is None or stop is None:
            return 0
        count, first, last_day = 0, max(first, self.init), stop.date() + _DAY
        for day in self._days_from(start.date() - _DAY):
            if day > last_day:
                break
            count += self._count_of(day, first, end)
        return count

    def _count_of(self, day: date, first: int, end: int) -> int:
        midnight, offset = datetime.combine(day, time()), self.zone.utcoffset
        if offset(midnight) == offset(midnight + _DAY):
            begin = _milliseconds(midnight.replace(tzinfo=self.zone))
            # rounded up: a time at the very limit belongs to what follows it
            low, high = (-((begin - limit) // _MINUTE_MS) for limit in (first, end))
            return max(0, bisect_left(self.pattern.minutes, high) - bisect_left(self.pattern.minutes, low))
        moments = (self._moment(day, minute) for minute in self.pattern.minutes)
        return sum(moment is not None and first <= moment < end for moment in moments)

    def _days_from(self, day: date) -> Iterator[date]:
        """Days of the pattern, from one on."""
        for month in range(day.year * 12 + day.month - 1, (day.year + HORIZON_YEARS) * 12):
            year = month // 12
            if year > _LAST_YEAR:
                return
            for one in self.pattern.days_of(year, month % 12 + 1):
                if (found := date(year, month % 12 + 1, one)) >= day:
                    yield found

    def _days_until(self, day: date) -> Iterator[date]:
        """Days of the pattern, from one back."""
        for month in range(day.year * 12 + day.month - 1, max(1, day.year - HORIZON_YEARS) * 12, -1):
            for one in reversed(self.pattern.days_of(month // 12, month % 12 + 1)):
                if (found := date(month // 12, month % 12 + 1, one)) <= day:
                    yield found

    def _moment(self, day: date, minute: int) -> int | None:
        """The first moment at which the clock shows a minute of a day; None if it skips it."""
        wall = datetime.combine(day, time(*divmod(minute, 60)))
        moment = wall.replace(tzinfo=self.zone).astimezone(UTC)
        shown = moment.astimezone(self.zone).replace(tzinfo=None, fold=0)
        return _milliseconds(moment) if shown == wall else None

    def _wall(self, moment: int) -> datetime | None:
        """The clock's time at that moment; None beyond the supported years."""
        shown = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment)
        return shown.astimezone(self.zone).replace(tzinfo=None) if shown.year <= _LAST_YEAR else None

    def _repeated(self, wall: datetime) -> timedelta:
        """The length of the clock time that is shown twice."""
        first, second = (wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        return second - first


def _minute(wall: datetime) -> int:
    return wall.hour * 60 + wall.minute


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000
