"""Encodes JSON with orjson, and without it what orjson does not support."""

from collections.abc import Callable
from typing import Any, Final

import orjson

from sidecar_protocol.wire_types import Secret, Secrets, encode_hook

_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_LEAST, _MOST = -(1 << 63), (1 << 64) - 1
"""The range of integers in orjson."""
_LEVELS: Final = 100
"""Levels of one piece: values that are nested deeper than orjson's 254 levels are encoded in pieces."""


def encode(value: Any) -> bytes:
    """JSON of models, their values, and plain values. Raises TypeError for anything else."""
    try:
        return orjson.dumps(value, encode_hook, _OPTIONS)
    except TypeError:
        return orjson.dumps(_spelled(value, 0, encode_hook), encode_hook, _OPTIONS)


def encode_revealed(value: Any) -> bytes:
    """Encodes like `encode`, but with revealed secrets, for encryption."""
    return orjson.dumps(_spelled(value, 0, _revealed), _revealed, _OPTIONS)


def encode_line(value: Any) -> bytes:
    """Encodes like `encode`, with a line break."""
    return encode(value) + b"\n"  # a copy: orjson's own bytes keep some kilobytes from others'


def _revealed(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Secrets):
        return [one.reveal() for one in value.values]
    return encode_hook(value)


def _spelled(value: Any, level: int, hook: Callable[[Any], Any]) -> Any:
    """The value with integers, levels and keys that orjson does not support, encoded beforehand."""
    kind = type(value)
    if kind is int:
        return value if _LEAST <= value <= _MOST else orjson.Fragment(str(value))
    if value is None or kind is bool or issubclass(kind, str | float | orjson.Fragment):
        return value
    if isinstance(value, dict):
        made: Any = {}
        for key, member in value.items():
            made[key if isinstance(key, str) else str(key)] = _spelled(member, level + 1, hook)
    elif isinstance(value, list | tuple):
        made = []
        for member in value:
            made.append(_spelled(member, level + 1, hook))
    else:
        return _spelled(hook(value), level, hook)
    return orjson.Fragment(orjson.dumps(made, None, _OPTIONS)) if level % _LEVELS == _LEVELS - 1 else made
