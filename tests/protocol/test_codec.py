"""One line of bytes <-> one message, without a process around it."""

import contextlib
import copy
import json
import pickle
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sidecar_protocol import codec
from sidecar_protocol.codec import NO_CONTENT
from sidecar_protocol.cvs import reference_of
from sidecar_protocol.decoding import decode_as
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import ErrorCode, ErrorDetail, WireError
from sidecar_protocol.jobs import SendJob
from sidecar_protocol.replies import Error, Event, Ok, Pong, Ready
from sidecar_protocol.requests import CONTENTS, OPTIONAL, shape_of
from sidecar_protocol.secrets import SecretRequest
from sidecar_protocol.session import Cancel, Credentials, Hello, MockOptions
from sidecar_protocol.wire_types import Raw, Secret

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)
DETAIL = ErrorDetail(code=ErrorCode.TIMEOUT, message="too slow", retryable=True, url="http://a", status=504)


@given(kind=TEXT, request_id=st.none() | st.integers() | TEXT, content=JSON, ascii_only=st.booleans())
def test_requests_come_through(kind: str, request_id: int | str | None, content: Any, ascii_only: bool) -> None:
    """Type and id as they were sent, content as the very bytes."""
    raw = json.dumps(content, ensure_ascii=ascii_only)
    envelope = f'{{"x":0,"content": {raw} ,"type":{json.dumps(kind)},"id":{json.dumps(request_id)}}}'
    request = codec.decode(envelope.encode())
    assert (request.type, request.id) == (kind, request_id)
    assert request.content == msgspec.Raw(raw.encode())


@pytest.mark.parametrize(
    "reply",
    [
        Ready(protocol="2.0", version="1", pid=1),
        Ok(),
        Ok(None),
        Ok({"a": [1]}, "id"),
        Pong(),
        Pong(0),
        Error("too slow", DETAIL),
        Error("too slow", DETAIL, ""),
        Event("progress", {"done": 1}),
        Event("job_update", None, 7),
    ],
)
def test_replies_come_back(reply: codec.Reply) -> None:
    """Every reply is one line that decodes to the same reply."""
    line = codec.encode(reply)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert json.loads(line) == {"type": reply.type, **reported(reply)}


def reported(reply: codec.Reply) -> dict[str, Any]:
    """The reply's members, as a parent reads them."""
    given = {name: value for name, value in asdict(reply).items() if value is not NO_CONTENT}
    if isinstance(reply, Error):
        given["error"] = {name: value for name, value in given["error"].items() if value is not None}
    return given


@pytest.mark.parametrize("request_id", [None, 0, 7, "", "a"])
@pytest.mark.parametrize("content", [NO_CONTENT, True, False, None, "", 0, [], {"a": 1}, Raw(b'{"b" : 1}')])
def test_the_quick_forms_of_ok_are_the_same(request_id: int | str | None, content: Any) -> None:
    """Replies that are encoded in advance equal encoded ones."""
    long_form = Ok(content) if request_id is None else Ok(content, request_id)
    assert codec.encode_ok(request_id, content) == codec.encode(long_form)


@pytest.mark.parametrize("request_id", [None, 0, ""])
def test_pong_and_error_carry_the_id(request_id: int | str | None) -> None:
    """An id that is falsy is an id; none is no key."""
    envelope = {} if request_id is None else {"id": request_id}
    assert json.loads(codec.encode_pong(request_id)) == {"type": "pong", **envelope}
    assert json.loads(codec.encode_error(request_id, DETAIL)) == {
        "type": "error",
        "content": "too slow",
        "error": {"code": "timeout", "message": "too slow", "retryable": True, "url": "http://a", "status": 504},
        **envelope,
    }


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"id":5}', 5),
        (b'{"id":"a","type":1}', "a"),
        (b'{"id":1.5}', None),
        (b'{"id":"\xff"}', None),
        (b'{"id":"\\ud800"}', None),
        (b'{"id":3,"a":"\xff"}', 3),
        (b'{"id":5', None),
        (b"[1]", None),
        (b"", None),
        (b"[" * 100_000, None),
    ],
)
def test_an_id_is_saved_where_it_can_be(line: bytes, expected: int | str | None) -> None:
    """The id of an otherwise wrong line is found; in any other line it is None and no failure."""
    assert codec.extract_id(line) == expected


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_a_wire_error(line: bytes) -> None:
    """Decoding raises no other error, and an id is a string, an integer or none."""
    with contextlib.suppress(WireError):
        assert isinstance(codec.decode(line), codec.Request)
    assert isinstance(codec.extract_id(line), str | int | None)


@pytest.fixture
def deep() -> Iterator[None]:
    """Room for nested values, as the app makes it."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(codec.MAX_NESTING + 500)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("deep")
@pytest.mark.parametrize("pairs", [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"]}":', b"}]"), (b'["\\"[",', b"]")])
def test_nesting_is_counted_exactly(pairs: tuple[bytes, bytes]) -> None:
    """1,000 levels with the envelope's own are read, one more is not, whatever they are made of."""
    opening, closing = pairs
    each = opening.count(b"[") - opening.count(b'"[') + opening.count(b"{")
    levels = (codec.MAX_NESTING - 1) // each

    def line(more: bytes = b"", less: bytes = b"") -> bytes:
        padding = b"[" * ((codec.MAX_NESTING - 1) % each)
        inner = more + b'"' + b"[" * 3000 + b'"' + less
        return b'{"type":"a","b":' + padding + opening * levels + inner + closing * levels + b"]" * len(padding) + b"}"

    assert codec.decode(line()).type == "a"
    with pytest.raises(WireError, match="nested over 1000 levels"):
        codec.decode(line(b"[", b"]"))


def test_many_brackets_side_by_side_are_no_nesting() -> None:
    """Any number of brackets in a row is no nesting, at any piece boundary of a long line."""
    line = b'{"type":"a","b":[' + b'{"k\\"[[":"}}"},' * 20_000 + b"[]]}"
    assert codec.decode(line).type == "a"


CONTENT = {
    "hello": (b'{"notifications":true}', Hello(notifications=True)),
    "ping": (b'{"a":1}', None),
    "cancel": (b'{"id":"a"}', Cancel(id="a")),
    "set_mock": (b'{"secrets":{"a": 1.50}}', MockOptions(secrets={"a": Raw(b"1.50")})),
    "set_credentials": (
        b'{"server_location":"http://a","api_key":"k","x":1}',
        Credentials(server_location="http://a", api_key=Secret("k")),
    ),
    "set_cached_reference": (b'"a"', "a"),
    "send_cv": (b'{ "a" : 1 }', Raw(b'{ "a" : 1 }')),
}


@pytest.mark.parametrize("kind", CONTENT)
def test_content_is_read_into_its_type(kind: str) -> None:
    """The message's type selects the model."""
    raw, expected = CONTENT[kind]
    assert codec.decode_content(codec.Request(kind, None, msgspec.Raw(raw))) == expected


NULLS = {
    "set_mock": (b'{"secrets":{"a":null},"cv_matches":null}', MockOptions(secrets={"a": Raw(b"null")})),
    "get_secret": (b'{"key":"a","encryption_key": null}', SecretRequest(key="a")),
    "set_credentials": (b'{"server_location":"http://a","primary":null}', Credentials(server_location="http://a")),
    "set_multiple_credentials": (
        b'[{"server_location":"http://a","name":null},{"primary":true}]',
        [Credentials(server_location="http://a"), Credentials(primary=True)],
    ),
}


@pytest.mark.parametrize("kind", NULLS)
def test_a_member_of_v1_that_is_null_is_absent(kind: str) -> None:
    """A null member is absent, as Go reads it; deeper ones stay."""
    raw, expected = NULLS[kind]
    assert codec.decode_content(codec.Request(kind, None, msgspec.Raw(raw))) == expected


@pytest.mark.parametrize("raw", [b"null", b"1", b"[null]", b'{"primary":1,"name":null}', b'{"primary":"x"}'])
def test_other_wrong_content_of_v1_than_nulls_is_refused(raw: bytes) -> None:
    """Other wrong content is refused with its place."""
    with pytest.raises(WireError, match=r"(content|\[0\]|primary): expected"):
        codec.decode_content(codec.Request("set_credentials", None, msgspec.Raw(raw)))


@pytest.mark.parametrize("kind", CONTENTS)
def test_absent_content_is_a_default_or_an_error(kind: str) -> None:
    """Types that can do without one say what it means; null means the same for them."""
    if kind in OPTIONAL:
        for absent in (codec.Request(kind), codec.Request(kind, None, msgspec.Raw(b"null"))):
            assert codec.decode_content(absent) == ((shape := shape_of(kind)) and shape())
    elif CONTENTS[kind] is None:
        assert codec.decode_content(codec.Request(kind)) is None
    else:
        with pytest.raises(WireError, match="content is missing"):
            codec.decode_content(codec.Request(kind))


def test_content_of_an_unknown_type_is_refused() -> None:
    """Decoding a content of an unknown type is an error."""
    with pytest.raises(WireError, match="unknown message type nothing"):
        codec.decode_content(codec.Request("nothing"))


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"steps": [{"url": "http://a"}, {"url": 1}]}, "steps[1].url"),
        ({"steps": [{"url": "http://a", "extract": {"a": {"selector": ""}}}]}, "steps[0].extract[...].selector"),
        ({"steps": [{"url": "http://a", "extract": {"a": {"selector": "b", "x": 1}}}]}, "steps[0].extract[...].x"),
        ({"steps": [{"url": "http://a"}], "pdf": {"margin": {"top": "wide"}}}, "pdf.margin.top"),
        ({"steps": [{"url": "http://a"}], "pdf": {"scale": 3}}, "pdf.scale"),
        ({"steps": [{"url": "http://a"}], "cookies": [{"name": "n", "value": "v"}]}, "cookies[0].domain"),
    ],
)
def test_errors_name_the_place(content: Any, field: str) -> None:
    """The path from the content down to what is wrong."""
    request = codec.Request("send_job", None, msgspec.Raw(json.dumps(content).encode()))
    with pytest.raises(WireError) as caught:
        codec.decode_content(request)
    assert caught.value.detail.code is ErrorCode.INVALID_CONTENT
    assert caught.value.detail.field == field
    assert caught.value.message.startswith(f"{field}: ")


@given(TEXT.filter(bool), st.sampled_from(["referenceNumber", "reference_number"]), st.booleans())
def test_a_cv_is_known_by_its_reference(reference: str, name: str, ascii_only: bool) -> None:
    """A reference is found under either name, in any spelling of its characters."""
    cv = json.dumps({"a": [1], name: reference}, ensure_ascii=ascii_only)
    assert reference_of(msgspec.Raw(cv.encode())) == reference


def test_secrets_are_not_printed() -> None:
    """Neither by repr, str or format, nor by encoding, nor inside of a model."""
    job = decode_as(SendJob, b'{"steps":[{"url":"http://a"}],"cookies":[{"name":"n","value":"hush","domain":"d"}]}')
    secret = job.cookies[0].value
    assert secret.reveal() == "hush"
    said = [repr(secret), str(secret), f"{secret}", repr(job), codec.encode(Ok(job)).decode()]
    assert not any("hush" in text for text in said)
    for wrapped in (secret, job):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(wrapped)
    assert copy.deepcopy(job) == job


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**400, -(10**400)])
def test_integers_of_any_size_stay_whole(number: int) -> None:
    """Integers of any size stay whole when read and written, also as ids."""
    line = b'{"type":"create_task","id":%d,"content":{"script":"a","interval":1000,"config":{"n":%d}}}' % (
        number,
        number,
    )
    request = codec.decode(line)
    assert request.id == number
    content = codec.decode_content(request)
    assert content.config == {"n": number}
    assert json.loads(codec.encode_ok(request.id, [content.config, content])) == {
        "type": "ok",
        "content": [{"n": number}, json.loads(encode(content))],
        "id": number,
    }


@pytest.mark.parametrize("levels", [99, 100, 101, 199, 250, 260, 900])
@pytest.mark.usefixtures("deep")
def test_deep_values_are_written(levels: int) -> None:
    """Deeper than orjson goes by itself, whatever holds them."""
    value: Any = {"n": 2**70}
    for number in range(levels):
        value = [value] if number % 2 else {"a": value}
    assert json.loads(codec.encode_ok(1, value))["content"] == value


def test_what_is_raw_is_cut_out_byte_for_byte() -> None:
    """Raw members are cut out even if deeper than models allow, or if a key occurs twice."""
    inner = b'{"a": 1.50, "b":' + b"[" * 700 + b" " + b"]" * 700 + b', "a":1e2 }'
    line = b'{"type":"create_schedule","content":{"name":"n","enabled":true,"push":{"type":"x","content":1},'
    line += b'"trigger":{"single":{"time":"t","zone_type":1}},"push":{"content": %b ,"type":"send_cv"}}}' % inner
    content = codec.decode_content(codec.decode(line))
    assert bytes(content.push.content) == inner
    assert encode(content.push) == b'{"type":"send_cv","content":%b}' % inner
