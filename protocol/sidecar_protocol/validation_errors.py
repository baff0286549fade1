"""Translates pydantic's errors into our own sentences, each with its place. No sentence quotes a value."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from pydantic_core import ErrorDetails, ValidationError

from sidecar_protocol.bounds import Excess
from sidecar_protocol.errors import MAX_FIELD_ERRORS
from sidecar_protocol.nearest_name import nearest
from sidecar_protocol.wire_types import json_type

LONGEST_SENTENCE: Final = 500
"""Characters of what is said of wrong content, and of the place that it names; longer keys are not named."""
_MOST_SEEN: Final = 2_000
"""Mistakes that are looked through for those that are named: a union may count one several times."""
_EXPECTED: Final = {
    "string_type": "str",
    "int_type": "int",
    "float_type": "float",
    "bool_type": "bool",
    "dict_type": "object",
    "model_type": "object",
    "model_attributes_type": "object",
    "dataclass_type": "object",
    "dataclass_exact_type": "object",
    "list_type": "array",
    "tuple_type": "array",
}
"""Kinds of mistakes where the JSON type is another one -> the type that is expected."""
_BOUNDS: Final = {
    "greater_than_equal": (">=", "ge"),
    "greater_than": (">", "gt"),
    "less_than_equal": ("<=", "le"),
    "less_than": ("<", "lt"),
    "string_too_short": ("str of length >=", "min_length"),
    "string_too_long": ("str of length <=", "max_length"),
    "too_short": ("of length >=", "min_length"),
    "too_long": ("of length <=", "max_length"),
}
"""Kinds of mistakes where a value is out of its range -> the sentence's words, and what pydantic calls the bound."""
_CHOICES: Final = frozenset({"literal_error", "enum"})
"""Kinds of mistakes where a value is none of a list."""
_NUMBER: Final = re.compile(r"-?\d{1,30}(\.\d{1,30})?")
_CHOICE: Final = re.compile("'([^']*)'")
_WORDS: Final = {
    "missing": "missing",
    "string_pattern_mismatch": "expected str matching regex {pattern!r}",
    "value_error": "{error}",
}
_WRAPPED: Final = ("schema", "json_schema", "python_schema")
_SYNONYMS: Final = {
    "body": "content",
    "css": "selector",
    "every": "interval",
    "headers": "extra_http_headers",
    "href": "url",
    "link": "url",
    "query": "selector",
    "timeout": "timeout_ms",
    "xpath": "selector",
}
"""What others call a member -> what it is called here."""
_FEW: Final = 8
"""Names that are listed where an unknown one resembles none of them."""
_EXAMPLES: Final = {
    "content_type": "application/pdf",
    "filename": "cv.pdf",
    "height": "29.7cm",
    "id": "nightly-prices",
    "locale": "nl-NL",
    "profile": "shop-login",
    "timezone_id": "Europe/Amsterdam",
    "width": "21cm",
}
"""Members whose value has a syntax -> one that is right."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake: its place, its sentence, and whether it exceeds a limit."""

    field: str
    """Empty for the whole content."""
    said: str
    excess: bool = False


@dataclass(slots=True)
class _Place:
    """The place of one of pydantic's errors."""

    error: ErrorDetails
    path: str = ""
    names: tuple[str, ...] = ()
    """The keys that are known there."""
    nullable: bool = False
    elsewhere: str = ""
    """What to do with an unknown key that another object close by has."""
    route: list[int | str] = field(default_factory=list)
    """Keys and indices that lead to it from the whole value."""
    unions: list[tuple[tuple[int | str, ...], str, bool]] = field(default_factory=list)
    """Every union on the way: its place, the shape in it, and whether the value is of another type than that."""


def mistakes(wrong: ValidationError, schema: Any, value: Any) -> Sequence[Mistake]:
    """At most `MAX_FIELD_ERRORS` mistakes: unknown keys, then the others in the order of the model's members.

    `schema` is the core schema that `value` was read by.
    """
    errors = list(islice(wrong.errors(include_url=False, include_input=False), _MOST_SEEN))
    errors.sort(key=lambda error: error["type"] != "extra_forbidden")  # a misspelt name is a missing one as well
    places = [_placed(error, schema) for error in errors]
    return list(islice(_meant(places, value), MAX_FIELD_ERRORS))


def _meant(places: Sequence[_Place], value: Any) -> Iterator[Mistake]:
    """The errors of the union member that was meant; if none was, one mistake that names them all."""
    shapes: dict[tuple[int | str, ...], dict[str, bool]] = {}
    for place in places:
        for at, shape, other in place.unions:
            known = shapes.setdefault(at, {})
            known[shape] = known.get(shape, True) and other
    reported = set()
    for place in places:
        for at, shape, other in place.unions:
            meant = next((name for name, is_other in shapes[at].items() if not is_other), None)
            if meant is None and other and at not in reported:
                reported.add(at)
                yield Mistake(place.path, _another_type(" | ".join(shapes[at]), place, value))
            if meant != shape:
                break
        else:
            if not _was_counted_wrong(place, value):
                yield _mistake(place, value)


def _placed(error: ErrorDetails, schema: Any) -> _Place:
    """Walks down the schema, which knows what of a place is a name of ours, a key of the parent's, or neither."""
    place = _Place(error)
    known: dict[str, Any] = {}
    around: list[tuple[str, tuple[str, ...]]] = []
    location = error["loc"]
    for index, part in enumerate(location):
        place.route.append(part)
        schema = _bare(schema, known, place)
        kind = schema["type"] if schema else ""
        if kind == "union":
            is_last = index == len(location) - 1
            place.route.pop()
            place.unions.append((location[:index], str(part), is_last and error["type"] in _EXPECTED))
            schema = next((one[0] for one in schema["choices"] if isinstance(one, tuple) and one[1] == part), None)
        elif isinstance(part, int):
            place.path += f"[{part}]"
            schema = _member(schema, kind)
        elif kind == "dict":
            if location[index + 1 : index + 2] == ("[key]",):
                place.route.pop()
                return place
            place.path += "[...]"
            schema = schema["values_schema"]
        else:
            name = part if len(part) < LONGEST_SENTENCE else "…"
            place.path += f".{name}" if place.path else name
            place.names = _names(schema, kind)
            if index == len(location) - 1 and error["type"] == "extra_forbidden":
                place.elsewhere = _elsewhere(str(part), schema, known, around)
            around.append((place.path, place.names))
            schema = _field(schema, kind, part)
    _bare(schema, known, place)
    return place


def _bare(schema: Any, known: dict[str, Any], place: _Place) -> Any:
    """The core schema without its wrappers."""
    place.nullable = False
    while schema:
        kind = schema["type"]
        if kind == "definitions":
            known.update((one["ref"], one) for one in schema["definitions"])
        if kind == "definition-ref":
            schema = known.get(schema["schema_ref"])
            continue
        if kind in {"model-fields", "dataclass-args", "union", "dict", "list"}:
            return schema
        if "ref" in schema:
            known.setdefault(schema["ref"], schema)
        place.nullable = place.nullable or kind == "nullable"
        inner = next((schema[name] for name in _WRAPPED if name in schema), None)
        if inner is None:
            return schema
        schema = inner
    return schema


def _member(schema: Any, kind: str) -> Any:
    if kind == "list":
        return schema.get("items_schema")
    return schema["items_schema"][0] if kind == "tuple" else None


def _names(schema: Any, kind: str) -> tuple[str, ...]:
    if kind == "model-fields":
        return tuple(one.get("validation_alias", name) for name, one in schema["fields"].items())
    return tuple(one["name"] for one in schema["fields"]) if kind == "dataclass-args" else ()


def _field(schema: Any, kind: str, part: str) -> Any:
    if kind == "model-fields":
        found = (one for name, one in schema["fields"].items() if part in (one.get("validation_alias", name), name))
    elif kind == "dataclass-args":
        found = (one for one in schema["fields"] if one["name"] == part)
    else:
        return None
    return next((one["schema"] for one in found), None)


def _elsewhere(key: str, schema: Any, known: dict[str, Any], around: Sequence[tuple[str, tuple[str, ...]]]) -> str:
    """Where a key belongs that is known one level deeper, or further out; empty for another one."""
    if key == "steps" and "job" in _names(schema, schema["type"]):
        return "it belongs in `job`"  # which is kept as it comes, and read later
    for name in _names(schema, schema["type"]):
        kind, inner, brackets = "", _bare(_field(schema, schema["type"], name), known, _Place({})), ""  # type: ignore[typeddict-item]
        while inner and (kind := inner["type"]) in ("list", "tuple"):
            inner, brackets = _bare(_member(inner, kind), known, _Place({})), f"{brackets}[…]"  # type: ignore[typeddict-item]
        if inner and key in _names(inner, kind):
            return f"it belongs in `{name}{brackets}`"
    for path, names in reversed(around):
        if key in names:
            return f"it stands next to `{path.rpartition('.')[2].partition('[')[0]}`, not within it"
    return ""


def _was_counted_wrong(place: _Place, value: Any) -> bool:
    """Whether a list is said to be too short because members of it are wrong, which pydantic does not count."""
    if place.error["type"] != "too_short":
        return False
    found = _found(place, value)
    return isinstance(found, list | tuple | dict) and len(found) >= place.error["ctx"]["min_length"]


def _found(place: _Place, value: Any) -> Any:
    """The value at a place."""
    found = value
    for part in place.route:
        try:
            found = found[part]
        except (LookupError, TypeError):
            return None
    return found


def _mistake(place: _Place, value: Any) -> Mistake:
    error = place.error
    context = error.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, Excess):
        return Mistake(".".join(filter(None, (place.path, cause.field))), str(cause), excess=True)
    said = _said(place, error["type"], context, value)
    is_excess = error["type"] == "too_long" and context["max_length"] > 1
    return Mistake(place.path, said, excess=is_excess)


def _said(place: _Place, kind: str, context: dict[str, Any], value: Any) -> str:
    if kind in _EXPECTED:
        return _another_type(_EXPECTED[kind], place, value)
    if kind in _CHOICES:
        return f"expected {context['expected']}{_meant_choice(context['expected'], _found(place, value))}"
    if kind in _BOUNDS:
        return _out_of_range(kind, context)
    if kind == "extra_forbidden":
        return _unknown(str(place.error["loc"][-1]), place)
    if kind in _WORDS:
        example = _EXAMPLES.get(str(place.error["loc"][-1])) if kind == "string_pattern_mismatch" else None
        return _WORDS[kind].format(**context) + (f", for example {example}" if example else "")
    said = place.error["msg"]
    return f"{said[:1].lower()}{said[1:]}"


def _another_type(expected: str, place: _Place, value: Any) -> str:
    found = _found(place, value)
    said = f"expected {expected}{' | null' if place.nullable else ''}, got {json_type(found)}"
    advice = _advice(expected, found, str(place.route[-1])) if place.path else ""
    return f"{said}; {advice}" if advice else said


def _advice(expected: str, found: Any, name: str) -> str:
    """What to write instead, where the value is the right one in another JSON type; empty for other mistakes."""
    if isinstance(found, str):
        return _advice_on_text(expected, found, name)
    if expected == "bool" and type(found) is int and found in (0, 1):
        return "write true or false"
    if expected == "array" and isinstance(found, dict):
        return "a single one stands in brackets, too: [{…}]"
    if expected == "object" and isinstance(found, list) and len(found) == 1 and isinstance(found[0], dict):
        return "leave out the brackets around it"
    return ""


def _advice_on_text(expected: str, found: str, name: str) -> str:
    if expected in ("array", "object") and found.startswith(("http://", "https://")):
        return 'write [{"url": "…"}]' if expected == "array" else 'write {"url": "…"}'
    if expected == "object":
        return 'name what is extracted: {"title": "h1"}' if name == "extract" else ""
    if expected == "array":
        return 'a single one stands in brackets, too: ["…"]'
    if expected == "bool" and found.lower() in ("true", "false", "yes", "no", "1", "0"):
        return "write true or false without quotes"
    return "write the number without quotes" if expected in ("int", "float") and _NUMBER.fullmatch(found) else ""


def _meant_choice(expected: str, found: Any) -> str:
    near = nearest(found, _CHOICE.findall(expected)) if isinstance(found, str) else ""
    return f"; did you mean '{near}'?" if near else ""


def _unknown(key: str, place: _Place) -> str:
    if len(key) >= LONGEST_SENTENCE:
        return "unknown field"
    said = f"unknown field `{key}`"
    if place.elsewhere:
        return f"{said}; {place.elsewhere}"
    meant = _SYNONYMS.get(key.lower(), "")
    if near := meant if meant in place.names else nearest(key, place.names):
        return f"{said}; did you mean `{near}`?"
    few = ", ".join(f"`{name}`" for name in place.names) if 0 < len(place.names) <= _FEW else ""
    return f"{said}; known here: {few}" if few else said


def _out_of_range(kind: str, context: dict[str, Any]) -> str:
    words, name = _BOUNDS[kind]
    bound = context[name]
    if name == "min_length" and bound == 1:
        return "must not be empty"
    if kind.startswith("string"):
        return f"expected {words} {bound}"
    if kind.startswith("too"):
        what = "object" if context["field_type"] == "Dictionary" else "array"
        return f"expected {what} {words} {bound}"
    return f"expected {'float' if isinstance(bound, float) else 'int'} {words} {bound}"
