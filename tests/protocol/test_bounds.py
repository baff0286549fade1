"""Limits of one content: checked before it is built, and exact about the contents of strings."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sidecar_protocol import codec
from sidecar_protocol.bounds import DEEPEST, MOST_PARTS, excess
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import ErrorCode, WireError
from sidecar_protocol.jobs import MOST_ACTIONS, MOST_COOKIES, MOST_FIELDS, MOST_STEPS
from sidecar_protocol.session import MAX_SERVERS

JSON = st.recursive(
    st.none() | st.integers() | st.text('a"\\,[]{}é', max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('a"\\,[{', max_size=4), inner, max_size=4),
    max_leaves=12,
)


def refused(kind: str, content: bytes) -> WireError:
    """The codec's error for a content."""
    with pytest.raises(WireError) as failed:
        codec.decode_content(codec.decode(b'{"type":"%b","content":%b}' % (kind.encode(), content)))
    return failed.value


def listed(member: bytes, times: int) -> bytes:
    """A JSON list that repeats one item."""
    return b"[" + b",".join([member] * times) + b"]"


STEP = b'{"url":"data:,"}'
COOKIE = b'{"name":"a","value":"b","domain":"c"}'
FIELDS = b"{" + b",".join(b'"%d":"a"' % number for number in range(MOST_FIELDS + 1)) + b"}"


@pytest.mark.parametrize(
    ("kind", "content", "field"),
    [
        ("send_job", b'{"steps":' + listed(STEP, MOST_STEPS + 1) + b"}", "steps"),
        (
            "send_job",
            b'{"steps":[{"url":"a","actions":' + listed(b'"x"', MOST_ACTIONS + 1) + b"}]}",
            "steps[0].actions",
        ),
        (
            "send_job",
            b'{"steps":' + listed(b'{"url":"a","actions":' + listed(b'"x"', MOST_ACTIONS // 2 + 1) + b"}", 2) + b"}",
            "steps",
        ),
        ("send_job", b'{"steps":[{"url":"a","extract":' + FIELDS + b"}]}", "steps[0].extract"),
        ("send_job", b'{"steps":[' + STEP + b'],"cookies":' + listed(COOKIE, MOST_COOKIES + 1) + b"}", "cookies"),
        ("send_job", b'{"steps":[' + STEP + b'],"options":' + listed(b'"PDF"', 21) + b"}", "options"),
        ("set_multiple_credentials", listed(b"{}", MAX_SERVERS + 1), "content"),
        ("set_credentials", listed(b"{}", MAX_SERVERS + 1), "content"),
        ("set_webhooks", listed(b'{"url":"a"}', MOST_PARTS), "content"),
        ("set_mock", b'{"secrets":{"a":' + listed(b"1", MOST_PARTS) + b"}}", "secrets"),
    ],
)
def test_oversized_content_names_its_place(kind: str, content: bytes, field: str) -> None:
    """`limit_exceeded`, not retryable, with the place."""
    failed = refused(kind, content)
    assert (failed.code, failed.details["field"], failed.retryable) == (ErrorCode.LIMIT_EXCEEDED, field, False)


def test_too_deep_content_names_its_place() -> None:
    """200 levels of what is read by models, 1,000 of what is passed on as it came; `invalid_content`."""
    failed = refused("send_job", b'{"steps":[{"url":"a","actions":[{"evaluate":' + b"[" * 300 + b"]" * 300 + b"}]}]}")
    assert (failed.code, str(failed)) == (ErrorCode.INVALID_CONTENT, "steps: nested over 200 levels")
    deep = b'{"interval":1000,"script":"a","config":{"a":' + b"[" * 198 + b"]" * 198 + b"}}"
    codec.decode_content(codec.decode(b'{"type":"create_task","content":%b}' % deep))
    failed = refused("create_task", deep.replace(b"[]", b"[[]]"))
    assert (failed.code, str(failed)) == (ErrorCode.INVALID_CONTENT, "config: nested over 200 levels")
    failed = refused("set_mock", b'{"cv_matches":' + b"[" * 300 + b"]" * 300 + b"}")
    assert (failed.code, str(failed)) == (ErrorCode.INVALID_CONTENT, "cv_matches: nested over 200 levels")


@pytest.mark.parametrize("last", [b"1", b'{"url":1}', b"{}"])
def test_a_million_members_are_refused_before_they_are_built(last: bytes) -> None:
    """Reading stops at the limit, before a mistake at the end."""
    many = b'{"steps":[' + b",".join([STEP] * 300_000) + b"," + last + b"]}"
    failed = refused("send_job", many)
    assert (failed.code, str(failed)) == (ErrorCode.LIMIT_EXCEEDED, f"steps: more than {MOST_PARTS} values")


def test_what_is_allowed_passes() -> None:
    """Contents at the limits pass, also long strings full of brackets, and any content that is passed on unread."""
    text = orjson.dumps('[{",\\' * MOST_PARTS)
    for content in (
        b'{"steps":' + listed(STEP, MOST_STEPS) + b"}",
        b'{"steps":[{"url":"a","name":' + text + b',"actions":' + listed(b'"x"', MOST_ACTIONS) + b"}]}",
    ):
        assert codec.decode_content(codec.decode(b'{"type":"send_job","content":%b}' % content)).steps
    mock = b'{"secrets":{"a":' + b"[" * 900 + b"]" * 900 + b"}}"
    assert codec.decode_content(codec.decode(b'{"type":"set_mock","content":%b}' % mock)).secrets.keys() == {"a"}
    cv = b'{"referenceNumber":"a","x":' + b"[" * 900 + b"]" * 900 + b',"y":' + listed(b"1", MOST_PARTS) + b"}"
    assert codec.decode_content(codec.decode(b'{"type":"send_cv","content":%b}' % cv)) == cv


@given(JSON, st.integers(0, 6))
def test_only_text_outside_of_strings_is_counted(value: object, bound: int) -> None:
    """Commas, brackets and levels outside of strings, whatever the strings hold."""
    levels = parts = deepest = 0
    waiting = [(value, 1)]
    while waiting:
        one, level = waiting.pop()
        members = one if isinstance(one, list) else list(one.values()) if isinstance(one, dict) else None
        if members is not None:
            deepest = max(deepest, level)
            parts += 1 + max(0, len(members) - 1)
            waiting += [(member, level + 1) for member in members]
    levels = deepest
    raw = encode(value)
    assert bool(excess(raw, parts=bound, levels=DEEPEST)) == (parts > bound)
    assert bool(excess(raw, parts=1_000, levels=bound)) == (levels > bound)
