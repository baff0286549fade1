"""Expected lines: JSON with placeholders for what differs from one implementation and run to another."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

_PLACEHOLDER: Final = re.compile(r"^<(\w+)(?::(\w+))?>$")
_REPEAT: Final = re.compile(r"\$\((.+?)\*(\d+)\)")
_NAME: Final = re.compile(r'"\$(\w+)"|\$(\w+)')
_MORE: Final = "<more>"
_LONGEST_SHOWN: Final = 200
_TIME: Final = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
_KINDS: Final[dict[str, Callable[[Any], bool]]] = {
    "any": lambda _: True,
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "sentence": lambda value: isinstance(value, str) and bool(value.strip()),
    "string": lambda value: isinstance(value, str),
    "time": lambda value: isinstance(value, str) and _TIME.match(value) is not None,
    "id": lambda value: isinstance(value, int | str) and not isinstance(value, bool),
}
"""Placeholder -> what it stands for."""


class Names(dict[str, Any]):
    """Values that placeholders with a name have stood for: `"<id:job>"` is `$job` from then on."""

    def fill(self, text: str) -> str:
        """Text with names and repetitions such as `$(x*1000)` filled in. A quoted name becomes its value in JSON."""
        text = _NAME.sub(self._value, text)
        return _REPEAT.sub(lambda found: found[1] * int(found[2]), text)

    def _value(self, found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in self:
            return found[0]
        return json.dumps(self[name], ensure_ascii=False) if found[1] else str(self[name])


def expected(text: str) -> Any:
    """The pattern of a line: JSON, or `error CODE {more}` for an error, whose other members may be any."""
    if not text.startswith("error "):
        return json.loads(text)
    _, code, *rest = text.split(" ", 2)
    given = json.loads(rest[0]) if rest else {}
    detail = {"code": code, "message": "<sentence>", "retryable": "<boolean>", _MORE: "<any>", **given.pop("error", {})}
    return {"type": "error", "content": "<sentence>", "error": detail, **given}


def differences(pattern: Any, value: Any, names: Names, place: str = "") -> Iterator[str]:
    """Where a value does not fit, a sentence each; what placeholders stand for is put into `names`."""
    if isinstance(pattern, str) and (found := _PLACEHOLDER.match(pattern)) and found[1] in _KINDS:
        if not _KINDS[found[1]](value):
            yield f"{place or 'the line'}: expected {found[1]}, got {shown(value)}"
        elif found[2]:
            names[found[2]] = value
    elif isinstance(pattern, dict) and isinstance(value, dict):
        yield from _members(pattern, value, names, place)
    elif isinstance(pattern, list) and isinstance(value, list):
        if len(pattern) != len(value):
            yield f"{place or 'the line'}: expected {len(pattern)} items, got {len(value)}: {shown(value)}"
        for number, (one, got) in enumerate(zip(pattern, value, strict=False)):
            yield from differences(one, got, names, f"{place}[{number}]")
    elif type(pattern) is not type(value) or pattern != value:
        yield f"{place or 'the line'}: expected {shown(pattern)}, got {shown(value)}"


def _members(pattern: dict[str, Any], value: dict[str, Any], names: Names, place: str) -> Iterator[str]:
    for key, one in pattern.items():
        if key == _MORE:
            continue
        where = f"{place}.{key}" if place else key
        if key not in value:
            yield f"{where}: missing"
        else:
            yield from differences(one, value[key], names, where)
    if _MORE not in pattern:
        for key in value.keys() - pattern.keys():
            yield f"{place}.{key}" * bool(place) + key * (not place) + f": not expected, got {shown(value[key])}"


def shown(value: Any) -> str:
    """A value for people, in one line."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}… ({len(text)} characters)"
