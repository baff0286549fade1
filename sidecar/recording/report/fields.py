"""Takes values of the expected type from recorded JSON, which may have been edited, and shortens what is long."""

from datetime import datetime
from typing import Any, Final

MAX_TEXT: Final = 400
"""Characters of a text within a value."""
MAX_ITEMS: Final = 30
MAX_DEPTH: Final = 8
_MAX_NUMBER: Final = 1e15


def text(value: Any, most: int = MAX_TEXT) -> str:
    """A text of at most `most` characters; another value is empty.

    Recordings hold no secrets that a cut could split.
    """
    return shorten(value, most) if isinstance(value, str) else ""


def number(value: Any) -> float:
    """A finite number; 0 for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if abs(value) < _MAX_NUMBER else 0.0


def mapping(value: Any) -> dict[str, Any]:
    """An object; an empty one for what is none."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """An array; an empty one for what is none."""
    return value if isinstance(value, list) else []


def unix_time(value: Any) -> float | None:
    """Unix seconds of a time in RFC 3339."""
    try:
        return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None


def shorten(value: str, most: int) -> str:
    """The beginning of a text, and how long it was."""
    return value if len(value) <= most else f"{value[:most]}… ({len(value):,} characters)"


def abridge(value: Any, depth: int = 0, most: int = MAX_TEXT) -> Any:
    """A JSON value whose texts, arrays and objects are shortened."""
    if isinstance(value, str):
        return shorten(value, most)
    if isinstance(value, dict):
        if depth == MAX_DEPTH:
            return "{…}" if value else {}
        kept = {shorten(key, 80): abridge(one, depth + 1, most) for key, one in list(value.items())[:MAX_ITEMS]}
        return kept if len(value) <= MAX_ITEMS else {**kept, "…": f"{len(value) - MAX_ITEMS:,} more"}
    if isinstance(value, list):
        if depth == MAX_DEPTH:
            return "[…]" if value else []
        items = [abridge(one, depth + 1, most) for one in value[:MAX_ITEMS]]
        return items if len(value) <= MAX_ITEMS else [*items, f"… {len(value) - MAX_ITEMS:,} more"]
    return value
