"""Servers that fail in every way a server can: the exact reply, through a real process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import ENCRYPTION_KEY, KEY, KEY_ID, ApiKey
from tests.faults import HTML
from tests.harness import Child, Rtcv, error, rtcv, without_hints

OK = {"type": "ok"}
PAGE = HTML.decode().strip()
NOT_JSON = error(
    "remote_error", "server returned 200 code, with a body that is not the expected JSON", retryable=False, status=200
)


@pytest.fixture(scope="module")
def server() -> Iterator[Rtcv]:
    """A server that each test spoils in its own way."""
    with rtcv() as running:
        yield running


@pytest.fixture(scope="module")
def child(server: Rtcv, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """A sidecar that is logged in to it, and gives a request half a second."""
    with Child(tmp_path_factory.mktemp("child"), env={"SIDECAR_REQUEST_TIMEOUT": "0.5"}) as running:
        assert running.ask({"type": "set_credentials", "content": server.credentials}) == [OK]
        yield running
        assert running.end() == 0


@pytest.fixture(autouse=True)
def healthy(server: Rtcv) -> Iterator[None]:
    """Every test leaves the server as it found it."""
    server.server.requests.clear()
    yield
    heal(server)


def heal(server: Rtcv) -> None:
    """Ends every fault, and returns when that is so."""
    server.release()
    server.wait_for("", 0)  # runs after it in the server's loop


def failed(message: str, status: int, *, code: str = "remote_error", retryable: bool = False) -> dict[str, Any]:
    """What is said of a server's refusal."""
    return error(code, message, retryable=retryable, status=status)


FAULTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "500": ({"kind": "error"}, failed("injected failure", 500)),
    "400": ({"kind": "error", "status": 400}, failed("injected failure", 400)),
    "401": ({"kind": "error", "status": 401}, failed("injected failure", 401, code="unauthorized")),
    "403": ({"kind": "error", "status": 403}, failed("injected failure", 403, code="forbidden")),
    "404": ({"kind": "error", "status": 404}, failed("injected failure", 404, code="not_found")),
    "404 page": (
        {"kind": "html", "status": 404},
        failed(f"server returned 404 code, with body {PAGE}", 404),
    ),
    "empty JSON": (
        {"kind": "empty_json"},
        failed("server returned 500 code, with body {}", 500),
    ),
    "HTML": ({"kind": "html"}, failed(f"server returned 502 code, with body {PAGE}", 502, retryable=True)),
    "empty 500": (
        {"kind": "empty", "status": 500},
        failed("server returned 500 code, with body (empty)", 500),
    ),
    "empty 200": ({"kind": "empty"}, NOT_JSON),
    "HTML with 200": ({"kind": "not_json"}, NOT_JSON),
    "429 for long": (
        {"kind": "error", "status": 429, "retry_after": 3600},
        failed("injected failure", 429, retryable=True),
    ),
    "503 for long": (
        {"kind": "error", "status": 503, "retry_after": "Fri, 31 Dec 2999 23:59:59 GMT"},
        failed("injected failure", 503, retryable=True),
    ),
    "429 again and again": (
        {"kind": "error", "status": 429, "retry_after": 0},
        failed("injected failure", 429, retryable=True),
    ),
    "302": (
        {"kind": "redirect"},
        failed("{authority} redirected with 302, which is not followed", 302),
    ),
    "308 to another host": (
        {"kind": "redirect", "status": 308, "location": "http://localhost:1/x"},
        failed("{authority} redirected with 308, which is not followed", 308),
    ),
    "307 round and round": (
        {"kind": "redirect", "status": 307},
        failed("{authority} redirected more than 5 times", 307),
    ),
    "hang": (
        {"kind": "hang"},
        error("timeout", "{authority} did not answer within 0.5 s", retryable=True),
    ),
}
"""A name for the fault, how the server makes it, and what the parent reads of it."""


@pytest.mark.parametrize("name", FAULTS)
def test_what_a_parent_reads(child: Child, server: Rtcv, name: str) -> None:
    """A failing server gives a CV, a secret and a login the same error; the next request works."""
    how, said = FAULTS[name]
    said = located(said, server)
    cv = {"type": "send_cv", "content": {"referenceNumber": name}}
    secret = {"type": "get_secret", "content": {"key": "user", "encryption_key": ENCRYPTION_KEY}}
    server.server.fail("/api/v1/", count=None, **how)
    assert without_hints(child.ask(cv, secret)) == [said, said]
    if name not in ("empty 200", "HTML with 200"):  # a healthy answer, as far as health goes
        assert without_hints(child.ask({"type": "set_credentials", "content": server.credentials})) == [said]
    heal(server)
    assert child.ask(cv, cv) == [{"type": "ok", "content": True}, OK]


def located(said: Any, server: Rtcv) -> Any:
    """The reply with the server's host and port in it."""
    if isinstance(said, dict):
        return {key: located(value, server) for key, value in said.items()}
    return said.replace("{authority}", server.server.url.removeprefix("http://")) if isinstance(said, str) else said


@pytest.mark.parametrize("path", ["keyinfo", "scannedReferenceNrs"])
@pytest.mark.parametrize("kind", ["empty", "not_json"])
def test_a_login_without_json(child: Child, server: Rtcv, path: str, kind: Any) -> None:
    """A page in place of roles or references is a refused login."""
    server.server.fail(path, kind)
    assert without_hints(child.ask({"type": "set_credentials", "content": server.credentials})) == [NOT_JSON]


@pytest.mark.parametrize("retry_after", [0, "Fri, 31 Dec 1999 23:59:59 GMT"])
def test_a_busy_server_is_asked_again_with_the_whole_body(child: Child, server: Rtcv, retry_after: float | str) -> None:
    """As soon as it said, and with every byte of the CV; the parent notices nothing."""
    server.server.fail("scanCV", "error", 2, status=503, retry_after=retry_after)
    content = {"referenceNumber": f"busy {retry_after}", "text": "x" * 100_000}
    assert child.ask({"type": "send_cv", "content": content}) == [{"type": "ok", "content": True}]
    bodies = [request.json for request in server.server.to("scanCV")]
    assert bodies == [{"cv": content}] * 3


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_on_the_same_host_keeps_the_body(child: Child, server: Rtcv, status: int) -> None:
    """Followed once, with method, key and CV."""
    server.server.fail("scanCV", "redirect", status=status, location="/api/v1/scraper/scanCV?moved=1")
    content = {"referenceNumber": f"moved {status}"}
    assert child.ask({"type": "send_cv", "content": content}) == [{"type": "ok", "content": True}]
    first, second = server.server.to("scanCV")
    assert (second.path, second.json, second.headers["Authorization"]) == (
        "/api/v1/scraper/scanCV?moved=1",
        {"cv": content},
        first.headers["Authorization"],
    )


@pytest.mark.parametrize("kind", ["drop", "truncated"])
def test_a_connection_that_breaks_once(child: Child, server: Rtcv, kind: Any) -> None:
    """The CV is sent again, whole, after about two seconds; the parent notices nothing else."""
    server.server.fail("scanCV", kind)
    content = {"referenceNumber": f"broken {kind}", "text": "x" * 10_000}
    assert child.ask({"type": "send_cv", "content": content}) == [{"type": "ok", "content": True}]
    assert [request.json for request in server.server.to("scanCV")] == [{"cv": content}] * 2


def test_a_pause_can_be_cancelled(child: Child, server: Rtcv) -> None:
    """A parent that does not want to wait for a busy server need not."""
    server.server.fail("scanCV", "error", None, status=503, retry_after=60)
    child.send({"type": "send_cv", "id": 1, "content": {"referenceNumber": "unwanted"}})
    server.wait_for("scanCV")
    answers = [*child.ask({"type": "cancel", "content": {"id": 1}}), child.read()]
    cancelled = error("cancelled", "the request was cancelled", id=1)
    assert sorted(answers, key=lambda answer: "id" in answer) == [{"type": "ok", "content": True}, cancelled]


def test_a_login_can_be_cancelled(child: Child, server: Rtcv) -> None:
    """Then it changes nothing, as any login that does not succeed."""
    with rtcv() as other:
        other.server.fail("health", "hang", None)
        child.send({"type": "set_credentials", "id": 1, "content": other.credentials})
        other.wait_for("health")
        answers = [*child.ask({"type": "cancel", "id": 2, "content": {"id": 1}}), child.read()]
        assert error("cancelled", "the request was cancelled", id=1) in answers
        cv = {"type": "send_cv", "content": {"referenceNumber": "still here"}}
        assert child.ask(cv) == [{"type": "ok", "content": True}]
        assert other.server.to("scanCV") == []


def test_an_echoed_secret_is_not_reported(child: Child, server: Rtcv) -> None:
    """A server that gives back all it was sent gets none of it into an error."""
    encryption_key = "a/very secret&key€"
    encoded = "a%2Fvery%20secret%26key%E2%82%AC"
    url = f"{server.server.url}/api/v1/secrets/myKey/user/{encoded}"
    digest = ApiKey().digest
    fault = server.server.fail("secrets", "error", None, status=500)
    asked = {"type": "get_secret", "content": {"key": "user", "encryption_key": encryption_key}}
    authority = server.server.url.removeprefix("http://")
    for said, quoted in {
        f"GET {url}": f"GET {authority}",
        f"Basic {KEY_ID}:{digest} {digest.upper()}": f"Basic {KEY_ID}:********** **********",
        f"{KEY} {encryption_key} {encoded} {encoded.lower()}": " ".join(["**********"] * 4),
    }.items():
        fault.error = said
        assert without_hints(child.ask(asked)) == [failed(quoted, 500)]


def test_a_login_to_several_servers_names_the_failing_one(child: Child, server: Rtcv) -> None:
    """All are asked at once, nothing is seeded, and the session before stays."""
    with rtcv(keys=[ApiKey(role=2)]) as other:
        servers = [server.credentials | {"primary": True}, other.credentials]
        assert without_hints(child.ask({"type": "set_multiple_credentials", "content": servers})) == [
            failed("provided key does not have scraper role (nr 1)", 403, code="forbidden")
        ]
        assert server.server.to("scannedReferenceNrs") == []
    assert child.ask({"type": "send_cv", "content": {"referenceNumber": "after all"}}) == [
        {"type": "ok", "content": True}
    ]


def test_servers_are_checked_at_once(tmp_path: Path) -> None:
    """Each of them has been asked before any has answered."""
    with rtcv() as one, rtcv() as other, Child(tmp_path) as child:
        for server in (one, other):
            server.server.fail("health", "hang")
        servers = [one.credentials | {"primary": True}, other.credentials]
        child.send({"type": "set_multiple_credentials", "content": servers})
        for server in (one, other):
            server.wait_for("health")
        assert child.silent(0.05)
        for server in (one, other):
            server.release()
        assert child.read() == OK
