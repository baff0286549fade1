"""Takes secrets out of what is written down: input lines, log messages, error sentences."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from protocol.base import REDACTED
from protocol.requests import CONTENTS
from sidecar.recording.sensitive import ASSIGNED, PROXY_USERINFO, QUOTED, USERINFO, may_hold_secrets
from sidecar.recording.walk import Place, Verdict, walk
from sidecar.spellings import MIN_LENGTH, spellings

REMEMBERED: Final = 64
"""How many values found in lines are kept, newest first; the session's own are kept for good."""

_PLACEHOLDER: Final = f'"{REDACTED}"'
_AFTER_GROUP: Final = rf"\g<1>{REDACTED}"
_RUN: Final = re.compile(r"[A-Za-z0-9_.~-]+")
_ENVELOPE: Final = frozenset({"type", "content", "id"})
_decode: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.Encoder().encode


class Redactor:
    """Knows the session's secret values and replaces them by `**********`, wherever they stand and however written."""

    def __init__(self) -> None:
        self._learned: dict[str, None] = {}
        self._found: dict[str, None] = {}
        self._needles: tuple[bytes, ...] | None = ()
        self._any_escape_hides = False
        self._forms: dict[str, tuple[str, ...]] = {}
        """Value -> how it may be written down, longest first; made once for each value."""

    def learn(self, value: str) -> None:
        """Adds a secret value that the session knows; one shorter than `MIN_LENGTH` only goes under telling keys."""
        if len(value) >= MIN_LENGTH and value != REDACTED and value not in self._learned:
            self._learned[value] = None
            self._needles = None

    def text(self, text: str) -> str:
        """The text without learned values (as they are, escaped for JSON or a URL, in base64, as SHA-512) and without
        the user and secret parameters of URLs."""
        if self._needles is None:
            self._compile()
        # a search for each form, not one pattern of all: with the secrets of a thousand users that took seconds
        for forms in self._forms.values():
            for form in forms:
                if form in text:
                    text = text.replace(form, REDACTED)
        if "@" in text:
            text = USERINFO.sub(_AFTER_GROUP, text)
        if "=" in text:
            text = ASSIGNED.sub(_AFTER_GROUP, text)
        return QUOTED.sub(_AFTER_GROUP, text) if '"' in text else text

    def clean(self, lines: bytes) -> bool:
        """Whether these lines (of JSON in UTF-8, any number of them) certainly hold nothing to replace; quick."""
        if may_hold_secrets(lines):
            return False
        if self._needles is None:
            self._compile()
        for needle in self._needles or ():
            if needle in lines:
                return False
        return not (self._any_escape_hides and b"\\" in lines)

    def line(self, line: bytes) -> bytes:
        """One input line as it may be logged; one that can't be read gives an object that only tells its length."""
        return self.request(line) or unreadable(line)

    def request(self, line: bytes) -> bytes | None:
        """One input line with its secrets replaced and all else byte for byte; None where it is not a JSON object."""
        try:
            text = line.decode()
            msgspec.json.decode(line, type=dict[str, msgspec.Raw])
            places = walk(text)
            for place in places:  # first learn, then replace: a value may stand before the key that gives it away
                if place.verdict is Verdict.SECRET:
                    self._remember(text[place.start : place.end])
            edits = {place.start: (place.end, new) for place in places if (new := self._replacement(text, place))}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return "".join(_spliced(text, edits)).encode()

    def _replacement(self, text: str, place: Place) -> str | None:
        token = text[place.start : place.end]
        if place.verdict is Verdict.SECRET or place.verdict is Verdict.HIDDEN:
            return _PLACEHOLDER
        value = _string(token)
        if value is None:
            return _PLACEHOLDER if token.startswith('"') else None
        if place.depth == 1 and (value in _ENVELOPE if place.verdict is Verdict.KEY else _is_type(place, value)):
            return None  # a learned value that is a word of the wire would make the line unreadable
        redacted = self.text(value)
        if place.verdict is Verdict.PROXY:
            redacted = PROXY_USERINFO.sub(_AFTER_GROUP, redacted)
        return None if redacted == value else _encode(redacted).decode()

    def _remember(self, token: str) -> None:
        value = _string(token)
        if value is None or len(value) < MIN_LENGTH or value == REDACTED or value in self._learned:
            return
        if self._found.pop(value, 0) == 0:
            self._needles = None
        self._found[value] = None
        if len(self._found) > REMEMBERED:
            del self._found[next(iter(self._found))]

    def _compile(self) -> None:
        needles: set[bytes] = set()
        forms: dict[str, tuple[str, ...]] = {}
        self._any_escape_hides = False
        for value in (*self._learned, *self._found):
            run = max(_RUN.findall(value), key=len, default="")
            if len(run) >= MIN_LENGTH:
                needles.add(run.encode())
            else:
                needles.add(value.encode(errors="surrogatepass"))
                self._any_escape_hides = True
            forms[value] = self._forms.get(value) or spellings(value)
        self._needles = tuple(needles)
        self._forms = dict(sorted(forms.items(), key=lambda item: len(item[0]), reverse=True))


def unreadable(line: bytes) -> bytes:
    """What is logged in place of a line that can't be read, and so can't be redacted either."""
    return b'{"type":"","_log":{"unreadable":true,"bytes":%d}}' % len(line)


def _is_type(place: Place, value: str) -> bool:
    return place.key == "type" and value in CONTENTS


def _string(token: str) -> str | None:
    """A string token's value; None for other tokens and for broken escapes."""
    try:
        return _decode(token) if token.startswith('"') else None
    except msgspec.DecodeError:
        return None


def _spliced(text: str, edits: dict[int, tuple[int, str]]) -> Iterator[str]:
    done = 0
    for start, (end, new) in sorted(edits.items()):
        yield text[done:start]
        yield new
        done = end
    yield text[done:]
