"""Lines that are made to cost much: four times as long costs about four times as much, and errors stay short."""

import json
import time
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sidecar_protocol import codec
from sidecar_protocol.bounds import deeper, outside_strings
from sidecar_protocol.codec import LONGEST_SENTENCE
from sidecar_protocol.errors import WireError
from sidecar_protocol.jobs import SendJob

BRACKETS = b'{"type":"ping","a":[' + b"[]," * 1_100


def keyed(key: str) -> bytes:
    """A message with a field that it does not have."""
    return json.dumps({"type": "cancel", "id": "x", "content": {key: 1}}).encode()


LINES: dict[str, Callable[[int], bytes]] = {
    "a key that reads like an error": lambda size: keyed("unknown field `" * (size // 15) + "\n"),
    "a key that reads like a place": lambda size: keyed(" - at `$" * (size // 8) + "\n"),
    "a key of backquotes": lambda size: keyed("`" * size),
    "escaped quotes without an end": lambda size: BRACKETS + b'"' + rb"\"" * (size // 2),
    "quotes": lambda size: BRACKETS + b'"' * size,
    "strings that end in a backslash": lambda size: BRACKETS + rb'"\"' * (size // 3),
    "backslashes": lambda size: BRACKETS + b'"' + b"\\" * size + b'"]}',
    "backslashes outside of strings": lambda size: BRACKETS + b"\\" * size,
    "brackets in strings": lambda size: BRACKETS + b'"[{[{",' * (size // 7) + b"1]}",
    "brackets without an end": lambda size: b"[" * size,
    "brackets side by side": lambda size: b'{"type":"ping","a":[' + b"[]," * (size // 3) + b"1]}",
    "an endless type": lambda size: b'{"type":"%b"}' % (b"x" * size),
    "an endless id": lambda size: b'{"type":"nothing","id":"%b"}' % (b"x" * size),
    "an endless number for an id": lambda size: b'{"type":"ping","id":%b}' % (b"9" * size),
    "an endless value of an enum": lambda size: (
        b'{"type":"send_job","content":{"steps":[],"mode":"%b"}}' % (b"x" * size)
    ),
}


def read(line: bytes) -> WireError | None:
    """What is wrong with a line, if anything is."""
    try:
        codec.decode_content(codec.decode(line))
    except WireError as wrong:
        return wrong
    return None


def cost(line: bytes) -> float:
    """Seconds of CPU that reading it takes, the least of three."""
    spent = []
    for _ in range(3):
        began = time.process_time()
        read(line)
        codec.salvage_id(line)
        spent.append(time.process_time() - began)
    return min(spent)


@pytest.mark.parametrize("name", LINES)
def test_no_line_costs_more_than_linear_time(name: str) -> None:
    """A floor of some milliseconds keeps the clock's own noise out."""
    small, large = (cost(LINES[name](size)) for size in (100_000, 400_000))
    assert large < 10 * max(small, 0.004)


@pytest.mark.parametrize("name", sorted(LINES.keys() - {"an endless type", "an endless id"}))
def test_what_is_said_of_a_line_is_short(name: str) -> None:
    """Only a type that there is none of is repeated as it came."""
    wrong = read(LINES[name](400_000))
    assert wrong is None or len(wrong.message) < 2 * LONGEST_SENTENCE + 100


@given(st.lists(st.sampled_from([b'"', b"\\", b"[", b"]", b"{", b"a", b"\xff", b"\n"])).map(b"".join))
def test_what_stands_outside_of_strings_is_told_of_any_bytes(text: bytes) -> None:
    """The same as letter by letter, as far as the bytes can be JSON: up to a backslash outside of a string."""
    outside, within, escaped = bytearray(), False, False
    for byte in text:
        letter = bytes([byte])
        if not within and letter == b"\\":
            break
        if letter == b'"' and not escaped:
            within = not within
        elif not within:
            outside += letter
        escaped = within and letter == b"\\" and not escaped
    assert b"".join(outside_strings(text)).startswith(bytes(outside))


def test_a_string_is_one_wherever_the_text_is_taken_apart() -> None:
    """Pieces may end within strings, in an escape or at a quote."""
    for before in range(65_530, 65_545):
        text = b" " * before + rb'"[\\\"[" [ "[' + b"["
        assert b"".join(outside_strings(text)).strip() == b"["
        assert not deeper(text, 1)
        assert deeper(text, 0)


def explained(content: bytes) -> tuple[str, str]:
    """What is said of a job."""
    with pytest.raises(msgspec.ValidationError) as wrong:
        msgspec.json.decode(content, type=SendJob)
    return codec.explain(wrong.value)


def test_a_wrong_value_is_quoted_whole_or_not_at_all() -> None:
    """Half of a secret would not be found by whoever takes secrets out of what is said."""
    job = b'{"steps":[{"url":"a"}],"browser":"%b"}'
    assert explained(job % b"opera") == ("invalid enum value 'opera'", "browser")
    assert explained(job % (b"s" * 400)) == (f"invalid enum value '{'s' * 400}'", "browser")
    assert explained(job % (b"s" * 4_000)) == ("invalid enum value …", "browser")
    assert explained(b'{"steps":[{"url":"a","%b":1}]}' % (b"k" * 4_000)) == ("unknown field", "steps[0].…")
    assert explained(b'{"steps":[{"url":"a","k`y":1}]}') == ("unknown field", "steps[0].k`y")
    assert explained(b'{"steps":[{}]}') == ("missing", "steps[0].url")
