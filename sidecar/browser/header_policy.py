"""Headers that a job may have the browser send."""

import re
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_LONGEST: Final = 16_384
_OF_THE_CONNECTION: Final = frozenset(
    {"connection", "content-length", "expect", "host", "http2-settings", "keep-alive", "proxy-authenticate"}
    | {"proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""They belong to one request or connection; sent with every request they break it, or open another site's page."""


def header_error(name: str, value: str) -> str | None:
    """Why a header can't be sent with every request; None where it can. Does not repeat the value."""
    if not _NAME.fullmatch(name):
        return "not a header's name"
    if name.lower() in _OF_THE_CONNECTION:
        return "the browser alone sets this header, for each request anew; leave it out"
    if len(value) > _LONGEST or any(_is_control(letter) for letter in value):
        return f"a header's value is one line of at most {_LONGEST} bytes"
    return None


def _is_control(letter: str) -> bool:
    return (letter < " " and letter != "\t") or letter == "\x7f"
