"""Finds the recorded exchange for a request: by method, URL and body, in the order in which they were recorded.

What differs each time does not count: query parameters that are named, that are known for it (`_t`), or that took
several values in the recording where all else was the same; and times and generated ids in a body.

Memory holds a digest and a place for each exchange; what was answered is read when it is asked for.
"""

import hashlib
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, Protocol
from urllib.parse import parse_qsl, urlsplit

from sidecar_protocol.volatile import VOLATILE_MEMBERS, without_generated, without_volatile

from sidecar.errors import NotRecorded
from sidecar.http_record import HttpRecord
from sidecar.recording.exchange_log import ExchangeFile
from sidecar.recording.recording_folder import EXCHANGES, RecordingError
from sidecar.truncation import cap_length

VOLATILE_PARAMETERS: Final = frozenset({"_", "_t", "_ts", "cb", "cachebuster", "nonce", "rand", "timestamp", "ts"})
"""Query parameters that never count."""
_DIGEST_BYTES: Final = 16


class Exchanges(Protocol):
    """Recorded exchanges, in their order; a list is one."""

    def __iter__(self) -> Iterator[HttpRecord]: ...
    def __getitem__(self, number: int, /) -> HttpRecord: ...


class _Key(NamedTuple):
    method: str
    place: str
    """The URL without its query and fragment."""
    query: tuple[tuple[str, str], ...]
    body: str


class ExchangeMatcher:
    """The exchanges of one recording; each is given once."""

    def __init__(self, exchanges: Exchanges, ignored: Iterable[str] = ()) -> None:
        """`ignored` are further query parameters that don't count. Raises what `exchanges` raises."""
        self._exchanges = exchanges
        self._waiting = _Numbers()
        """By the whole request."""
        self._places = _Numbers()
        """By method and place."""
        self._alike: _Numbers | None = None
        """By the request without the ignored parts; made when a request is first not found as a whole."""
        self._taken = bytearray()
        """For each exchange, whether it was given."""
        generated = _GeneratedParameters()
        for number, one in enumerate(exchanges):
            key = _key(one.method, one.url, one.body)
            self._taken.append(False)
            self._waiting.add(_digest(*key), number)
            self._places.add(_digest(key.method, key.place), number)
            generated.add(key)
        self._ignored = VOLATILE_PARAMETERS | set(ignored) | generated.names

    def find(self, method: str, url: str, body: bytes) -> HttpRecord:
        """The next recorded exchange of such a request. Raises NotRecorded."""
        key = _key(method, url, body)
        try:
            number = self._number(key)
            if number is None:
                raise NotRecorded(self._why(key, url), url=cap_length(url))
            self._taken[number] = True
            found = self._exchanges[number]
        except (OSError, ValueError) as wrong:
            said = f"the recording can't be read any more: {wrong}"
            raise NotRecorded(said, url=cap_length(url)) from None
        if found.omitted:
            said = f"the body of {method} {cap_length(url)} was not recorded: it had {found.omitted} bytes"
            raise NotRecorded(said, url=cap_length(url))
        return found

    def _number(self, key: _Key) -> int | None:
        number = self._waiting.first(_digest(*key), self._taken)
        if number is not None:
            return number
        if self._alike is None:
            self._alike = _Numbers()
            for each, one in enumerate(self._exchanges):
                self._alike.add(_digest(*self._without_volatile(_key(one.method, one.url, one.body))), each)
        return self._alike.first(_digest(*self._without_volatile(key)), self._taken)

    def _without_volatile(self, key: _Key) -> _Key:
        query = tuple(pair for pair in key.query if pair[0] not in self._ignored)
        return key._replace(query=query, body=without_generated(_without_volatile_members(key.body)))

    def _why(self, key: _Key, url: str) -> str:
        asked = f"{key.method} {cap_length(url)}"
        place = _digest(key.method, key.place)
        if place not in self._places:
            return f"{asked} was not recorded"
        number = self._places.first(place, self._taken)
        if number is None:
            return f"{asked} was recorded less often than it is asked for"
        found = self._exchanges[number]
        nearest = _key(found.method, found.url, found.body)
        what = "another body" if nearest.query == key.query else "another query"
        return f"{asked} was recorded with {what}: {cap_length(_shown(nearest))}"


class _Numbers:
    """Numbers of exchanges by a digest, in order. Most digests have one number, which takes little memory."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int | deque[int]] = {}

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._numbers

    def add(self, digest: bytes, number: int) -> None:
        known = self._numbers.get(digest)
        if known is None:
            self._numbers[digest] = number
        elif isinstance(known, int):
            self._numbers[digest] = deque((known, number))
        else:
            known.append(number)

    def first(self, digest: bytes, taken: bytearray) -> int | None:
        """The first number that is not taken; those before it are forgotten."""
        known = self._numbers.get(digest)
        if isinstance(known, int):
            return None if taken[known] else known
        while known:
            if not taken[known[0]]:
                return known[0]
            known.popleft()
        return None


class _GeneratedParameters:
    """Finds parameters that had several values in requests that were otherwise the same, and look generated."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._values: dict[bytes, str] = {}

    def add(self, key: _Key) -> None:
        for name, value in key.query:
            if name not in self.names and _looks_generated(value):
                others = tuple(pair for pair in key.query if pair[0] != name)
                if self._values.setdefault(_digest(*key._replace(query=others), name), value) != value:
                    self.names.add(name)


def open_matcher(folder: Path, ignored: Iterable[str] = ()) -> ExchangeMatcher:
    """The exchanges of the recording in a folder. Raises RecordingError."""
    path = folder / EXCHANGES
    try:
        return ExchangeMatcher(ExchangeFile(path), ignored)
    except FileNotFoundError:
        return ExchangeMatcher(())
    except OSError as failure:
        raise RecordingError(f"can't read {path}: {(failure.strerror or str(failure)).lower()}") from None
    except ValueError as wrong:
        raise RecordingError(f"can't read {path}: {wrong}") from None


def _looks_generated(value: str) -> bool:
    """Whether it is long enough for a time or a random number, and has digits."""
    return len(value) >= 8 and any(char.isdigit() for char in value) and re.fullmatch(r"[\w.-]+", value) is not None


def _key(method: str, url: str, body: bytes) -> _Key:
    parts = urlsplit(url)
    query = tuple(parse_qsl(parts.query, keep_blank_values=True))
    return _Key(method, f"{parts.scheme}://{parts.netloc}{parts.path}", query, _canonical(body))


def _digest(*parts: object) -> bytes:
    return hashlib.blake2b(repr(parts).encode(errors="surrogatepass"), digest_size=_DIGEST_BYTES).digest()


def _canonical(body: bytes) -> str:
    """The body as text; JSON in one form, whatever its blanks and the order of its members."""
    text = body.decode(errors="backslashreplace")
    if text[:1] not in ("{", "["):
        return text
    try:
        return json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        return text


def _without_volatile_members(body: str) -> str:
    if not any(f'"{name}":' in body for name in VOLATILE_MEMBERS):
        return body
    try:
        return json.dumps(without_volatile(json.loads(body)), sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        return body


def _shown(key: _Key) -> str:
    query = "&".join(f"{name}={value}" for name, value in key.query)
    return f"{key.place}{'?' if query else ''}{query} {key.body}".rstrip()
