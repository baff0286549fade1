"""The work that is submitted to the queue and run by its workers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sidecar.encryption import Encryptor

DEFAULT_TIMEOUT: Final = 3_600.0
"""The default timeout of one attempt, in seconds."""
RESERVED_PREFIXES: Final = ("schedule:", "task:")
"""Prefixes of keys of our own submissions, which a parent's key must not have."""
_PLAIN: Final = "content"
_ENCRYPTED: Final = "sealed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A message to be executed later, by any process."""

    type: str
    """The message type; it has to be one that can run without a parent."""
    content: bytes
    """Its content as JSON, as the parent sent it."""
    key: str = ""
    """An idempotency key: it identifies one job for as long as that is kept; empty for none."""
    name: str = ""
    """The name shown in lists and updates."""
    due: float = 0
    """Unix seconds; 0 is now."""
    retries: int = 0
    """Further attempts after a retryable failure."""
    timeout: float = DEFAULT_TIMEOUT
    """Seconds for each attempt."""
    origin: str = ""
    """`schedule:<id>` or `task:<id>`; empty for a parent's own."""
    webhooks: str = ""
    """The endpoints in force when it was accepted, packed: the session's and the job's own."""
    account_id: str = ""
    """The login that it belongs to; empty for none."""
    needs_login: bool = False
    """Whether it can't be done without that login."""
    notify: bool = False
    """Whether the submitter's parent asked for notifications."""
    secret: bool
    """Whether the content must not be stored in clear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun:
    """One attempt at a submission, its content decrypted."""

    id: str
    type: str
    content: bytes
    attempt: int
    """Counted from 1."""
    name: str
    origin: str
    account_id: str
    webhooks: str
    progress: Callable[[float], None]
    """Reports the progress, from 0 to 1."""
    emit: Callable[[str, Any], None] | None
    """Sends an event, its name and content, to the submitter's parent; None if it did not ask for events."""
    will_retry: Callable[[BaseException], bool] = lambda _: False
    """Whether the job will be retried if this attempt ends with that failure."""


def encrypt_content(encryptor: "Encryptor", content: bytes, *, secret: bool) -> dict[str, str]:
    """The stored form of a content, as strings by name."""
    text = content.decode()
    return {_ENCRYPTED: encryptor.encrypt(text)} if secret else {_PLAIN: text}


def is_encrypted(stored: Mapping[str, Any]) -> bool:
    """Whether a stored content is encrypted."""
    return _ENCRYPTED in stored


def decrypt_content(encryptor: "Encryptor", stored: dict[str, Any]) -> bytes:
    """The content again. Raises DecryptionKeyMissing."""
    if is_encrypted(stored):
        return encryptor.decrypt(stored[_ENCRYPTED]).encode()
    content: str = stored[_PLAIN]
    return content.encode()
