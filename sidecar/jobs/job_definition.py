"""The definition of a job: its content without secrets and without what differs from run to run."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from sidecar_protocol.jobs import SendJob
from sidecar_protocol.models import Model, outline
from sidecar_protocol.wire_types import REDACTED, Secret

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
    """Returns the definition, which is the same for every run of the same job, whatever its secrets are."""
    given = _members(job, *_OF_A_RUN)
    # numbers of any size, and actions nested as deeply as a line may be
    line = json.dumps(given, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    document = redactor_for(job).redact_request(line) or line
    return JobDefinition(document, hashlib.sha256(document).hexdigest())


def _members(value: Model, *but: str) -> dict[str, Any]:
    """A model's members, but for those that are as they would be anyway."""
    given = vars(value)
    return {
        key: _plain(given[name])
        for name, key, default in outline(type(value))
        if name not in but and given[name] != default
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Model):
        return _members(value)
    if isinstance(value, Secret):
        return REDACTED
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
