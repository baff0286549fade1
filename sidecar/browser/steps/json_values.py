"""Converts values of a page's scripts to plain JSON, and checks arguments for them."""

import math
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from sidecar.browser.limits import MAX_ARGUMENT_DEPTH, MAX_VALUES
from sidecar.errors import LimitExceeded

_MAX_DEPTH: Final = 200
_INT64_LIMIT: Final = 1 << 63


def to_json(value: Any) -> Any:
    """Plain JSON: dates, errors and integers beyond 64 bits become strings; NaN, infinity and handles null.

    Circular values and levels beyond 200 become null. Raises LimitExceeded for more than 100,000 parts; a shared part
    counts as often as it occurs, as it would in JSON.
    """
    return _Converter().convert(value)


def check_argument(value: Any, place: str) -> None:
    """Raises LimitExceeded for an argument of more than 100 levels or 100,000 parts."""
    parts, level, row = 0, 0, [value]
    while row:
        parts += len(row)
        if parts > MAX_VALUES:
            raise LimitExceeded(f"{place}: more than {MAX_VALUES} values", field=place)
        if level > MAX_ARGUMENT_DEPTH:
            raise LimitExceeded(f"{place}: nested over {MAX_ARGUMENT_DEPTH} levels", field=place)
        level += 1
        row = [
            item
            for one in row
            if isinstance(one, list | dict)
            for item in (one.values() if isinstance(one, dict) else one)
        ]


class _Converter:
    def __init__(self) -> None:
        self._parts = 0
        self._path: set[int] = set()
        """The containers of the current value."""

    def convert(self, value: Any) -> Any:
        self._parts += 1
        if self._parts > MAX_VALUES:
            raise LimitExceeded(f"a value of the page has more than {MAX_VALUES} parts")
        is_list = isinstance(value, list | tuple) and not hasattr(value, "geturl")
        if not is_list and not isinstance(value, Mapping):
            return _scalar(value)
        if id(value) in self._path or len(self._path) >= _MAX_DEPTH:
            return None
        self._path.add(id(value))
        try:
            if isinstance(value, Mapping):
                return {str(key): self.convert(item) for key, item in value.items()}
            return [self.convert(item) for item in value]
        finally:
            self._path.discard(id(value))


def _scalar(value: Any) -> Any:
    match value:
        case None | str() | bool():
            return value
        case int():
            return value if -_INT64_LIMIT <= value < _INT64_LIMIT else str(value)
        case float():
            return value if math.isfinite(value) else None
        case date():
            return value.isoformat()
        case BaseException():
            return str(value)
    return value.geturl() if hasattr(value, "geturl") else None
