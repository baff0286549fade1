"""Where any of many known values stands in some bytes: automata for all of them at once, that grow with them."""

import threading
from collections.abc import Iterable
from typing import Final

Span = tuple[int, int]
"""First byte, and the one after the last."""

HEAD_BYTES: Final = 64
"""A value that is longer is compared at its end alone, once it begins as it should: so its length costs nothing."""
_MAX_VARIANTS: Final = 8
"""Such values that begin alike and are told apart; of more than these, the longest is taken for all."""
_WINDOW_BYTES: Final = 1 << 13
"""Bytes that are looked at together: what is found in them is held in memory until it is merged."""


_MAX_SPANS: Final = 1 << 14
"""Places in one text that are told apart; of more than these, what lies between them is a part of one."""


class ValueFinder:
    """Finds known values in time linear in the text, however many they are and however they overlap.

    The automata know the first 4, 8, 16, 32 or 64 bytes of each value, the most that it has, so that at most five
    things are found at one place. Each automaton holds at least twice as many as the next one: what comes moves
    between them a logarithmic number of times. They are built when something is looked for. Safe to use from several
    threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[bytes] = []
        self._automata: list[_Automaton] = []
        self._values: set[bytes] = set()
        """Those shorter than `HEAD_BYTES`."""
        self._sizes: dict[bytes, tuple[int, ...]] = {}
        """Beginning -> the sizes of values shorter than `HEAD_BYTES` that begin so, the largest first."""
        self._long: dict[bytes, list[bytes]] = {}
        """First `HEAD_BYTES` bytes -> the values that begin so, the longest first."""

    def add(self, value: bytes) -> None:
        """Takes in a value, of at least 4 bytes."""
        with self._lock:
            if len(value) < HEAD_BYTES:
                self._add_short(value)
            else:
                self._add_long(value)

    def contains(self, data: bytes) -> bool:
        """Whether any value stands in it."""
        return any(automaton.finds(data) and self._spans(automaton, data) for automaton in self._built())

    def find_spans(self, data: bytes) -> list[Span]:
        """Where values stand, in order: those that overlap are one span, those that only touch are two."""
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
                heads, self._pending = self._pending, []
                automata = list(self._automata)
                while automata and len(automata[-1].heads) <= len(heads):
                    heads = automata.pop().heads + heads
                if heads:  # another thread may have been quicker
                    self._automata = [*automata, _Automaton(heads)]
        return self._automata

    def _spans(self, automaton: "_Automaton", data: bytes) -> list[Span]:
        spans: list[Span] = []
        for window in range(0, len(data), _WINDOW_BYTES):
            within: list[Span] = []
            for start, head in automaton.matches(data, window):
                end = self._end_of_long(data, start, head) if len(head) == HEAD_BYTES else self._end(data, start, head)
                if end:
                    within.append((start, end))
            spans += merge_spans(within)
            if len(spans) > _MAX_SPANS:
                spans = [(spans[0][0], spans[-1][1])]
        return spans

    def _end(self, data: bytes, start: int, head: bytes) -> int:
        """Where the longest value ends that stands there; 0 where none does."""
        for size in self._sizes[head]:
            value = data[start : start + size]
            if value in self._values:
                return start + len(value)
        return 0

    def _end_of_long(self, data: bytes, start: int, head: bytes) -> int:
        """Where the longest value ends that begins there and ends as it should, or is cut by the text's end."""
        candidates = self._long[head]
        if len(candidates) > _MAX_VARIANTS:
            return min(start + len(candidates[0]), len(data))
        for value in candidates:
            size = min(len(value), len(data) - start)
            if data[start + size - HEAD_BYTES : start + size] == value[size - HEAD_BYTES : size]:
                return start + size
        return 0


class _Automaton:
    """The beginnings of a number of values, and the automaton of all."""

    def __init__(self, heads: list[bytes]) -> None:
        from ahocorasick_rs import BytesAhoCorasick  # late: most sessions look for nothing

        self.heads = heads
        self._find = BytesAhoCorasick(heads).find_matches_as_indexes

    def finds(self, data: bytes) -> bool:
        """Whether any stands in it."""
        if len(data) <= _WINDOW_BYTES:
            return bool(self._find(data))
        view = memoryview(data)
        return any(self._find(view[at : at + _WINDOW_BYTES + HEAD_BYTES]) for at in range(0, len(data), _WINDOW_BYTES))

    def matches(self, data: bytes, window: int) -> Iterable[tuple[int, bytes]]:
        """What begins in the window: where, and which."""
        heads, view = self.heads, memoryview(data)[window : window + _WINDOW_BYTES + HEAD_BYTES - 1]
        return ((window + start, heads[index]) for index, start, _ in self._find(view, overlapping=True))


def merge_spans(spans: Iterable[Span]) -> list[Span]:
    """The same bytes in as few spans as can be, in order; those that only touch stay two."""
    result: list[Span] = []
    for start, end in sorted(spans):
        if result and start < result[-1][1]:
            if end > result[-1][1]:
                result[-1] = (result[-1][0], end)
        else:
            result.append((start, end))
    return result
