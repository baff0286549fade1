"""Python's TypedDicts of the wire, made from its JSON Schema: a client has them without the models' libraries."""

import keyword
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sidecar_protocol.json_schema import schemas
from sidecar_protocol.typescript import all_definitions

_HEAD: Final = '''"""{doc}, as types. Made from the protocol's models; not edited by hand.

`python -m sidecar.client.generate` makes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict
'''
_PRIMITIVES: Final = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_BODIES: Final = ("document_cloudevent.json", "document_factotum_06.json")
"""What only receivers of webhooks read."""
_REFERENCE: Final = "$ref"


def declarations(requests_module: str) -> tuple[str, str]:
    """The texts of two modules, not formatted: a TypedDict for each model of requests, and for each of all else.

    Sequences and mappings of a request may be of any kind, those of an answer are lists and dicts. `requests_module`
    is how the second module imports the first.
    """
    published = {name: schema for name, schema in schemas().items() if name not in _BODIES}
    definitions = all_definitions(published)
    given = {name for schema in published.values() if _is_request(schema) for name in schema.get("$defs", {})}
    theirs = {name: definition for name, definition in definitions.items() if name in given}
    ours = {name: definition for name, definition in definitions.items() if name not in given}
    requests = _module("What messages hold", theirs, _Types(from_parent=True))
    results = _module("What is answered, and what events hold", ours, _Types(from_parent=False))
    shared = sorted(name for name in given if re.search(rf"\b{name}\b", results))
    return requests, results.replace("\n\n\n", f"\n\nfrom {requests_module} import {', '.join(shared)}\n\n\n", 1)


def _module(doc: str, definitions: Mapping[str, Any], types: "_Types") -> str:
    aliases, dicts = [], []
    for name, definition in sorted(definitions.items()):
        if definition.get("type") == "object" and "properties" in definition:
            dicts.append(_typed_dict(name, definition, types))
        else:
            aliases.append(f"{name}: TypeAlias = {types.of(definition)}\n{_doc(definition, '')}")
    return "\n\n".join([_HEAD.format(doc=doc), *aliases, *dicts])


def _is_request(schema: Mapping[str, Any]) -> bool:
    """Whether it is that of a request's line."""
    kind = schema.get("properties", {}).get("type", {})
    return isinstance(kind, Mapping) and "const" in kind


def _typed_dict(name: str, schema: Mapping[str, Any], wanted: "_Types") -> str:
    required = schema.get("required", ())
    members = {
        key: wanted.of(member) if key in required else f"NotRequired[{wanted.of_optional(member)}]"
        for key, member in schema["properties"].items()
    }
    doc = schema.get("description", "").strip()
    if any(keyword.iskeyword(key) for key in members):
        given = ", ".join(f'"{key}": {value}' for key, value in members.items())
        return f'{name} = TypedDict("{name}", {{{given}}})\n"""{doc}"""\n'
    body = "".join(f"    {key}: {value}\n" for key, value in members.items()) or "    pass\n"
    return f"class {name}(TypedDict):\n{_doc(schema, '    ')}\n{body}"


def _doc(schema: Mapping[str, Any], indent: str) -> str:
    lines = schema.get("description", "").strip().splitlines()
    if len(lines) < 2:
        return "".join(f'{indent}"""{line}"""\n' for line in lines)
    text = "\n".join(f"{indent}{line.strip()}".rstrip() for line in lines[1:])
    return f'{indent}"""{lines[0]}\n{text}\n{indent}"""\n'


class _Types:
    """Type expressions of schemas; what JSON Schema bounds and Python's types can't is left out."""

    def __init__(self, *, from_parent: bool) -> None:
        self._from_parent = from_parent
        self._array, self._object = ("Sequence", "Mapping") if from_parent else ("list", "dict")

    def of_optional(self, schema: Mapping[str, Any] | bool) -> str:
        """The expression of a member that may be absent; the sidecar writes no null then."""
        made = self.of(schema)
        return made if self._from_parent else made.removesuffix(" | None")

    def of(self, schema: Mapping[str, Any] | bool) -> str:
        """The expression of one schema."""
        if isinstance(schema, bool) or not schema:
            return "Any"
        if _REFERENCE in schema:
            return str(schema[_REFERENCE]).rpartition("/")[2]
        if "const" in schema or "enum" in schema:
            values = schema["enum"] if "enum" in schema else [schema["const"]]
            return f"Literal[{', '.join(_literal(one) for one in values)}]"
        kind = schema.get("type")
        if isinstance(kind, list) or (kind is None and "anyOf" in schema):
            choices = schema["anyOf"] if kind is None else [{**schema, "type": one} for one in kind]
            return _union(self.of(one) for one in choices)
        return self._of_kind(str(kind), schema)

    def _of_kind(self, kind: str, schema: Mapping[str, Any]) -> str:
        if kind == "array":
            return f"{self._array}[{self.of(schema.get('items', True))}]"
        if kind == "object":
            return f"{self._object}[str, {self.of(schema.get('additionalProperties', True))}]"
        return _PRIMITIVES.get(kind, "Any")


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _union(types: Iterator[str]) -> str:
    return " | ".join(dict.fromkeys(types))
