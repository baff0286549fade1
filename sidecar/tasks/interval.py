"""Pure functions of a task's times: `init + k·interval`, in whole milliseconds of Unix time, without drift."""

import re
from datetime import UTC, datetime
from typing import Final

from sidecar.errors import InvalidContent

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}(?:[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d{2}:\d{2})?)?")
_FRACTION: Final = re.compile(r"\.(\d+)")
MAX_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999."""


def parse_time_ms(text: str, field: str) -> int:
    """RFC 3339 from 1970 on; also a date alone, or without an offset, which is in UTC. Raises InvalidContent."""
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        # Python 3.11 reads three or six digits of a second
        known = _FRACTION.sub(lambda found: f".{found[1][:6]:<06}", text)
        moment = datetime.fromisoformat(known.upper())
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        milliseconds = round(aware.timestamp() * 1000)
        if not 0 <= milliseconds <= MAX_MS:
            raise ValueError
        return milliseconds
    except (ValueError, OverflowError):
        raise InvalidContent(f"{field}: expected a date and time as 2030-01-31T12:00:00Z", field) from None


def next_time(init: int, interval: int, after: int) -> int:
    """The first time later than `after`."""
    return init if after < init else init + ((after - init) // interval + 1) * interval


def last_time(init: int, interval: int, at: int) -> int:
    """The last time that is not later than `at`; `init` where there is none."""
    return init if at < init else init + (at - init) // interval * interval
