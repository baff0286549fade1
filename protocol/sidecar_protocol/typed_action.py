"""The shape of a typed action: an object of one key."""

import re
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

_ARGUMENTS: Final = frozenset(
    {"selector", "value", "text", "url", "key", "timeout", "delay", "frame", "force", "strict", "expression", "arg"}
)
"""Frequent arguments of methods: never the method itself."""
_NAMED: Final = frozenset({"type", "action", "method", "name", "command"})
"""What other tools call the member that names the method."""
_SHOWN: Final = re.compile(r"[A-Za-z_]{1,40}")


class OneKey:
    """Annotates an object that must have one key; the error shows how to write what was given."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(_check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "minProperties": 1, "maxProperties": 1}


def _check(action: dict[str, Any]) -> dict[str, Any]:
    if len(action) == 1:
        return action
    arguments = [name for name in action if name in _ARGUMENTS]
    others = [name for name in action if name not in _ARGUMENTS and name not in _NAMED and _SHOWN.fullmatch(name)]
    method = others[0] if others and not _NAMED & action.keys() else "click"
    if others and method == others[0] and "selector" not in arguments:
        arguments.insert(0, "selector")
    shown = ", ".join(f'"{name}": …' for name in arguments or ["selector"])
    raise ValueError(f'an action has one key, its method; write {{"{method}": {{{shown}}}}}')
