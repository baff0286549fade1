"""Cron patterns: five fields, as the Open Cron Pattern Specification (OCPS) 1.4 reads them, and the days they mean.

Pure functions of the calendar. What a clock change does to a time is `sidecar.tasks.timetable`'s.
"""

import re
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NoReturn

from sidecar_protocol import nearest_name

from sidecar.errors import InvalidContent

FIELD: Final = "cron"
NICKNAMES: Final[Mapping[str, str]] = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_TERM: Final = re.compile(r"(?:(?P<all>\*)|(?P<first>[0-9A-Z]+)(?:-(?P<last>[0-9A-Z]+))?)(?:/(?P<step>[0-9]+))?")
_NTH: Final = re.compile(r"(?P<day>[0-9A-Z]+?)(?:#(?P<nth>[1-5L])|L)")
_NEAREST: Final = re.compile(r"(?P<day>[0-9]+)W")
_BLANK: Final = re.compile(r"[ \t]+")
_LONGEST_MONTH: Final = 31
_SUNDAY: Final = 7
"""The other number of Sunday, for ranges that end with it."""
_SATURDAY: Final = 6
_LAST: Final = "L"


@dataclass(frozen=True, slots=True)
class _Range:
    """The allowed values of one field."""

    what: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    """The names of its values, from the lowest on."""


_MINUTE: Final = _Range("minute", 0, 59)
_HOUR: Final = _Range("hour", 0, 23)
_DAY: Final = _Range("day of the month", 1, 31)
_MONTH: Final = _Range("month", 1, 12, _MONTHS)
_WEEKDAY: Final = _Range("day of the week", 0, 7, _WEEKDAYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CronPattern:
    """One pattern. Days of the week are 0 (Sunday) to 6."""

    minutes: tuple[int, ...]
    """Minutes of a day, ascending."""
    months: frozenset[int]
    days: frozenset[int]
    last_day: bool = False
    """`L`: also the last day of the month."""
    nearest: int = 0
    """`15W`: the weekday nearest to that day; more than any month has for `LW`, 0 for none."""
    weekdays: frozenset[int]
    nth_weekdays: frozenset[tuple[int, int]] = frozenset()
    """`5#2`; 0 for the last of a month, `5L`."""
    both: bool
    """Whether a day has to be one of the days and one of the weekdays; else one of them is enough."""

    def days_of(self, year: int, month: int) -> tuple[int, ...]:
        """The days of a month on which it comes, ascending."""
        if month not in self.months:
            return ()
        monday_first, length = monthrange(year, month)
        first = (monday_first + 1) % 7
        days, weekdays = self._month_days(first, length), self._weekdays(first, length)
        return tuple(sorted(days & weekdays if self.both else days | weekdays))

    def _month_days(self, first: int, length: int) -> set[int]:
        """The days of the third field, in a month of that length whose first day is that weekday."""
        days = {day for day in self.days if day <= length}
        if self.last_day:
            days.add(length)
        nearest = length if self.nearest > _LONGEST_MONTH else self.nearest
        if 0 < nearest <= length:
            days.add(_nearest_weekday(nearest, (first + nearest - 1) % 7, length))
        return days

    def _weekdays(self, first: int, length: int) -> set[int]:
        """The days of the fifth field."""
        days = {day for day in range(1, length + 1) if (first + day - 1) % 7 in self.weekdays}
        for weekday, nth in self.nth_weekdays:
            of_month = range(1 + (weekday - first) % 7, length + 1, 7)
            if nth <= len(of_month):
                days.add(of_month[nth - 1])  # 0, the last one, is at -1
        return days


def _nearest_weekday(day: int, weekday: int, length: int) -> int:
    """The weekday (Monday to Friday) nearest to a day, in the same month."""
    if weekday == _SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == 0:
        return day + 1 if day < length else day - 2
    return day


@lru_cache(maxsize=1_024)
def parse_cron(text: str) -> CronPattern:
    """Reads a pattern. Raises InvalidContent with the field `cron`."""
    if not text.isascii():
        _refuse("only letters, digits, spaces and , - / * ? + # are allowed")
    stripped = text.strip(" \t")
    if stripped.startswith("@"):
        if stripped not in NICKNAMES:
            near = nearest_name.nearest(stripped, NICKNAMES)
            guess = f"; did you mean {near}?" if near else ""
            _refuse(f"a name is one of {', '.join(NICKNAMES)}, in small letters{guess}")
        stripped = NICKNAMES[stripped]
    fields = _BLANK.split(stripped.upper())
    if len(fields) != 5:
        _refuse("five fields are needed: minute, hour, day of the month, month, day of the week; no seconds, no years")
    minute, hour, day, month, weekday = fields
    together = weekday.startswith("+")
    weekday = weekday.removeprefix("+")
    minutes, hours = _values(minute, _MINUTE), _values(hour, _HOUR)
    days, last_day, nearest = _month_days(day)
    weekdays, nth_weekdays = _weekdays(weekday)
    return CronPattern(
        minutes=tuple(one * 60 + other for one in sorted(hours) for other in sorted(minutes)),
        months=_values(month, _MONTH),
        days=days,
        last_day=last_day,
        nearest=nearest,
        weekdays=weekdays,
        nth_weekdays=nth_weekdays,
        # a field that begins with a wildcard restricts nothing, or is meant to thin out the other one
        both=together or day[0] in "*?" or weekday[0] in "*?",
    )


def _values(text: str, allowed: _Range) -> frozenset[int]:
    """The values of a field."""
    return frozenset().union(*(_term(term, allowed) for term in text.split(",")))


def _term(term: str, allowed: _Range) -> range:
    """The values of one member of a field's list."""
    found = _TERM.fullmatch(term)
    if not found:
        _refuse(f"the {allowed.what} is {_grammar(allowed)}")
    if found["all"]:
        low, high = allowed.low, allowed.high
    else:
        low = _number(found["first"], allowed)
        high = _number(found["last"], allowed) if found["last"] else low
        if low and allowed is _WEEKDAY and found["last"] == "SUN":  # which ends a week as well as it begins one
            high = _SUNDAY
    if high < low:
        _refuse(f"the {allowed.what} has a range whose end is before its beginning")
    if found["step"] is None:
        return range(low, high + 1)
    if not found["all"] and not found["last"]:
        _refuse(f"the {allowed.what} has a step without a range; write it as {low}-{allowed.high}/{found['step'][:4]}")
    step = _digits(found["step"])
    if not step:
        _refuse(f"the {allowed.what} has a step of 0")
    return range(low, high + 1, step)


def _month_days(text: str) -> tuple[frozenset[int], bool, int]:
    """Days of the month, whether the last one is among them, and whose nearest weekday is."""
    if text == "?":
        return frozenset(range(1, 32)), False, 0
    if text == "LW":
        return frozenset(), False, _LONGEST_MONTH + 1
    if found := _NEAREST.fullmatch(text):
        return frozenset(), False, _number(found["day"], _DAY)
    if "W" in text:
        _refuse("W follows one day of the month, as in 15W or LW, and stands alone")
    terms = text.split(",")
    plain = [term for term in terms if term != _LAST]
    return _values(",".join(plain), _DAY) if plain else frozenset(), len(plain) < len(terms), 0


def _weekdays(text: str) -> tuple[frozenset[int], frozenset[tuple[int, int]]]:
    """Days of the week that come always, and those that come once in a month."""
    if text == "?":
        return frozenset(range(7)), frozenset()
    always: set[int] = set()
    nth: set[tuple[int, int]] = set()
    for term in text.split(","):
        if "#" in term or (term.endswith(_LAST) and term != _LAST):
            found = _NTH.fullmatch(term)
            if not found:
                _refuse("a day of the week is followed by #1 to #5, #L or L, as in FRI#2, 5#L or 5L")
            which = 0 if found["nth"] in (None, _LAST) else int(found["nth"])
            nth.add((_number(found["day"], _WEEKDAY) % 7, which))
        else:
            always.update(day % 7 for day in _term(term, _WEEKDAY))
    return frozenset(always), frozenset(nth)


def _number(text: str, allowed: _Range) -> int:
    """One value of a field."""
    if text in allowed.names:
        return allowed.low + allowed.names.index(text)
    number = _digits(text)
    if not allowed.low <= number <= allowed.high:
        _refuse(f"the {allowed.what} is {_grammar(allowed)}")
    return number


def _digits(text: str) -> int:
    """A number; one that no field can hold is as good as another such."""
    return int(text) if text.isdecimal() and len(text) <= 4 else 9_999


def _grammar(allowed: _Range) -> str:
    names = f" or {allowed.names[0]}-{allowed.names[-1]}" if allowed.names else ""
    more = {_DAY.what: ", L, LW or 15W", _WEEKDAY.what: ", FRI#2 or 5L"}.get(allowed.what, "")
    return f"{allowed.low}-{allowed.high}{names}: *, a number, a range, a list, or a step such as */2{more}"


def _refuse(message: str) -> NoReturn:
    raise InvalidContent(f"{FIELD}: {message}", FIELD)
