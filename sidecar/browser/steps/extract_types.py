"""Text of a page -> numbers and dates. Pure functions; ambiguous text is refused, never guessed.

The length of a text is bounded, so each conversion costs constant time.
"""

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Final

MAX_CHARS: Final = 1_000
"""Characters of a text that may be a number or a date."""
_SPACES: Final = " \u00a0\u2007\u2009\u202f"
_APOSTROPHES: Final = "'\u2019"
_MINUS: Final = "-\u2212\u2013"
_NUMBER: Final = re.compile(
    rf"(?<![\w.,])(?P<sign>[{_MINUS}+])?[ \u00a0]?[€$£¥]?[ \u00a0]?"
    rf"(?P<number>\d+(?:[.,{_APOSTROPHES}{_SPACES}]\d+)*)(?!\d|[eE]\d)"
)
_GROUPS: Final = re.compile(r"\d{1,3}(?:[S]\d{3})+".replace("S", rf".,{_APOSTROPHES}{_SPACES}"))
_LAKH: Final = re.compile(r"\d{1,2}(?:,\d{2})*,\d{3}")
MAX_DIGITS: Final = 15
"""Digits of a number that every JSON reader keeps."""


class Unconvertible(ValueError):
    """Text that is not of the type, or may mean several values; the sentence does not quote it."""


class NoValue(Unconvertible):
    """Text without any value of the type in it, such as `n/a`."""


def parse_number(text: str, decimal: str | None = None) -> int | float:
    """The one number in a text, an integer where it has no decimals. Raises Unconvertible.

    Spaces, apostrophes and, where both stand in a number, the first of `.` and `,` group digits; the other one is the
    decimal mark. A lone mark before exactly three digits (`1.234`) may be either: `decimal` says which.
    """
    found = list(_NUMBER.finditer(_bounded(text)))
    if not found:
        raise NoValue("there is no number in it")
    if len(found) > 1:
        raise Unconvertible("there are several numbers in it")
    number = found[0]["number"]
    mark = _decimal_mark(number, decimal)
    whole, _, fraction = number.rpartition(mark) if mark else (number, "", "")
    _check_groups(whole)
    digits = "".join(one for one in whole if one.isdecimal())
    if len(digits.lstrip("0")) + len(fraction) > MAX_DIGITS and len(digits.lstrip("0")) > MAX_DIGITS:
        raise Unconvertible(f"it has more than {MAX_DIGITS} digits")
    negative = found[0]["sign"] is not None and found[0]["sign"] in _MINUS
    value: int | float = float(f"{digits}.{fraction}") if fraction else int(digits)
    return -value if negative else value


def _decimal_mark(number: str, decimal: str | None) -> str:
    """The decimal mark of a number; empty if it has none."""
    dots, commas = number.count("."), number.count(",")
    if decimal:
        if number.count(decimal) > 1:
            raise Unconvertible(f"it has several decimal marks {decimal}")
        return decimal if decimal in number else ""
    if dots and commas:
        last = max(".,", key=number.rfind)
        if number.count(last) > 1:
            raise Unconvertible("its marks . and , follow no rule")
        return last
    if dots + commas != 1:
        return ""  # several of one kind group digits
    mark = "." if dots else ","
    whole, _, fraction = number.partition(mark)
    grouped = any(space in whole for space in _SPACES + _APOSTROPHES)
    if len(fraction) == 3 and not grouped and 1 <= len(whole) <= 3 and not whole.startswith("0"):
        raise Unconvertible(f'the {mark} in it may group digits or be the decimal mark: say which with "decimal"')
    return mark


def _check_groups(whole: str) -> None:
    """Raises Unconvertible for an integer part whose groups are not of three digits (or as in India)."""
    if whole.isdecimal():
        return
    marks = {" " if one in _SPACES else "'" if one in _APOSTROPHES else one for one in whole if not one.isdecimal()}
    if len(marks) > 1 or not (_GROUPS.fullmatch(whole) or _LAKH.fullmatch(whole)):
        raise Unconvertible("its groups of digits follow no rule")


_MONTH_NAMES: Final = {
    1: "jan january januar jänner jän janvier janv januari enero ene gennaio gen janeiro",
    2: "feb february februar feber février fevrier févr fevr februari febrero febbraio fevereiro",
    3: "mar march märz maerz mär mrz mars maart mrt marzo março",
    4: "apr april avril avr abril abr aprile",
    5: "may mai mei mayo maggio mag maio",
    6: "jun june juni juin junio giugno giu junho",
    7: "jul july juli juillet juil julio luglio lug julho",
    8: "aug august août aout augustus agosto ago",
    9: "sep sept september septembre septiembre settembre set setembro",
    10: "oct october oktober okt octobre octubre ottobre ott outubro",
    11: "nov november novembre noviembre novembro",
    12: "dec december dezember dez décembre décembre déc diciembre dic dicembre dezembro",
}
"""Names and short forms in English, German, French, Dutch, Spanish, Italian and Portuguese."""
_MONTHS: Final = {name: month for month, names in _MONTH_NAMES.items() for name in names.split()}
_TIME: Final = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d{1,9})?)?(?: ?(?P<half>[AaPp])\.?[Mm]\b\.?)?"
)
_ZONE: Final = r"(?: ?(?P<zone>Z\b|UTC\b|GMT\b|[+-]\d{2}:?\d{2}))?"
_CLOCK: Final = re.compile(rf"(?:^|[\sT,])(?:um |at |à )?{_TIME}{_ZONE}")
_DATES: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?<!\d)(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})(?!\d)",
        r"(?<!\d)(?P<first>\d{1,2})(?P<mark>[./-]) ?(?P<second>\d{1,2})[./-] ?(?P<year>\d{4})(?!\d)",
        r"(?<!\d)(?P<day>\d{1,2})(?:\.|st|nd|rd|th|er)? (?:de )?(?P<name>[^\W\d_]{3,12})\.?,? (?:de )?"
        r"(?P<year>\d{4})(?!\d)",
        r"\b(?P<name>[^\W\d_]{3,12})\.? (?P<day>\d{1,2})(?:st|nd|rd|th)?,? (?P<year>\d{4})(?!\d)",
    )
)
_SEPARATED: Final = re.compile(r"\s+")


def parse_date(text: str, order: str | None = None) -> str:
    """The one date in a text as ISO 8601, with the time that follows it and its offset. Raises Unconvertible.

    `2026-01-31`, `31.01.2026`, `31/01/2026`, `31 January 2026`, `Jan 31, 2026`; a time as `18:05`, `6:05 pm`,
    `18:05:00+01:00`. Numbers with dots begin with the day; with slashes or dashes, where both may be the day, `order`
    (`dmy` or `mdy`) says which is.
    """
    text = _SEPARATED.sub(" ", _bounded(text))
    found = [match for pattern in _DATES for match in pattern.finditer(text) if _has_month(match)]
    found = [one for one in found if not any(_covers(other, one) for other in found if other is not one)]
    if not found:
        raise NoValue("there is no date in it")
    if len(found) > 1:
        raise Unconvertible("there are several dates in it")
    day = _date_of(found[0], order)
    clock = _CLOCK.match(text, found[0].end()) or _CLOCK.match(text[: found[0].start()])
    return day.isoformat() if clock is None else _at_time(day, clock)


def _has_month(match: re.Match[str]) -> bool:
    name = match.groupdict().get("name")
    return name is None or name.casefold() in _MONTHS


def _covers(other: re.Match[str], one: re.Match[str]) -> bool:
    longer = other.end() - other.start() > one.end() - one.start()
    return longer and other.start() <= one.start() and one.end() <= other.end()


def _date_of(match: re.Match[str], order: str | None) -> date:
    parts = match.groupdict()
    year = int(parts["year"])
    if "first" in parts:
        first, second = int(parts["first"]), int(parts["second"])
        if parts["mark"] == "." or first > 12:
            order = "dmy"
        elif second > 12:
            order = "mdy"
        elif first != second and order is None:
            raise Unconvertible('day and month can\'t be told apart: say which comes first with "order"')
        month, day = (first, second) if order == "mdy" else (second, first)
    else:
        month = _MONTHS[parts["name"].casefold()] if parts.get("name") else int(parts["month"])
        day = int(parts["day"])
    try:
        return date(year, month, day)
    except ValueError:
        raise Unconvertible("there is no such day") from None


def _at_time(day: date, clock: re.Match[str]) -> str:
    hour, half = int(clock["hour"]), (clock["half"] or "").lower()
    if half and not 1 <= hour <= 12:
        raise Unconvertible("there is no such time")
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    try:
        at = time(hour, int(clock["minute"]), int(clock["second"] or 0), tzinfo=_zone(clock["zone"]))
        return datetime.combine(day, at).isoformat()
    except ValueError:
        raise Unconvertible("there is no such time") from None


def _zone(text: str | None) -> timezone | None:
    if text is None:
        return None
    if text[0] not in "+-":
        return UTC
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text.replace(":", "")[3:5])))


def _bounded(text: str) -> str:
    if len(text) > MAX_CHARS:
        raise Unconvertible(f"it has more than {MAX_CHARS} characters")
    return text.strip()
