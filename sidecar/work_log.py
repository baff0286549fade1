"""One structured line for each job, delivery, task and login: in the debug log, and on the stderr of a worker."""

import json
import logging
from collections.abc import Mapping
from typing import Any, Final

LOGGER: Final = "sidecar.work_log"
_log = logging.getLogger(LOGGER)


class WorkLine:
    """What one line says: an event and its fields, as text `event name=value …`."""

    __slots__ = ("event", "fields")

    def __init__(self, event: str, fields: Mapping[str, Any]) -> None:
        self.event = event
        self.fields = fields

    def __str__(self) -> str:
        return " ".join([self.event, *(f"{name}={_quoted(value)}" for name, value in self.fields.items())])


def is_logged() -> bool:
    """Whether any log takes such lines: what they are made of may cost something."""
    return _log.isEnabledFor(logging.INFO)


def log_work(event: str, **fields: Any) -> None:
    """Logs one line; fields that are None are left out. `run` is the run's reference."""
    if is_logged():
        _log.info("%s", WorkLine(event, {name: value for name, value in fields.items() if value is not None}))


def _quoted(value: Any) -> str:
    """A value in one word: a text with spaces, quotes or control characters becomes JSON."""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    plain = value and value.isprintable() and not set(value) & {" ", '"', "=", "\\"}
    return value if plain else json.dumps(value, ensure_ascii=not value.isprintable())
