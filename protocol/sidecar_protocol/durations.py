"""Durations on the wire: a number of milliseconds or seconds, or text with units: `"90s"`, `"1h"`, `"1 h 30 min"`."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from sidecar_protocol.wire_types import json_type

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema

_UNITS: Final[dict[str, int]] = {
    **dict.fromkeys(("w", "week", "weeks"), 604_800_000),
    **dict.fromkeys(("d", "day", "days"), 86_400_000),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3_600_000),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60_000),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1_000),
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 1),
}
"""Unit -> milliseconds."""
_SHOWN: Final = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000))
_PART: Final = r"\d{1,15}(?:\.\d{1,9})? ?[A-Za-z]{1,12}"
PATTERN: Final = rf"^ *{_PART}(?: *{_PART}){{0,5}} *$"
"""What text with units looks like; the names of the units are checked after it."""
_TEXT: Final = re.compile(PATTERN)
_PARTS: Final = re.compile(r"(\d+(?:\.\d+)?) ?([A-Za-z]+)")
_LONGEST: Final = 100
"""Characters."""


def parse_milliseconds(text: str) -> int | None:
    """Text with units as whole milliseconds, the larger unit first; None for other text."""
    if len(text) > _LONGEST or not _TEXT.match(text):
        return None
    total, before = Decimal(0), 0
    for number, name in _PARTS.findall(text):
        unit = _UNITS.get(name.lower())
        if unit is None or (before and unit >= before):
            return None
        total, before = total + Decimal(number) * unit, unit
    return int(total) if total == int(total) else None


def format_milliseconds(milliseconds: float) -> str:
    """As in `1 h 30 min` or `3.6 s`."""
    left, parts = Decimal(str(milliseconds)), []
    for name, unit in _SHOWN:
        if count := int(left // unit):
            parts.append(f"{count} {name}")
            left -= count * unit
    if left and left < 1_000 and not parts:
        return f"{left.normalize():f} ms"
    if left or not parts:
        parts.append(f"{(left / 1_000).normalize():f} s")
    return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Duration:
    """Reads a number, or text with units, as a number within bounds; `unit` is what a number alone counts."""

    ge: int
    le: int
    unit: str = "milliseconds"
    """`milliseconds` or `seconds`; text has to be a whole number of them."""
    fractions: bool = False
    """Whether a number may have decimals."""

    def __get_pydantic_core_schema__(self, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(self.read, metadata={"duration": self})

    def __get_pydantic_json_schema__(self, schema: "CoreSchema", handler: "GetJsonSchemaHandler") -> dict[str, Any]:
        return {
            "anyOf": [
                {"type": "number" if self.fractions else "integer", "minimum": self.ge, "maximum": self.le},
                {"type": "string", "pattern": PATTERN},
            ]
        }

    def read(self, value: Any) -> float:
        """The number. Raises ValueError, whose sentence says what is wrong and what a number alone means."""
        size = 1_000 if self.unit == "seconds" else 1
        number = value
        if isinstance(value, str):
            number = parse_milliseconds(value)
            if number is None or number % size:
                raise ValueError(f'expected text with a unit, such as "90s" or "1h", or a number of {self.unit}')
            number //= size
        if type(number) is not int and not (self.fractions and type(number) is float):
            raise ValueError(f'expected {self.unit}, or text such as "90s" or "1h", got {json_type(value)}')
        if number < self.ge:
            raise ValueError(self._out_of_range(">=", self.ge, size))
        if number > self.le:
            raise ValueError(self._out_of_range("<=", self.le, size))
        return number

    def _out_of_range(self, sign: str, bound: int, size: int) -> str:
        shown = format_milliseconds(bound * size)
        return f'expected {self.unit} {sign} {bound} ({shown}); text such as "90s" or "1h" names its unit'
