"""Known values in a text, in any encoding: escaped for JSON, JavaScript, a URL or a page, also several times over; in
base64, in hexadecimal digits, as SHA-512.

The text is decoded in each of these ways, instead of encoding each value in all of them. So a value costs nothing until
it is searched, and thousands of them cost a text no more than one. Each encoding is undone separately, which is exact;
then all escapes are undone together, level by level, with backslashes and line ends flattened, in the text as in the
values, so that neither the number of escapes nor the backslashes before them matter. Escapes within base64 and digits,
and compressed or encrypted text, are not searched. A cut escape of a URL right before a value (`%2` before
`correct%20horse`) is decoded together with the value's first character.
"""

import binascii
import re
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate, islice
from typing import Final, NamedTuple

from sidecar.recording.redaction.value_search import Span, ValueFinder, merge_spans
from sidecar.secret_encodings import MIN_SECRET_LENGTH

_MIN_ENCODED: Final = 8
_DIGEST: Final = 128
_DIGEST_HEAD: Final = 16
_BATCH_BYTES: Final = 1 << 16
"""Bytes of base64 or digits that are decoded together."""
_MAX_PARTS: Final = 4_096
"""Escapes, and pieces between them, that are undone together: each is an object meanwhile."""
_MAX_KEPT: Final = 32
"""Bytes of an escape whose meaning is kept: any number of backslashes may stand before one."""
_MAX_MEANINGS: Final = 4_096
"""Escapes whose meaning is kept."""
_MAX_LEVELS: Final = 4
"""Number of times all escapes are undone; several JSON escapes are undone in one pass."""
_MAX_FLATTENINGS: Final = 8
"""Number of times escapes are undone in a value, which may itself look escaped."""

_UNESCAPED: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_FLAT: Final = bytes.maketrans(b"\b\f\n\r\t+", b"bfnrt ")
r"""As `\n` without its backslash, and as forms write a space."""
_BLANK: Final = b"\b\f\n\r\t+ \\"
"""Characters of which a value alone is not worth searching for."""
_DIGESTS: Final = rb"(?<![0-9A-Fa-f])[0-9A-Fa-f]{128,}+"

_PAIR: Final = rb"u[dD][89abAB][0-9a-fA-F]{2}%su[dD][c-fC-F][0-9a-fA-F]{2}"
_UNITS: Final = rb"u[0-9a-fA-F]{4}"
_ENTITY: Final = rb"(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"


class _Meanings(dict[bytes, bytes]):
    """What escapes mean. A dictionary's own look-up takes a fifth of a call's time, and a text may have a million."""

    def __init__(self, decode: Callable[[bytes], bytes]) -> None:
        super().__init__()
        self._decode = decode

    def __missing__(self, escape: bytes) -> bytes:
        meaning = self._decode(escape)
        if len(escape) <= _MAX_KEPT and len(self) < _MAX_MEANINGS:
            self[escape] = meaning
        return meaning


class _Escape(NamedTuple):
    """A way of writing bytes by others."""

    marks: bytes
    """Characters without which a text has nothing in this encoding."""
    written: bytes
    """A pattern of the encoded form of any number of bytes."""
    meanings: _Meanings

    @property
    def token(self) -> re.Pattern[bytes]:
        """Compiled at its first use, and kept by `re`: no session is to wait for it that has no secret yet."""
        return re.compile(b"(%s)" % self.written, re.DOTALL)

    @property
    def block(self) -> re.Pattern[bytes]:
        """Several of them, and what is between."""
        between = b"[^%s]++|." % re.escape(self.marks)
        return re.compile(b"(?:%s|%s){1,%d}+" % (self.written, between, _MAX_PARTS), re.DOTALL)

    def may_stand_in(self, data: bytes) -> bool:
        """Whether anything may be written so."""
        return any(mark in data for mark in self.marks)  # each a number, which is what is quick to look for

    def undone(self, data: bytes) -> bytes:
        """The decoded text."""
        plain = bytearray()
        for _, text in self._blocks(data):
            plain += text
        return bytes(plain)

    def written_at(self, data: bytes, find_spans: list[Span]) -> list[Span]:
        """Places in what is meant, as places in what is written."""
        places = deque(sorted({place for start, end in find_spans for place in (start, end - 1)}))
        found = dict(self._find(data, places))
        return [(found[start][0], found[end - 1][1]) for start, end in find_spans]

    def _blocks(self, data: bytes) -> Iterator[tuple[Span, bytes]]:
        """The parts of a text, one after the other, and what they mean."""
        split, meaning = self.token.split, self.meanings.__getitem__
        for block in self.block.finditer(data):
            parts = split(block[0])
            parts[1::2] = map(meaning, parts[1::2])
            yield block.span(), b"".join(parts)

    def _find(self, data: bytes, places: deque[int]) -> Iterator[tuple[int, Span]]:
        """The encoded form of each of these decoded bytes, which are in order; takes them off."""
        meant = 0
        for (written, end), plain in self._blocks(data):
            if not places:
                return
            after = meant + len(plain)
            if places[0] < after:
                for token in self.token.finditer(data, written, end):
                    yield from _unchanged(places, meant, written, token.start())
                    meant += token.start() - written
                    written = token.end()
                    meant += len(self.meanings[token[0]])
                    while places and places[0] < meant:
                        yield places.popleft(), token.span()
                yield from _unchanged(places, meant, written, end)
            meant = after


def _unchanged(places: deque[int], meant: int, written: int, end: int) -> Iterator[tuple[int, Span]]:
    """Takes off the places up to an end before which there is no escape."""
    while places and places[0] - meant < end - written:
        place = places.popleft()
        yield place, (place - meant + written, place - meant + written + 1)


class _BinaryEncoding(NamedTuple):
    """A way of writing bytes by an alphabet."""

    run: bytes
    bits: int
    """Bits of one letter."""
    offsets: int
    """Letters after which the same bytes are written in the same way again."""
    decoded: Callable[[bytes], bytes]


def _decode_json_escape(token: bytes) -> bytes:
    if len(token) == 2:
        return _UNESCAPED.get(token[1:], token[1:])
    return _decode_units(token)


def _decode_units(token: bytes) -> bytes:
    """Decodes UTF-16 in hexadecimal digits, one character of Latin-1, or one in braces."""
    if token.endswith(b"}"):
        return _decode_code_point(int(token[token.index(b"{") + 1 : -1], 16), token)
    digits = re.sub(rb"\\+[ux]|%u", b"", token).decode()
    units = bytes.fromhex(digits)
    text = units.decode("latin-1") if len(units) == 1 else units.decode("utf-16-be", "surrogatepass")
    return text.encode(errors="surrogatepass")


def _decode_code_point(code: int, token: bytes) -> bytes:
    return chr(code).encode(errors="surrogatepass") if code <= 0x10FFFF else token


def _decode_url_escape(token: bytes) -> bytes:
    return _decode_units(token) if token[-5:-4] == b"u" else bytes.fromhex(token[-2:].decode())


def _decode_html_entity(token: bytes) -> bytes:
    if token[1:2] == b"#":
        digits = token[2:-1]
        return _decode_code_point(int(digits[1:], 16) if digits[:1] in b"xX" else int(digits), token)
    import html  # late, as hashlib below: few texts need it

    return html.unescape(token.decode()).encode(errors="surrogatepass")


def _decode_any_escape(token: bytes) -> bytes:
    if token.startswith(b"\\"):
        return _decode_flat_escape(token) if token[-1:] != b"\\" else b""
    return _decode_url_escape(token) if token.startswith(b"%") else _decode_html_entity(token)


def _decode_flat_escape(token: bytes) -> bytes:
    return _decode_units(b"\\" + token.lstrip(b"\\"))


_URL_ESCAPE: Final = rb"%" + _PAIR % b"%" + rb"|%" + _UNITS + rb"|%[0-9a-fA-F]{2}"
_BRACED: Final = rb"u\{0{0,8}[0-9a-fA-F]{1,6}\}"
_JSON: Final = _Escape(
    b"\\",
    rb"\\" + _PAIR % rb"\\" + rb"|\\" + _UNITS + rb"|\\" + _BRACED + rb"|\\x[0-9a-fA-F]{2}|\\.",
    _Meanings(_decode_json_escape),
)
_OTHERS: Final = (
    _Escape(b"%", _URL_ESCAPE, _Meanings(_decode_url_escape)),
    _Escape(b"&", b"&" + _ENTITY, _Meanings(_decode_html_entity)),
)
_ANY: Final = _Escape(
    b"\\%&",
    rb"\\+(?:" + _PAIR % rb"\\+" + b"|" + _UNITS + b"|" + _BRACED + rb"|x[0-9a-fA-F]{2})?"
    b"|" + _URL_ESCAPE + b"|&" + _ENTITY,
    _Meanings(_decode_any_escape),
)


def _decode_base64(run: bytes) -> bytes:
    return binascii.a2b_base64((run[:-1] if len(run) % 4 == 1 else run) + b"==")


def _decode_hex(run: bytes) -> bytes:
    return binascii.unhexlify(run[:-1] if len(run) % 2 else run)


_BASE64: Final = _BinaryEncoding(rb"[A-Za-z0-9+/]{8,}+", 6, 4, _decode_base64)
_HEX: Final = _BinaryEncoding(rb"[0-9A-Fa-f]{8,}+", 4, 2, _decode_hex)


def _flattened_forms(data: bytes) -> Iterator[bytes]:
    """Level by level, with fewer escapes each time, until there is none."""
    flat = data.translate(_FLAT)
    yield flat
    while _ANY.may_stand_in(flat):
        before, flat = flat, _ANY.undone(flat).translate(_FLAT)
        if flat == before:
            return
        yield flat


def unescaped(data: bytes) -> bytes:
    """The data with all escapes undone, however often it was escaped; line ends and spaces are flattened."""
    *_, flat = islice(_flattened_forms(data), _MAX_FLATTENINGS)
    return flat


class ValueSet:
    """A growing set of values of at least `MIN_SECRET_LENGTH` characters."""

    def __init__(self) -> None:
        self.finder = ValueFinder()
        self.flat = ValueFinder()
        """The flattened form of values that flattening changes."""
        self._values: set[bytes] = set()
        self._lock = threading.Lock()
        self._unhashed: list[bytes] = []
        self._digests: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, value: str) -> bool:
        return value.encode(errors="surrogatepass") in self._values

    def add(self, value: str) -> bool:
        """Takes a value in; False where it is known already."""
        raw = value.encode(errors="surrogatepass")
        if raw in self._values:
            return False
        with self._lock:
            self._unhashed.append(raw)
        self.finder.add(raw)
        flat = unescaped(raw)
        if flat != raw and min(map(len, (flat, raw.translate(None, _BLANK)))) >= MIN_SECRET_LENGTH:
            self.flat.add(flat)
        self._values.add(raw)  # last: what is known is found
        return True

    def digests(self) -> set[bytes]:
        """The first `_DIGEST_HEAD` digits of each value's SHA-512."""
        import hashlib

        if self._unhashed:
            with self._lock:
                new = (hashlib.sha512(value).hexdigest()[:_DIGEST_HEAD].encode() for value in self._unhashed)
                self._digests.update(new)
                self._unhashed = []  # last: until then other threads wait
        return self._digests


def find_spans(data: bytes, known: Sequence[ValueSet]) -> list[Span]:
    """The places of values in this text in UTF-8, in any encoding; in order, without overlaps."""
    return merge_spans(_Search(known).anywhere(data)) if known and len(data) >= MIN_SECRET_LENGTH else []


class _Search:
    """Reads a text in all ways, each once for everything that is known."""

    def __init__(self, known: Sequence[ValueSet]) -> None:
        self._known = known
        self._finders = [each.finder for each in known]
        self._flat = [*self._finders, *(each.flat for each in known)]

    def anywhere(self, data: bytes) -> Iterator[Span]:
        yield from self._as_it_is(data)
        if b"%" in data or b"&" in data:
            for escape in _OTHERS:
                yield from _find_unescaped(data, escape, self._as_it_is)
        if b"\\" in data:
            yield from _find_unescaped(data, _JSON, self._within_json)
        flat = data.translate(_FLAT)
        if flat != data:
            yield from _find_all(self._flat, flat)
        yield from self._flattened(flat, _MAX_LEVELS)

    def _flattened(self, flat: bytes, levels: int) -> Iterator[Span]:
        """Behind all escapes, which are undone so often."""
        if b"\\" not in flat and b"%" not in flat and b"&" not in flat:
            return iter(())
        return _find_unescaped(flat, _ANY, partial(self._below, levels=levels - 1))

    def _below(self, data: bytes, levels: int) -> list[Span]:
        flat = data.translate(_FLAT)
        find_spans = _find_all(self._flat, flat)
        if flat != data:
            find_spans += self._plain(data)
        return [*find_spans, *self._flattened(flat, levels)] if levels else find_spans

    def _within_json(self, data: bytes) -> list[Span]:
        """The finds in text that JSON has escaped, possibly several times."""
        return [*self._as_it_is(data), *_find_unescaped(data, _JSON, self._plain)]

    def _as_it_is(self, data: bytes) -> list[Span]:
        find_spans = self._plain(data)
        if len(data) >= _MIN_ENCODED:
            find_spans += self._packed(data.translate(_STANDARD), _BASE64)
            if _has_digits(data):
                find_spans += self._packed(data, _HEX)
            if len(data) >= _DIGEST:
                find_spans += self._hashed(data)
        return find_spans

    def _plain(self, data: bytes) -> list[Span]:
        return _find_all(self._finders, data)

    def _hashed(self, data: bytes) -> Iterator[Span]:
        heads: frozenset[bytes] = frozenset()
        for run in re.finditer(_DIGESTS, data):
            heads = heads or frozenset().union(*(each.digests() for each in self._known))
            digits = run[0].lower()
            starts = range(len(digits) - _DIGEST + 1)
            for start in [start for start in starts if digits[start : start + _DIGEST_HEAD] in heads]:
                yield run.start() + start, run.start() + start + _DIGEST

    def _packed(self, data: bytes, way: _BinaryEncoding) -> Iterator[Span]:
        runs: list[Span] = []
        size = 0
        for run in re.finditer(way.run, data):
            runs.append(run.span())
            size += run.end() - run.start()
            if size >= _BATCH_BYTES:
                yield from self._in_runs(data, runs, way)
                runs, size = [], 0
        if runs:
            yield from self._in_runs(data, runs, way)

    def _in_runs(self, data: bytes, runs: list[Span], way: _BinaryEncoding) -> Iterator[Span]:
        """The finds in packed text, which may start within a longer run, after any of its first letters."""
        for offset in range(way.offsets):
            pieces = [way.decoded(data[start + offset : end]) for start, end in runs]
            find_spans = self._plain(b"\n".join(pieces))
            if not find_spans:
                continue
            begins = list(accumulate((len(piece) + 1 for piece in pieces), initial=0))
            for start, end in find_spans:
                index = bisect_right(begins, start) - 1
                first, last = runs[index][0] + offset, runs[index][1]
                stop = first + ((end - begins[index]) * 8 + way.bits - 1) // way.bits
                yield first + (start - begins[index]) * 8 // way.bits, min(last, stop)


def _has_digits(data: bytes) -> bool:
    return re.search(_HEX.run, data) is not None


def _find_all(finders: Sequence[ValueFinder], data: bytes) -> list[Span]:
    return [span for finder in finders for span in finder.find_spans(data)]


def _find_unescaped(data: bytes, escape: _Escape, find: Callable[[bytes], list[Span]]) -> Iterator[Span]:
    """The finds of `find` after decoding, as places in `data`."""
    if escape.may_stand_in(data):
        plain = escape.undone(data)
        find_spans = find(plain) if plain != data else []
        yield from escape.written_at(data, find_spans) if find_spans else ()
