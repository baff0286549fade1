"""Texts that come from elsewhere and are cut: what is secret goes first, so that no half of it is left at the cut."""

from collections.abc import Callable
from typing import Final

from sidecar_protocol.wire_types import REDACTED

Redact = Callable[[str], str]
"""A text without the secrets in it."""

MAX_KEPT: Final = 1 << 14
"""Characters of a text that are kept until it is cut: far more than stay of it."""
LOOKAHEAD: Final = 6_000
"""Characters behind the cut that are looked at, for a secret that lies across it."""
SANDBOX_MAX: Final = 4_000
"""What sandboxes send is cut by them, far behind what is kept of it; what has fewer characters is whole."""


def cap_length(text: str) -> str:
    """The most that is kept of a text until somebody who knows the secrets cuts it to its length."""
    return text[:MAX_KEPT]


def truncate(text: str, length: int, hide: Redact, *, whole: int = MAX_KEPT) -> str:
    """The text where it is short enough, secrets and all; else its beginning, from which they were taken first.

    A text of `whole` characters or more may have been cut before. The cost depends on `length` and `LOOKAHEAD` only.
    """
    if len(text) <= length:
        return text
    looked_at = text[: length + LOOKAHEAD]
    shown = hide(looked_at)
    if len(shown) <= length and (len(looked_at) < len(text) or len(text) >= whole):
        return REDACTED  # most of it was secret: what it ends with may be a half of one
    return shown[:length]
