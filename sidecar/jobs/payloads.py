"""Contents of messages that are kept for later: what in them must not lie on disk in clear."""

from typing import Any

from sidecar_protocol import codec
from sidecar_protocol.jobs import SendJob

from sidecar.browser.steps.actions import BoundAction
from sidecar.errors import SidecarError
from sidecar.jobs.browser_job_runner import validate
from sidecar.jobs.job_redaction import secrets_in, types_secrets


def decode_stored(message_type: str, content: bytes) -> Any:
    """A message's content as its type. Raises WireError: `unknown_type` or `invalid_content`."""
    return codec.decode_kept(message_type, content)


def contains_secrets(message_type: str, content: bytes) -> bool:
    """Whether there is something in a message's content that only those who know it may read. Raises WireError."""
    decoded = decode_stored(message_type, content)
    return any(secrets_in(decoded)) or (isinstance(decoded, SendJob) and _types_secrets(decoded))


def _types_secrets(job: SendJob) -> bool:
    """Whether an action writes something that is not shown, such as a password."""
    try:
        steps = validate(job, files=True)
    except SidecarError:  # it will fail when it runs, and until then it is better kept than read
        return True
    hidden = any(isinstance(action, BoundAction) and action.hidden for step in steps for action in step.actions)
    return hidden or types_secrets(job)
