"""TypeScript declarations of the wire, made from its JSON Schema by `sidecar schema --typescript FILE`."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sidecar_protocol.json_schema import schemas

_HEAD: Final = "// Made from protocol/schema by `sidecar schema --out protocol/schema`; not edited by hand.\n"
_PRIMITIVES: Final = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_REPLY: Final = "reply.json"
_RESULTS: Final = "results.json"
_DOCUMENT: Final = "document_"


def declarations() -> str:
    """The text of `index.d.ts`: a type for each definition, request, reply and document.

    `Request` and `Reply` are the unions of what a parent writes and reads; `Contents` has each request's content.
    """
    published = schemas()
    definitions = all_definitions(published)
    requests = {
        name.removesuffix(".json"): schema
        for name, schema in published.items()
        if name not in (_REPLY, _RESULTS) and not name.startswith(_DOCUMENT)
    }
    documents = {name.removesuffix(".json"): schema for name, schema in published.items() if name.startswith(_DOCUMENT)}
    parts = [_declaration(name, definition) for name, definition in sorted(definitions.items())]
    parts.append(_contents(requests))
    parts.append(
        "/** A line that the parent writes. */\nexport type Request = {\n"
        "  [T in keyof Contents]: { type: T; id?: number | string } & Contents[T];\n}[keyof Contents];\n"
    )
    results = _members(published[_RESULTS], "", optional=False)
    doc = "/** Message type -> the content of its `ok`; null: it has none. */"
    parts.append(f"{doc}\nexport interface Results {results}\n")
    parts.append(f"/** A line that the parent reads. */\nexport type Reply = {_type(published[_REPLY], '')};\n")
    parts += [_alias(name, schema) for name, schema in sorted(documents.items())]
    return _HEAD + "\n" + "\n".join(parts)


def all_definitions(published: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Every definition of the published schemas, by its name. Raises ValueError for two of the same name."""
    definitions: dict[str, dict[str, Any]] = {}
    for schema in published.values():
        for name, definition in schema.get("$defs", {}).items():
            if definitions.setdefault(name, definition) != definition:
                raise ValueError(f"two definitions are named {name}")
    return definitions


def _contents(requests: Mapping[str, dict[str, Any]]) -> str:
    lines = []
    for name, schema in sorted(requests.items()):
        content = schema["properties"].get("content")
        optional = "" if "content" in schema["required"] else "?"
        lines.append(f"  {name}: {{ content{optional}: {_type(content, '  ') if content else 'unknown'} }};")
    doc = "/** Message type -> its content. */"
    return f"{doc}\nexport interface Contents {{\n" + "\n".join(lines) + "\n}\n"


def _declaration(name: str, schema: Mapping[str, Any]) -> str:
    doc = _doc(schema.get("description", ""), "")
    if schema.get("type") == "object" and "properties" in schema:
        return f"{doc}export interface {name} {_members(schema, '')}\n"
    return f"{doc}export type {name} = {_type(schema, '')};\n"


def _alias(name: str, schema: Mapping[str, Any]) -> str:
    words = "".join(word.title() for word in name.split("_"))
    return f"export type {words} = {_type(schema, '')};\n"


def _type(schema: Mapping[str, Any] | bool, indent: str) -> str:
    """The type expression of a schema; what JSON Schema bounds and TypeScript can't is left out."""
    if isinstance(schema, bool) or not schema:
        return "unknown"
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema or "enum" in schema:
        values = schema["enum"] if "enum" in schema else [schema["const"]]
        return _union(json.dumps(value, ensure_ascii=False) for value in values)
    kind = schema.get("type")
    if kind is None and "anyOf" in schema:
        return _union(_type(one, indent) for one in schema["anyOf"])
    if isinstance(kind, list):
        return _union(_type({**schema, "type": one}, indent) for one in kind)
    return _of_kind(str(kind), schema, indent)


def _of_kind(kind: str, schema: Mapping[str, Any], indent: str) -> str:
    if kind == "array":
        return f"Array<{_type(schema.get('items', True), indent)}>"
    if kind == "object":
        return _object(schema, indent)
    return _PRIMITIVES.get(kind, "unknown")


def _object(schema: Mapping[str, Any], indent: str) -> str:
    if "properties" in schema:
        return _members(schema, indent)
    values = schema.get("additionalProperties", True)
    return f"Record<string, {_type(values, indent)}>"


def _members(schema: Mapping[str, Any], indent: str, *, optional: bool = True) -> str:
    lines = ["{"]
    required = schema.get("required", ()) if optional else schema["properties"]
    deeper = f"{indent}  "
    for name, member in schema["properties"].items():
        doc = _doc(member.get("description", ""), deeper) if isinstance(member, dict) else ""
        key = name if name.isidentifier() else json.dumps(name)
        lines.append(f"{doc}{deeper}{key}{'' if name in required else '?'}: {_type(member, deeper)};")
    return "\n".join([*lines, f"{indent}}}"])


def _doc(text: str, indent: str) -> str:
    lines = text.replace("*/", "* /").splitlines()
    if not lines:
        return ""
    if len(lines) == 1:
        return f"{indent}/** {lines[0]} */\n"
    return f"{indent}/**\n" + "".join(f"{indent} * {line}".rstrip() + "\n" for line in lines) + f"{indent} */\n"


def _union(types: Iterator[str]) -> str:
    return " | ".join(dict.fromkeys(types))
