"""JSON Schema of typed actions, which `send_job`'s own schema leaves open: they are read by the browser's side."""

from typing import Any

from sidecar_protocol.json_schema import DIALECT, schema_of

from sidecar.browser.steps.actions import ACTIONS, ActionKind


def action_schema() -> dict[str, Any]:
    """The schema of one action: an object with one member, or JavaScript as a string."""
    definitions: dict[str, Any] = {}
    methods = {name: _arguments_schema(kind, definitions) for name, kind in sorted(ACTIONS.items())}
    typed = {
        "type": "object",
        "properties": methods,
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
    }
    return {
        "$schema": DIALECT,
        "title": "an action of a step",
        "anyOf": [{"type": "string", "minLength": 1, "description": "JavaScript"}, typed],
        "$defs": definitions,
    }


def _arguments_schema(kind: ActionKind, definitions: dict[str, Any]) -> dict[str, Any]:
    """All arguments by their names, or the one that a bare value sets, or none where none is required."""
    arguments = schema_of(kind.arguments, definitions)
    required = {name for name, field in kind.arguments.model_fields.items() if field.is_required()}
    forms = [arguments]
    if kind.shorthand and required <= {kind.shorthand}:
        forms.append(definitions[kind.arguments.__name__]["properties"][kind.shorthand])
    if not required:
        forms.append({"type": "null"})
    return {"anyOf": forms} if len(forms) > 1 else arguments
