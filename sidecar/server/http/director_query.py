"""The query of Director's task list: tasks whose members have the given values."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

from sidecar_protocol import codec
from sidecar_protocol.encoding import encode

MEMBERS: Final = ("id", "script", "job", "running", "config", "init", "end", "interval", "cron", "zone")
"""Members that tasks can be searched by."""
_TIMES: Final = frozenset({"init", "end"})
_FIRST: Final = re.compile(r"[a-z]+")
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[([^\[\]]+)\]")


@dataclass(frozen=True, slots=True)
class Condition:
    """The value of a member, or of a part of it: `config={"a":1}`, `config.a=1`, `config[a]=1`."""

    path: Sequence[str]
    text: str
    value: Any
    """The text as JSON; the text itself if it is none."""

    @classmethod
    def parse(cls, name: str, text: str) -> Self | None:
        """Reads one parameter; None if no task can match."""
        first = _FIRST.match(name)
        if first is None or first[0] not in MEMBERS:
            return None
        path, at = [first[0]], first.end()
        while at < len(name):
            step = _STEP.match(name, at)
            if step is None:
                return None
            path.append(step[1] or step[2])
            at = step.end()
        try:
            value = codec.plain(text)
        except codec.NotJson:
            value = text
        return cls(tuple(path), text, value)

    def holds(self, task: Mapping[str, Any]) -> bool:
        """Whether a task has this value; an object needs to have at least the given members."""
        found: Any = task
        for name in self.path:
            if not isinstance(found, Mapping) or name not in found:
                return False
            found = found[name]
        if self.path[0] in _TIMES:
            return _instant(found) == _instant(self.text)
        return _as_text(found) == self.text or _contains(found, self.value)


def conditions(query: Mapping[str, str]) -> Sequence[Condition] | None:
    """The conditions of a query; None if no task can match."""
    parsed = [Condition.parse(name, text) for name, text in query.items()]
    found = [one for one in parsed if one is not None]
    return found if len(found) == len(parsed) else None


def _as_text(value: Any) -> str | None:
    """A value as Director compares it, in JavaScript's spelling; None for objects and lists."""
    if isinstance(value, str):
        return value
    return None if isinstance(value, Mapping | list) else encode(value).decode()


def _contains(found: Any, wanted: Any) -> bool:
    """Whether an object has these members; other values have to be equal, and of the same type."""
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        return all(name in found and _contains(found[name], value) for name, value in wanted.items())
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_contains, found, wanted))
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)


def _instant(text: Any) -> datetime | str | None:
    """The moment that a text names; the text itself if it names none."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
