"""Puts secrets back where a log holds their placeholder."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from protocol.base import REDACTED

_MARK: Final = REDACTED.encode()
_MEMBER: Final = re.compile(rb'("(?:[^"\\]|\\.)*")(\s*:\s*)"' + re.escape(_MARK) + b'"')


def fill(line: bytes, secrets: Mapping[str, Any]) -> tuple[bytes, list[str]]:
    """Replaces `"key":"**********"` by the value known under that key; also gives the keys that are not known.

    All else stays byte for byte.
    """
    if _MARK not in line:
        return line, []
    unknown: list[str] = []

    def put(match: re.Match[bytes]) -> bytes:
        key = msgspec.json.decode(match[1], type=str)
        if key in secrets:
            return match[1] + match[2] + msgspec.json.encode(secrets[key])
        unknown.append(key)
        return match[0]

    return _MEMBER.sub(put, line), unknown
