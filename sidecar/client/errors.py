"""What a client raises."""

from collections.abc import Mapping, Sequence
from typing import Any


class SidecarFailure(Exception):
    """The sidecar answered with an error. `code` is stable and meant to be branched on, the message may change.

    Its text is the message, and the sidecar's hint if there is one.
    """

    def __init__(self, message: str, code: str, *, retryable: bool, fields: Mapping[str, Any]) -> None:
        super().__init__("; ".join(filter(None, (message, fields.get("hint")))))
        self.message = message
        self.code = code
        """One of the protocol's error codes, such as `timeout` or `missing_credentials`."""
        self.retryable = retryable
        """Whether the same request can succeed later without being changed."""
        self.fields = dict(fields)
        """Where it failed, as far as it applies: `field`, `url`, `status`, `step`, `action`."""


class SidecarEnded(Exception):
    """The sidecar is gone, or speaks another protocol: what was asked got no answer."""

    def __init__(self, message: str, *, exit_code: int | None = None, last_words: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        """Of the process, negative for a signal; None while it is not known."""
        self.last_words = tuple(last_words)
        """The last lines that it wrote to stderr."""


def failure(detail: Mapping[str, Any]) -> SidecarFailure:
    """The exception for an error's typed form."""
    fields = dict(detail)
    code, message = fields.pop("code"), fields.pop("message")
    return SidecarFailure(message, code, retryable=fields.pop("retryable"), fields=fields)
