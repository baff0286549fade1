"""Stored contents of messages: decoding, checks, and whether they have to be encrypted."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sidecar_protocol import codec
from sidecar_protocol.bounds import check
from sidecar_protocol.cvs import list_of, reference_of
from sidecar_protocol.decoding import decode_as, names_of
from sidecar_protocol.jobs import SendJob
from sidecar_protocol.schedules import DEVICE_PUSH, DevicePush

from sidecar.errors import InvalidContent
from sidecar.jobs.job_redaction import secrets_in, types_secrets
from sidecar.rtcv.documents import DocumentLoader

if TYPE_CHECKING:
    from sidecar.browser.steps.plan import PlannedStep


def decode_message(message_type: str, content: bytes) -> Any:
    """A message's content as its type. Raises WireError: `unknown_type` or `invalid_content`."""
    if message_type == DEVICE_PUSH:
        return _decode_push(content)
    return codec.decode_kept(message_type, content)


def _decode_push(content: bytes) -> DevicePush:
    check(content, names_of(DevicePush))
    return decode_as(DevicePush, content)


def check_content(message_type: str, content: Any, documents: DocumentLoader) -> None:
    """Checks what the type of a content other than a job's does not. Raises WireError."""
    if message_type == "send_cv":
        reference_of(content)
    elif message_type == "send_full_cv":
        documents.check(content)
    elif message_type == "send_cvs_list":
        list_of(content)
    elif message_type in ("set_cached_reference", "set_short_cached_reference") and not content:
        raise InvalidContent("reference number cannot be an empty string")


def contains_secrets(content: Any, steps: "Sequence[PlannedStep]" = ()) -> bool:
    """Whether a decoded content holds something that must not be stored in clear; `steps` are a job's, planned."""
    if any(secrets_in(content)):
        return True
    return isinstance(content, SendJob) and (any(step.types_secret for step in steps) or types_secrets(content))
