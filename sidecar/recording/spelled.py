"""Known values in a text, however they are spelled there: escaped for JSON, a URL or a page, in base64, as SHA-512.

It is the text that is read in each of these ways, and not each value that is written in all of them: so a value costs
nothing until it is looked for, and thousands of them cost a text no more than one.
"""

import binascii
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Final, NamedTuple

from sidecar.recording.finding import Finder, Span, merged
from sidecar.spellings import MIN_LENGTH

_MIN_ENCODED: Final = 8
_DIGEST: Final = 128
_DIGEST_HEAD: Final = 16
_BATCH: Final = 1 << 16
"""Bytes of base64 that are decoded together."""

_UNESCAPED: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_BASE64: Final = rb"[A-Za-z0-9+/]{8,}+"
_HEX: Final = rb"(?<![0-9A-Fa-f])[0-9A-Fa-f]{128,}+"


class _Escape(NamedTuple):
    """A way of writing bytes by others."""

    mark: bytes
    """Without this, nothing of a text is written so."""
    written: bytes
    """A pattern of what stands for one or more bytes."""
    meaning: Callable[[bytes], bytes]

    @property
    def token(self) -> re.Pattern[bytes]:
        """Compiled at its first use, and kept by `re`: no session is to wait for it that has no secret yet."""
        return re.compile(self.written, re.DOTALL)


@lru_cache(maxsize=4096)
def _of_json(token: bytes) -> bytes:
    if len(token) == 2:
        return _UNESCAPED.get(token[1:], token[1:])
    units = bytes.fromhex(re.sub(rb"\\[ux]", b"", token).decode())
    text = units.decode("latin-1") if len(units) == 1 else units.decode("utf-16-be", "surrogatepass")
    return text.encode(errors="surrogatepass")


def _of_url(token: bytes) -> bytes:
    return b" " if token == b"+" else bytes.fromhex(token[1:].decode())


@lru_cache(maxsize=4096)
def _of_html(token: bytes) -> bytes:
    import html  # late, as hashlib below: few texts need it

    return html.unescape(token.decode()).encode(errors="surrogatepass")


_JSON: Final = _Escape(
    b"\\",
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\.",
    _of_json,
)
_OTHERS: Final = (
    _Escape(b"%", rb"%[0-9a-fA-F]{2}", _of_url),
    _Escape(b"+", rb"\+|%[0-9a-fA-F]{2}", _of_url),
    _Escape(b"&", rb"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});", _of_html),
)


class Known:
    """A growing set of values of at least `MIN_LENGTH` characters."""

    def __init__(self) -> None:
        self.finder = Finder()
        self._values: set[bytes] = set()
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
        self._values.add(raw)
        self._unhashed.append(raw)
        self.finder.add(raw)
        return True

    def digests(self) -> set[bytes]:
        """The first `_DIGEST_HEAD` digits of each value's SHA-512."""
        unhashed, self._unhashed = self._unhashed, []
        import hashlib

        self._digests.update(hashlib.sha512(value).hexdigest()[:_DIGEST_HEAD].encode() for value in unhashed)
        return self._digests


def spans(data: bytes, known: Sequence[Known]) -> list[Span]:
    """Where values stand in this text in UTF-8, in any spelling; in order, and none overlaps another."""
    return merged(_Search(known).anywhere(data)) if known and len(data) >= MIN_LENGTH else []


class _Search:
    """Reads a text in all ways, each once for everything that is known."""

    def __init__(self, known: Sequence[Known]) -> None:
        self._known = known
        self._finders = [each.finder for each in known]

    def anywhere(self, data: bytes) -> Iterator[Span]:
        yield from self._as_it_is(data)
        for escape in _OTHERS:
            if escape.mark in data:
                yield from _behind(data, escape, self._as_it_is)
        if _JSON.mark in data:
            yield from _behind(data, _JSON, self._within_json)

    def _within_json(self, data: bytes) -> list[Span]:
        """In what JSON had escaped, which may have been escaped before."""
        spans = self._as_it_is(data)
        for escape in (_JSON, *_OTHERS):
            if escape.mark in data:
                spans += _behind(data, escape, self._plain)
        return spans

    def _as_it_is(self, data: bytes) -> list[Span]:
        spans = self._plain(data)
        if len(data) >= _MIN_ENCODED:
            spans += self._in_base64(data)
            if len(data) >= _DIGEST:
                spans += self._hashed(data)
        return spans

    def _plain(self, data: bytes) -> list[Span]:
        return [span for finder in self._finders for span in finder.spans(data)]

    def _hashed(self, data: bytes) -> Iterator[Span]:
        for run in re.finditer(_HEX, data):
            digits, digests = run[0].lower(), [each.digests() for each in self._known]
            for start in range(len(digits) - _DIGEST + 1):
                head = digits[start : start + _DIGEST_HEAD]
                if any(head in some for some in digests):
                    yield run.start() + start, run.start() + start + _DIGEST

    def _in_base64(self, data: bytes) -> Iterator[Span]:
        runs: list[Span] = []
        standard, size = data.translate(_STANDARD), 0
        for run in re.finditer(_BASE64, standard):
            runs.append(run.span())
            size += run.end() - run.start()
            if size >= _BATCH:
                yield from self._in_runs(standard, runs)
                runs, size = [], 0
        if runs:
            yield from self._in_runs(standard, runs)

    def _in_runs(self, data: bytes, runs: list[Span]) -> Iterator[Span]:
        """In runs of base64, which may begin within a longer one at any of four places."""
        pieces = [_decoded(data[start + offset : end]) for offset in range(4) for start, end in runs]
        spans = self._plain(b"\n".join(pieces))
        if not spans:
            return
        begins = list(accumulate((len(piece) + 1 for piece in pieces), initial=0))
        for start, end in spans:
            index = bisect_right(begins, start) - 1
            offset, run = divmod(index, len(runs))
            first, last = runs[run][0] + offset, runs[run][1]
            yield first + (start - begins[index]) * 8 // 6, min(last, first + ((end - begins[index]) * 8 + 5) // 6)


def _decoded(run: bytes) -> bytes:
    return binascii.a2b_base64((run[:-1] if len(run) % 4 == 1 else run) + b"==")


def _behind(data: bytes, escape: _Escape, find: Callable[[bytes], list[Span]]) -> list[Span]:
    """Where `find` finds something once this way of writing is undone, as places in `data`."""
    plain = escape.token.sub(lambda token: escape.meaning(token[0]), data)
    spans = find(plain) if len(plain) != len(data) or plain != data else []
    if not spans:
        return []
    undone = _Undone(data, escape)
    return [(undone.first(start), undone.last(end - 1) + 1) for start, end in spans]


class _Undone:
    """Places in what an escape was undone in -> places in what was written."""

    def __init__(self, data: bytes, escape: _Escape) -> None:
        self._begins: list[int] = []
        self._ends: list[int] = []
        self._written: list[Span] = []
        shift = 0
        for token in escape.token.finditer(data):
            begin, end = token.span()
            size = len(escape.meaning(token[0]))
            self._begins.append(begin + shift)
            self._ends.append(begin + shift + size)
            self._written.append((begin, end))
            shift += size - (end - begin)

    def first(self, place: int) -> int:
        """The first byte of what stands for this one."""
        return self._look_up(place)[0]

    def last(self, place: int) -> int:
        """The last byte of what stands for this one."""
        return self._look_up(place)[1]

    def _look_up(self, place: int) -> Span:
        index = bisect_right(self._begins, place) - 1
        if index < 0:
            return place, place
        begin, end = self._written[index]
        if place < self._ends[index]:
            return begin, end - 1
        after = end + place - self._ends[index]
        return after, after
