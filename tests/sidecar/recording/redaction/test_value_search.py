"""Many values at once: what is found is what a search for each would find, at a cost that grows with the text alone."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.recording.redaction import value_search
from sidecar.recording.redaction.value_search import HEAD_BYTES, Span, ValueFinder, _Automaton, merge_spans

FEW_LETTERS = st.lists(st.sampled_from([b"a", b"b", b"abc"]), min_size=4, max_size=90).map(b"".join)


def sought(values: list[bytes], data: bytes) -> list[Span]:
    """The expected spans, by a search for each value."""
    every = (
        (start, start + len(value))
        for value in values
        for start in range(len(data))
        if data[start : start + len(value)] == value
    )
    return merge_spans(every)


@given(values=st.lists(FEW_LETTERS, max_size=12, unique=True), around=st.lists(FEW_LETTERS, max_size=4))
def test_every_value_is_found_whole(values: list[bytes], around: list[bytes]) -> None:
    """Values within values, values that overlap, values that begin alike: no byte of any is left out."""
    finder = ValueFinder()
    data = b"-".join([*around, *values, *around]) + b"".join(values)
    for number, value in enumerate(values):
        finder.add(value)
        if number % 3 == 0:
            finder.contains(data)  # so that they come to lie in several automata
    spans, wanted = finder.find_spans(data), sought(values, data)
    hidden = {place for start, end in spans for place in range(start, end)}
    assert {place for start, end in wanted for place in range(start, end)} <= hidden
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    if all(len(value) < HEAD_BYTES for value in values):
        assert spans == wanted
    assert finder.contains(data) == bool(spans)


def test_a_value_is_found_at_any_place_of_a_long_text() -> None:
    """Texts are looked at piece by piece, and no value falls between two."""
    finder = ValueFinder()
    short, long = b"short-secret", b"long-secret-" * 30
    finder.add(short)
    finder.add(long)
    for before in (*range(8_100, 8_200), 16_384, 65_536):
        for value in (short, long):
            assert finder.find_spans(b"." * before + value + b".") == [(before, before + len(value))]
            assert finder.contains(b"." * before + value)


def test_a_long_value_that_the_text_cuts_is_found() -> None:
    """Half of a long secret is as secret as all of it; what only begins like one is none."""
    finder = ValueFinder()
    value = b"".join(b"%06d" % number for number in range(100))
    finder.add(value)
    assert finder.find_spans(b"x" + value[:300]) == [(1, 301)]
    assert finder.find_spans(value[:300] + b"x" * 600) == []


def test_many_that_begin_alike_are_hidden_by_the_longest() -> None:
    """If ends can't be distinguished in bounded time, more than necessary is hidden."""
    finder = ValueFinder()
    values = [b"h" * HEAD_BYTES + b"%d" % number * number for number in range(20)]
    for value in values:
        finder.add(value)
    longest = max(map(len, values))
    assert finder.find_spans(values[3] + b"." * 100) == [(0, longest)]


def test_a_value_within_itself_is_not_compared_at_every_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret of one letter in a text of that letter: few comparisons, but for those at the end where none fits."""
    finder, compared = ValueFinder(), 0
    compare = ValueFinder._end_of_long

    def counted(finder: ValueFinder, data: bytes, start: int, head: bytes) -> int:
        nonlocal compared
        compared += 1
        return compare(finder, data, start, head)

    monkeypatch.setattr(ValueFinder, "_end_of_long", counted)
    finder.add(b"p" * 1_000)
    assert finder.find_spans(b"x" + b"p" * 500_000 + b"x") == [(1, 500_001)]
    assert compared < 5_000


def test_values_that_come_one_by_one_cost_little_each() -> None:
    """A search after each new value: four times as many cost about four times as much, and not sixteen."""
    spent = [_one_by_one(number) for number in (2_000, 8_000)]
    assert spent[1] < 10 * spent[0]


def test_values_within_values_cost_no_more_than_their_text() -> None:
    """Sixty values that are found at every place: four times the text, about four times the time."""
    finder = ValueFinder()
    for size in range(4, HEAD_BYTES):
        finder.add(b"a" * size)
    spent = []
    for size in (50_000, 200_000):
        began = time.process_time()
        assert finder.find_spans(b"a" * size) == [(0, size)]
        spent.append(time.process_time() - began)
    assert spent[1] < 10 * spent[0]


def _one_by_one(number: int) -> float:
    finder = ValueFinder()
    began = time.process_time()
    for each in range(number):
        finder.add(b"%d-value-%d" % (each, each))
        assert not finder.contains(b"a text with no value in it")
    return time.process_time() - began


def test_a_search_waits_for_values_that_another_thread_prepares(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would miss them otherwise: a secret would stay in a log."""
    building, go_on = threading.Event(), threading.Event()

    class Slow(_Automaton):
        def __init__(self, heads: list[bytes]) -> None:
            building.set()
            assert go_on.wait(30)
            super().__init__(heads)

    monkeypatch.setattr(value_search, "_Automaton", Slow)
    finder = ValueFinder()
    finder.add(b"hunter2-secret")
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(finder.contains, b"nothing")
        assert building.wait(30)
        second = threads.submit(finder.contains, b"a hunter2-secret here")
        assert not wait([second], timeout=0.2).done
        go_on.set()
        assert (first.result(30), second.result(30)) == (False, True)
