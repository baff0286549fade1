"""JSON Schema of every message, generated from the models."""

import dataclasses
import json
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from sidecar_protocol.cvs import MAX_CVS
from sidecar_protocol.encoding import encode
from sidecar_protocol.factotum_06 import SelfDescribing06
from sidecar_protocol.replies import Error, Event, Ok, Pong, Ready
from sidecar_protocol.requests import CONTENTS, OPTIONAL, RAW, TEXT, forms_of, model_named
from sidecar_protocol.results import ANY, BOOLEAN, COUNTS, NOTHING, RESULTS
from sidecar_protocol.schedules import ScheduleFired
from sidecar_protocol.tasks import TaskRun
from sidecar_protocol.updates import CloudEvent, Progress, SelfDescribing
from sidecar_protocol.webhooks import DeliveryFailed
from sidecar_protocol.wire_types import UNSET, Secret, Unset

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ID = {"anyOf": [{"type": "integer"}, {"type": "string"}]}
_REPLIES = (Ready, Ok, Pong, Error, Event)

_RAW_CONTENTS: dict[str, dict[str, Any]] = {
    "send_cv": {  # free, but for the reference
        "type": "object",
        "anyOf": [
            {"properties": {name: {"type": "string", "minLength": 1}}, "required": [name]}
            for name in ("referenceNumber", "reference_number")
        ],
    },
    "send_cvs_list": {"type": "array", "items": {"type": "object"}, "maxItems": MAX_CVS},
}
"""Schemas of the contents that are passed on as they came."""

_PLAIN_RESULTS: dict[str, dict[str, Any]] = {
    NOTHING: {"type": "null"},
    BOOLEAN: {"type": "boolean"},
    COUNTS: {
        "type": "object",
        "properties": {name: {"type": "integer"} for name in ("sent", "duplicates", "without_reference")},
        "required": ["sent", "duplicates", "without_reference"],
    },
}
"""Schemas of the results that have no model."""

DOCUMENTS: dict[str, Any] = {
    "document_job_update": SelfDescribing,
    "document_factotum_06": SelfDescribing06,
    "document_cloudevent": CloudEvent,
    "document_progress": Progress,
    "document_delivery_failed": DeliveryFailed,
    "document_schedule_fired": ScheduleFired,
    "document_task_run": TaskRun,
}
"""Bodies of webhooks and contents of events, by the names of their schema files."""


class _Generator(GenerateJsonSchema):
    """pydantic's own, without titles that repeat names, and with members in the order of the models."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  pydantic's own signature
        return False

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:  # noqa: ARG002
        ordered: JsonSchemaValue = _ordered(value)
        return ordered

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """The schema of an object whose keys all match one pattern."""
        made = super().dict_schema(schema)
        for pattern, member in made.pop("patternProperties", {}).items():
            made.update(propertyNames={"pattern": pattern}, additionalProperties=member)
        return made

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """The schema with its default in wire form, if it has one."""
        inner = self.generate_inner(schema["schema"])
        default = schema.get("default", UNSET)
        if schema.get("default_factory") is dict:
            default = {}
        if default is UNSET or isinstance(default, Secret):
            return inner
        return {**inner, "default": json.loads(encode(default))}


def request_schema(kind: str) -> dict[str, Any]:
    """Schema of the whole line of one request type."""
    properties: dict[str, Any] = {"type": {"const": kind}, "id": _ID}
    required = ["type"]
    definitions: dict[str, Any] = {}
    content = CONTENTS[kind]
    if content == RAW:
        properties["content"] = _RAW_CONTENTS[kind]
    elif content == TEXT:
        properties["content"] = {"type": "string", "minLength": 1}
    elif content is not None:
        properties["content"] = schema_of(forms_of(kind), definitions)
    if content is not None and kind not in OPTIONAL:
        required.append("content")
    return _document(kind, {"type": "object", "properties": properties, "required": required}, definitions)


def reply_schema() -> dict[str, Any]:
    """Schema of every line that leaves."""
    definitions: dict[str, Any] = {}
    places = {one.type: f"#/$defs/{one.__name__}" for one in _REPLIES}
    for one in _REPLIES:
        definitions[one.__name__] = _reply(one, definitions)
    schema = {
        "anyOf": [{"$ref": place} for place in places.values()],
        "discriminator": {"propertyName": "type", "mapping": places},
    }
    return _document("reply", schema, definitions)


def results_schema() -> dict[str, Any]:
    """Schema of an object with a member for each message type: the content of its `ok`, null for none."""
    definitions: dict[str, Any] = {}
    properties = {}
    for kind, shapes in RESULTS.items():
        made = [_PLAIN_RESULTS.get(one) or schema_of(model_named(one), definitions) for one in shapes if one != ANY]
        properties[kind] = {} if not made else made[0] if len(made) == 1 else {"anyOf": made}
    return _document("results", {"type": "object", "properties": properties}, definitions)


def document_schema(name: str) -> dict[str, Any]:
    """Schema of one of the documents."""
    definitions: dict[str, Any] = {}
    return _document(name, schema_of(DOCUMENTS[name], definitions), definitions)


def schemas() -> dict[str, dict[str, Any]]:
    """File name -> schema."""
    requests = {f"{kind}.json": request_schema(kind) for kind in CONTENTS}
    documents = {f"{name}.json": document_schema(name) for name in DOCUMENTS}
    return {**requests, **documents, "reply.json": reply_schema(), "results.json": results_schema()}


def write_schemas(folder: Path) -> list[Path]:
    """Writes every schema into a folder; gives the files' paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, schema in schemas().items():
        path = folder / name
        path.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        written.append(path)
    return written


def schema_of(shape: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a shape; what it refers to goes to the definitions, and so does itself where it is a model."""
    made = TypeAdapter(shape).json_schema(ref_template="#/$defs/{model}", schema_generator=_Generator)
    definitions.update(made.pop("$defs", {}))
    if "title" not in made:
        return made
    definitions[made["title"]] = made
    return {"$ref": f"#/$defs/{made['title']}"}


def _ordered(value: Any) -> Any:
    """The schema with its type and description before its members."""
    if isinstance(value, list):
        return [_ordered(one) for one in value]
    if not isinstance(value, dict):
        return value
    first = [name for name in ("title", "description", "type") if isinstance(value.get(name), str)]
    return {name: _ordered(value[name]) for name in (*first, *(name for name in value if name not in first))}


def _reply(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """Schema of an envelope, which is no model."""
    types = get_type_hints(kind)
    properties: dict[str, Any] = {"type": {"const": kind.type}}
    required = ["type"]
    for one in dataclasses.fields(kind):
        given = [wanted for wanted in get_args(types[one.name]) if wanted is not Unset]
        wanted = reduce(or_, given) if Unset in get_args(types[one.name]) else types[one.name]
        properties[one.name] = schema_of(wanted, definitions)
        if one.default is dataclasses.MISSING:
            required.append(one.name)
        elif one.default is not UNSET:
            properties[one.name]["default"] = one.default
    return {
        "title": kind.__name__,
        "description": kind.__doc__,
        "type": "object",
        "properties": properties,
        "required": required,
    }


def _document(title: str, schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    document = {"$schema": DIALECT, "title": title, **schema}
    if definitions:
        document["$defs"] = definitions
    return document
