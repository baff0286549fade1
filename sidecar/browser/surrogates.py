"""JSON from pages, where a string may hold half a character: JavaScript allows that, UTF-8 and our wire do not."""

import re
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

T = TypeVar("T")

_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
"""One escape of a JSON string, or the two of a whole pair; group 1 is a surrogate that stands alone."""


def decode(read: Callable[[bytes], T], text: bytes | str) -> T:
    """What `read` makes of a page's JSON, surrogates that stand alone replaced by U+FFFD. Raises DecodeError."""
    raw = text if isinstance(text, bytes) else text.encode(errors="replace")
    try:
        return read(raw)
    except msgspec.DecodeError:
        return read(_ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], raw))
