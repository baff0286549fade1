"""What servers' answers become: values, and sentences without keys and URLs."""

import hashlib
import html
import json
from urllib.parse import quote, quote_plus

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sidecar_protocol.errors import ErrorCode

from sidecar.errors import RemoteFailed
from sidecar.net import responses
from sidecar.net.http_response import HttpResponse

KEY = 'k€y "with" <all> & ever/thing+else%20'


VISIBLE = st.characters(codec="utf-8", exclude_categories=("Z", "C"))
"""What keys are made of; with blanks, our own words around a quotation could make up a key."""


def answer(body: bytes | str, status: int = 500) -> HttpResponse:
    """An answer without headers."""
    return HttpResponse(status, {}, body.encode() if isinstance(body, str) else body)


@pytest.mark.parametrize(
    ("status", "body", "said", "code", "retryable"),
    [
        (400, '{"error":"cv is wrong"}', "cv is wrong", ErrorCode.REMOTE_ERROR, False),
        (401, '{"error":"auth header is invalid"}', "auth header is invalid", ErrorCode.UNAUTHORIZED, False),
        (401, "", "server returned 401 code, with body (empty)", ErrorCode.UNAUTHORIZED, False),
        (403, '{"error":"no"}', "no", ErrorCode.FORBIDDEN, False),
        (404, '{"error":"item not found"}', "item not found", ErrorCode.NOT_FOUND, False),
        (404, "<h1>404</h1>", "server returned 404 code, with body <h1>404</h1>", ErrorCode.REMOTE_ERROR, False),
        (429, '{"error":"slow down"}', "slow down", ErrorCode.REMOTE_ERROR, True),
        (500, '{"error":" in the middle "}', "in the middle", ErrorCode.REMOTE_ERROR, False),
        (500, '{"error":""}', 'server returned 500 code, with body {"error":""}', ErrorCode.REMOTE_ERROR, False),
        (
            500,
            '{"error":" \\n"}',
            'server returned 500 code, with body {"error":" \\n"}',
            ErrorCode.REMOTE_ERROR,
            False,
        ),
        (500, '{"error":7}', 'server returned 500 code, with body {"error":7}', ErrorCode.REMOTE_ERROR, False),
        (500, "{}", "server returned 500 code, with body {}", ErrorCode.REMOTE_ERROR, False),
        (500, "[]", "server returned 500 code, with body []", ErrorCode.REMOTE_ERROR, False),
        (500, " \r\n ", "server returned 500 code, with body (empty)", ErrorCode.REMOTE_ERROR, False),
        (502, "<p>bad", "server returned 502 code, with body <p>bad", ErrorCode.REMOTE_ERROR, True),
        (500, b"\xff\xfe", "server returned 500 code, with body \ufffd\ufffd", ErrorCode.REMOTE_ERROR, False),
        (
            500,
            b'{"error":"\xff"}',
            'server returned 500 code, with body {"error":"\ufffd"}',
            ErrorCode.REMOTE_ERROR,
            False,
        ),
    ],
)
def test_a_refusal_quotes_the_server(
    status: int, body: str | bytes, said: str, code: ErrorCode, retryable: bool
) -> None:
    """The server's own sentence where it gave one, else its status and body; never nothing."""
    failed = responses.to_error(answer(body, status), ())
    assert (failed.message, failed.code, failed.retryable) == (said, code, retryable)
    assert failed.details == {"status": status}


@pytest.mark.parametrize("open_bracket", [b"[", b'{"error":'])
def test_depth_does_not_bypass_the_checks(open_bracket: bytes) -> None:
    """A body nested beyond all measure is quoted like any other, or is not the expected JSON."""
    deep = answer(open_bracket * 100_000)
    assert responses.to_error(deep, ()).message.startswith("server returned 500 code, with body ")
    with pytest.raises(RemoteFailed, match="not the expected JSON"):
        responses.raw_json(deep)


FORMS = [
    KEY,
    quote(KEY),
    quote(KEY, safe=""),
    quote(KEY, safe="").lower(),
    quote_plus(KEY),
    html.escape(KEY),
    json.dumps(KEY)[1:-1],
    json.dumps(KEY, ensure_ascii=False)[1:-1],
    KEY.upper(),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("frame", ['{"error":%s}', "<b>%s</b>"])
def test_an_echoed_key_is_taken_out(form: str, frame: str) -> None:
    """A key that the server echoes in any form is not in the sentence."""
    echoed = f"no {form} no"
    body = frame % (json.dumps(echoed) if "{" in frame else echoed)
    said = responses.to_error(answer(body), (KEY,)).message
    assert not any(one.lower() in said.lower() for one in (*FORMS, json.dumps(form)[1:-1]))
    assert "no ********** no" in said


def test_an_echoed_digest_is_taken_out_in_either_case() -> None:
    """The digest is as good as the key, and a server may write it in upper case."""
    digest = hashlib.sha512(KEY.encode()).hexdigest()
    said = responses.to_error(answer(json.dumps({"error": f"{digest} {digest.upper()}"})), (KEY, digest)).message
    assert said == "********** **********"


def test_no_half_of_a_key_is_left_at_the_cut() -> None:
    """A long body is cut after the keys are taken out of it."""
    for before in range(responses.MAX_QUOTED - len(KEY) - 2, responses.MAX_QUOTED + 2):
        said = responses.to_error(answer("x" * before + KEY + "y" * 100), (KEY,)).message
        assert "k€y" not in said
        assert len(said) < responses.MAX_QUOTED + 60


def test_a_long_sentence_is_cut() -> None:
    """A server can't fill the parent's log with one error."""
    said = responses.to_error(answer(json.dumps({"error": "x" * 3_000_000})), ()).message
    assert said == "x" * responses.MAX_QUOTED + "…"


def test_short_keys_leave_the_sentence_legible() -> None:
    """A key of a letter or two stands in every other word; an empty one stands everywhere."""
    said = responses.to_error(answer('{"error":"item not found"}', 404), ("", "t", "em")).message
    assert said == "item not found"


@pytest.mark.parametrize(
    ("said", "quoted"),
    [
        ("can't open http://u:p@db.local:80/a?b=c#d now", "can't open db.local:80 now"),
        ('<a href="https://h.nl/x">', '<a href="h.nl">'),
        ("HTTP://H/x", "H"),
        ("see http://h, please", "see h, please"),
    ],
)
def test_only_the_host_of_a_url_is_quoted(said: str, quoted: str) -> None:
    """A path or a query may contain a secret, so no sentence quotes them."""
    assert responses.to_error(answer(json.dumps({"error": said})), ()).message == quoted


@given(st.text(VISIBLE, min_size=4, max_size=40), st.text(max_size=600), st.text(max_size=20))
def test_no_sentence_holds_a_key(key: str, before: str, after: str) -> None:
    """No sentence contains a key, whatever text surrounds it."""
    for body in (before + key + after, json.dumps({"error": before + key + after})):
        said = responses.to_error(answer(body.encode(errors="replace")), (key,)).message
        assert said
        assert key not in said or key in "server returned 500 code, with body **********… (empty)"


@pytest.mark.parametrize(
    "body", ["", " ", "<html>", '{"hasMatches":', "[]x", "01", '"\\ud800"', b'"\xff"', b"\xef\xbb\xbf{}", '"a\nb"']
)
def test_what_is_not_json_is_an_error(body: str | bytes) -> None:
    """A success without a value is none."""
    with pytest.raises(RemoteFailed) as failed:
        responses.raw_json(answer(body, 200))
    assert failed.value.message == "server returned 200 code, with a body that is not the expected JSON"
    assert failed.value.details == {"status": 200}


@pytest.mark.parametrize(
    "value",
    ["12.50", "9" * 5000, "1e999", "-0", '"\\u00e9\\/"', '{"b":1,"a":2,"b":3}', "null", '"\u2028"', '{"a" : [ 1 ]}'],
)
def test_json_stays_as_it_came(value: str) -> None:
    """Numbers, escapes, order and spaces of JSON stay unchanged."""
    assert bytes(responses.raw_json(answer(f" {value}\n", 200))) == value.encode()


def test_json_over_several_lines_is_put_on_one() -> None:
    """A reply is one line, and so is the value in it."""
    value = bytes(responses.raw_json(answer('{\r\n\t"a": "x\\ny",\n\t"b": [\n]\r\n}', 200)))
    assert b"\n" not in value
    assert b"\r" not in value
    assert orjson.loads(value) == {"a": "x\ny", "b": []}
