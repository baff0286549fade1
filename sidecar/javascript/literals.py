"""The syntax and the values of JavaScript string literals."""

import re
from typing import Final

_COMMENT: Final = r"/\*[^*]*+\*++(?:[^/*][^*]*+\*++)*+/|//[^\n\r\u2028\u2029]*+"
SKIP: Final = re.compile(rf"(?:[\s\ufeff]++|{_COMMENT})*+")
"""Blanks and comments; matches nothing, too."""
_ESCAPE: Final = re.compile(
    r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([0-3][0-7]{0,2}|[4-7][0-7]?)|(\r\n|[\s\S]))"
)
_LETTERS: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}
_LINE_ENDS: Final = frozenset({"\n", "\r", "\r\n", "\u2028", "\u2029"})
_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def decode_literal(raw: str) -> str:
    """The value of a literal from its source without quotes."""
    if "\\" not in raw:
        return raw
    value = _ESCAPE.sub(_unescape, raw)
    return _PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), value)


def _unescape(match: re.Match[str]) -> str:
    for number, base in ((1, 16), (2, 16), (3, 16), (4, 8)):
        if match[number]:
            code = int(match[number], base)
            return chr(code) if code < 0x110000 else ""
    letter = match[5]
    return "" if letter in _LINE_ENDS else _LETTERS.get(letter, letter)
