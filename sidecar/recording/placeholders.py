"""Puts secrets back where a log holds their placeholders."""

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sidecar_protocol.base import REDACTED

from sidecar.recording.redaction.json_secrets import Sensitivity, Token, classify_tokens

_MARK: Final = REDACTED.encode()
_PARTLY_HIDDEN: Final = frozenset({Sensitivity.SOURCE, Sensitivity.WEBHOOK})
"""Of these a log hides parts."""
_PLACEHOLDER: Final = f'"{REDACTED}"'


class PlaceholderFiller:
    """Fills the lines of one session, in their order.

    What is known under a key is put in place of each `**********` under it, in arrays and in the middle of texts too;
    a list's values are used one after the other.
    """

    def __init__(self, secrets: Mapping[str, Any]) -> None:
        self._secrets = secrets
        self._used: dict[str, int] = {}

    def fill(self, line: bytes) -> tuple[bytes, list[str]]:
        """The line, and the keys under which nothing, or nothing more, is known. All else stays byte for byte."""
        if _MARK not in line:
            return line, []
        text, unknown, done = line.decode(), list[str](), 0
        pieces: list[str] = []
        places = {place.start: place for place in classify_tokens(text)}
        for start in sorted(places):
            place = places[start]
            token = text[start : place.end]
            if place.sensitivity is not Sensitivity.KEY and REDACTED in token:
                pieces += (text[done:start], self._filled(token, place, unknown))
                done = place.end
        return "".join([*pieces, text[done:]]).encode(), unknown

    def _filled(self, token: str, place: Token, unknown: list[str]) -> str:
        key = place.key or ""
        if token == _PLACEHOLDER:
            value = self._take(key, unknown)
            return token if value is None else json.dumps(value)
        if place.sensitivity not in _PARTLY_HIDDEN and key not in self._secrets:
            return token  # a part of a value that is known by itself
        told: str = msgspec.json.decode(token)
        parts = told.split(REDACTED)
        filled = [parts[0]]
        for part in parts[1:]:
            value = self._take(key, unknown)
            said = REDACTED if value is None else value if isinstance(value, str) else json.dumps(value)
            filled += (_escape_for_javascript(said) if place.sensitivity is Sensitivity.SOURCE else said, part)
        return json.dumps("".join(filled))

    def _take(self, key: str, unknown: list[str]) -> Any:
        known = self._secrets.get(key)
        if isinstance(known, list):
            number = self._used.get(key, 0)
            self._used[key] = number + 1
            known = known[number] if number < len(known) else None
        if known is None:
            unknown.append(key)
        return known


def _escape_for_javascript(value: str) -> str:
    """As it is written between quotes, or in a template, of JavaScript."""
    return json.dumps(value)[1:-1].replace("`", "\\`").replace("${", "\\${")
