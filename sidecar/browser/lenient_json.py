"""JSON from pages, where a string may hold half a character: JavaScript allows that, UTF-8 and our wire do not."""

import re
from typing import Any, Final, TypeVar

from sidecar_protocol.codec import NotJson, plain
from sidecar_protocol.decoding import decode_answer

T = TypeVar("T")

_LONE_SURROGATE: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
"""A lone surrogate, in text without escaped backslashes."""
_ESCAPED_BACKSLASH: Final = b"\0\0"
"""Replaces an escaped backslash: JSON contains no such bytes."""


def read(shape: type[T], text: bytes | str) -> T:
    """A page's JSON as a model. Raises NotJson."""
    return decode_answer(shape, decode(text))


def decode(text: bytes | str) -> Any:
    """A page's JSON as plain values, with lone surrogates replaced by U+FFFD. Raises NotJson."""
    raw = text if isinstance(text, bytes) else text.encode(errors="replace")
    try:
        return plain(raw)
    except NotJson:
        if b"\0" in raw:
            raise
        aside = raw.replace(rb"\\", _ESCAPED_BACKSLASH)
        return plain(_LONE_SURROGATE.sub(rb"\\ufffd", aside).replace(_ESCAPED_BACKSLASH, rb"\\"))
