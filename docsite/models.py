"""The members of messages, as tables: from the published schema and the docstrings of the models."""

import ast
import importlib
import inspect
import json
import pkgutil
import textwrap
from functools import cache
from typing import Any, Final

import sidecar_protocol
from sidecar_protocol.json_schema import request_schema

from docsite.meanings import FALLBACKS, MEANINGS

_LIMITS: Final = {
    "minLength": "{} or more characters",
    "maxLength": "{} or fewer characters",
    "minItems": "at least {}",
    "maxItems": "at most {}",
    "minimum": "from {}",
    "maximum": "up to {}",
    "exclusiveMinimum": "over {}",
    "maxProperties": "at most {} members",
}


def tables(kind: str) -> dict[str, str]:
    """The tables of a message type's content, by model; empty where its content is no object with known members."""
    schema = request_schema(kind)
    shapes: dict[str, dict[str, Any]] = schema.get("$defs", {})
    reached = [name for name in _reached(schema.get("properties", {}).get("content", {}), shapes, []) if name in shapes]
    return {name: _table(name, shapes[name]) for name in reached if "properties" in shapes[name]}


def summary(name: str) -> str:
    """What a model's docstring says first."""
    return inspect.getdoc(_models()[name]) or "" if name in _models() else ""


def meaning(model: str, member: str) -> str:
    """What a member means. Raises LookupError where nothing says so."""
    for name in (model, FALLBACKS.get(model, model)):
        found = MEANINGS.get(f"{name}.{member}") or _docstrings(name).get(member)
        if found:
            return " ".join(found.split()).removesuffix(".")
    raise LookupError(f"docsite.meanings says nothing of {model}.{member}")


def _table(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", [])
    rows = ["| member | value | default | meaning |", "| --- | --- | --- | --- |"]
    for member, shape in schema["properties"].items():
        default = "required" if member in required else _default(shape)
        rows.append(f"| `{member}` | {_value(shape)} | {default} | {_cell(meaning(name, member))} |")
    return "\n".join(rows)


def _default(shape: dict[str, Any]) -> str:
    default = shape.get("default")
    if default is None:
        return ""
    if isinstance(default, dict) and default:
        return "its own"
    return f"`{_cell(json.dumps(default))}`"


def _value(shape: dict[str, Any]) -> str:
    """What may be given, in words."""
    if "$ref" in shape:
        return f"[{_name(shape)}](#{_name(shape).lower()})"
    if "enum" in shape:
        return ", ".join(f"`{json.dumps(one)}`" for one in shape["enum"])
    if "const" in shape:
        return f"`{json.dumps(shape['const'])}`"
    if "anyOf" in shape:
        given = [_value(one) for one in shape["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(given))
    limits = [text.format(f"{shape[key]:,}") for key, text in _LIMITS.items() if key in shape]
    if "pattern" in shape:
        limits.append(f"as `{_cell(shape['pattern'])}`")
    text = _kind(shape)
    return f"{text}, {', '.join(limits)}" if limits else text


def _kind(shape: dict[str, Any]) -> str:
    kind = shape.get("type")
    if kind == "array":
        return f"list of {_value(shape['items'])}" if shape.get("items") else "list"
    if kind == "object" and isinstance(shape.get("additionalProperties"), dict):
        return f"object of {_value(shape['additionalProperties'])}"
    if kind == "string" and shape.get("format") == "password":
        return "string (secret)"
    return str(kind) if kind else "any value"


def _reached(shape: Any, shapes: dict[str, Any], seen: list[str]) -> list[str]:
    """Names of the shapes that a shape refers to, each before those that it refers to itself."""
    if isinstance(shape, list):
        for one in shape:
            _reached(one, shapes, seen)
    elif isinstance(shape, dict):
        if "$ref" in shape and _name(shape) not in seen:
            seen.append(_name(shape))
            _reached(shapes[_name(shape)], shapes, seen)
        for one in shape.values():
            _reached(one, shapes, seen)
    return seen


def _name(shape: dict[str, Any]) -> str:
    return str(shape["$ref"]).rpartition("/")[2]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


@cache
def _models() -> dict[str, type]:
    """Classes of the wire's package, by name."""
    names = [one.name for one in pkgutil.iter_modules(sidecar_protocol.__path__)]
    modules = [importlib.import_module(f"sidecar_protocol.{name}") for name in names]
    return {
        name: one
        for module in modules
        for name, one in vars(module).items()
        if inspect.isclass(one) and one.__module__ == module.__name__
    }


@cache
def _docstrings(name: str) -> dict[str, str]:
    """What stands below a model's members, those of its bases too, by their names on the wire."""
    found: dict[str, str] = {}
    model: Any = _models().get(name)
    if model is None:
        return found
    for one in reversed(model.__mro__):
        if one.__module__.startswith("sidecar_protocol"):
            parsed: Any = ast.parse(textwrap.dedent(inspect.getsource(one))).body[0]
            for member, after in zip(parsed.body, parsed.body[1:], strict=False):
                if (
                    isinstance(member, ast.AnnAssign)
                    and isinstance(member.target, ast.Name)
                    and isinstance(after, ast.Expr)
                    and isinstance(after.value, ast.Constant)
                    and isinstance(after.value.value, str)
                ):
                    found[member.target.id] = after.value.value
    fields = getattr(model, "model_fields", {})
    return {(fields[key].alias or key) if key in fields else key: text for key, text in found.items()}
