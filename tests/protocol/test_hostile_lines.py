"""Lines that are made to cost much: four times as long costs about four times as much, and errors stay short."""

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sidecar_protocol import codec
from sidecar_protocol.bounds import deeper, outside_strings
from sidecar_protocol.errors import FieldError, WireError
from sidecar_protocol.validation_errors import LONGEST_SENTENCE

BRACKETS = b'{"type":"ping","a":[' + b"[]," * 1_100


def keyed(key: str) -> bytes:
    """A message with an unknown field."""
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
    """The error of a line, or None."""
    try:
        codec.decode_content(codec.decode(line))
    except WireError as wrong:
        return wrong
    return None


def cost(work: Callable[[], object]) -> float:
    """Seconds of CPU that it takes, the least of three."""
    spent = []
    for _ in range(3):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent)


@pytest.mark.parametrize("name", LINES)
def test_no_line_costs_more_than_linear_time(name: str) -> None:
    """A floor of some milliseconds keeps the clock's own noise out."""

    def cost_of_line(size: int) -> float:
        line = LINES[name](size)
        return cost(lambda: (read(line), codec.extract_id(line)))

    small, large = cost_of_line(100_000), cost_of_line(400_000)
    assert large < 10 * max(small, 0.004)


@pytest.mark.parametrize("name", sorted(LINES.keys() - {"an endless type", "an endless id"}))
def test_what_is_said_of_a_line_is_short(name: str) -> None:
    """Sentences about a line are short; only an unknown type is repeated."""
    wrong = read(LINES[name](400_000))
    assert wrong is None or len(wrong.message) < 2 * LONGEST_SENTENCE + 100


@given(st.lists(st.sampled_from([b'"', b"\\", b"[", b"]", b"{", b"a", b"\xff", b"\n"])).map(b"".join))
def test_text_outside_of_strings_is_found_in_any_bytes(text: bytes) -> None:
    """The result equals a scan letter by letter, up to a backslash outside of a string."""
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


def test_a_string_is_scanned_alike_at_every_piece_boundary() -> None:
    """Pieces may end within strings, in an escape or at a quote."""
    for before in range(65_530, 65_545):
        text = b" " * before + rb'"[\\\"[" [ "[' + b"["
        assert b"".join(outside_strings(text)).strip() == b"["
        assert not deeper(text, 1)
        assert deeper(text, 0)


def explained(content: bytes) -> list[tuple[str, str]]:
    """Sentence and place of each mistake of a job."""
    with pytest.raises(WireError) as wrong:
        codec.decode_kept("send_job", content)
    fields = wrong.value.details["fields"]
    assert isinstance(fields, tuple)
    reported = [(one.field, one.message) for one in fields if isinstance(one, FieldError)]
    assert reported[0] == (wrong.value.details["field"], wrong.value.message)
    return reported


SECRET = b"canary-" + b"s" * 400


@pytest.mark.parametrize(
    "job",
    [
        b'{"steps":[{"url":"a"}],"browser":"%b"}',
        b'{"steps":[{"url":"a"}],"cookies":[{"name":"n","domain":"d","value":["%b"]}]}',
        b'{"steps":[{"url":"a"}],"cookies":[{"name":"n","domain":"d","value":{"%b":1}}]}',
        b'{"steps":[{"url":"a"}],"context":{"extra_http_headers":{"%b":1}}}',
        b'{"steps":[{"url":"a"}],"context":{"proxy":{"server":"s","password":["%b"]}}}',
        b'{"steps":[{"url":"a"}],"token":[["%b"]],"timeout_ms":"%b"}',
        b'{"steps":[{"url":"a","extract":{"%b":{"selector":1}}}],"profile":"/%b"}',
        b'{"steps":[{"url":"a"}],"secrets":{"a %b":{"key":"k","encryption_key":{"a":"%b"}}}}',
    ],
)
def test_no_value_is_quoted(job: bytes) -> None:
    """Neither of a secret nor of anything else, and no key of the parent's own making."""
    assert b"canary" not in repr(explained(job.replace(b"%b", SECRET))).encode()


def test_an_unknown_key_is_named_whole_or_not_at_all() -> None:
    """Half of a secret would not be found by redaction."""
    ((place, said),) = explained(b'{"steps":[{"url":"a","k`y":1}]}')
    assert (place, said.partition("; known here: `url`, `name`, ")[0]) == (
        "steps[0].k`y",
        "steps[0].k`y: unknown field `k`y`",
    )
    assert explained(b'{"steps":[{"url":"a","%b":1}]}' % (b"k" * 4_000)) == [
        ("steps[0].…", "steps[0].…: unknown field")
    ]
    assert explained(b'{"steps":[{}]}') == [("steps[0].url", "steps[0].url: missing")]


def test_an_unknown_key_is_guessed() -> None:
    """The nearest name that is known there; a misspelt name comes before what is missing because of it."""
    assert explained(b'{"stepz":[{"url":"a"}]}') == [
        ("stepz", "stepz: unknown field `stepz`; did you mean `steps`?"),
        ("steps", "steps: missing"),
    ]
    cookie = b'{"steps":[{"url":"a"}],"cookies":[{"name":"n","domain":"d","value":"v","http_only":true}]}'
    assert explained(cookie) == [
        ("cookies[0].http_only", "cookies[0].http_only: unknown field `http_only`; did you mean `httpOnly`?")
    ]


def test_every_wrong_field_is_named_up_to_twenty() -> None:
    """The first entry equals `field` and `message`; a list with enough members is not called too short."""
    steps = b",".join([b'{"url":1}'] * 30)
    reported = explained(b'{"steps":[%b],"pdf":{"scale":9}}' % steps)
    assert reported == [(f"steps[{index}].url", f"steps[{index}].url: expected str, got int") for index in range(20)]
    reported = explained(b'{"steps":[{"url":1},{"url":"a","timeout_ms":0}],"pdf":{"scale":9,"media":"x"},"browser":5}')
    assert reported == [
        ("steps[0].url", "steps[0].url: expected str, got int"),
        (
            "steps[1].timeout_ms",
            'steps[1].timeout_ms: expected milliseconds >= 1 (1 ms); text such as "90s" or "1h" names its unit',
        ),
        ("browser", "browser: expected 'CHROMIUM', 'FIREFOX' or 'WEBKIT'"),
        ("pdf.media", "pdf.media: expected 'screen' or 'print'"),
        ("pdf.scale", "pdf.scale: expected float <= 2.0"),
    ]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (b'"forward":1', "forward: expected bool | object, got int"),
        (b'"forward":{"as":"x"}', "forward.as: expected 'cv' or 'result'"),
        (b'"pdf":{"margin":{"top":"wide"}}', r"pdf.margin.top: expected str matching regex "),
        (b'"pdf":{"margin":{"top":-1}}', "pdf.margin.top: expected float >= 0.0"),
        (b'"pdf":{"margin":{"top":[]}}', "pdf.margin.top: expected float | str, got array"),
        (b'"name":5', "name: expected str | null, got int"),
        (b'"retries":true', "retries: expected int, got bool"),
        (b'"retries":1.0', "retries: expected int, got float"),
        (b'"timeout_ms":1e400', "content: a number is out of range"),
        (b'"context":[]', "context: expected object | null, got array"),
    ],
)
def test_a_union_says_one_thing(members: bytes, said: str) -> None:
    """A union gives one error: that of the meant member, or one that names all members."""
    ((_, message),) = explained(b'{"steps":[{"url":"a"}],%b}' % members)
    assert message.startswith(said)


def test_a_nested_mistake_is_reported_once() -> None:
    """A mistake is reported once at any depth of `fields`."""
    wrong: Any = {"selector": 5}
    for _ in range(40):
        wrong = {"selector": "a", "fields": {"k": wrong}}
    ((field, said),) = explained(json.dumps({"steps": [{"url": "a", "extract": {"k": wrong}}]}).encode())
    assert field == "steps[0].extract[...]" + ".fields[...]" * 40 + ".selector"
    assert said.endswith("expected str, got int")


@pytest.mark.parametrize("kind", ["unknown keys", "wrong steps", "nested"])
def test_explaining_takes_linear_time(kind: str) -> None:
    """Explaining contents that are wrong everywhere takes linear time."""

    def content(size: int) -> bytes:
        if kind == "unknown keys":
            return b'{"steps":[{"url":"a"}],%b}' % b",".join(b'"k%d":1' % number for number in range(size))
        if kind == "wrong steps":
            return b'{"steps":[%b]}' % b",".join(
                [b'{"url":1,"x":%b}' % (b"[%b]" % b",".join([b"1"] * (size // 500)))] * 500
            )
        inner = b"[%b]" % b",".join([b"1"] * size)
        for _ in range(50):
            inner = b'{"fields":{"k":%b}}' % inner
        return b'{"steps":[{"url":"a","extract":{"k":%b}}]}' % inner

    small, large = (cost(partial(explained, content(size))) for size in (20_000, 80_000))
    assert large < 10 * max(small, 0.02)
