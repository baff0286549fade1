"""What a page's script returned, as plain JSON values."""

import math
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

_DEEPEST: Final = 200
_BIGGEST: Final = 1 << 63


def to_json(value: Any, depth: int = 0) -> Any:
    """Plain JSON: dates, errors and integers beyond 64 bits become strings; NaN, infinity and handles null.

    What is nested over 200 levels (or contains itself) is null from there on.
    """
    if isinstance(value, Mapping):
        return {str(key): to_json(item, depth + 1) for key, item in value.items()} if depth < _DEEPEST else None
    if isinstance(value, list | tuple) and not hasattr(value, "geturl"):
        return [to_json(item, depth + 1) for item in value] if depth < _DEEPEST else None
    return _scalar(value)


def _scalar(value: Any) -> Any:
    match value:
        case None | str() | bool():
            return value
        case int():
            return value if -_BIGGEST <= value < _BIGGEST else str(value)
        case float():
            return value if math.isfinite(value) else None
        case date():
            return value.isoformat()
        case BaseException():
            return str(value)
    return value.geturl() if hasattr(value, "geturl") else None
