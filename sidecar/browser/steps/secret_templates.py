"""`{{name.field}}` in the strings of typed actions: the value of a secret, filled in before the action is bound."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from sidecar.errors import InvalidContent
from sidecar.template_limits import Place, Room, mapped, shown

_REFERENCE: Final = re.compile(r"\{\{\s*([A-Za-z0-9_-]+)((?:\.[A-Za-z0-9_-]+)*)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Templates:
    """The secrets that a job names. Without `values` only their names are known, and references stay as they are."""

    names: Collection[str] = ()
    values: Mapping[str, Any] | None = None
    """Name -> the secret, decoded from JSON."""
    room: Room = field(default_factory=Room)
    """What all that is filled in may become."""

    def fill(self, value: Any, place: str) -> Any:
        """The value with each reference in its strings, at any depth, replaced; what is filled in is not read again.

        Raises InvalidContent, which names the place of a name or field that is not there, and never a value, and
        LimitExceeded before more text is made than there is room for.
        """
        return mapped(value, Place(place), self._fill_text)

    def _fill_text(self, text: str, place: Place) -> str:
        found = ((match, self._value(match, place)) for match in _REFERENCE.finditer(text))
        if self.values is None:
            for _ in found:  # the names are checked
                pass
            return text
        return self.room.splice(text, found, place)

    def _value(self, found: re.Match[str], place: Place) -> str:
        name, path = found[1], found[2].split(".")[1:]
        if name not in self.names:
            raise InvalidContent(f"{place}: {{{{{shown(name)}}}}} is none of the job's secrets", str(place))
        if self.values is None:
            return found[0]
        value = self.values[name]
        for part in path:
            if not isinstance(value, Mapping) or part not in value:
                raise InvalidContent(f"{place}: the secret {name} has no field {shown('.'.join(path))}", str(place))
            value = value[part]
        if isinstance(value, Mapping | list) or value is None:
            what = shown(".".join((name, *path)))
            raise InvalidContent(f"{place}: {what} is neither text nor a number; name one of its fields", str(place))
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def has_reference(value: Any) -> bool:
    """Whether a string holds a reference."""
    return isinstance(value, str) and _REFERENCE.search(value) is not None
