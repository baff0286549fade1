"""A line that is not one JSON value is `parse_error`, also where a part of it is one or a request."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sidecar_protocol import codec
from sidecar_protocol.errors import ErrorCode, WireError

NO_VALUES = {
    "numbers": rb"01 -01 00 1. -2. .5 -.5 +1 - -x 1e 1e+ 1.e1 0.e1 0E+ 1eE2 9.3e+ 1.5.5 1+2 0x10 1_000 1a --1".split(),
    "words": b"NaN nan Infinity -Infinity nul tru truefalse True None undefined abc * <null>".split(),
    "quotes": [b"'a'", b'"', b'"a', b"\"a'", b'"a"b"', b"`a`", b"\xe2\x80\x9ca\xe2\x80\x9d"],
    "escapes": [rb'"\a"', rb'"\x41"', rb'"\u12"', rb'"\u12G4"', rb'"\U0041"', rb'"\""', b'"\\\xc3\xa9"', rb'"\ "'],
    "control characters": [b'"\t"', b'"\x00"', b'"\x1f"', b"\x00", b"\x0b1", b"\x0c1", b"1\x00", b'"a\rb"'],
    "surrogates": [rb'"\ud800"', rb'"\ud800\u0041"', rb'"\udc00"', rb'"\udc00\ud800"', rb'{"\ud800":1}'],
    "bad UTF-8": [b'"\xff"', b'"\xc3"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\xf4\x90\x80\x80"', b"\xa01", b"\xff"],
    "other spaces": [
        b"\xc2\xa01",
        b"\xe2\x80\xa81",
        b"1\xe2\x81\xa0",
        b"\xe3\x80\x80",
        b"\xef\xbb\xbf1",
        b"1\xef\xbb\xbf",
    ],
    "arrays": [b"[1 2]", *b"[1,] [,1] [1,,2] [, [1 [ ] [[] [1]] [1;2] [a [,] [1,]] [1:2] (1) [1,2".split()],
    "objects": [
        *(b'{"a" 1}', b'{"a":1 "b":2}', b'{"a":1;"b":2}', b"{'a':1}", b"{a:1}", b"{1:1}", b"{null:1}", b"{[]:1}"),
        *rb'{"a":1,} {,"a":1} {"a" {"a": {"a":} {"a":1 { } {"a":1}} {"a"::1} {"a",1} {{}}'.split(),
    ],
    "comments": [b"/**/1", b"1//", b"1/**/", b"1#", b"//", b"[1/*,*/]", b"<!-- -->1", b"--1"],
    "several": [b"1 2", b"1,2", b"{} {}", b"{}{}", b"[][]", b'"a" "b"', b"null null", b"{}x", b"[]/", b"{},"],
}
"""Kind -> texts that are no JSON value, wherever one is wanted."""
PLACES = {
    "alone": b"%s",
    "in an array": b"[%s]",
    "after an array": b"[] %s",
    "after a request": b'{"type":"ping"}%s',
    "after an object": b"{} %s",
    "a member of no request": b'{"a":%s}',
    "after a type that is none": b'{"type":1,"x":%s}',
    "after an id that is none": b'{"id":1.5,"x":%s}',
    "after a list that is no request": b'["type",%s',
    "an unknown member": b'{"type":"ping","x":%s}',
    "before the type": b'{"x":%s,"type":"ping"}',
    "the content": b'{"type":"ping","content":%s}',
    "deep in a content": b'{"type":"send_cv","content":{"referenceNumber":"a","b":[{"c":%s}]}}',
    "the id": b'{"type":"ping","id":%s}',
    "the type": b'{"type":%s}',
}
"""The places of such a text in a line."""
WHOLE = ("in an array", "a member of no request", "after a type that is none", "after an id that is none")
"""Places where a value makes a line that is JSON and no request."""
VALUES = (
    rb'0 -0 1.5 1e5 1E+400 -1.5e-3 123456789012345678901234567890 true null [] {} [[]] "\u00e9\ud83d\ude00\/" '.split()
)


def code_of(line: bytes) -> str:
    """The code of `decode`'s error for a line."""
    try:
        codec.decode(line)
    except WireError as wrong:
        return str(wrong.code)
    return ""


@pytest.mark.parametrize("kind", NO_VALUES)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_json_is_a_parse_error(kind: str, place: str) -> None:
    """Invalid JSON is a parse error, however much valid JSON precedes it."""
    lines = [PLACES[place] % text for text in NO_VALUES[kind]]
    # `1}` and the like end the place itself, and then what follows is too much; none of them makes JSON
    assert {
        line: code for line in lines if (code := code_of(line)) != ErrorCode.PARSE_ERROR and not is_json(line)
    } == {}
    assert sum(not is_json(line) for line in lines) >= len(lines) - 2


@pytest.mark.parametrize("place", WHOLE)
def test_json_that_is_no_request_is_an_invalid_request(place: str) -> None:
    """Valid JSON that is no request is an `invalid_request`, not a parse error."""
    assert {code_of(PLACES[place] % value) for value in VALUES} == {ErrorCode.INVALID_REQUEST}


def is_json(line: bytes) -> bool:
    """Whether it is JSON, by Python's own reader, made strict."""
    try:
        _refuse_surrogates(json.loads(line.decode(), parse_constant=_refuse))
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _refuse_surrogates(value: Any) -> None:
    json.dumps(value, ensure_ascii=False).encode()


@given(st.sampled_from([p % v for p in PLACES.values() for v in VALUES]), st.data())
def test_a_line_with_a_byte_changed(line: bytes, data: st.DataObject) -> None:
    """A line is a parse error exactly if another reader rejects it."""
    at = data.draw(st.integers(0, len(line) - 1))
    byte = data.draw(st.sampled_from([bytes([n]) for n in b"\"\\,:[]{}01.-+eE /'tfnx\x00\x1f\xff\xc3 "] + [b""]))
    changed = line[:at] + byte + line[at + data.draw(st.integers(0, 1)) :]
    assert (code_of(changed) != ErrorCode.PARSE_ERROR) == is_json(changed), changed


@pytest.mark.parametrize("line", [b"[" + b"1," * 50_000, b'{"a":"' + b"x" * 500_000, b'{"a":1}' + b"[" * 500_000])
def test_an_error_is_short(line: bytes) -> None:
    """An error is short, however long its line is."""
    with pytest.raises(WireError) as caught:
        codec.decode(line)
    assert caught.value.code is ErrorCode.PARSE_ERROR
    assert len(caught.value.message) < 200
