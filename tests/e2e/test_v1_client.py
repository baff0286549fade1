"""A parent that was written for the RT-CV scraper client v1, and all that it may rely on: with real processes."""

import json
import signal
import sqlite3
import stat
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import ENCRYPTION_KEY, KEY_ID, ApiKey, Secret, default_secrets
from tests.harness import MISSING_CREDENTIALS, Child, Rtcv, error, rtcv, without_hints

OK = {"type": "ok"}
MISSING = MISSING_CREDENTIALS
OTHER_KEY = ApiKey(id="f" * 24, key="another-key")
PROTOCOLS = "server_location must start with a supported protocol like: http:// or https://"
UNUSABLE = "server_location is not a usable http or https URL"
USER = json.loads(default_secrets()["user"].json)
USERS = [{"username": "ann", "password": "1"}, {"username": "bob", "password": "2"}]
NO_PRIMARY = "when defineing multiple connections, one must be set as primary"


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    """A sidecar before its login."""
    with Child(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """One sidecar for the tests that begin with a login to a server of their own, where it knows no reference."""
    with Child(tmp_path_factory.mktemp("shared")) as running:
        yield running


@pytest.fixture
def server() -> Iterator[Rtcv]:
    """A server that knows the scraper's key."""
    with rtcv() as running:
        yield running


def ok(content: Any) -> dict[str, Any]:
    """The reply with this content."""
    return {"type": "ok", "content": content}


def cv(reference: str, **more: Any) -> dict[str, Any]:
    """A `send_cv`."""
    return {"type": "send_cv", "content": {"referenceNumber": reference, **more}}


def message(kind: str, content: Any) -> dict[str, Any]:
    """Any message with content."""
    return {"type": kind, "content": content}


def log_in(child: Child, server: Rtcv, **changes: Any) -> None:
    """Logs in, with a wait for the answer."""
    assert child.ask(message("set_credentials", server.credentials | changes)) == [OK]


def test_a_session_as_v1_knew_it(child: Child, server: Rtcv) -> None:
    """Every message of v1, and the answers that its README promises."""
    exchanges = [
        ({"type": "ping"}, {"type": "pong"}),
        (message("set_credentials", server.credentials), OK),
        (message("has_cached_reference", "abcd"), ok(False)),
        (message("set_cached_reference", "abcd"), OK),
        (message("has_cached_reference", "abcd"), ok(True)),
        (cv("abcd"), OK),
        (message("set_short_cached_reference", "efgh"), OK),
        (message("has_cached_reference", "efgh"), ok(True)),
        (cv("ijkl", personalDetails={"firstName": "Ann"}), ok(True)),
        (cv("ijkl"), OK),
        (message("get_user_secret", {"encryption_key": ENCRYPTION_KEY, "key": "user"}), ok(USER)),
        (message("get_users_secret", {"encryption_key": ENCRYPTION_KEY, "key": "users"}), ok(USERS)),
        (message("get_secret", {"encryption_key": ENCRYPTION_KEY, "key": "string"}), ok("only a string")),
        ({"type": "ping"}, {"type": "pong"}),
    ]
    assert without_hints(child.ask(*(request for request, _ in exchanges))) == without_hints(
        [reply for _, reply in exchanges]
    )
    [sent] = server.server.to("scanCV")
    assert sent.json == {"cv": {"referenceNumber": "ijkl", "personalDetails": {"firstName": "Ann"}}}
    assert child.end() == 0
    assert child.stderr == ""


def test_a_login_asks_three_things(shared: Child, server: Rtcv) -> None:
    """Health, the key's roles and what was scanned, with RT-CV's own authorization each time."""
    log_in(shared, server, server_location=f"{server.server.url}/")
    assert [(request.method, request.path) for request in server.server.requests] == [
        ("GET", "/api/v1/health"),
        ("GET", "/api/v1/auth/keyinfo"),
        ("GET", "/api/v1/scraper/scannedReferenceNrs/since/days/30"),
    ]
    headers = {request.headers["Authorization"] for request in server.server.requests}
    assert headers == {f"Basic {KEY_ID}:{ApiKey().digest}"}


@pytest.mark.parametrize("scanned", [["seen", "é\u0000"], None])
def test_references_are_seeded_from_the_primary(shared: Child, scanned: list[str] | None) -> None:
    """What the primary has scanned is not sent again; what the others have is not asked for."""
    with (
        rtcv(keys=[ApiKey(scanned=scanned)]) as primary,  # type: ignore[arg-type]
        rtcv(keys=[ApiKey(scanned=["elsewhere"])]) as secondary,
    ):
        servers = [secondary.credentials, primary.credentials | {"primary": True}]
        asked = [message("has_cached_reference", name) for name in ("seen", "é\u0000", "elsewhere")]
        known = bool(scanned)
        expected = [OK, ok(known), ok(known), ok(False)]
        assert shared.ask(message("set_multiple_credentials", servers), *asked) == expected


@pytest.mark.parametrize("kind", ["set_credentials", "set_multiple_credentials"])
def test_several_servers(shared: Child, kind: str) -> None:
    """Their list may come under either name; every server gets the CV, and the primary answers."""
    with rtcv(matches=lambda cv: False) as primary, rtcv() as secondary:
        servers = [secondary.credentials, primary.credentials | {"primary": True}]
        assert shared.ask(message(kind, servers), cv("a")) == [OK, ok(False)]
        secondary.wait_for("scanCV")
        assert [one.server.to("scanCV")[0].json for one in (primary, secondary)] == [
            {"cv": {"referenceNumber": "a"}}
        ] * 2
        assert [len(one.server.to("keyinfo")) for one in (primary, secondary)] == [1, 1]


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"server_location": ""}, "server_location", "server_location cannot be empty"),
    ({"server_location": "127.0.0.1"}, "server_location", PROTOCOLS),
    ({"server_location": "ws://127.0.0.1"}, "server_location", PROTOCOLS),
    ({"server_location": "http://user:pass@127.0.0.1"}, "server_location", UNUSABLE),
    ({"server_location": "http://127.0.0.1?a=b"}, "server_location", UNUSABLE),
    ({"server_location": "http://127.0.0.1/#"}, "server_location", UNUSABLE),
    ({"server_location": "http://"}, "server_location", UNUSABLE),
    ({"api_key_id": ""}, "api_key_id", "api_key_id cannot be empty"),
    ({"api_key": ""}, "api_key", "api_key cannot be empty"),
]
"""What is wrong, where, and v1's sentence for it."""


def test_credentials_that_are_refused(child: Child, server: Rtcv) -> None:
    """Nothing is sent, not even to the valid server next to the invalid one."""
    good = server.credentials | {"primary": True}
    for changes, field, said in REFUSED:
        bad = server.credentials | changes
        several = field if said == UNUSABLE else f"[1].{field}"
        answers = child.ask(message("set_credentials", bad), message("set_credentials", [good, bad]), cv("a"))
        assert [bool(one.get("error", {}).pop("hint", "")) for one in answers[:2]] == [said == UNUSABLE] * 2
        assert answers == [
            error("invalid_content", said, field=field),
            error("invalid_content", said, field=several),
            MISSING,
        ]
    assert server.server.requests == []


def test_lists_that_are_refused(child: Child, server: Rtcv) -> None:
    """None, several primaries, or several servers of which none is the primary, whatever their number."""
    one, primary = server.credentials, server.credentials | {"primary": True}
    lists = [[], [primary, one, primary], [one, one], [one, one, one]]
    assert child.ask(*(message("set_multiple_credentials", servers) for servers in lists)) == [
        error("invalid_content", "you cannot define no connections", field="content"),
        error("invalid_content", "can only have one primary connection", field="[2].primary"),
        error("invalid_content", NO_PRIMARY, field="primary"),
        error("invalid_content", NO_PRIMARY, field="primary"),
    ]
    assert server.server.requests == []
    assert child.ask(message("set_multiple_credentials", [one])) == [OK]


def test_a_key_that_is_no_scrapers(shared: Child) -> None:
    """V1's sentence for it."""
    with rtcv(keys=[ApiKey(role=2 | 4 | 8 | 16)]) as server:
        assert without_hints(shared.ask(message("set_credentials", server.credentials))) == [
            error("forbidden", "provided key does not have scraper role (nr 1)", status=403)
        ]


def test_a_failed_login_changes_nothing(child: Child, server: Rtcv) -> None:
    """CVs still go to the server of the login before, and its references are still known."""
    with rtcv(keys=[OTHER_KEY]) as other:
        wrong = message("set_credentials", other.credentials)
        refused = error("unauthorized", "auth header is invalid", status=401)
        assert without_hints(child.ask(wrong, cv("a"))) == without_hints([refused, MISSING])
        log_in(child, server)
        asked = child.ask(message("set_cached_reference", "b"), wrong, cv("a"), cv("b"))
        assert without_hints(asked) == [OK, refused, ok(True), OK]
        assert (len(server.server.to("scanCV")), other.server.to("scanCV")) == (1, [])


def test_without_a_login_there_is_no_server(child: Child) -> None:
    """References work, and belong to no login; messages that need a server say so."""
    secret = {"key": "user", "encryption_key": ENCRYPTION_KEY}
    exchanges = [
        (message("set_cached_reference", "a"), OK),
        (message("has_cached_reference", "a"), ok(True)),
        (cv("a"), MISSING),
        (message("get_secret", secret), MISSING),
        (message("get_users_secret", secret), MISSING),
        (message("get_user_secret", secret), MISSING),
    ]
    assert without_hints(child.ask(*(request for request, _ in exchanges))) == without_hints(
        [reply for _, reply in exchanges]
    )


def test_references_before_a_login_are_forgotten_after_it(child: Child, server: Rtcv, tmp_path: Path) -> None:
    """They are no reason to keep a CV from the server, and were never on disk."""
    assert child.ask(message("set_cached_reference", "a")) == [OK]
    assert not (tmp_path / "state").exists()
    log_in(child, server)
    assert child.ask(message("has_cached_reference", "a"), cv("a")) == [ok(False), ok(True)]


def test_invalid_cvs_are_refused(shared: Child, server: Rtcv) -> None:
    """V1's sentences word for word."""
    log_in(shared, server)
    said = {
        "[]": ("cv expected to be an object", "content"),
        "null": ("cv expected to be an object", "content"),
        "{}": ("referenceNumber field does not exists", "referenceNumber"),
        '{"referenceNumber":1}': ("referenceNumber is expected to be a string", "referenceNumber"),
        '{"referenceNumber":""}': ("reference number cannot be an empty string", "referenceNumber"),
    }
    lines = [f'{{"type":"send_cv","content":{content}}}'.encode() for content in said]
    expected = [error("invalid_content", describe_failure, field=field) for describe_failure, field in said.values()]
    assert shared.ask(*lines) == expected
    empty = error("invalid_content", "reference number cannot be an empty string", field="content")
    kinds = ("set_cached_reference", "set_short_cached_reference", "has_cached_reference")
    assert shared.ask(*(message(kind, "") for kind in kinds)) == [empty] * 3
    assert server.server.to("scanCV") == []


CVS = [
    b'{"z":1,"referenceNumber":"a","n":123456789012345678901234567890.5000,"e":1E+400,"a":-0.0}',
    b'{"referenceNumber":"\\u0062\\/","s":"\\ud83d\\ude00 \xc3\xa9","x":{"x":1,"x":2},"\\u00e9":[ 1 , 2 ]}',
    b'{"referenceNumber":"c","text":"' + b"0123456789" * 300_000 + b'"}',
]
"""Order, numbers of any size, escapes, duplicates, spaces, three megabytes."""


def test_a_cv_arrives_as_it_was_written(shared: Child, server: Rtcv) -> None:
    """Byte for byte."""
    log_in(shared, server)
    for content in CVS:
        assert shared.ask(b'{"content": ' + content + b' ,"type":"send_cv"}') == [ok(True)]
        assert server.server.to("scanCV")[-1].body == b'{"cv":' + content + b"}"


def test_a_cv_by_the_readmes_name(shared: Child) -> None:
    """`reference_number` counts too; what the server says to it is the server's."""
    with rtcv() as server:
        log_in(shared, server)
        content = {"reference_number": "abcd"}
        assert shared.ask(message("send_cv", content)) == [
            error("remote_error", "referenceNumber must be set", status=400)
        ]
        assert shared.ask(message("set_cached_reference", "abcd"), message("send_cv", content)) == [OK, OK]


def test_no_match_is_not_cached(shared: Child) -> None:
    """It is sent again; a match is not."""
    with rtcv(matches=lambda cv: cv["referenceNumber"] == "yes") as server:
        log_in(shared, server)
        assert shared.ask(cv("no"), cv("no"), cv("yes"), cv("yes")) == [ok(False), ok(False), ok(True), OK]
        assert len(server.server.to("scanCV")) == 3


def test_the_same_reference_twice_at_once(shared: Child, server: Rtcv) -> None:
    """With ids they run side by side: the second waits for the first, others don't."""
    log_in(shared, server)
    server.server.fail("scanCV", "hang")
    shared.send(cv("a") | {"id": 1})
    server.wait_for("scanCV")
    shared.send(cv("a") | {"id": 2}, cv("b") | {"id": 3})
    assert shared.read() == ok(True) | {"id": 3}
    server.release()
    answers = {answer.pop("id"): answer for answer in shared.read_many(2)}
    assert answers == {1: ok(True), 2: OK}
    assert len(server.server.to("scanCV")) == 2


SECRETS = [
    (b"12.50", b"12.50"),
    (b"123456789012345678901234567890", b"123456789012345678901234567890"),
    (b"1e999", b"1e999"),
    (b'{"b":1,"a":[true,null],"b":"\\u00e9\\/"}', b'{"b":1,"a":[true,null],"b":"\\u00e9\\/"}'),
    (b"null", b"null"),
    (b'\n{\r\n\t"a": [\n]}\n', b'{  \t"a": [ ]}'),
    (b"9" * 5000, b"9" * 5000),
    (b"[" * 900 + b"]" * 900, b"[" * 900 + b"]" * 900),
]
"""What the server holds, and what the parent is given."""


def test_a_secret_is_given_byte_for_byte(shared: Child) -> None:
    """Whatever JSON it is; only line breaks between its tokens can't stay in a reply of one line."""
    with rtcv(keys=[ApiKey(secrets={f"k{n}": Secret(stored) for n, (stored, _) in enumerate(SECRETS)})]) as server:
        log_in(shared, server)
        for number, (_, given) in enumerate(SECRETS):
            shared.send(message("get_secret", {"key": f"k{number}", "encryption_key": ENCRYPTION_KEY}))
            assert shared.read_line() == b'{"type":"ok","content":' + given + b"}\n"


def test_a_secret_that_is_no_json(shared: Child) -> None:
    """No part of such a secret reaches stdout, where it would be an invalid line."""
    bad = [b"", b"<html>", b'"\xff"', b'"\\ud800"', b"{", b"[" * 100_000]
    with rtcv(keys=[ApiKey(secrets={f"k{n}": Secret(stored) for n, stored in enumerate(bad)})]) as server:
        log_in(shared, server)
        asked = [message("get_secret", {"key": f"k{n}", "encryption_key": ENCRYPTION_KEY}) for n in range(len(bad))]
        said = "server returned 200 code, with a body that is not the expected JSON"
        assert shared.ask(*asked) == [error("remote_error", said, status=200)] * len(bad)


def test_a_secrets_path(shared: Child) -> None:
    """Key and encryption key are one segment each, whatever they hold."""
    encryption_key = "0123456789/ü €?"
    segment = "0123456789%2F%C3%BC%20%E2%82%AC%3F"
    paths = {"a/b c": "a%2Fb%20c", "ü?#%": "%C3%BC%3F%23%25", "user": "user"}
    with rtcv(keys=[ApiKey(secrets={path: Secret(b'"found"', segment) for path in paths.values()})]) as server:
        log_in(shared, server)
        for key, path in paths.items():
            assert shared.ask(message("get_secret", {"key": key, "encryption_key": encryption_key})) == [ok("found")]
            assert server.server.to("secrets")[-1].path == f"/api/v1/secrets/myKey/{path}/{segment}"


def test_secrets_that_can_not_be_given(shared: Child, server: Rtcv) -> None:
    """Missing, of another shape, or behind another encryption key."""
    log_in(shared, server)

    def asked(kind: str, key: str, encryption_key: str = ENCRYPTION_KEY) -> dict[str, Any]:
        return message(kind, {"key": key, "encryption_key": encryption_key})

    def shape(key: str, said: str) -> dict[str, Any]:
        return error("remote_error", f"the secret '{key}' does not have the requested shape: {said}")

    exchanges = [
        (asked("get_secret", "nothing"), error("not_found", "item not found", status=404)),
        (asked("get_secret", ""), error("invalid_content", "key cannot be empty", field="key")),
        (
            asked("get_secret", "user", ""),
            error("invalid_content", "encryption_key cannot be empty", field="encryption_key"),
        ),
        (
            asked("get_secret", "user", "x" * 20),
            error("remote_error", "cipher: message authentication failed", status=500),
        ),
        (asked("get_user_secret", "users"), shape("users", "value: expected object, got array")),
        (asked("get_users_secret", "user"), shape("user", "value: expected array, got object")),
        (asked("get_user_secret", "no_password"), shape("no_password", "value.password: missing")),
        (
            asked("get_user_secret", "number_password"),
            shape("number_password", "value.password: expected str, got int"),
        ),
        (asked("get_user_secret", ""), ok(USER)),
        (
            asked("get_users_secret", ""),
            ok(USERS),
        ),
    ]
    assert without_hints(shared.ask(*(request for request, _ in exchanges))) == without_hints(
        [reply for _, reply in exchanges]
    )


def test_mock_mode(child: Child, tmp_path: Path) -> None:
    """Mock mode returns the given secrets, or null, matches CVs as configured, and stores nothing."""
    child.send(
        b'{"type":"set_mock","content":{"secrets":{"k":{"b": 12.50},"user":{"username":"u","password":"p","x":1}}}}'
    )
    child.send(message("get_secret", {"key": "k"}), message("get_secret", {"key": "x"}), message("get_user_secret", {}))
    assert [child.read_line() for _ in range(4)] == [
        b'{"type":"ok"}\n',
        b'{"type":"ok","content":{"b": 12.50}}\n',
        b'{"type":"ok","content":null}\n',
        b'{"type":"ok","content":{"username":"u","password":"p"}}\n',
    ]
    assert child.ask(message("set_cached_reference", "a"), cv("a"), cv("b"), cv("b")) == [OK, OK, ok(True), OK]
    assert child.ask(message("set_mock", {"cv_matches": False}), cv("b"), cv("b")) == [OK, ok(False), ok(False)]
    assert child.end() == 0
    assert not (tmp_path / "state").exists()


def test_a_mock_keeps_no_real_cv_from_being_sent(child: Child, server: Rtcv) -> None:
    """Mock and real references are separate; a later login finds its references again."""
    assert child.ask(message("set_mock", {}), cv("a"), message("set_cached_reference", "b")) == [OK, ok(True), OK]
    log_in(child, server)
    assert child.ask(cv("a"), cv("b")) == [ok(True), ok(True)]
    assert child.ask(message("set_mock", {}), message("has_cached_reference", "a")) == [OK, ok(False)]
    log_in(child, server)
    assert child.ask(cv("a"), cv("b")) == [OK, OK]
    assert len(server.server.to("scanCV")) == 2


def test_references_survive_a_kill(tmp_path: Path, server: Rtcv) -> None:
    """What was answered with `ok` is on disk: nothing after it is needed to keep it."""
    names = ["plain", "a'b\"c", "NUL\u0000", "é😀\u2028", "x" * 5000]
    with Child(tmp_path) as child:
        log_in(child, server)
        assert child.ask(*(message("set_cached_reference", name) for name in names)) == [OK] * len(names)
        child.signal(signal.SIGKILL)
        child.wait()
    with Child(tmp_path) as child:
        log_in(child, server)
        assert child.ask(*(message("has_cached_reference", name) for name in names)) == [ok(True)] * len(names)
        assert child.ask(message("has_cached_reference", "NUL"), cv("plain")) == [ok(False), OK]
    assert server.server.to("scanCV") == []


def test_references_are_apart_for_each_server_and_key(tmp_path: Path) -> None:
    """Another server, or another key on the same, knows nothing of them."""
    keys = [ApiKey(), OTHER_KEY]
    with Child(tmp_path) as child, rtcv(keys=keys) as one, rtcv(keys=keys) as other:
        log_in(child, one)
        assert child.ask(message("set_cached_reference", "a")) == [OK]
        strangers: list[tuple[Rtcv, dict[str, Any]]] = [
            (other, {}),
            (one, {"api_key_id": OTHER_KEY.id, "api_key": OTHER_KEY.key}),
        ]
        for server, changes in strangers:
            log_in(child, server, **changes)
            assert child.ask(message("has_cached_reference", "a")) == [ok(False)]
        log_in(child, one, server_location=f"{one.server.url}/")
        assert child.ask(message("has_cached_reference", "a")) == [ok(True)]


def test_two_sidecars_share_a_store(tmp_path: Path, server: Rtcv) -> None:
    """What one has sent the other does not send, as soon as the first has answered; and both may write at once."""
    with Child(tmp_path) as one, Child(tmp_path) as other:
        log_in(one, server)
        log_in(other, server)
        assert other.ask(message("has_cached_reference", "a")) == [ok(False)]
        assert one.ask(cv("a")) == [ok(True)]
        assert other.ask(cv("a")) == [OK]
        for number, child in enumerate((one, other)):
            child.send(*(message("set_cached_reference", f"{number}-{reference}") for reference in range(500)))
        for child in (one, other):
            assert child.read_many(500) == [OK] * 500
        for number, child in enumerate((other, one)):
            asked = [message("has_cached_reference", f"{number}-{reference}") for reference in range(500)]
            assert child.ask(*asked) == [ok(True)] * 500
    assert len(server.server.to("scanCV")) == 1


def test_the_state_folder_is_its_owners(child: Child, server: Rtcv, tmp_path: Path) -> None:
    """0700 and 0600."""
    log_in(child, server)
    assert child.ask(message("set_cached_reference", "a")) == [OK]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()}
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert modes == {"sidecar.db": 0o600, "sidecar.db-wal": 0o600, "sidecar.db-shm": 0o600}


def test_a_broken_database_is_kept_aside(child: Child, server: Rtcv, tmp_path: Path) -> None:
    """The scraper goes on with a new one, and a person may look at the old one."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "sidecar.db").write_bytes(b"not a database" * 1000)
    log_in(child, server)
    assert child.ask(message("set_cached_reference", "a"), message("has_cached_reference", "a")) == [OK, ok(True)]
    [aside] = (tmp_path / "state").glob("sidecar.broken-*")
    assert aside.read_bytes() == b"not a database" * 1000
    assert f"is kept as {aside.name}" in child.stderr


def test_a_locked_database_is_waited_for(child: Child, server: Rtcv, tmp_path: Path) -> None:
    """The answer comes when the lock is gone, and what needs no disk is answered meanwhile."""
    log_in(child, server)
    with closing(sqlite3.connect(tmp_path / "state" / "sidecar.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        child.send(message("set_cached_reference", "a") | {"id": 1})
        assert child.silent()
        other.execute("COMMIT")
    assert child.read() == OK | {"id": 1}
    assert child.ask(message("has_cached_reference", "a")) == [ok(True)]


@pytest.fixture
def cramped(tmp_path: Path) -> Iterator[Child]:
    """A sidecar that may write no file beyond 1 MiB."""
    limit = f"ulimit -f 1024; exec {sys.executable} -m sidecar"
    with Child(tmp_path, command=["bash", "-c", limit]) as running:
        yield running


def test_a_full_disk_is_an_error(cramped: Child, server: Rtcv) -> None:
    """What could not be written is not known either; a CV of that reference is sent again."""
    log_in(cramped, server)
    large = "x" * 1_500_000
    refused = error("internal", "could not be stored: disk I/O error", retryable=True)
    answers = cramped.ask(
        message("set_cached_reference", large) | {"id": 1},
        {"type": "ping"},
    )
    assert sorted(answers, key=lambda answer: "id" not in answer) == [refused | {"id": 1}, {"type": "pong"}]
    assert cramped.ask(message("has_cached_reference", large)) == [ok(False)]
    assert cramped.ask(cv(large)) == [refused]
    assert cramped.ask(cv(large)) == [refused]
    assert len(server.server.to("scanCV")) == 2
    assert cramped.ask(message("set_cached_reference", "small"), message("has_cached_reference", "small")) == [
        OK,
        ok(True),
    ]


def test_a_state_folder_that_can_not_be_made(tmp_path: Path, server: Rtcv) -> None:
    """The login fails, changes nothing, and may be tried again once the place is free."""
    with Child(tmp_path) as child:
        (tmp_path / "state").write_text("in the way")
        [refused] = child.ask(message("set_credentials", server.credentials))
        assert (refused["type"], refused["error"]["code"]) == ("error", "internal")
        assert child.ask(cv("a")) == [MISSING]
        (tmp_path / "state").unlink()
        log_in(child, server)
        assert child.ask(cv("a")) == [ok(True)]


def test_a_secondary_that_fails(child: Child, server: Rtcv) -> None:
    """A failed copy fails no request; it is an event for parents with notifications, others read replies only."""
    with rtcv() as second, rtcv() as third:
        for other in (second, third):
            other.server.fail("scanCV", "error", None, status=500)
        servers = [server.credentials | {"primary": True}, second.credentials]
        assert child.ask(message("set_multiple_credentials", servers), cv("a")) == [OK, ok(True)]
        second.wait_for("scanCV")
        assert child.silent()
        servers[1] = third.credentials | {"name": "the third"}
        assert child.ask(message("set_multiple_credentials", servers)) == [OK]
        assert child.ask(message("hello", {"notifications": True}))[0]["type"] == "ok"
        lines = [*child.ask(cv("b"), {"type": "ping"}), child.read()]
        detail = error("remote_error", "injected failure", status=500)["error"]
        [event] = [line["content"] for line in lines if line["type"] == "event"]
        assert [line for line in lines if line["type"] != "event"] == [ok(True), {"type": "pong"}]
        assert {name: event[name] for name in ("server", "kind", "status", "attempts", "error")} == {
            "server": "the third",
            "kind": "cv",
            "status": "waiting",
            "attempts": 1,
            "error": detail,
        }


def test_a_slow_secondary_delays_no_request(child: Child, server: Rtcv) -> None:
    """The answer is the primary's; the copy still arrives when stdin has ended."""
    with rtcv() as second:
        second.server.fail("scanCV", "hang", None)
        servers = [server.credentials | {"primary": True}, second.credentials]
        assert child.ask(message("set_multiple_credentials", servers), cv("a")) == [OK, ok(True)]
        second.wait_for("scanCV")
        child.close_stdin()
        second.release()
        assert child.wait() == 0


def test_what_failed_at_the_primary_is_not_cached(shared: Child, server: Rtcv) -> None:
    """The next attempt is sent."""
    log_in(shared, server)
    server.server.fail("scanCV", "error", status=500)
    refused = error("remote_error", "injected failure", status=500)
    assert shared.ask(cv("a"), message("has_cached_reference", "a"), cv("a")) == [refused, ok(False), ok(True)]


def test_a_hundred_thousand_references(child: Child, server: Rtcv) -> None:
    """All lines are read, answered and remembered, with bounded memory."""
    log_in(child, server)
    before = child.memory()
    count = 100_000
    lines = b"".join(b'{"type":"set_cached_reference","content":"reference-%d"}\n' % n for n in range(count))
    child.write(lines)
    assert all(child.read_line() == b'{"type":"ok"}\n' for _ in range(count))
    assert child.memory() - before < 60 << 20
    assert child.ask(message("has_cached_reference", "reference-77777")) == [ok(True)]
