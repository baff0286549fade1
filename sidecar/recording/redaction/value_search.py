"""Finds many known values in bytes at once, with automata that grow as values are added."""

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sized
from typing import Final

Span = tuple[int, int]
"""Start and end offset."""

HEAD_BYTES: Final = 64
"""Bytes at the start and end of a longer value that are compared, so that its length costs nothing."""
_MAX_VARIANTS: Final = 8
"""Long values with the same beginning that are distinguished; of more, only the longest counts."""
_WINDOW_BYTES: Final = 1 << 13
"""Bytes that are searched at once: their matches are in memory until they are merged."""


_MAX_SPANS: Final = 1 << 14
"""Spans per text; more of them become one span."""


class ValueFinder:
    """Finds known values in time linear in the text, whatever their number and overlaps.

    The automata know the first 4, 8, 16, 32 or 64 bytes of each value, the most that it has, so that at most five
    things are found at one place. Each automaton holds at least twice as many as the next one: what comes moves
    between them a logarithmic number of times. They are built at the first search. Safe to use from several
    threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[bytes] = []
        self._automata: list[_Automaton] = []
        self._values: set[bytes] = set()
        """Values shorter than `HEAD_BYTES`."""
        self._sizes: dict[bytes, tuple[int, ...]] = {}
        """Beginning -> the sizes of values shorter than `HEAD_BYTES` that begin so, the largest first."""
        self._long: dict[bytes, list[bytes]] = {}
        """First `HEAD_BYTES` bytes -> the values that begin so, the longest first."""

    def add(self, value: bytes) -> None:
        """Adds a value of at least 4 bytes."""
        with self._lock:
            if len(value) < HEAD_BYTES:
                self._add_short(value)
            else:
                self._add_long(value)

    def contains(self, data: bytes) -> bool:
        """Whether the data contains any value."""
        return any(automaton.finds(data) and self._spans(automaton, data) for automaton in self._built())

    def find_spans(self, data: bytes) -> list[Span]:
        """The spans of values, in order; overlapping ones are merged, adjacent ones are not."""
        automata = [automaton for automaton in self._built() if automaton.finds(data)]
        return merge_spans(span for automaton in automata for span in self._spans(automaton, data)) if automata else []

    def _add_short(self, value: bytes) -> None:
        self._values.add(value)
        head = value[: 1 << (len(value).bit_length() - 1)]
        sizes = self._sizes.get(head)
        if sizes is None:
            self._pending.append(head)
            self._sizes[head] = (len(value),)
        elif len(value) not in sizes:
            self._sizes[head] = tuple(sorted((*sizes, len(value)), reverse=True))

    def _add_long(self, value: bytes) -> None:
        head = value[:HEAD_BYTES]
        candidates = self._long.get(head)
        if candidates is None:
            self._pending.append(head)
            self._long[head] = [value]
        elif len(candidates) <= _MAX_VARIANTS:
            self._long[head] = sorted((*candidates, value), key=len, reverse=True)
        elif len(value) > len(candidates[0]):
            self._long[head] = [value, *candidates[1:]]

    def _built(self) -> "list[_Automaton]":
        if self._pending:
            with self._lock:
                heads, automata = self._pending, list(self._automata)
                while automata and len(automata[-1].heads) <= len(heads):
                    heads = automata.pop().heads + heads
                if self._pending:  # another thread may have been quicker
                    self._automata = [*automata, _Automaton(heads)]
                    self._pending = []  # last: until then other threads wait, and don't search without these
        return self._automata

    def _spans(self, automaton: "_Automaton", data: bytes) -> list[Span]:
        spans: list[Span] = []
        for window in range(0, len(data), _WINDOW_BYTES):
            places = automaton.places(data, window)
            spans += merge_spans(span for head, starts in places for span in self._united(data, starts, head))
            if len(spans) > _MAX_SPANS:
                spans = [(spans[0][0], spans[-1][1])]
        return spans

    def _united(self, data: bytes, starts: list[int], head: bytes) -> Iterator[Span]:
        """The spans of values that begin so, at some of these places; those of one size in one piece if they overlap.

        A value may overlap itself at every byte of a text: within a span only the last place is compared.
        """
        is_long = len(head) == HEAD_BYTES
        end_at = self._end_of_long if is_long else self._end
        sizes: Sized = self._long[head] if is_long else self._sizes[head]
        if len(sizes) > 1:
            yield from ((start, end) for start in starts if (end := end_at(data, start, head)))
            return
        at = 0
        while at < len(starts):
            start = starts[at]
            end, at = end_at(data, start, head), at + 1
            while at < (beyond := bisect_left(starts, end, at)):
                ends = (end_at(data, last, head) for last in reversed(starts[at:beyond]))
                end, at = next((further for further in ends if further), end), beyond
            if end:
                yield start, end

    def _end(self, data: bytes, start: int, head: bytes) -> int:
        """The end of the longest value at `start`; 0 if there is none."""
        for size in self._sizes[head]:
            value = data[start : start + size]
            if value in self._values:
                return start + len(value)
        return 0

    def _end_of_long(self, data: bytes, start: int, head: bytes) -> int:
        """The end of the longest value whose beginning and end match at `start`, or that the text's end cuts."""
        candidates = self._long[head]
        if len(candidates) > _MAX_VARIANTS:
            return min(start + len(candidates[0]), len(data))
        for value in candidates:
            size = min(len(value), len(data) - start)
            if data[start + size - HEAD_BYTES : start + size] == value[size - HEAD_BYTES : size]:
                return start + size
        return 0


class _Automaton:
    """An automaton for the beginnings of values."""

    def __init__(self, heads: list[bytes]) -> None:
        from ahocorasick_rs import BytesAhoCorasick  # late: most sessions look for nothing

        self.heads = heads
        self._find = BytesAhoCorasick(heads).find_matches_as_indexes

    def finds(self, data: bytes) -> bool:
        """Whether the data contains any of them."""
        if len(data) <= _WINDOW_BYTES:
            return bool(self._find(data))
        view = memoryview(data)
        return any(self._find(view[at : at + _WINDOW_BYTES + HEAD_BYTES]) for at in range(0, len(data), _WINDOW_BYTES))

    def places(self, data: bytes, window: int) -> list[tuple[bytes, list[int]]]:
        """What starts in the window, and where."""
        places: dict[int, list[int]] = defaultdict(list)
        view = memoryview(data)[window : window + _WINDOW_BYTES + HEAD_BYTES - 1]
        for index, start, _ in self._find(view, overlapping=True):
            places[index].append(window + start)
        return [(self.heads[index], starts) for index, starts in places.items()]


def merge_spans(spans: Iterable[Span]) -> list[Span]:
    """Merges overlapping spans, in order; adjacent ones stay apart."""
    result: list[Span] = []
    for start, end in sorted(spans):
        if result and start < result[-1][1]:
            if end > result[-1][1]:
                result[-1] = (result[-1][0], end)
        else:
            result.append((start, end))
    return result
