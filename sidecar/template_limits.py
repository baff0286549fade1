"""What filling in templates may cost: how much text it makes, and how its places are named."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from sidecar.errors import LimitExceeded

MAX_FILLED_BYTES: Final = 64 << 20
"""Bytes of text where no setting says otherwise: what a line may have."""
_LONGEST: Final = 500
"""Characters of a place, and of a name, that an error repeats."""


class Place:
    """Where something stands in a content. It is spelled out when it is asked for, so that depth costs nothing."""

    __slots__ = ("_outer", "_part")

    def __init__(self, part: str | int, outer: "Place | None" = None) -> None:
        self._part = part
        self._outer = outer

    def __str__(self) -> str:
        parts: list[str] = []
        place: Place | None = self
        length = 0
        while place is not None and length <= _LONGEST:
            part, outer = place._part, place._outer
            if isinstance(part, int):
                parts.append(f"[{part}]")
            else:
                parts.append(f".{shown(part)}" if outer else part)
            length += len(parts[-1])
            place = outer
        return f"{'…' if place else ''}{''.join(reversed(parts))}"


class Room:
    """How much text the templates of one job may become, all together."""

    __slots__ = ("_left", "_most")

    def __init__(self, most: int = MAX_FILLED_BYTES) -> None:
        self._most = self._left = most

    def splice(self, text: str, found: Iterable[tuple[re.Match[str], str]], place: Place) -> str:
        """The text with each of these matches replaced. Raises LimitExceeded before it is made."""
        self.take(_size(text), place)
        pieces: list[str] = []
        done = 0
        for match, value in found:
            self.take(_size(value), place)
            pieces += (text[done : match.start()], value)
            done = match.end()
        return "".join([*pieces, text[done:]])

    def take(self, size: int, place: Place) -> None:
        """Counts bytes that are about to be made. Raises LimitExceeded."""
        self._left -= size
        if self._left < 0:
            said = f"{place}: what is filled in makes more than {self._most} bytes of text"
            raise LimitExceeded(said, field=str(place))


def mapped(value: Any, place: Place, fill: Callable[[str, Place], Any]) -> Any:
    """The same value, each string with `{{` in it as `fill` makes it; keys stay."""
    if isinstance(value, str):
        return fill(value, place) if "{{" in value else value
    if isinstance(value, Mapping):
        return {name: mapped(item, Place(name, place), fill) for name, item in value.items()}
    if isinstance(value, list):
        return [mapped(item, Place(index, place), fill) for index, item in enumerate(value)]
    return value


def shown(name: str) -> str:
    """A name as an error repeats it: whole, or not at all."""
    return name if len(name) <= _LONGEST else "…"


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
