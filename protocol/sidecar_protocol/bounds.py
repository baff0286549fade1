"""Limits of one content, checked before it is decoded: scanning text is cheap, building objects is not."""

from collections.abc import Container, Iterator
from typing import Final

import msgspec

from sidecar_protocol.errors import ErrorCode, WireError

MOST_PARTS: Final = 250_000
"""Values of one content, at every depth together, counted by the commas and brackets between them."""
DEEPEST: Final = 200
"""Levels of one content."""

_NESTED: Final = "nested over"
_PIECE: Final = 1 << 16
"""Bytes that are scanned together: each of their strings is a separate object meanwhile."""
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_NO_STRUCTURE: Final = bytes(set(range(256)) - set(b"[]{},"))
_COMMA: Final = ord(",")
_decode_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_OPENING: Final = frozenset(b"[{")


class Excess(ValueError):
    """A list, or several together, with more members than there may be; it is `limit_exceeded` on the wire."""

    def __init__(self, said: str, field: str) -> None:
        """`field` is its place in the struct that was being read."""
        super().__init__(said)
        self.field = field


def check(content: bytes, names: Container[str], levels: int = DEEPEST) -> None:
    """Raises WireError where valid JSON for an object whose members have these names holds more than it may.

    Too many values are `limit_exceeded`, too many levels `invalid_content`.
    """
    said = excess(content, levels=levels)
    if said:
        field = _heaviest(content, names)
        code = ErrorCode.INVALID_CONTENT if said.startswith(_NESTED) else ErrorCode.LIMIT_EXCEEDED
        raise WireError(code, f"{field}: {said}", field=field)


def excess(content: bytes, parts: int = MOST_PARTS, levels: int = DEEPEST) -> str:
    """The exceeded limit of valid JSON, or an empty string. Strings are skipped; counting stops at the limit."""
    brackets = content.count(b"[") + content.count(b"{")
    if brackets <= levels and content.count(b",") + brackets <= parts:
        return ""
    found = depth = 0
    for piece in outside_strings(content):
        found += piece.count(b",") + piece.count(b"[") + piece.count(b"{")
        if found > parts:
            return f"more than {parts} values"
        for bracket in piece.translate(None, _NO_BRACKETS):
            depth += 1 if bracket in _OPENING else -1
            if depth > levels:
                return f"{_NESTED} {levels} levels"
    return ""


def longer(content: bytes, most: int) -> bool:
    """Whether valid JSON for a list has more members than that; all else is no longer than one."""
    if content.count(b",") < most:
        return False
    depth = commas = 0
    for piece in outside_strings(content):
        for byte in piece.translate(None, _NO_STRUCTURE):
            if byte == _COMMA:
                commas += depth == 1
            else:
                depth += 1 if byte in _OPENING else -1
        if commas >= most:
            return True
    return False


def deeper(text: bytes, levels: int) -> bool:
    """Whether JSON, valid or not, is nested deeper than that many levels."""
    if len(text) - len(text.translate(None, b"[{")) <= levels:  # in one pass, twice as fast as two counts
        return False
    depth = 0
    for piece in outside_strings(text):
        for bracket in piece.translate(None, _NO_BRACKETS):
            depth += 1 if bracket in _OPENING else -1
            if depth > levels:
                return True
    return False


def outside_strings(text: bytes) -> Iterator[bytes]:
    """JSON, valid or not, in pieces and without its strings; one that has no end goes to the end of the text."""
    if b"\\" in text:  # a run of backslashes is read in pairs, and what stays of it guards what follows
        text = text.replace(rb"\\", b"").replace(rb"\"", b"")
    within = 0
    for start in range(0, len(text), _PIECE):
        parts = text[start : start + _PIECE].split(b'"')
        yield b"".join(parts[within::2])
        within ^= (len(parts) - 1) % 2


def _heaviest(content: bytes, names: Container[str]) -> str:
    """The member of an object that is longest, which is where to look; `content` where there is none."""
    try:
        members = _decode_members(content)
    except msgspec.ValidationError:
        return "content"
    known = {name: len(value) for name, value in members.items() if name in names}
    return max(known, key=known.__getitem__, default="content")
