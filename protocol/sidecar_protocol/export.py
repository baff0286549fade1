"""JSON Schema of every message, generated from the models."""

from pathlib import Path
from typing import Any

import msgspec

from sidecar_protocol.base import schema_hook
from sidecar_protocol.replies import Error, Event, Ok, Pong, Ready
from sidecar_protocol.requests import CONTENTS, OPTIONAL
from sidecar_protocol.tasks import TaskRun
from sidecar_protocol.updates import CloudEvent, Progress, SelfDescribing
from sidecar_protocol.webhooks import DeliveryFailed

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ID = {"anyOf": [{"type": "integer"}, {"type": "string"}]}

DOCUMENTS: dict[str, Any] = {
    "document_job_update": SelfDescribing,
    "document_cloudevent": CloudEvent,
    "document_progress": Progress,
    "document_delivery_failed": DeliveryFailed,
    "document_task_run": TaskRun,
}
"""Bodies of webhooks and contents of events, by the names of their schema files."""


def request_schema(kind: str) -> dict[str, Any]:
    """Schema of the whole line of one request type."""
    properties: dict[str, Any] = {"type": {"const": kind}, "id": _ID}
    required = ["type"]
    definitions: dict[str, Any] = {}
    content = CONTENTS[kind]
    if kind == "send_cv":  # free, but for the reference
        properties["content"] = {
            "type": "object",
            "anyOf": [
                {"properties": {name: {"type": "string", "minLength": 1}}, "required": [name]}
                for name in ("referenceNumber", "reference_number")
            ],
        }
        required.append("content")
    elif content is not None:
        (properties["content"],), definitions = _components(content)
        if content is str:
            properties["content"] = {"type": "string", "minLength": 1}
        if kind not in OPTIONAL:
            required.append("content")
    return _document(kind, {"type": "object", "properties": properties, "required": required}, definitions)


def reply_schema() -> dict[str, Any]:
    """Schema of every line that leaves."""
    (schema,), definitions = _components(Ready | Ok | Pong | Error | Event)
    return _document("reply", schema, definitions)


def document_schema(name: str) -> dict[str, Any]:
    """Schema of one of the documents."""
    (schema,), definitions = _components(DOCUMENTS[name])
    return _document(name, schema, definitions)


def schemas() -> dict[str, dict[str, Any]]:
    """File name -> schema."""
    requests = {f"{kind}.json": request_schema(kind) for kind in CONTENTS}
    documents = {f"{name}.json": document_schema(name) for name in DOCUMENTS}
    return {**requests, **documents, "reply.json": reply_schema()}


def write_schemas(folder: Path) -> list[Path]:
    """Writes every schema into a folder; gives the files' paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, schema in schemas().items():
        path = folder / name
        path.write_bytes(msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n")
        written.append(path)
    return written


def _components(shape: Any) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    return msgspec.json.schema_components([shape], schema_hook=schema_hook, ref_template="#/$defs/{name}")


def _document(title: str, schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    document = {"$schema": _DIALECT, "title": title, **schema}
    if definitions:
        document["$defs"] = definitions
    return document
