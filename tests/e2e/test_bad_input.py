"""Lines that no parent should write: each has its one exact answer, and the process lives."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from sidecar_protocol.requests import CONTENTS, OPTIONAL

from tests.harness import MISSING_CREDENTIALS, Child, error

MiB = 1 << 20
TOO_DEEP = error("invalid_content", "content: nested over 200 levels", field="content")
NESTED = error("parse_error", "the line is nested over 1000 levels")
SURROGATE = error("parse_error", "the line is not JSON: input data was truncated")
ADVICE = re.compile(r"; (?:known here: (?:`\w+`(?:, )?)+|it belongs in `[^`]+`)")
NO_ZONE = "there is no time zone of that name; write an IANA name such as Europe/Amsterdam, or UTC"
BLANK = error("parse_error", "the line is blank")


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """One process for all cases, in mock mode; it must have lived through all of them."""
    with Child(tmp_path_factory.mktemp("bad_input")) as running:
        assert running.ask({"type": "set_mock"}) == [{"type": "ok"}]
        yield running
        assert running.ask({"type": "ping"}) == [{"type": "pong"}]
        assert running.end() == 0
        assert running.rest() == []
        assert running.stderr == ""


def parse_error(said: str, **places: Any) -> dict[str, Any]:
    """The reply to a line that is not JSON."""
    return error("parse_error", f"the line is not JSON: {said}", **places)


def not_utf8(said: str, **places: Any) -> dict[str, Any]:
    """The reply to a line that is not UTF-8."""
    return error("parse_error", f"the line is not UTF-8: {said}", **places)


def invalid_request(said: str, **places: Any) -> dict[str, Any]:
    """The reply to JSON that is no request."""
    return error("invalid_request", said, **places)


def invalid_content(said: str, field: str = "content", *, named: bool = True) -> dict[str, Any]:
    """The reply to content of the wrong shape; where `named`, the sentence begins with the field."""
    return error("invalid_content", f"{field}: {said}" if named else said, field=field)


def unknown(field: str, near: str = "") -> dict[str, Any]:
    """The reply to a key that is not known, where `near` is one that it may have been meant for."""
    key = field.rpartition(".")[2]
    return invalid_content(f"unknown field `{key}`" + (f"; did you mean `{near}`?" if near else ""), field)


def also(answer: dict[str, Any], *fields: str) -> dict[str, Any]:
    """Returns the reply with these fields added."""
    return and_said(answer, {field: f"{field}: missing" for field in fields})


def and_said(answer: dict[str, Any], messages: dict[str, str]) -> dict[str, Any]:
    """Returns the reply with these fields added, each with its message."""
    more = [{"field": field, "message": message} for field, message in messages.items()]
    return {**answer, "error": {**answer["error"], "fields": [*answer["error"]["fields"], *more]}}


LINES: dict[str, tuple[bytes, dict[str, Any]]] = {
    "not json": (b"hello", parse_error("invalid character (byte 0)")),
    "single quotes": (b"{'type':'ping'}", parse_error("object keys must be strings (byte 1)")),
    "cut off": (b'{"type":"ping"', parse_error("input data was truncated")),
    "two values": (b'{"type":"ping"}{"type":"ping"}', parse_error("trailing characters (byte 16)")),
    "trailing comma": (b'{"type":"ping",}', parse_error("trailing comma in object (byte 15)")),
    "NaN": (b'{"type":"ping","content":NaN}', parse_error("invalid character (byte 25)")),
    "number with a leading zero": (b'{"type":"send_cv","content":{"a":01}}', parse_error("invalid number (byte 34)")),
    "escape that is none": (b'{"type":"ping","a":"\\q"}', parse_error("invalid escaped character (byte 21)")),
    "raw control character": (b'{"type":"ping","a":"\x01"}', parse_error("invalid character (byte 20)")),
    "blank": (b"", BLANK),
    "only spaces": (b" \t  ", BLANK),
    "only a carriage return": (b"\r", BLANK),
    "array": (b'[{"type":"ping"}]', invalid_request("expected object, got array")),
    "number": (b"12", invalid_request("expected object, got int")),
    "string": (b'"ping"', invalid_request("expected object, got str")),
    "null": (b"null", invalid_request("expected object, got null")),
    "bool": (b"true", invalid_request("expected object, got bool")),
    "no type": (b"{}", invalid_request("type: missing", field="type")),
    "no type but an id": (b'{"id":5}', invalid_request("type: missing", field="type", id=5)),
    "type is a number": (b'{"type":1,"id":"a"}', invalid_request("type: expected str, got int", field="type", id="a")),
    "type is null": (b'{"type":null}', invalid_request("type: expected str, got null", field="type")),
    "type is an array": (b'{"type":["ping"]}', invalid_request("type: expected str, got array", field="type")),
    "unknown type": (b'{"type":"pingg"}', error("unknown_type", "unknown message type pingg")),
    "empty type": (b'{"type":""}', error("unknown_type", "unknown message type ")),
    "type in capitals": (b'{"type":"PING"}', error("unknown_type", "unknown message type PING")),
    "unknown type with an id": (b'{"id":1,"type":"a"}', error("unknown_type", "unknown message type a", id=1)),
    "NUL": (b"\0", parse_error("invalid character (byte 0)")),
    "NUL after the object": (b'{"type":"ping"}\0', parse_error("trailing characters (byte 16)")),
    "byte order mark": (b'\xef\xbb\xbf{"type":"ping"}', parse_error("invalid character (byte 0)")),
    "binary": (bytes(range(256)).replace(b"\n", b""), not_utf8("invalid start byte at byte 127")),
    "UTF-16": ('{"type":"ping"}'.encode("utf-16-le"), parse_error("object keys must be strings (byte 1)")),
    "lone byte": (b'{"type":"ping","a":"\xff"}', not_utf8("invalid start byte at byte 20")),
    "lone continuation": (b'{"type":"\x80"}', not_utf8("invalid start byte at byte 9")),
    "lone byte in the id": (b'{"type":"ping","id":"\xff"}', not_utf8("invalid start byte at byte 21")),
    "lone byte in a key": (b'{"type":"ping","\xc3":1}', not_utf8("invalid continuation byte at byte 16")),
    "lone byte next to an id": (b'{"id":7,"type":"ping","a":"\xff"}', not_utf8("invalid start byte at byte 27", id=7)),
    "overlong": (b'{"type":"ping","a":"\xc0\xaf"}', not_utf8("invalid start byte at byte 20")),
    "overlong of three": (b'{"type":"ping","a":"\xe0\x80\xaf"}', not_utf8("invalid continuation byte at byte 20")),
    "encoded surrogate": (b'{"type":"ping","a":"\xed\xa0\x80"}', not_utf8("invalid continuation byte at byte 20")),
    "beyond Unicode": (b'{"type":"ping","a":"\xf4\x90\x80\x80"}', not_utf8("invalid continuation byte at byte 20")),
    "cut character": (b'{"type":"ping","a":"\xe2\x82', not_utf8("unexpected end of data at byte 20")),
    "surrogate escape in type": (b'{"type":"\\ud800"}', SURROGATE),
    "surrogate escape in id": (
        b'{"type":"ping","id":"\\udfff"}',
        parse_error("invalid utf-16 surrogate pair (byte 27)"),
    ),
    "surrogate escape in content": (b'{"type":"has_cached_reference","content":"\\uD800"}', SURROGATE),
    "surrogate escape in a CV": (b'{"type":"send_cv","content":{"referenceNumber":"a","n":"\\ud800"}}', SURROGATE),
    "surrogate escape in a CV's key": (b'{"type":"send_cv","content":{"referenceNumber":"a","\\ud800":1}}', SURROGATE),
    "surrogate escape in a secret": (b'{"type":"set_mock","content":{"secrets":{"a":"\\ud800"}}}', SURROGATE),
    "surrogate escape in an extra key": (b'{"type":"ping","a":"\\ud800"}', SURROGATE),
    "surrogates in the wrong order": (
        b'{"type":"ping","a":"\\ude00\\ud83d"}',
        parse_error("invalid utf-16 surrogate pair (byte 26)"),
    ),
    "surrogate and a letter": (b'{"type":"ping","a":"\\ud83dx"}', SURROGATE),
    "id is a float": (
        b'{"type":"ping","id":1.5}',
        invalid_request("id: expected int | str | null, got float", field="id"),
    ),
    "id is 1.0": (b'{"type":"ping","id":1.0}', invalid_request("id: expected int | str | null, got float", field="id")),
    "id is a bool": (
        b'{"type":"ping","id":true}',
        invalid_request("id: expected int | str | null, got bool", field="id"),
    ),
    "id is an object": (
        b'{"type":"ping","id":{}}',
        invalid_request("id: expected int | str | null, got object", field="id"),
    ),
    "id is an array": (
        b'{"type":"ping","id":[1]}',
        invalid_request("id: expected int | str | null, got array", field="id"),
    ),
    "id of 5,000 digits": (
        b'{"type":"ping","id":' + b"9" * 5000 + b"}",
        invalid_request("id: integer value out of range", field="id"),
    ),
}
"""Name -> line and its exact answer, but for the hint."""

EXAMPLE = 'a message is an object on one line, such as {"type":"ping"}'
LATIN_1 = "write UTF-8: is this Latin-1 or Windows-1252?"
UTF_16 = "write UTF-8: this looks like UTF-16, which PowerShell writes by default"
BLANK_HINT = "leave out blank lines: each line is answered"
ALL_TYPES = "`hello` answers with all message types"
HINTS = {
    **dict.fromkeys(("not json", "number", "string", "null", "bool", "no type", "no type but an id"), EXAMPLE),
    **dict.fromkeys(("type is a number", "type is null", "type is an array"), EXAMPLE),
    **dict.fromkeys(("blank", "only spaces", "only a carriage return"), BLANK_HINT),
    **dict.fromkeys(("empty type", "unknown type with an id"), ALL_TYPES),
    **dict.fromkeys(("unknown type", "type in capitals"), "did you mean `ping`?"),
    **dict.fromkeys(("two values", "NUL after the object"), "write a line break after each message"),
    **dict.fromkeys(("NUL", "binary", "UTF-16"), UTF_16),
    **dict.fromkeys((name for name in LINES if re.match("lone|overlong|encoded|beyond|cut char", name)), LATIN_1),
    **dict.fromkeys((name for name in LINES if "surrogate" in name), "no half of a surrogate pair may stand alone"),
    "encoded surrogate": LATIN_1,
    "single quotes": "strings need double quotes: is this Python's repr? Use json.dumps",
    "cut off": "a message is one line: is yours pretty-printed?",
    "trailing comma": "leave out the comma before the closing bracket",
    "NaN": "JSON has no NaN and no Infinity; write null",
    "array": "send each message as a line of its own",
    "number with a leading zero": "a number has no leading zero",
    "escape that is none": "within a string a backslash is written twice",
    "raw control character": r"within a string a tab is written \t, a line break \n",
    "byte order mark": "leave out the byte-order mark",
}
"""Name of a line -> what its answer says to do; the others say nothing."""

FINE: dict[str, tuple[bytes, dict[str, Any]]] = {
    "carriage return": (b'{"type":"ping"}\r', {"type": "pong"}),
    "spaces around": (b' \t {"type" : "ping"} \t ', {"type": "pong"}),
    "extra keys": (b'{"type":"ping","a":1,"_log":{"seq":1},"Type":2}', {"type": "pong"}),
    "the last of two types": (b'{"type":"hello","type":"ping"}', {"type": "pong"}),
    "content of a ping": (b'{"type":"ping","content":[{"a":1}]}', {"type": "pong"}),
    "id is an integer": (b'{"type":"ping","id":-7}', {"type": "pong", "id": -7}),
    "id is zero": (b'{"type":"ping","id":0}', {"type": "pong", "id": 0}),
    "id is big": (b'{"type":"ping","id":' + b"9" * 40 + b"}", {"type": "pong", "id": int("9" * 40)}),
    "id is a string": (b'{"type":"ping","id":"a b"}', {"type": "pong", "id": "a b"}),
    "id is an empty string": (b'{"type":"ping","id":""}', {"type": "pong", "id": ""}),
    "id is a long string": (b'{"type":"ping","id":"' + b"x" * 5000 + b'"}', {"type": "pong", "id": "x" * 5000}),
    "id is Unicode": ('{"type":"ping","id":"é\\u0000\\ud83d\\ude00"}'.encode(), {"type": "pong", "id": "é\0😀"}),
    "id is null": (b'{"type":"ping","id":null}', {"type": "pong"}),
    "escaped type": (b'{"t\\u0079pe":"p\\u0069ng"}', {"type": "pong"}),
    "surrogate pair": (b'{"type":"has_cached_reference","content":"\\ud83d\\ude00"}', {"type": "ok", "content": False}),
    "NUL escape": (b'{"type":"has_cached_reference","content":"\\u0000"}', {"type": "ok", "content": False}),
    "number beyond a double": (b'{"type":"ping","a":1e999}', {"type": "pong"}),
    "unknown keys in v1's content": (b'{"type":"set_mock","content":{"secret":1,"x":[]}}', {"type": "ok"}),
    "null where content is optional": (b'{"type":"set_mock","content":null}', {"type": "ok"}),
}
"""Name -> unusual line and its answer."""


@pytest.mark.parametrize("name", [*LINES, *FINE])
def test_a_line_has_its_exact_answer(child: Child, name: str) -> None:
    """Whatever is wrong with a line is said in one reply, and the next line is read."""
    line, answer = LINES[name] if name in LINES else FINE[name]
    if name in HINTS:
        answer = {**answer, "error": {**answer["error"], "hint": HINTS[name]}}
    assert child.ask(line, {"type": "ping"}) == [answer, {"type": "pong"}]


def of(wanted: str) -> dict[str, dict[str, Any]]:
    """The answers to JSON of every type where `wanted` is expected."""
    samples = {"null": "null", "true": "bool", "1": "int", "1.5": "float", '"a"': "str", "[1]": "array", "{}": "object"}
    expected = set(wanted.split(" | "))
    return {
        text: invalid_content(f"expected {wanted}, got {name}")
        for text, name in samples.items()
        if name not in expected
    }


def numbered(answers: dict[str, dict[str, Any]], number: int = 28100) -> dict[str, dict[str, Any]]:
    """Returns the answers with the numbers of schedules' messages."""
    return {text: {**answer, "error": {**answer["error"], "number": number}} for text, answer in answers.items()}


def without(answers: dict[str, dict[str, Any]], text: str) -> dict[str, dict[str, Any]]:
    """Returns the answers without one."""
    return {content: answer for content, answer in answers.items() if content != text}


NO_CV = invalid_content("cv expected to be an object", named=False)
EMPTY = invalid_content("reference number cannot be an empty string", named=False)
EMPTY_SERVER = invalid_content("server_location cannot be empty", "server_location", named=False)
NO_KEY = {"api_key": "api_key cannot be empty"}
NO_KEYS = {"api_key_id": "api_key_id cannot be empty", **NO_KEY}
FIVE_FIELDS = "five fields are needed: minute, hour, day of the month, month, day of the week; no seconds, no years"
NO_SCRIPT = {"script": "script: a task needs either a script or a job"}
NO_SERVERS = invalid_content("you cannot define no connections", named=False)
NOT_A_SERVER = invalid_content("expected object, got int", "[0]")
KEY_IS_A_NUMBER = {'{"key":1}': invalid_content("expected str, got int", "key")}
SERVER = '{"server_location":"http://127.0.0.1:9","api_key_id":"a","api_key":%s}'
TWO = "[" + SERVER % '"b"' + "," + SERVER % '"b"' + "]"

WRONG = {
    "hello": {
        **without(of("object"), "null"),
        '{"notifications":1}': invalid_content("expected bool, got int; write true or false", "notifications"),
        '{"notification":true}': unknown("notification", "notifications"),
    },
    "ping": {},
    "cancel": {
        **of("object"),
        "{}": invalid_content("missing", "id"),
        '{"id":null}': invalid_content("expected int | str, got null", "id"),
        '{"id":1.5}': invalid_content("expected int | str, got float", "id"),
        '{"id":1,"ids":2}': unknown("ids", "id"),
    },
    "set_credentials": {
        **of("object | array"),
        "[1]": NOT_A_SERVER,
        "[]": NO_SERVERS,
        "{}": and_said(EMPTY_SERVER, NO_KEYS),
        '{"server_location":""}': and_said(EMPTY_SERVER, NO_KEYS),
        '{"server_location":1}': and_said(invalid_content("expected str, got int", "server_location"), NO_KEYS),
        '{"server_location":"http://127.0.0.1:9"}': and_said(
            invalid_content("api_key_id cannot be empty", "api_key_id", named=False), NO_KEY
        ),
        SERVER % '""': invalid_content("api_key cannot be empty", "api_key", named=False),
        SERVER % "1": invalid_content("expected str, got int", "api_key"),
        '{"server_location":"127.0.0.1:9","api_key_id":"a","api_key":"b"}': invalid_content(
            "server_location must start with a supported protocol like: http:// or https://",
            "server_location",
            named=False,
        ),
        TWO: invalid_content("when defineing multiple connections, one must be set as primary", "primary", named=False),
    },
    "set_multiple_credentials": {**of("array"), "[1]": NOT_A_SERVER, "[]": NO_SERVERS},
    "set_mock": {
        **without(of("object"), "null"),
        '{"secrets":[]}': invalid_content("expected object | null, got array", "secrets"),
        '{"cv_matches":"yes"}': invalid_content(
            "expected bool, got str; write true or false without quotes", "cv_matches"
        ),
    },
    "get_secret": {
        **of("object"),
        **KEY_IS_A_NUMBER,
        "{}": invalid_content("key cannot be empty", "key", named=False),
        '{"key":""}': invalid_content("key cannot be empty", "key", named=False),
        '{"key":"a","encryption_key":[]}': invalid_content("expected str, got array", "encryption_key"),
    },
    "get_users_secret": {**of("object"), **KEY_IS_A_NUMBER},
    "get_user_secret": {**of("object"), **KEY_IS_A_NUMBER},
    "set_cached_reference": {**of("str"), '""': EMPTY},
    "set_short_cached_reference": {**of("str"), '""': EMPTY},
    "has_cached_reference": {**of("str"), '""': EMPTY},
    "send_cv": {
        **dict.fromkeys(of("object"), NO_CV),
        "{}": invalid_content("referenceNumber field does not exists", "referenceNumber", named=False),
        '{"referenceNumber":""}': invalid_content(
            "reference number cannot be an empty string", "referenceNumber", named=False
        ),
        '{"reference_number":""}': invalid_content(
            "reference number cannot be an empty string", "reference_number", named=False
        ),
        '{"referenceNumber":1}': invalid_content(
            "referenceNumber is expected to be a string", "referenceNumber", named=False
        ),
    },
    "send_full_cv": {
        **of("object"),
        '{"metadata":{}}': invalid_content("missing", "cv"),
        '{"metadata":{"referenceNumber":"a"},"cv":5}': invalid_content("expected str, got int", "cv"),
    },
    "send_cvs_list": {
        **dict.fromkeys(of("array"), invalid_content("cvs expected to be an array", named=False)),
        "[5]": invalid_content("cv expected to be an object", "[0]"),
    },
    "send_job": {
        **of("object"),
        "{}": invalid_content("missing", "steps"),
        '{"steps":[]}': invalid_content("must not be empty", "steps"),
        '{"steps":[{}]}': invalid_content("missing", "steps[0].url"),
        '{"steps":[{"url":""}]}': invalid_content("must not be empty", "steps[0].url"),
        '{"steps":[{"url":"http://a","a":1}]}': unknown("steps[0].a"),
        '{"steps":[{"url":"http://a"}],"step":1}': unknown("step", "steps"),
        '{"steps":[{"url":"http://a"}],"timeout_ms":"1"}': invalid_content(
            'expected text with a unit, such as "90s" or "1h", or a number of milliseconds', "timeout_ms"
        ),
        '{"steps":[{"url":"http://a"}],"cookies":[{"name":"n","value":1,"domain":"d"}]}': invalid_content(
            "expected str, got int", "cookies[0].value"
        ),
    },
    "job_status": {
        **of("object"),
        "{}": invalid_content("missing", "id"),
        '{"id":""}': invalid_content("must not be empty", "id"),
        '{"id":1}': invalid_content("expected str, got int", "id"),
        '{"id":"a","ids":2}': unknown("ids", "id"),
    },
    "cancel_job": {
        **of("object"),
        "{}": invalid_content("missing", "id"),
        '{"id":null}': invalid_content("expected str, got null", "id"),
    },
    "list_jobs": {
        **without(of("object"), "null"),
        '{"page":0}': invalid_content("expected int >= 1", "page"),
        '{"status":"lost"}': invalid_content("expected 'pending', 'success', 'failed' or 'cancelled'", "status"),
        '{"state":"failed"}': unknown("state", "status"),
    },
    "set_webhooks": {
        **of("array"),
        "[1]": invalid_content("expected object, got int", "[0]"),
        "[{}]": invalid_content("missing", "[0].url"),
        '[{"url":""}]': invalid_content("must not be empty", "[0].url"),
        '[{"url":"http://a","secret":1}]': invalid_content("expected str | array of str, got int", "[0].secret"),
        '[{"url":"http://a","format":"xml"}]': invalid_content(
            "expected 'factotum', 'factotum-0.6' or 'cloudevents'", "[0].format"
        ),
        '[{"url":"http://a","a":1}]': unknown("[0].a"),
    },
    "list_deliveries": {
        **without(of("object"), "null"),
        '{"page":0}': invalid_content("expected int >= 1", "page"),
        '{"status":"lost"}': invalid_content("expected 'waiting' or 'dead'", "status"),
        '{"state":"dead"}': unknown("state", "status"),
    },
    "redeliver": {
        **of("object"),
        "{}": invalid_content("missing", "id"),
        '{"id":""}': invalid_content("must not be empty", "id"),
        '{"id":"a","b":1}': unknown("b"),
    },
    "create_schedule": numbered(
        {
            **of("object"),
            "{}": also(invalid_content("missing", "name"), "enabled", "trigger", "push"),
            '{"name":1}': also(invalid_content("expected str, got int", "name"), "enabled", "trigger", "push"),
            '{"name":"a","enabled":"yes"}': also(
                invalid_content("expected bool, got str; write true or false without quotes", "enabled"),
                "trigger",
                "push",
            ),
            '{"name":"a","enabled":true,"trigger":{}}': also(invalid_content("missing", "trigger.single"), "push"),
            '{"name":"a","when":1}': also(unknown("when"), "enabled", "trigger", "push"),
        }
    ),
    "list_schedules": numbered(
        {
            **without(of("object"), "null"),
            '{"page":0}': invalid_content("expected int >= 1", "page"),
            '{"pages":1}': unknown("pages", "page"),
        }
    ),
    "update_schedule": numbered(
        {
            **of("object"),
            "{}": invalid_content("missing", "schedule_id"),
            '{"schedule_id":"a","enabled":null}': invalid_content("expected bool, got null", "enabled"),
            '{"schedule_id":"a","time":1}': unknown("time"),
        }
    ),
    **{
        kind: numbered(
            {
                **of("object"),
                "{}": invalid_content("missing", "schedule_id"),
                '{"schedule_id":1}': invalid_content("expected str, got int", "schedule_id"),
                '{"schedule_id":"a","id":1}': unknown("id"),
            }
        )
        for kind in ("get_schedule", "delete_schedule", "get_schedule_msg_ids")
    },
    "create_task": {
        **of("object"),
        "{}": error(
            "invalid_content",
            "script: a task needs either a script or a job",
            field="script",
            fields=[
                {"field": "script", "message": "script: a task needs either a script or a job"},
                {"field": "interval", "message": "interval: a task needs either an interval or a cron"},
            ],
        ),
        '{"interval":"1 fortnight"}': and_said(
            invalid_content(
                'expected text with a unit, such as "90s" or "1h", or a number of milliseconds', "interval"
            ),
            NO_SCRIPT,
        ),
        '{"interval":true}': and_said(
            invalid_content('expected milliseconds, or text such as "90s" or "1h", got bool', "interval"), NO_SCRIPT
        ),
        '{"cron":"* * * *"}': and_said(
            invalid_content("a task needs either a script or a job", "script"), {"cron": f"cron: {FIVE_FIELDS}"}
        ),
        '{"script":"a","cron":"* * * *"}': invalid_content(FIVE_FIELDS, "cron"),
        '{"script":"a","cron":"0 0 30 2 *"}': invalid_content(
            "never comes: it has no time in the next 100 years", "cron"
        ),
        '{"script":"a","cron":"@daily","zone":"Mars"}': invalid_content(NO_ZONE, "zone"),
        '{"script":"a","interval":1000,"zone":"UTC"}': invalid_content("only a cron pattern has a time zone", "zone"),
        '{"interval":999}': and_said(
            invalid_content(
                'expected milliseconds >= 1000 (1 s); text such as "90s" or "1h" names its unit', "interval"
            ),
            NO_SCRIPT,
        ),
        '{"interval":1000,"config":[]}': and_said(invalid_content("expected object, got array", "config"), NO_SCRIPT),
        '{"interval":1000,"every":1}': and_said(unknown("every", "interval"), NO_SCRIPT),
    },
    "update_task": {
        **of("object"),
        "{}": invalid_content("missing", "id"),
        '{"id":"a","running":1}': invalid_content("expected bool, got int; write true or false", "running"),
        '{"id":"a","created":"x"}': unknown("created"),
    },
    "list_tasks": {
        **without(of("object"), "null"),
        '{"page":0}': invalid_content("expected int >= 1", "page"),
        '{"name":"a"}': unknown("name"),
    },
    "list_task_runs": {
        **of("object"),
        "{}": invalid_content("missing", "id"),
        '{"id":"a","page":0}': invalid_content("expected int >= 1", "page"),
    },
    **{
        kind: {
            **of("object"),
            "{}": invalid_content("missing", "id"),
            '{"id":1}': invalid_content("expected str, got int", "id"),
            '{"id":"a","b":1}': unknown("b"),
        }
        for kind in ("get_task", "delete_task", "get_task_status", "run_task", "start_task", "stop_task")
    },
    "test_task": {
        **of("object"),
        "{}": invalid_content("missing", "script_text"),
        '{"script_text":1}': invalid_content("expected str, got int", "script_text"),
        '{"script_text":"","script":"a"}': unknown("script", "script_text"),
    },
    "issue_token": {
        **of("object"),
        "{}": also(invalid_content("missing", "scope"), "issuer_token"),
        '{"scope":"http://a"}': invalid_content("missing", "issuer_token"),
        '{"scope":"","issuer_token":"a"}': invalid_content("must not be empty", "scope"),
        '{"scope":"http://a","issuer_token":"a","validity":0}': invalid_content(
            'expected seconds >= 1 (1 s); text such as "90s" or "1h" names its unit', "validity"
        ),
        '{"scope":"http://a","issuer_token":"a","valid":1}': unknown("valid", "validity"),
    },
}
"""Type -> content, and its exact answer."""


def test_every_message_has_its_wrong_contents() -> None:
    """A new message type has to say what is wrong content for it."""
    assert set(WRONG) == set(CONTENTS)


@pytest.mark.parametrize(("kind", "content"), [(kind, text) for kind, texts in WRONG.items() for text in texts])
def test_wrong_content_has_its_exact_answer(child: Child, kind: str, content: str) -> None:
    """Content of another type or with other keys than the message has is refused, and the place named."""
    answer = WRONG[kind][content]
    line = f'"type":"{kind}","content":{content}}}'.encode()
    assert advised(child.ask(b"{" + line)) == [answer]
    assert advised(child.ask(b'{"id":"I",' + line)) == [{**answer, "id": "I"}]


def advised(answers: list[Any]) -> list[Any]:
    """Without what to do instead, which docs/mistakes.md has word for word: hints, and the names that are known."""
    assert all(one["error"].pop("hint", "a hint") for one in answers)
    replaced: list[Any] = json.loads(ADVICE.sub("", json.dumps(answers)))
    return replaced


@pytest.mark.parametrize("kind", [kind for kind in CONTENTS if kind not in OPTIONAL and CONTENTS[kind] is not None])
def test_missing_content_is_said(child: Child, kind: str) -> None:
    """A message that needs content does not do without."""
    hint = f'write {{"type":"{kind}","content":…}}; `sidecar schema {kind}` shows what it holds'
    missing = {"": error("invalid_content", "content is missing", field="content", hint=hint)}
    answer = numbered(missing) if kind.endswith(("schedule", "schedules", "schedule_msg_ids")) else missing
    assert child.ask({"type": kind}) == [answer[""]]


@pytest.mark.parametrize("content", [{"status": "x" * 2_000_000}, {"x" * 2_000_000: 1}])
def test_what_is_said_of_wrong_content_is_short(child: Child, content: dict[str, Any]) -> None:
    """Sentences about wrong content are short even if a value or a key is long."""
    (answer,) = child.ask({"type": "list_jobs", "content": content})
    assert answer["error"]["code"] == "invalid_content"
    assert len(json.dumps(answer)) < 3_000


NEEDS_A_SERVER = {
    "get_secret": {"key": "a", "encryption_key": "b"},
    "get_users_secret": {"encryption_key": "b"},
    "get_user_secret": {"encryption_key": "b"},
    "send_cv": {"referenceNumber": "a"},
    "send_job": {"steps": [{"url": "http://127.0.0.1:9"}], "forward": True},
}


def test_what_needs_a_server_says_so(tmp_path: Any) -> None:
    """Without a login, messages that need one are refused in v1's words."""
    answer = MISSING_CREDENTIALS
    with Child(tmp_path) as fresh:
        asked = [{"type": kind, "content": content} for kind, content in NEEDS_A_SERVER.items()]
        assert fresh.ask(*asked) == [answer] * len(asked)


def nested(levels: int, innermost: bytes = b"") -> bytes:
    """Arrays in arrays."""
    return b"[" * levels + innermost + b"]" * levels


@pytest.mark.parametrize(
    ("before", "levels_before", "after", "answer"),
    [
        (b'{"type":"ping","a":', 1, b"}", {"type": "pong"}),
        (b'{"type":"ping","content":', 1, b"}", {"type": "pong"}),
        (b'{"type":"send_cv","content":{"referenceNumber":"deep","a":', 2, b"}}", {"type": "ok", "content": True}),
        (b'{"type":"set_mock","content":{"secrets":{"deep":', 3, b"}}}", {"type": "ok"}),
        (b'{"type":"hello","content":', 1, b"}", TOO_DEEP),
    ],
)
def test_nesting_has_a_limit(
    child: Child, before: bytes, levels_before: int, after: bytes, answer: dict[str, Any]
) -> None:
    """1,000 levels of a line are read, 1,001 are refused; content that something is built of has 200."""
    fits, not_quite = (before + nested(levels - levels_before, b'"x"') + after for levels in (1000, 1001))
    assert child.ask(fits, not_quite, {"type": "ping"}) == [answer, NESTED, {"type": "pong"}]


def test_a_deep_secret_comes_back(child: Child) -> None:
    """What was read at the limit can be given out, too."""
    secret = nested(997, b'"deep"')
    assert child.ask(b'{"type":"set_mock","content":{"secrets":{"a":' + secret + b"}}}") == [{"type": "ok"}]
    child.send({"type": "get_secret", "content": {"key": "a"}})
    assert child.read_line() == b'{"type":"ok","content":' + secret + b"}\n"
    [refused] = child.ask({"type": "get_user_secret", "content": {"key": "a"}})
    assert refused["error"]["code"] == "remote_error"


@pytest.mark.parametrize("line", [b"[" * 200_000, b'{"a":' * 200_000, nested(200_000), b'{"id":1,"a":' + nested(9999)])
def test_bottomless_nesting_is_refused(child: Child, line: bytes) -> None:
    """However deep it is, nothing overflows."""
    assert child.ask(line, {"type": "ping"}) == [NESTED, {"type": "pong"}]


def test_brackets_in_strings_are_no_nesting(child: Child) -> None:
    """Only brackets outside of strings count, also after escaped quotes and backslashes."""
    text = b'"' + b"[{" * 5000 + b'\\"' + b"[" * 2000 + b'\\\\"'
    line = b'{"type":"ping","a":[' + text + b',{"[[":' + text + b"}]}"
    assert child.ask(line) == [{"type": "pong"}]


def test_a_line_of_10_mb_is_fine(child: Child) -> None:
    """A long CV is sent whole, and does not take many times its size."""
    before = child.memory("VmHWM")
    cv = b'{"referenceNumber":"long","text":"' + b"a\\n[" * 2_500_000 + b'","rows":[' + b"{}," * 2000 + b"1]}"
    line = b'{"type":"send_cv","content":' + cv + b"}"
    assert child.ask(line, b'{"id":1,' + line[1:]) == [{"type": "ok", "content": True}, {"type": "ok", "id": 1}]
    assert child.memory("VmHWM") - before < 100 * MiB


def test_a_long_unknown_type_is_answered(child: Child) -> None:
    """A refusal quotes what it refuses, whatever its length."""
    kind = "x" * MiB
    assert child.ask({"type": kind}) == [error("unknown_type", f"unknown message type {kind}", hint=ALL_TYPES)]
