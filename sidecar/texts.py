"""Texts that come from elsewhere and are cut: what is secret goes first, so that no half of it is left at the cut."""

from collections.abc import Callable
from typing import Final

from protocol.base import REDACTED

Hide = Callable[[str], str]
"""A text without the secrets in it."""

MOST: Final = 1 << 16
"""Characters of a text that are looked through for secrets before it is cut: far more than are kept of it."""


def bounded(text: str) -> str:
    """The most that is kept of a text until somebody who knows the secrets cuts it to its length."""
    return text[:MOST]


WHOLE: Final = 4_000
"""What sandboxes send is cut by them, far behind what is kept of it; what has fewer characters is whole."""


def shortened(text: str, length: int, hide: Hide, *, whole: int = MOST) -> str:
    """The text where it is short enough, secrets and all; else its beginning, from which they were taken first.

    Of `whole` characters or more it may have been cut before.
    """
    if len(text) <= length:
        return text
    shown = hide(bounded(text))
    if len(text) >= whole and len(shown) <= length:
        return REDACTED  # nearly all of it was secret: what it ends with may be a half of one
    return shown[:length]
