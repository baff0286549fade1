"""Redacts secrets in what is written: input lines, log messages, error messages."""

import re
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import orjson
from sidecar_protocol import codec
from sidecar_protocol.requests import CONTENTS
from sidecar_protocol.wire_types import REDACTED

from sidecar.javascript.sources import MAX_SOURCE, SourceScanner
from sidecar.recording.redaction.json_secrets import Sensitivity, Token, classify_tokens
from sidecar.recording.redaction.secret_patterns import (
    AFTER_HOST,
    JSON_MEMBER,
    PARAMETER,
    PROXY_USERINFO,
    TYPED_ARGUMENTS,
    USERINFO,
    may_contain_secrets,
)
from sidecar.secret_encodings import MIN_SECRET_LENGTH

if TYPE_CHECKING:
    from sidecar.javascript.calls import Sensitivity as LiteralSensitivity
    from sidecar.javascript.tokens import Literal
    from sidecar.recording.redaction.known_values import KnownValues
    from sidecar.recording.redaction.placeholders import SecretWords
    from sidecar.recording.redaction.value_search import Span

MIN_LITERAL_LENGTH: Final = 6
"""Least length of literals that `Stars` search elsewhere: shorter ones are common words."""
MAX_REMEMBERED: Final = 64
"""Number of values that the input log remembers."""

_PLACEHOLDER: Final = f'"{REDACTED}"'
_REPLACED: Final = frozenset({Sensitivity.SECRET, Sensitivity.HIDDEN, Sensitivity.TYPED})
_MAX_CACHED_LENGTH: Final = 64
_MAX_CACHED: Final = 1_024
_NEEDLESS_ESCAPE: Final = re.compile(
    rb"%(?:25)*(?:2[dDeE]|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA]|5[fF]|7[eE]|u00)|&(?:amp;)*#|\\x[2-7]|\\u\{"
)
"""An escape of a character that needs none: it may hide a value."""
_ESCAPE_MARKS: Final = (b"%", b"&", rb"\x", rb"\u")
_ENVELOPE_KEYS: Final = frozenset({"type", "content", "id"})


class Stars:
    """Replaces every secret with the same `**********`."""

    min_literal_length = MIN_LITERAL_LENGTH
    """A shorter JavaScript literal is replaced only in place, unless it is typed text."""

    def of(self, secret: str, name: str = "") -> str:  # noqa: ARG002 - as `SecretWords`
        """The replacement of a text."""
        return REDACTED

    remembers_typed = False
    """Whether text typed into a page is searched elsewhere."""

    def of_typed(self, value: str, name: str) -> str | None:  # noqa: ARG002 - as `SecretWords`
        """The replacement of text that is given to a page; None leaves it."""
        return REDACTED

    def of_literal(self, value: str, sensitivity: "LiteralSensitivity") -> str | None:  # noqa: ARG002 - as `SecretWords`
        """The replacement of a literal of JavaScript; None leaves it."""
        return REDACTED

    def of_token(self, raw: str, name: str) -> str | None:  # noqa: ARG002 - as `SecretWords`
        """The replacement of a scalar of JSON that is no text; None leaves it."""
        return _PLACEHOLDER


class Redactor:
    """Replaces the session's secret values by placeholders, at any place and in any encoding.

    Safe to use from several threads.
    """

    def __init__(
        self,
        placeholders: "Stars | SecretWords" = Stars(),  # noqa: B008 - it has no state
        max_remembered: int = MAX_REMEMBERED,
    ) -> None:
        """Keeps at least `max_remembered` of the newest values found in lines, and added values for good."""
        self._placeholders = placeholders
        self._max_remembered = max_remembered
        self._lock = threading.Lock()
        self._values: tuple[KnownValues, ...] = ()
        """The session's own values, newer values found in lines, and older ones, which are dropped once there are
        enough newer ones. Created with the first value."""

    def add_secret(self, value: str) -> None:
        """Adds a known secret; a value shorter than `MIN_SECRET_LENGTH` is replaced only under secret keys."""
        if len(value) >= MIN_SECRET_LENGTH and value != REDACTED:
            self._value_sets()[0].add(value)

    def add_secrets_from(self, line: bytes) -> None:
        """Adds every secret of a line of JSON, text typed into pages included."""
        text, sources = line.decode(), SourceScanner()
        for token in classify_tokens(text):
            for value in _secrets_of(text, token, sources, Sensitivity.SECRET, Sensitivity.TYPED):
                self.add_secret(value)

    def redact_text(self, text: str) -> str:
        """The text without known values (plain, escaped for JSON, HTML or URLs, in base64 and so on), and without
        user info and secret parameters of URLs."""
        text = self._replace_known(text)
        if "@" in text:
            text = USERINFO.sub(self._after_group, text)
        if "=" in text:
            text = PARAMETER.sub(self._after_group, text)
        return JSON_MEMBER.sub(self._after_group, text) if '"' in text else text

    def replace_secret(self, value: str, name: str) -> str:
        """The replacement of a text that is secret as a whole; `name` is that of the member that contains it."""
        self.add_secret(value)
        return self._placeholders.of(value, name)

    def redact_body(self, body: str, *, secret: bool = False) -> str:
        """The body of a request or response, JSON or not; with `secret` every value in it is replaced."""
        if not body:
            return body
        data = body.encode(errors="surrogatepass")
        if not secret and self.is_clean(data):
            return self.redact_text(body)
        wrapped = self.redact_request(b'{"%s":%s}' % (b"secret" if secret else b"content", data))
        if wrapped is not None:
            return wrapped[wrapped.index(b'":') + 2 : -1].decode()
        return self.replace_secret(body, "body") if secret else self.redact_text(body)

    @property
    def knows_secrets(self) -> bool:
        """Whether any secret value is known."""
        return bool(self._known_sets())

    def is_clean(self, lines: bytes) -> bool:
        """Whether these lines of JSON certainly contain nothing to redact; fast.

        Values in base64, hexadecimal digits or as SHA-512 are not searched.
        """
        if may_contain_secrets(lines):
            return False
        known = self._known_sets()
        if known and any(mark in lines for mark in _ESCAPE_MARKS) and _NEEDLESS_ESCAPE.search(lines):
            return False
        return not any(values.may_stand_in(lines) for values in known)

    def redact_line(self, line: bytes) -> bytes:
        """An input line as it may be logged; an unreadable one becomes an object with its length."""
        return self.redact_request(line) or unreadable_line(line)

    def redact_request(self, line: bytes, longest_source: int = MAX_SOURCE) -> bytes | None:
        """An input line with its secrets replaced and all else byte for byte; None if it is not a JSON object.

        JavaScript of more than `longest_source` characters is replaced whole.
        """
        try:
            text = line.decode()
            codec.members(line)
            tokens, sources = classify_tokens(text), SourceScanner(longest_source)
            for token in tokens:  # collect before replacing: a value may occur before the key that marks it
                shortest = self._placeholders.min_literal_length
                for value in _secrets_of(text, token, sources, Sensitivity.SECRET, min_literal=shortest):
                    self._remember(value)
                if self._placeholders.remembers_typed and _is_typed_argument(token):
                    self._remember(_string_value(text[token.start : token.end]) or "")
            seen: dict[str, str] = {}
            sources = SourceScanner(longest_source)
            new = ((token, self._replacement(text, token, sources, seen)) for token in tokens)
            edits = {token.start: (token.end, raw) for token, raw in new if raw}
        except (ValueError, RecursionError):
            return None
        return "".join(_apply_edits(text, edits)).encode()

    def _replacement(self, text: str, token: Token, sources: SourceScanner, seen: dict[str, str]) -> str | None:
        """The replacement of a token; `seen` caches the results for short strings, most of them keys."""
        raw = text[token.start : token.end]
        if token.sensitivity in _REPLACED:
            return self._replace_secret(raw, token)
        value = _string_value(raw)
        if value is None:
            return _PLACEHOLDER if raw.startswith('"') else None
        if token.depth == 1 and (
            value in _ENVELOPE_KEYS if token.sensitivity is Sensitivity.KEY else _is_type(token, value)
        ):
            return None  # a known value that is a word of the wire stays: the line would be unreadable
        redacted = (
            sources.redact(value, self._placeholders.of_literal) if token.sensitivity is Sensitivity.SOURCE else value
        )
        if token.sensitivity is Sensitivity.WEBHOOK:
            redacted = AFTER_HOST.sub(self._after_group, redacted)
        redacted = self._redact_cached(redacted, seen)
        if token.sensitivity is Sensitivity.PROXY:
            redacted = PROXY_USERINFO.sub(self._after_group, redacted)
        return None if redacted == value else orjson.dumps(redacted).decode()

    def _replace_secret(self, raw: str, token: Token) -> str | None:
        if raw == _PLACEHOLDER:
            return None
        name = token.key or ""
        value = _string_value(raw)
        if value is None and raw.startswith('"'):
            return _PLACEHOLDER
        if not value:
            return self._placeholders.of_token(raw, name)
        of = self._placeholders.of_typed if _is_typed_argument(token) else self._placeholders.of
        placeholder = of(value, name)
        return None if placeholder in (None, value) else f'"{placeholder}"'

    def _after_group(self, match: re.Match[str]) -> str:
        """Keeps group 1, which may end in the secret's name."""
        name = match[1].rstrip('="\\: ')
        return match[1] + self._placeholders.of(match[0][len(match[1]) :], name[-_MAX_CACHED_LENGTH:])

    def _redact_cached(self, text: str, seen: dict[str, str]) -> str:
        redacted = seen.get(text) or self.redact_text(text)
        if len(text) <= _MAX_CACHED_LENGTH and len(seen) < _MAX_CACHED:
            seen[text] = redacted
        return redacted

    def _remember(self, value: str) -> None:
        if len(value) < MIN_SECRET_LENGTH or value == REDACTED:
            return
        self._value_sets()
        with self._lock:
            learned, newer, _ = self._values
            if value not in learned and newer.add(value) and len(newer) >= self._max_remembered:
                self._values = learned, type(newer)(), newer

    def _value_sets(self) -> "tuple[KnownValues, ...]":
        if not self._values:
            from sidecar.recording.redaction.known_values import (
                KnownValues,  # late: a session without a secret is not to wait for it
            )

            with self._lock:
                self._values = self._values or (KnownValues(), KnownValues(), KnownValues())
        return self._values

    def _known_sets(self) -> "list[KnownValues]":
        return [values for values in self._values if len(values)]

    def _replace_known(self, text: str) -> str:
        known = self._known_sets()
        if len(text) < MIN_SECRET_LENGTH or not known:
            return text
        from sidecar.recording.redaction.encoded_values import find_spans  # as `known_values`, which brings it along

        data = text.encode(errors="surrogatepass")
        found = find_spans(data, known)
        return self._replace_spans(data, found) if found else text

    def _replace_spans(self, data: bytes, found: "list[Span]") -> str:
        pieces: list[bytes] = []
        done = 0
        for start, end in found:
            while _is_within_character(data, end):  # a span may end within a character
                end += 1
            placeholder = self._placeholders.of(data[start:end].decode(errors="replace"))
            pieces += (data[done:start], placeholder.encode())
            done = end
        return b"".join([*pieces, data[done:]]).decode(errors="surrogatepass")


def _is_within_character(data: bytes, offset: int) -> bool:
    return offset < len(data) and data[offset] & 0xC0 == 0x80


def unreadable_line(line: bytes) -> bytes:
    """The log entry of a line that can't be parsed, and so can't be redacted."""
    return b'{"type":"","_log":{"unreadable":true,"bytes":%d}}' % len(line)


def _is_typed_argument(token: Token) -> bool:
    """Whether a token is text that an action gives to a page; headers are typed, too, and no such text."""
    return token.sensitivity is Sensitivity.TYPED and (token.key or "").replace("_", "").lower() in TYPED_ARGUMENTS


def _is_type(token: Token, value: str) -> bool:
    return token.key == "type" and value in CONTENTS


def _secrets_of(
    text: str,
    token: Token,
    sources: SourceScanner,
    *sensitivities: Sensitivity,
    min_literal: int = MIN_LITERAL_LENGTH,
) -> Iterator[str]:
    """The secret values of a token."""
    if token.sensitivity is Sensitivity.SOURCE:
        source = _string_value(text[token.start : token.end]) or ""
        yield from (one.value for one in sources.literals(source) if _is_worth_remembering(one, min_literal))
    elif token.sensitivity is Sensitivity.WEBHOOK:
        url = _string_value(text[token.start : token.end]) or ""
        tail = url[len(AFTER_HOST.sub(r"\g<1>", url)) :]
        if len(tail) >= MIN_LITERAL_LENGTH:
            yield tail
    elif token.sensitivity in sensitivities and (value := _string_value(text[token.start : token.end])):
        yield value


def _is_worth_remembering(literal: "Literal", min_length: int) -> bool:
    """Whether a JavaScript literal is searched elsewhere, too."""
    from sidecar.javascript.calls import Sensitivity as Literality  # late, as `SourceScanner` has it

    if literal.sensitivity is Literality.TYPED:
        return True
    return literal.sensitivity is Literality.SECRET and len(literal.value) >= min_length


def contains_typed_text(line: bytes) -> bool:
    """Whether a line of JSON contains text typed into pages, or JavaScript that may, or too much to scan."""
    text, sources = line.decode(), SourceScanner()
    found = any(
        any(_secrets_of(text, token, sources, Sensitivity.TYPED, Sensitivity.SECRET)) for token in classify_tokens(text)
    )
    return found or sources.limit_exceeded


def _string_value(raw: str) -> str | None:
    """A string token's value; None for other tokens and for broken escapes."""
    try:
        return orjson.loads(raw) if raw.startswith('"') else None
    except ValueError:
        return None


def _apply_edits(text: str, edits: dict[int, tuple[int, str]]) -> Iterator[str]:
    done = 0
    for start, (end, new) in sorted(edits.items()):
        yield text[done:start]
        yield new
        done = end
    yield text[done:]
