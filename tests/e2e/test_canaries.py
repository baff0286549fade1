"""No secret leaves by a way that is not its own: a session with all of them, and a search in all that it left."""

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.fakes import KEY_ID, ApiKey, Secret
from tests.harness import Child, encoded, rtcv

API_KEY = 'canary-api/key "ä"'
SECOND_KEY = "canary-second-key"
REFUSED_KEY = "canary-refused-key"
ENCRYPTION_KEY = "canary-encryption/key ö&"
WRONG_ENCRYPTION_KEY = "canary-wrong-encryption-key"
PASSWORD = "canary-password ü/1"
OTHER_PASSWORD = "canary-other-password"
DEEP_SECRET = "canary-deep-secret"
MOCK_SECRET = "canary-mock-secret"
COOKIE = "canary-cookie"
TYPED = "canary-typed"
UNREADABLE = "canary-unreadable"
CANARIES = (
    API_KEY,
    SECOND_KEY,
    REFUSED_KEY,
    ENCRYPTION_KEY,
    WRONG_ENCRYPTION_KEY,
    PASSWORD,
    OTHER_PASSWORD,
    DEEP_SECRET,
    MOCK_SECRET,
    COOKIE,
    TYPED,
    UNREADABLE,
)
SECRETS = {
    "user": {"username": "ann", "password": PASSWORD},
    "users": [{"username": "bob", "password": OTHER_PASSWORD}],
    "any": {"list": [{"inside": DEEP_SECRET}]},
}


def forms(canary: str) -> set[bytes]:
    """A canary as it is and as it may be written: escaped, encoded, hashed; in lower case, as is what is searched."""
    raw = canary.encode()
    written = {
        canary,
        json.dumps(canary)[1:-1],
        quote(canary, safe=""),
        quote(canary),
        base64.b64encode(raw).decode(),
        hashlib.sha512(raw).hexdigest(),
        hashlib.sha256(raw).hexdigest(),
    }
    return {form.lower().encode() for form in written}


def found(data: bytes) -> list[str]:
    """The canaries that stand somewhere in the data, in any form."""
    data = data.lower()
    return [canary for canary in CANARIES if any(form in data for form in forms(canary))]


@dataclass
class Session:
    """What a session left behind."""

    folder: Path
    replies: list[bytes]
    """Lines of stdout, but for replies that have to carry a secret."""
    carried: list[bytes]
    """Replies to requests for a secret that exists."""
    process: dict[str, bytes]
    """What anybody on the machine may read of a process."""
    stderr: str


def message(kind: str, content: Any) -> dict[str, Any]:
    """A message with content."""
    return {"type": kind, "content": content}


def asked(key: str, encryption_key: str = ENCRYPTION_KEY, kind: str = "get_secret") -> dict[str, Any]:
    """A request for a secret."""
    return message(kind, {"key": key, "encryption_key": encryption_key})


def job(url: str, *actions: Any, **more: Any) -> dict[str, Any]:
    """A job with a cookie, a password and artifacts on disk."""
    step = {"url": url, "actions": actions, "timeout_ms": 20_000, "extract": {"title": "h1"}}
    cookies = [{"name": "session", "value": COOKIE, "domain": "127.0.0.1"}]
    return message("send_job", {"steps": [step], "cookies": cookies, "artifacts": "files", **more})


def reported(child: Child, *messages: object) -> list[bytes]:
    """Every line up to the last of these messages' answers, the events between them too."""
    child.send(*messages)
    lines: list[dict[str, Any]] = []
    while sum(line["type"] != "event" for line in lines) < len(messages):
        lines.append(child.read())
    return [encoded(line) for line in lines]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Every feature that meets a secret, with all logs on and servers that give back what they are sent."""
    folder = tmp_path_factory.mktemp("session")
    key = quote(ENCRYPTION_KEY, safe="")
    stored = {name: Secret(json.dumps(value).encode(), key) for name, value in SECRETS.items()}
    env = {"LOG_SCRAPER_CLIENT_INPUT": "true", "ENABLE_SCRAPER_CLIENT_LOG": "true", "SIDECAR_MAX_LINE": "100000"}
    with (
        rtcv(keys=[ApiKey(key=API_KEY, secrets=stored)]) as primary,
        rtcv(keys=[ApiKey(key=SECOND_KEY)]) as secondary,
        Child(folder, env=env) as child,
    ):
        known = [canary for canary in CANARIES if canary not in (COOKIE, UNREADABLE)]
        echo = " ".join([*known, key, *(hashlib.sha512(one.encode()).hexdigest() for one in known)])
        secondary.server.fail("scanCV", "error", None).error = " ".join([SECOND_KEY, ApiKey(key=SECOND_KEY).digest])
        login = primary.credentials | {"api_key": API_KEY, "primary": True}
        replies = [
            encoded(answer)
            for answer in child.ask(
                message("hello", {"notifications": True}),
                message("set_credentials", login | {"api_key": REFUSED_KEY}),
                message("set_credentials", [login, secondary.credentials | {"api_key": SECOND_KEY}]),
                message("set_credentials", {"api_key": [UNREADABLE]}),
                message("get_secret", {"key": "user", "encryption_key": {"a": UNREADABLE}}),
                b'{"type":"set_credentials","content":{"api_key":"' + UNREADABLE.encode() + b'"',
                b'{"type":"get_secret","content":{"password":"' + UNREADABLE.encode() * 10_000 + b'"}}',
                asked("user", WRONG_ENCRYPTION_KEY),
                asked("user", kind="get_users_secret"),
                asked("users", kind="get_user_secret"),
            )
        ]
        child.send(asked("user", kind="get_user_secret"), asked("users", kind="get_users_secret"), asked("any"))
        carried = [child.read_line() for _ in range(3)]
        hidden = " ".join([API_KEY, ApiKey(key=API_KEY).digest, ENCRYPTION_KEY, key])
        fault = primary.server.fail("/api/v1/s", "error", None)
        fault.error = hidden
        # what a CV holds is no secret of ours: it is kept as it came until the secondary has it
        replies += reported(child, asked("user"), message("send_cv", {"referenceNumber": "a"}))
        fault.left = 0
        secondary.wait_for("scanCV")  # it fails too
        url = primary.server.url
        replies += reported(
            child,
            message("set_cached_reference", "b"),
            job(url, {"fill": {"selector": "#password", "value": TYPED, "timeout": 500}}),
            job(f"http://ann:{OTHER_PASSWORD}@127.0.0.1:1/"),
            job(url, options=["SCREENSHOT"]),
            message("set_mock", {"secrets": {"user": {"username": "ann", "password": MOCK_SECRET}, "n": MOCK_SECRET}}),
            asked("n", kind="get_user_secret"),
            message("send_cv", {"referenceNumber": echo}),
        )
        carried += map(encoded, child.ask(asked("user", kind="get_user_secret")))
        process = {name: Path(f"/proc/{child.pid}/{name}").read_bytes() for name in ("cmdline", "comm", "environ")}
        assert child.end() == 0
        yield Session(folder, replies, carried, process, child.stderr)


@pytest.mark.browser
def test_secrets_reach_who_asked_for_them(session: Session) -> None:
    """Else there would be nothing to look for."""
    given = [json.loads(line).get("content") for line in session.carried]
    assert all(found(line) for line in session.carried)
    assert given == [*SECRETS.values(), {"username": "ann", "password": MOCK_SECRET}]


@pytest.mark.browser
def test_the_session_did_what_it_was_to_do(session: Session) -> None:
    """Every kind of failure is among its replies, and a job that succeeded."""
    lines = [json.loads(line) for line in session.replies]
    codes = {line["error"]["code"] for line in lines if line["type"] == "error"}
    assert codes >= {
        "unauthorized",
        "invalid_content",
        "parse_error",
        "line_too_long",
        "remote_error",
        "action_failed",
        "navigation_failed",
    }
    assert [line["event"] for line in lines if line["type"] == "event"].count("delivery_failed") == 1
    assert any(
        line["type"] == "ok" and "result" in (line.get("content") or {})
        for line in lines[-6:]
        if line.get("content") is not True
    )


def test_no_reply_contains_a_secret_that_was_not_requested(session: Session) -> None:
    """Neither errors nor events, also where a server gives back what it was sent."""
    assert {line: found(line) for line in session.replies if found(line)} == {}


def test_no_log_contains_a_secret(session: Session) -> None:
    """The input log, the debug log, and what is said to people on stderr."""
    logs = {path.name: path.read_bytes() for path in session.folder.glob("*.log")}
    assert set(logs) == {"scraper_client_input.log", "scraper_client.log"}
    assert logs["scraper_client_input.log"].count(b"\n") >= 20
    assert b"did not take a delivery" in logs["scraper_client.log"]
    assert "did not take a delivery" in session.stderr
    assert {
        name: found(data) for name, data in [*logs.items(), ("stderr", session.stderr.encode())] if found(data)
    } == {}


@pytest.mark.browser
def test_nothing_on_disk_contains_a_secret(session: Session) -> None:
    """The database's own bytes, the artifacts, and every file's name."""
    files = [path for path in (session.folder / "state").rglob("*") if path.is_file()]
    assert {path.name for path in files} > {"sidecar.db"}
    reported = {path.name: found(path.read_bytes()) + found(str(path).encode()) for path in files}
    assert {name: canaries for name, canaries in reported.items() if canaries} == {}


def test_the_process_list_contains_no_secret(session: Session) -> None:
    """Secrets come over stdin, so a process's arguments, name and environment are free of them."""
    assert {name: found(data) for name, data in session.process.items() if found(data)} == {}


def test_a_key_id_is_no_secret(session: Session) -> None:
    """What names a key may be logged, so that a person knows which one it was."""
    assert KEY_ID.encode() in (session.folder / "scraper_client_input.log").read_bytes()
