"""Finds the recorded exchange for a request: by method, URL and body, in the order in which they were recorded.

What differs each time does not count: query parameters that are named, that are known for it (`_t`), or that took
several values in the recording where all else was the same; and times and generated ids in a body.
"""

import json
import re
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from sidecar_protocol.volatile import VOLATILE_MEMBERS, without_generated, without_volatile

from sidecar.errors import NotRecorded
from sidecar.http_record import HttpRecord
from sidecar.recording.exchange_log import read_exchanges
from sidecar.recording.recording_folder import EXCHANGES, RecordingError
from sidecar.truncation import cap_length

VOLATILE_PARAMETERS: Final = frozenset({"_", "_t", "_ts", "cb", "cachebuster", "nonce", "rand", "timestamp", "ts"})
"""Query parameters that never count."""


class _Key(NamedTuple):
    method: str
    place: str
    """The URL without its query and fragment."""
    query: tuple[tuple[str, str], ...]
    body: str


class ExchangeMatcher:
    """The exchanges of one recording; each is given once."""

    def __init__(self, exchanges: Iterable[HttpRecord], ignored: Iterable[str] = ()) -> None:
        """`ignored` are further query parameters that don't count."""
        recorded = [(_key(one.method, one.url, one.body), one) for one in exchanges]
        self._ignored = VOLATILE_PARAMETERS | set(ignored) | _learned([key for key, _ in recorded])
        self._waiting: dict[_Key, deque[int]] = {}
        self._alike: dict[_Key, deque[int]] = {}
        """Entries by their request without the ignored parts."""
        self._records: list[HttpRecord | None] = []
        for number, (key, record) in enumerate(recorded):
            self._records.append(record)
            self._waiting.setdefault(key, deque()).append(number)
            self._alike.setdefault(self._without_volatile(key), deque()).append(number)

    def find(self, method: str, url: str, body: bytes) -> HttpRecord:
        """The next recorded exchange of such a request. Raises NotRecorded."""
        key = _key(method, url, body)
        found = self._take(self._waiting.get(key)) or self._take(self._alike.get(self._without_volatile(key)))
        if found is None:
            raise NotRecorded(self._why(key, url), url=cap_length(url))
        if found.omitted:
            said = f"the body of {method} {cap_length(url)} was not recorded: it had {found.omitted} bytes"
            raise NotRecorded(said, url=cap_length(url))
        return found

    def _take(self, numbers: deque[int] | None) -> HttpRecord | None:
        while numbers:
            number = numbers.popleft()
            record, self._records[number] = self._records[number], None
            if record is not None:  # it may have been found by its other key
                return record
        return None

    def _without_volatile(self, key: _Key) -> _Key:
        query = tuple(pair for pair in key.query if pair[0] not in self._ignored)
        return key._replace(query=query, body=without_generated(_without_volatile_members(key.body)))

    def _why(self, key: _Key, url: str) -> str:
        asked = f"{key.method} {cap_length(url)}"
        places = [one for one in self._waiting if (one.method, one.place) == (key.method, key.place)]
        left = [one for one in places if any(self._records[number] for number in self._waiting[one])]
        if not places:
            return f"{asked} was not recorded"
        if not left:
            return f"{asked} was recorded less often than it is asked for"
        nearest = left[0]
        what = "another body" if nearest.query == key.query else "another query"
        return f"{asked} was recorded with {what}: {cap_length(_shown(nearest))}"


def open_matcher(folder: Path, ignored: Iterable[str] = ()) -> ExchangeMatcher:
    """The exchanges of the recording in a folder. Raises RecordingError."""
    path = folder / EXCHANGES
    try:
        return ExchangeMatcher(read_exchanges(path), ignored)
    except FileNotFoundError:
        return ExchangeMatcher(())
    except OSError as failure:
        raise RecordingError(f"can't read {path}: {(failure.strerror or str(failure)).lower()}") from None
    except ValueError as wrong:
        raise RecordingError(f"can't read {path}: {wrong}") from None


def _learned(keys: list[_Key]) -> set[str]:
    """Parameters that had several values in requests that were otherwise the same, and look generated."""
    values: dict[tuple[Any, ...], set[str]] = {}
    for key in keys:
        for name, value in key.query:
            if _looks_generated(value):
                others = tuple(pair for pair in key.query if pair[0] != name)
                values.setdefault((key.method, key.place, key.body, others, name), set()).add(value)
    return {seen[-1] for seen, found in values.items() if len(found) > 1}


def _looks_generated(value: str) -> bool:
    """Whether it is long enough for a time or a random number, and has digits."""
    return len(value) >= 8 and any(char.isdigit() for char in value) and re.fullmatch(r"[\w.-]+", value) is not None


def _key(method: str, url: str, body: bytes) -> _Key:
    parts = urlsplit(url)
    query = tuple(parse_qsl(parts.query, keep_blank_values=True))
    return _Key(method, f"{parts.scheme}://{parts.netloc}{parts.path}", query, _canonical(body))


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
