"""Errors of the wire as one line for a person."""

from collections.abc import Mapping
from typing import Any


def describe_error(error: Mapping[str, Any] | None) -> str:
    """An error's code and message in one line, and where it happened."""
    if not error:
        return ""
    said = str(error["message"])
    places = [str(error[name]) for name in ("step", "action", "url", "field") if error.get(name)]
    more = [place for place in places if place not in said]
    return f"{error['code']}: {said}" + (f" ({', '.join(more)})" if more else "")
