"""Templates: `{{name.field}}` in the strings of a job, within a limit for the text that filling them in makes."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sidecar.errors import LimitExceeded

REFERENCE: Final = re.compile(r"\{\{\s*([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)\s*\}\}")
"""A reference; its group is the path, names separated by dots."""
ONLY_REFERENCES: Final = re.compile(r"\s*(?:\{\{[^{}]*\}\}\s*)+")
"""A text of nothing but references, also of misspelled ones: it says where a secret goes, and is none."""
MAX_FILLED_BYTES: Final = 64 << 20
"""Default limit of text in bytes: that of a line."""
MISSING: Final = object()
"""The result of `lookup` for a missing value."""
_LONGEST: Final = 500
"""Characters of a place, and of a name, that an error repeats."""


class FieldPath:
    """The place of a value in a content. It is formatted on demand, so that depth costs nothing."""

    __slots__ = ("_outer", "_part")

    def __init__(self, part: str | int, outer: "FieldPath | None" = None) -> None:
        self._part = part
        self._outer = outer

    def __str__(self) -> str:
        parts: list[str] = []
        place: FieldPath | None = self
        length = 0
        while place is not None and length <= _LONGEST:
            part, outer = place._part, place._outer
            if isinstance(part, int):
                parts.append(f"[{part}]")
            else:
                parts.append(f".{quotable(part)}" if outer else part)
            length += len(parts[-1])
            place = outer
        return f"{'…' if place else ''}{''.join(reversed(parts))}"


class TextBudget:
    """The bytes of text that the templates of one job may become together."""

    __slots__ = ("_left", "_max")

    def __init__(self, max_bytes: int = MAX_FILLED_BYTES) -> None:
        self._max = self._left = max_bytes

    def fill(self, text: str, place: FieldPath, value_of: Callable[[str], str | None]) -> str:
        """The text with its references replaced; one stays where `value_of` its path is None.

        What is filled in is not read again. Raises LimitExceeded before more text is made than is left.
        """
        self.spend(_size(text), place)
        pieces: list[str] = []
        done = 0
        for match in REFERENCE.finditer(text):
            value = value_of(match[1])
            if value is not None:
                self.spend(_size(value), place)
                pieces += (text[done : match.start()], value)
                done = match.end()
        return "".join([*pieces, text[done:]])

    def spend(self, size: int, place: FieldPath) -> None:
        """Counts bytes that are about to be made. Raises LimitExceeded."""
        self._left -= size
        if self._left < 0:
            message = f"{place}: what is filled in makes more than {self._max} bytes of text"
            raise LimitExceeded(message, field=str(place))


def map_templates(value: Any, place: FieldPath, fill: Callable[[str, FieldPath], Any]) -> Any:
    """A copy of the value with each string that contains `{{` replaced by `fill`; keys stay."""
    if isinstance(value, str):
        return fill(value, place) if "{{" in value else value
    if isinstance(value, Mapping):
        return {name: map_templates(item, FieldPath(name, place), fill) for name, item in value.items()}
    if isinstance(value, list):
        return [map_templates(item, FieldPath(index, place), fill) for index, item in enumerate(value)]
    return value


def has_reference(value: Any) -> bool:
    """Whether a value is a string with a reference."""
    return isinstance(value, str) and REFERENCE.search(value) is not None


def lookup(value: Any, path: Sequence[str]) -> Any:
    """The member of nested objects at a path; MISSING if there is none."""
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return MISSING
        value = value[name]
    return value


def quotable(name: str) -> str:
    """A name as an error repeats it: whole, or not at all."""
    return name if len(name) <= _LONGEST else "…"


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
