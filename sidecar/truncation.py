"""Texts that come from elsewhere and are cut: what is secret goes first, so that no half of it is left at the cut."""

from collections.abc import Callable
from typing import Final

from sidecar_protocol.base import REDACTED

Hide = Callable[[str], str]
"""A text without the secrets in it."""

MOST: Final = 1 << 14
"""Characters of a text that are kept until it is cut: far more than stay of it."""
BEHIND: Final = 6_000
"""Characters behind the cut that are looked at, for a secret that lies across it."""
WHOLE: Final = 4_000
"""What sandboxes send is cut by them, far behind what is kept of it; what has fewer characters is whole."""


def bounded(text: str) -> str:
    """The most that is kept of a text until somebody who knows the secrets cuts it to its length."""
    return text[:MOST]


def shortened(text: str, length: int, hide: Hide, *, whole: int = MOST) -> str:
    """The text where it is short enough, secrets and all; else its beginning, from which they were taken first.

    Of `whole` characters or more it may have been cut before. Costs what `length` and `BEHIND` do, however long it is.
    """
    if len(text) <= length:
        return text
    looked_at = text[: length + BEHIND]
    shown = hide(looked_at)
    if len(shown) <= length and (len(looked_at) < len(text) or len(text) >= whole):
        return REDACTED  # most of it was secret: what it ends with may be a half of one
    return shown[:length]
