"""JSON from pages, where a string may hold half a character: JavaScript allows that, UTF-8 and our wire do not."""

import re
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

T = TypeVar("T")

_LONE_SURROGATE: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
"""Half a pair that stands alone, in text without escaped backslashes."""
_ESCAPED_BACKSLASH: Final = b"\0\0"
"""Stands for an escaped backslash: JSON holds no such bytes."""


def decode(read: Callable[[bytes], T], text: bytes | str) -> T:
    """What `read` makes of a page's JSON, surrogates that stand alone replaced by U+FFFD. Raises DecodeError."""
    raw = text if isinstance(text, bytes) else text.encode(errors="replace")
    try:
        return read(raw)
    except msgspec.DecodeError:
        if b"\0" in raw:
            raise
        aside = raw.replace(rb"\\", _ESCAPED_BACKSLASH)
        return read(_LONE_SURROGATE.sub(rb"\\ufffd", aside).replace(_ESCAPED_BACKSLASH, rb"\\"))
