"""Pure functions between Unix times and wall clock times in a zone."""

import re
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Final, Literal

from sidecar.errors import InvalidContent

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

Timespec = Literal["seconds", "milliseconds", "microseconds"]
Zone = tzinfo | None
"""A time zone; None is what this machine's C library calls local time."""

_WALL: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_OFFSET: Final = re.compile(
    r"(?:UTC|GMT)?(?P<sign>[+-])(?P<hours>[0-9]{1,2})(?::?(?P<minutes>[0-9]{2}))?", re.IGNORECASE
)
_WALL_FORMAT: Final = "%Y-%m-%d %H:%M:%S"


def parse_wall_time(text: str, field: str) -> datetime:
    """Parses `YYYY-MM-DD HH:MM:SS`, zero-padded, as a naive wall clock time. Raises InvalidContent."""
    try:
        if _WALL.fullmatch(text):
            return datetime.strptime(text, _WALL_FORMAT)  # noqa: DTZ007  the zone comes with `instant`
    except ValueError:
        pass
    raise InvalidContent(f"{field}: expected a time as YYYY-MM-DD HH:MM:SS", field)


def load_zone(name: str, field: str) -> "ZoneInfo":
    """Loads the zone of an IANA name such as `Europe/Amsterdam`. Raises InvalidContent."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # late: only schedules need it

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder's name is an OSError
        near = _nearest_zone(name)
        example = f"did you mean {near}?" if near else "write an IANA name such as Europe/Amsterdam, or UTC"
        raise InvalidContent(f"{field}: there is no time zone of that name; {example}", field) from None


def _nearest_zone(name: str) -> str:
    """The name that a mistyped one resembles, or that its offset has; empty if there is none."""
    from zoneinfo import available_timezones  # late, as below: only mistakes need them

    from sidecar_protocol.nearest_name import nearest

    zones = available_timezones()
    if (offset := _OFFSET.fullmatch(name)) and not int(offset["minutes"] or 0):
        fixed = f"Etc/GMT{'-' if offset['sign'] == '+' else '+'}{int(offset['hours'])}"  # POSIX counts westwards
        return fixed if fixed in zones else ""
    by_city = {zone.rpartition("/")[2].casefold(): zone for zone in sorted(zones, key=len, reverse=True)}
    return by_city.get(name.casefold().replace(" ", "_")) or nearest(name, zones)


def instant(wall: datetime, zone: Zone) -> float:
    """Returns the Unix time at which a clock in `zone` shows `wall`.

    Of a time that the clock shows twice the first one counts; one that it skips moves forward by the gap, as
    PEP 495 says for fold=0.
    """
    return wall.replace(tzinfo=zone, fold=0).timestamp()


def wall_time_at(moment: float, zone: Zone) -> datetime:
    """Returns the naive wall clock time in `zone` at a Unix time."""
    return datetime.fromtimestamp(moment, zone).replace(tzinfo=None, fold=0)


def instant_ahead(wall: datetime, zone: Zone, now: float, field: str) -> float:
    """Returns the `instant` of a future time at most one year ahead. Raises InvalidContent."""
    shown = wall_time_at(now, zone)
    if wall > one_year_after(shown):
        raise InvalidContent(f"{field}: the time is more than one year ahead", field)
    if wall.year >= shown.year - 1:  # years that long ago are beyond what some zones can count
        moment = instant(wall, zone)
        if moment > now:
            return moment
    raise InvalidContent(f"{field}: the time is not in the future", field)


def one_year_after(wall: datetime) -> datetime:
    """Returns the date and time one year later; the 1st of March for the 29th of February."""
    try:
        return wall.replace(year=wall.year + 1)
    except ValueError:
        return wall.replace(year=wall.year + 1, month=3, day=1)


def rfc3339(moment: float, timespec: Timespec | None = None, offset: Literal["Z", "+00:00"] = "Z") -> str:
    """Formats a Unix time in UTC.

    Without `timespec` it has seconds if the time is whole, else milliseconds.
    """
    shown = datetime.fromtimestamp(moment, UTC).replace(tzinfo=None)
    return shown.isoformat(timespec=timespec or ("milliseconds" if shown.microsecond else "seconds")) + offset
