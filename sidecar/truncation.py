"""Truncation of texts: secrets are redacted first, so that no part of one is left at the end."""

from collections.abc import Callable
from typing import Final

from sidecar_protocol.wire_types import REDACTED

Redact = Callable[[str], str]
"""Redacts the secrets of a text."""

MAX_KEPT: Final = 1 << 14
"""Characters of a text that are kept before it is redacted and truncated."""
LOOKAHEAD: Final = 6_000
"""Characters behind the end that are redacted, too, for a secret that crosses it."""
LONGEST_CHARACTER: Final = 16
"""Parts, as Unicode counts them, that one character of a reader's may have."""
SANDBOX_MAX: Final = 4_000
"""Sandboxes truncate texts beyond this; a shorter text is complete."""


def cap_length(text: str) -> str:
    """The part of a text that is kept until it is redacted and truncated."""
    return text[:MAX_KEPT]


def last_characters(text: str, count: int) -> str:
    """The last characters of a text whose secrets are redacted already, counted as a reader counts.

    A letter's combining marks belong to it, and a flag or an emoji is one character; up to
    `LONGEST_CHARACTER` parts.
    """
    if len(text) <= count:
        return text
    if not count:
        return ""
    end = text[-count * LONGEST_CHARACTER :]
    if end.isascii():
        return text[-count:]
    import regex  # late: few outputs are that long and not ASCII

    characters = [
        one[start : start + LONGEST_CHARACTER]
        for one in regex.findall(r"\X", end)
        for start in range(0, len(one), LONGEST_CHARACTER)
    ]
    return "".join(characters[-count:])


def truncate(text: str, length: int, hide: Redact, *, whole: int = MAX_KEPT) -> str:
    """The text, unredacted, if it is short enough; otherwise its redacted beginning.

    A text of `whole` characters or more may have been cut before. The cost depends on `length` and `LOOKAHEAD` only.
    """
    if len(text) <= length:
        return text
    looked_at = text[: length + LOOKAHEAD]
    shown = hide(looked_at)
    if len(shown) <= length and (len(looked_at) < len(text) or len(text) >= whole):
        return REDACTED  # most of it was secret: its end may be a part of one
    return shown[:length]
