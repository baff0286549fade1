"""What a job is, apart from its secrets and from what differs from run to run."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import msgspec
from sidecar_protocol.base import encode_hook
from sidecar_protocol.jobs import SendJob

from sidecar.jobs.job_redaction import redactor_for

_OF_A_RUN: Final = ("token", "key", "mode", "webhooks")
"""Members that say how one run is asked for, and not what is done."""


@dataclass(frozen=True, slots=True)
class JobDefinition:
    """A job's definition, and what it is known by."""

    document: bytes
    """JSON: members that were left to their defaults are absent, names are sorted, secrets replaced."""
    reference: str
    """SHA-256 of the document, in hexadecimal."""


def define(job: SendJob) -> JobDefinition:
    """The same for every run of the same job, whatever its secrets are."""
    given = _members(job, *_OF_A_RUN)
    # numbers of any size, and actions nested as deeply as a line may be
    line = json.dumps(given, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    document = redactor_for(job).redact_request(line) or line
    return JobDefinition(document, hashlib.sha256(document).hexdigest())


def _members(value: msgspec.Struct, *but: str) -> dict[str, Any]:
    """A struct's members, but for those that are as they would be anyway."""
    fields = (field for field in _fields(type(value)) if field.name not in but)
    given = ((field, getattr(value, field.name)) for field in fields)
    return {field.encode_name: _plain(item) for field, item in given if item != field.default}


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind)  # reads every annotation anew


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return _members(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return msgspec.to_builtins(value, enc_hook=encode_hook)
