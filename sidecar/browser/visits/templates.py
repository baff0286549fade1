"""`{{name.field}}` in the strings of typed actions: the value of a secret, filled in before the action is bound."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from sidecar.errors import InvalidContent

_REFERENCE: Final = re.compile(r"\{\{\s*([A-Za-z0-9_-]+)((?:\.[A-Za-z0-9_-]+)*)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Templates:
    """The secrets that a job names. Without `values` only their names are known, and references stay as they are."""

    names: Collection[str] = ()
    values: Mapping[str, Any] | None = None
    """Name -> the secret, decoded from JSON."""

    def fill(self, value: Any, place: str) -> Any:
        """The value with each reference in its strings, at any depth, replaced; what is filled in is not read again.

        Raises InvalidContent, which names the place of a name or field that is not there, and never a value.
        """
        if isinstance(value, str):
            return self._fill_text(value, place) if "{{" in value else value
        if isinstance(value, Mapping):
            return {name: self.fill(item, f"{place}.{name}") for name, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item, f"{place}[{index}]") for index, item in enumerate(value)]
        return value

    def _fill_text(self, text: str, place: str) -> str:
        return _REFERENCE.sub(lambda found: self._value(found, place), text)

    def _value(self, found: re.Match[str], place: str) -> str:
        name, path = found[1], found[2].split(".")[1:]
        if name not in self.names:
            raise InvalidContent(f"{place}: {{{{{name}}}}} is none of the job's secrets", place)
        if self.values is None:
            return found[0]
        value = self.values[name]
        for field in path:
            if not isinstance(value, Mapping) or field not in value:
                raise InvalidContent(f"{place}: the secret {name} has no field {'.'.join(path)}", place)
            value = value[field]
        if isinstance(value, Mapping | list) or value is None:
            what = ".".join((name, *path))
            raise InvalidContent(f"{place}: {what} is neither text nor a number; name one of its fields", place)
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def has_reference(value: Any) -> bool:
    """Whether a string holds a reference."""
    return isinstance(value, str) and _REFERENCE.search(value) is not None
