"""What is handed to the queue, and what it hands on to be run."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from sidecar.encryption import Encryptor

DEFAULT_TIMEOUT: Final = 3_600.0
"""Seconds that one attempt may take where nobody says how long it should."""
RESERVED_PREFIXES: Final = ("schedule:", "task:")
"""How the keys of our own submissions begin; a parent's key must not."""
_PLAIN: Final = "content"
_ENCRYPTED: Final = "sealed"


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """One message to be done later, by whichever process gets to it."""

    type: str
    """A message's type, one of those that make sense unattended."""
    content: bytes
    """Its content as JSON, as the parent sent it."""
    key: str = ""
    """The same key is the same job, also after it is done, as long as that is kept; empty for a job of its own."""
    name: str = ""
    """What lists and updates call it."""
    due: float = 0
    """Unix seconds; 0 is now."""
    retries: int = 0
    """Further attempts after one that failed in a way that may pass."""
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


class JobRun(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at a submission, its secrets opened."""

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
    """Notes how much is done, from 0 to 1."""
    emit: Callable[[str, Any], None] | None
    """Sends an event, its name and content, to the parent of the sidecar that submitted; None where it did not ask."""
    will_retry: Callable[[BaseException], bool] = lambda _: False
    """Whether there will be another attempt after this one ends with that failure."""


def encrypt_content(encryptor: "Encryptor", content: bytes, *, secret: bool) -> dict[str, str]:
    """What is stored of a content, as strings by name."""
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
