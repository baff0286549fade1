"""What is taken out of lines and texts, and that the rest stays as it came."""

import base64
import hashlib
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sidecar_protocol.requests import CONTENTS
from sidecar_protocol.wire_types import REDACTED

from sidecar.recording.redaction.redactor import Redactor
from sidecar.recording.redaction.secret_patterns import SENSITIVE_KEYS, may_contain_secrets

CANARY = "cAnary-7f3a9"
AWKWARD = 'c"n\\ry/é+<ö>&?'


def logged(message: Any, *known: str, **how: Any) -> tuple[bytes, bool]:
    """A message's line as it may be logged, and whether the quick test found it clean."""
    redactor = Redactor()
    for value in known:
        redactor.add_secret(value)
    line = json.dumps(message, **how).encode()
    return redactor.redact_line(line), redactor.is_clean(line)


CREDENTIALS = {"server_location": "https://ann:cAnary-7f3a9@rtcv.nl/", "api_key_id": "2" * 24, "api_key": CANARY}
COOKIE = {"name": "session", "value": CANARY, "domain": "shop.nl", "path": "/", "httpOnly": True, "expires": 1.5}
FILE = {"name": f"{CANARY}.pdf", "content": CANARY, "mime_type": "text/plain"}
CONTEXT = {
    "proxy": {"server": f"ann:{CANARY}@proxy:3128", "username": "ann", "password": CANARY},
    "http_credentials": {"username": "ann", "password": CANARY},
    "extra_http_headers": {"Authorization": f"Bearer {CANARY}", "Cookie": f"a={CANARY}", "X-Any": CANARY},
}
MESSAGES: dict[str, Any] = {
    "set_credentials": CREDENTIALS,
    "set_multiple_credentials": [CREDENTIALS | {"primary": True}, CREDENTIALS | {"primary": False}],
    "set_mock": {"secrets": {"user": {"username": CANARY, "password": CANARY}, "list": [1, CANARY, [CANARY]]}},
    "get_secret": {"key": "shop", "encryption_key": CANARY},
    "get_users_secret": {"key": "users", "encryption_key": CANARY},
    "get_user_secret": {"key": "user", "encryptionKey": CANARY},
    "send_cv": {"referenceNumber": "r1", "n": 1, "account": {"access_token": CANARY}, "site": f"https://{CANARY}@x.nl"},
    "send_full_cv": {"metadata": {"referenceNumber": "r1", "password": CANARY}, "cv": "JVBERi0xLjQK"},
    "send_cvs_list": [{"referenceNumber": "r1", "account": {"api_key": CANARY}}],
    "send_job": {
        "steps": [
            {"url": f"https://shop.nl/?page=1&access_token={CANARY}#x", "actions": [{"click": "#go"}]},
            {"url": "https://shop.nl", "actions": [{"fill": {"selector": "#Password", "value": CANARY}}]},
            {"url": "https://shop.nl", "actions": [{"fill": {"selector": "#plain", "value": CANARY}}]},
            {"url": "https://shop.nl", "actions": [{"focus": "#password"}, {"keyboard_type": CANARY}]},
            {"url": "https://shop.nl", "actions": [{"keyboard_insert_text": {"text": CANARY}}]},
            {"url": "https://shop.nl", "actions": [{"on_dialog": {"accept": True, "text": CANARY}}]},
            {"url": "https://shop.nl", "actions": [{"evaluate": f"document.forms[0].pin.value = '{CANARY}'"}]},
            {"url": "https://shop.nl", "actions": [{"evaluate": {"expression": "x => x", "arg": {"a": [CANARY]}}}]},
            {"url": "https://shop.nl", "actions": [{"select_option": {"selector": "#plain", "value": CANARY}}]},
            {"url": "https://shop.nl", "actions": [{"select_option": {"selector": "#plain", "label": ["a", CANARY]}}]},
            {"url": "https://shop.nl", "actions": [{"dispatch_event": {"event_init": {"data": [CANARY]}}}]},
            {"url": "https://shop.nl", "actions": [{"set_input_files": {"files": [FILE]}}]},
            {"url": "https://shop.nl", "actions": [f"page.fill('#password', '{CANARY}')", "page.click('#send')"]},
            {"url": "https://shop.nl", "actions": [{"type": {"text": CANARY, "selector": "input[name=pwd]"}}]},
        ],
        "cookies": [COOKIE],
        "context": CONTEXT,
        "token": CANARY,
        "webhooks": [f"https://hooks.nl/services/{CANARY}/x", f"https://hooks.nl?{CANARY}"],
    },
    "set_webhooks": [{"url": f"https://hooks.nl/services/{CANARY}", "secret": CANARY}],
    "issue_token": {"scope": "https://shop.nl", "issuer_token": CANARY},
    "create_schedule": {"push": {"type": "send_job", "content": {"cookies": [COOKIE], "token": CANARY}}},
    "update_schedule": {"schedule_id": "s1", "push": {"type": "send_job", "content": {"token": CANARY}}},
    "create_task": {"interval": 60000, "config": {"password": CANARY}, "job": {"cookies": [COOKIE], "token": CANARY}},
    "update_task": {"id": "t1", "config": {"api_key": CANARY}},
    "list_tasks": {"config": {"token": CANARY}},
    "test_task": {"script_text": f"module.exports.main = (config) => '{CANARY}'", "config": {"password": CANARY}},
    "nobody_knows": {"body": json.dumps({"deep": json.dumps({"password": CANARY})})},
}


@pytest.mark.parametrize("escaped", [True, False])
@pytest.mark.parametrize("kind", MESSAGES)
def test_no_secret_of_any_message_is_logged(kind: str, escaped: bool) -> None:
    """The canary of every message type is gone, the quick test saw it, and what identifies the message stays."""
    line, clean = logged({"type": kind, "content": MESSAGES[kind], "id": 3}, ensure_ascii=escaped)
    assert CANARY.encode() not in line
    assert not clean
    assert json.loads(line)["type"] == kind
    assert json.loads(line)["id"] == 3


def test_what_is_no_secret_stays() -> None:
    """Key ids, names, flags and a cookie's attributes are kept: a replay needs them."""
    message = {"type": "set_multiple_credentials", "content": MESSAGES["set_multiple_credentials"]}
    first = json.loads(logged(message)[0])["content"][0]
    assert first == CREDENTIALS | {
        "server_location": f"https://{REDACTED}@rtcv.nl/",
        "api_key": REDACTED,
        "primary": True,
    }
    job = json.loads(logged({"type": "send_job", "content": MESSAGES["send_job"]})[0])["content"]
    assert job["cookies"] == [COOKIE | {"value": REDACTED}]
    assert job["context"]["proxy"] == dict.fromkeys(("username", "password"), REDACTED) | {
        "server": f"{REDACTED}@proxy:3128"
    }
    assert job["steps"][0]["url"] == f"https://shop.nl/?page=1&access_token={REDACTED}#x"


def test_where_credentials_are_for_is_no_secret() -> None:
    """An origin, a proxy's address and exceptions, a webhook's host: what they name stays readable elsewhere, too."""
    context = {
        "http_credentials": {"username": "ann-of-shop", "password": CANARY, "origin": "https://shop.nl:8443"},
        "proxy": {"server": "http://proxy.nl:3128", "bypass": ".intra.nl, 10.0.0.1", "username": "ann-of-proxy"},
    }
    steps = [{"url": "https://shop.nl:8443/orders?by=ann-of-shop", "actions": [{"click": "text=.intra.nl"}]}]
    job = {"steps": steps, "context": context, "webhooks": ["https://hooks.nl/T00", "https://hooks.nl"]}
    reported = json.loads(logged({"type": "send_job", "content": job})[0])["content"]
    assert reported["steps"] == steps
    assert reported["context"] == {
        "http_credentials": {"username": REDACTED, "password": REDACTED, "origin": "https://shop.nl:8443"},
        "proxy": {"server": "http://proxy.nl:3128", "bypass": ".intra.nl, 10.0.0.1", "username": REDACTED},
    }
    assert reported["webhooks"] == [f"https://hooks.nl/{REDACTED}", "https://hooks.nl"]


def test_selectors_are_no_secrets_where_a_job_extracts() -> None:
    """In fields named like secrets, of each request with a job; anywhere else, and in a default, they may be one."""
    canary = "canary-4711"
    field = {"selector": "#csrf", "attribute": "value", "fields": {"pin": ".pin"}}
    job = {"steps": [{"url": "http://h/", "extract": {"password": "#pass", "token": field}}]}
    schedule = {"push": {"type": "send_job", "content": job}}
    for kind, content in (("send_job", job), ("create_task", {"job": job}), ("update_schedule", schedule)):
        line = json.dumps({"content": content, "type": kind}).encode()
        assert Redactor().redact_request(line) == line
    hidden: list[dict[str, Any]] = [
        {"type": "send_job", "content": {"steps": [{"extract": {"token": {"selector": "#x", "default": canary}}}]}},
        {"type": "send_job", "content": {"extract": {"password": canary}}},
        {"type": "send_cv", "content": {"steps": [{"extract": {"password": canary}}]}},
        {"type": "ok", "content": {"result": {"steps": [{"extract": {"password": canary}}]}}},
        {"type": "send_job", "content": {"steps": [{"storage": {"extract": {"password": canary}}}]}},
    ]
    for message in hidden:
        redactor = Redactor()
        assert canary.encode() not in (redactor.redact_request(json.dumps(message).encode()) or b"")
        assert canary not in redactor.redact_text(f"seen: {canary}")
    for body in hidden:
        assert canary not in Redactor().redact_body(json.dumps(body["content"]))


def test_other_text_of_an_action_is_kept() -> None:
    """Where it is done, which keys it presses, what kind of file it uploads, and where a secret is filled in."""
    actions = [
        {"select_option": {"selector": "#size", "index": 3, "value": ["{{shop.size}}"]}},
        {"press": {"selector": "#size", "key": "Control+a"}},
        *({"keyboard_press": key} for key in ("Enter", "Shift+Tab", "F5", "ControlOrMeta+ArrowLeft")),
        {"keyboard_down": "Shift"},
        {"dispatch_event": {"selector": "#size", "type": "change"}},
        {"set_checked": {"selector": "#terms", "checked": True}},
        {"get_attribute": {"selector": "a", "name": "data-name"}},
        {"evaluate": {"expression": "x => x", "arg": {"user": "{{shop.user}}"}}},
        {"set_input_files": {"selector": "#cv", "files": [{"name": "{{cv.name}}", "mime_type": "text/plain"}]}},
    ]
    job = {"steps": [{"url": "https://shop.nl", "actions": actions}]}
    assert json.loads(logged({"type": "send_job", "content": job})[0])["content"] == job
    typed = [{"press": {"selector": "#p", "key": "x"}}, {"keyboard_press": "Digit1"}, {"keyboard_up": "Shift+A"}]
    reported = logged({"type": "send_job", "content": {"steps": [{"actions": typed}]}})[0]
    assert reported.count(REDACTED.encode()) == len(typed)


def test_what_is_typed_is_learned_from_a_job_alone() -> None:
    """A search word that was typed does not take itself out of all that is logged later; a password does."""
    redactor = Redactor()
    for selector, value in (("#search", "amsterdam"), ("#password", "hunter-of-2")):
        action = {"fill": {"selector": selector, "value": value}}
        redactor.redact_line(json.dumps({"type": "send_job", "content": {"steps": [{"actions": [action]}]}}).encode())
    assert redactor.redact_text("amsterdam hunter-of-2") == f"amsterdam {REDACTED}"
    redactor.add_secrets_from(
        json.dumps({"actions": [{"fill": {"selector": "#search", "value": "amsterdam"}}]}).encode()
    )
    assert redactor.redact_text("amsterdam") == REDACTED


@pytest.mark.parametrize("name", SENSITIVE_KEYS)
@pytest.mark.parametrize("form", ["{}", "{}s", "my_{}", "X-{}", "client{}"])
def test_a_sensitive_name_is_known_in_every_spelling(name: str, form: str) -> None:
    """Case, separators, a plural and words before it make no difference."""
    words = name.split("_")
    spellings = [name, name.upper(), words[0] + "".join(w.title() for w in words[1:]), "-".join(words), "".join(words)]
    for spelling in spellings:
        line, clean = logged({"type": "x", form.format(spelling): CANARY})
        assert CANARY.encode() not in line
        assert not clean


@pytest.mark.parametrize("key", ["api_key_id", "token_type", "keywords", "secretary", "key", "passwordless"])
def test_names_that_only_look_alike_are_left_alone(key: str) -> None:
    """It is the end of a name that counts."""
    line, _ = logged({"type": "x", key: CANARY})
    assert CANARY.encode() in line


@pytest.mark.parametrize(
    "text",
    [
        rb'{"type":"x","p\u0061ssword":"cAnary-7f3a9"}',
        rb'{"type":"x","password" : "cAnary-7f3a9"}',
        b'{"type":"x","password"\t\r:"cAnary-7f3a9"}',
        rb'{"type":"x","a":"c\u0041nary-7f3a9"}',
        rb'{"type":"x","a":"https:\/\/ann:cAnary-7f3a9@shop.nl"}',
        rb'{"type":"x","a":"https:\u002f\u002fcAnary-7f3a9@shop.nl"}',
        rb'{"type":"x","a":"?pass\u0077ord=cAnary-7f3a9"}',
        rb'{"type":"x","a":"{\"token\":\"cAnary-7f3a9\"}"}',
        b'{"type":"cAnary-7f3a9"}',
        b'{"type":"x","cAnary-7f3a9":1}',
        b'{"id":"cAnary-7f3a9","type":"x"}',
    ],
)
def test_writing_it_otherwise_hides_nothing(text: bytes) -> None:
    """Escapes, blanks, keys, ids and types are no hiding places; the quick test does not fall for them either."""
    redactor = Redactor()
    redactor.add_secret(CANARY)
    redacted = redactor.redact_line(text)
    assert b"nary-7f3a9" not in redacted
    assert not redactor.is_clean(text)
    json.loads(redacted)


@pytest.mark.parametrize("value", [CANARY, AWKWARD, "пароль", '"<&>"', "a b c d", "\\\\\\\\"])
@pytest.mark.parametrize("escaped", [True, False])
def test_a_known_value_is_found_in_any_line(value: str, escaped: bool) -> None:
    """A known value is found in any line, also as a part of a string and with JSON's escapes."""
    message = {"type": "send_cv", "content": {"referenceNumber": "1", "about": [f"x{value}y", value]}}
    line, clean = logged(message, value, ensure_ascii=escaped)
    assert json.loads(line)["content"]["about"] == [f"x{REDACTED}y", REDACTED]
    assert not clean


@pytest.mark.parametrize("value", [CANARY, AWKWARD])
def test_a_known_value_is_found_in_any_text(value: str) -> None:
    """As it is, escaped for JSON or a URL, in base64 at any offset, as the hash that RT-CV takes."""
    redactor = Redactor()
    redactor.add_secret(value)
    raw = value.encode()
    written = [value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], quote(value, safe="")]
    written += [hashlib.sha512(raw).hexdigest(), hashlib.sha512(raw).hexdigest().upper()]
    for form in written:
        assert redactor.redact_text(f"failed: {form}!") == f"failed: {REDACTED}!"
    for prefix in (b"", b"a", b"ab"):
        encoded = base64.b64encode(prefix + raw + b":more").decode()
        assert encoded[4:-8] not in redactor.redact_text(encoded)


def test_where_a_secret_comes_from_and_goes_is_no_secret() -> None:
    """A job's names for secrets are logged as they are, so that the log can be read and replayed."""
    actions = [{"fill": {"selector": "#password", "value": value}} for value in ("{{user.password}}", CANARY)]
    sources = {"user": {"key": "user", "encryption_key": CANARY}}
    message = {
        "type": "send_job",
        "content": {"secrets": sources, "steps": [{"url": "http://user.nl", "actions": actions}]},
    }
    line = Redactor().redact_line(json.dumps(message).encode())
    assert line == json.dumps(message).replace(CANARY, REDACTED).encode()


def test_short_values_are_not_learned() -> None:
    """Three characters are in half of all words."""
    redactor = Redactor()
    redactor.add_secret("abc")
    assert redactor.redact_text("abcdef") == "abcdef"
    assert redactor.is_clean(b'{"type":"abc"}')


def test_a_word_of_the_wire_stays_readable() -> None:
    """A secret that is spelled like a message type does not take the type away."""
    line, _ = logged({"type": "ping", "content": "ping ping"}, "ping")
    assert json.loads(line) == {"type": "ping", "content": f"{REDACTED} {REDACTED}"}


def test_values_found_in_lines_are_known_from_then_on() -> None:
    """What stood under a sensitive key is replaced in later lines too, before the session has acted on it."""
    redactor = Redactor()
    redactor.redact_line(json.dumps({"type": "set_credentials", "content": CREDENTIALS}).encode())
    cv = json.dumps({"type": "send_cv", "content": {"about": f"is {CANARY}"}}).encode()
    assert not redactor.is_clean(cv)
    assert CANARY.encode() not in redactor.redact_line(cv)


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b'"password"', b"[1]", b'{"type":"x","password":"cAna', b"\xff\xfe", b'{"a":"\xff"}', b"[" * 9999],
)
def test_a_line_that_cannot_be_read_is_not_quoted(line: bytes) -> None:
    """A line with half a secret is logged as its length only."""
    reported = json.loads(Redactor().redact_line(line))
    assert reported == {"type": "", "_log": {"unreadable": True, "bytes": len(line)}}


def test_the_rest_of_a_line_stays_byte_for_byte() -> None:
    """Order, blanks, doubled keys, escapes and numbers of any size are kept."""
    start = rb'{ "type":"send_cv" ,"n":1.10,"n":123456789012345678901234567890,"e":"\u00e9\/","f":[ ], "password":'
    assert Redactor().redact_line(start + b'"cAnary" }') == start + b'"**********" }'


def test_an_ordinary_cv_is_clean() -> None:
    """Words like secretary, addresses, links, markup and escapes of other letters do not cost a closer look."""
    cv = {
        "about": "The secretary's token: password protected \u00e9 <b>\n",
        "mail": "ann@work.nl",
        "site": "https://medium.com/@ann?page=2&sort=key",
        "keywords": ["Go"],
        "text": "plain",
        "actions_of_note": ["page.fill"],
    }
    assert Redactor().is_clean(json.dumps({"type": "send_cv", "content": cv}).encode())


TEXTS = st.text(max_size=8) | st.sampled_from(
    ["password", "cookies", "apiKey", "x", "a://b@c", "?token=v", CANARY, AWKWARD]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=5)


@given(message=OBJECTS, escaped=st.booleans(), indent=st.sampled_from([None, (", ", ": "), (",", " :")]))
def test_clean_means_nothing_to_replace(message: dict[str, Any], escaped: bool, indent: Any) -> None:
    """What the quick test lets through, the thorough one leaves alone."""
    redactor = Redactor()
    redactor.add_secret(CANARY)
    redactor.add_secret(AWKWARD)
    line = json.dumps(message, ensure_ascii=escaped, separators=indent).encode(errors="surrogatepass")
    if redactor.is_clean(line):
        assert redactor.redact_request(line) in {line, None}


@given(message=OBJECTS)
def test_a_redacted_line_keeps_its_shape(message: dict[str, Any]) -> None:
    """Only leaves change, and only into something with the placeholder in it; known values are gone."""
    redactor = Redactor()
    redactor.add_secret(CANARY)
    redacted = redactor.redact_request(json.dumps(message).encode())
    assert redacted is not None
    assert CANARY.encode() not in redacted
    _check_shape(*(json.loads(line, object_pairs_hook=_Members) for line in (json.dumps(message), redacted)))


class _Members(list[Any]):
    """An object's members in order, also those whose keys have become the same."""


def _check_shape(before: Any, after: Any) -> None:
    if isinstance(before, list | tuple):
        assert type(before) is type(after)
        for was, now in zip(before, after, strict=True):
            _check_shape(was, now)
    else:
        assert before == after or REDACTED in after


def test_every_message_type_has_a_canary() -> None:
    """A new message type comes with its own line above, or with nothing that could be secret."""
    references = {"set_cached_reference", "set_short_cached_reference", "has_cached_reference"}
    ids = {
        "job_status",
        "cancel_job",
        "get_schedule",
        "delete_schedule",
        "get_schedule_msg_ids",
        "get_task",
        "redeliver",
    }
    ids |= {"delete_task", "get_task_status", "run_task", "start_task", "stop_task", "list_task_runs"}
    without = {"hello", "ping", "cancel", "list_jobs", "list_schedules", "list_deliveries", *references, *ids}
    assert CONTENTS.keys() <= MESSAGES.keys() | without


def test_the_quick_test_needs_no_redactor() -> None:
    """The name of a member alone makes its value secret."""
    assert may_contain_secrets(b'{"Authorization":"x"}')
    assert not may_contain_secrets(b'{"type":"ping"}')
