"""Tourist's documented requests, with curl and with urllib as its Python examples send them; sync jobs of our own."""

import base64
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import PAUSE, SECONDS, environment
from tests.http_harness import TOKEN, Answer, Serving, read_until

pytestmark = pytest.mark.browser

PAGE = "data:text/html,<h1>Hello</h1><button id=a>a</button><script>alert('hi')</script>"
STEPS = [{"url": PAGE, "actions": ["page.click('#a')"]}]
SECRET = "a-secret-that-signs-visit-tokens"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One without tokens, and a single place for jobs."""
    with Serving(tmp_path_factory.mktemp("tourist"), env={"SIDECAR_CONCURRENCY": "1"}) as serving:
        yield serving


def post(url: str, body: Any, token: str = "") -> tuple[int, Any]:
    """As `requests.post(url, json=body)` does."""
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as failed:
        with failed:
            return failed.code, json.load(failed)


def ended(server: Serving, path: str, token: str | None = None) -> Any:
    """The state of a job once it is no longer pending."""
    deadline = time.monotonic() + SECONDS
    while (answer := server.curl(path, token=token)).json["status"] == "pending":
        assert time.monotonic() < deadline
        time.sleep(PAUSE)
    assert answer.status == 200
    return answer.json


def refused(answer: Answer) -> tuple[int, str, str]:
    """Status, name and sentence."""
    assert list(answer.json) == ["statusCode", "error", "message"]
    assert answer.json["statusCode"] == answer.status
    return answer.status, answer.json["error"], answer.json["message"]


def test_jobs(server: Serving) -> None:
    """Sync, async and of the first version, with what each option brings; errors in its form."""
    whole = {
        "browser": "CHROMIUM",
        "steps": STEPS,
        "cookies": [{"name": "test", "value": "test", "domain": "example.com", "path": "/", "sameSite": "Lax"}],
        "options": ["SCREENSHOT", "PDF", "READ_ALERTS"],
        "pdf": {"media": "screen", "format": "A4", "js": True, "delay": 10, "scale": 1.0},
    }
    status, done = post(f"{server.url}/api/v1/sync-job", whole)
    assert (status, done["status"], sorted(done["result"])) == (200, "success", ["messages", "pdf", "screenshot"])
    assert base64.b64decode(done["result"]["pdf"]).startswith(b"%PDF")
    assert done["result"]["messages"] == ["hi"]
    assert post(f"{server.url}/api/v1/sync-job", {"steps": STEPS}) == (200, {"status": "success", "result": {}})
    scheduled = server.curl("/api/v1/async-job", data={"steps": STEPS, "options": ["SCREENSHOT"]})
    assert (scheduled.status, sorted(scheduled.json)) == (200, ["id", "status"])
    state = ended(server, f"/api/v1/job-status?id={scheduled.json['id']}")
    assert (state["status"], list(state["result"])) == ("success", ["screenshot"])
    missing = server.curl("/api/v1/sync-job", data={})
    assert refused(missing) == (400, "Bad Request", "body must have required property 'steps'")
    inner = server.curl("/api/v1/async-job", data={"steps": [{}]})
    assert refused(inner) == (400, "Bad Request", "body/steps/0 must have required property 'url'")
    assert refused(server.curl("/api/v1/async-job", data=[]))[2] == "body must be object"
    failing = server.curl("/api/v1/sync-job", data={"steps": [{"url": PAGE, "actions": ["page.nonsense()"]}]})
    assert refused(failing)[:2] == (400, "Bad Request")
    assert refused(server.curl("/api/v1/job-status?id=nobody"))[:2] == (404, "Not Found")
    assert refused(server.curl("/api/v1/job-status"))[0] == 400
    assert server.curl("/api/v1/healthcheck").json == {"status": "OK"}
    visit = {"steps": [{"url": PAGE, "actions": ["page.wait_for_timeout(1)"]}]}
    assert server.curl("/visit", data=visit).json == {"status": "scheduled"}
    picture = server.curl("/visit", data=visit | {"screenshot": True})
    assert (picture.headers["content-type"], picture.body[:4]) == ("image/png", b"\x89PNG")
    assert refused(server.curl("/visit", data=visit | {"screenshot": True, "pdf": True}))[0] == 400


def test_a_client_that_goes_away(server: Serving) -> None:
    """Its job is cancelled and the place is free; one that prefers not to wait goes on."""
    long = {"steps": [{"url": PAGE, "actions": [{"wait_for_timeout": 60_000}]}], "timeout_ms": 90_000}
    body = json.dumps(long).encode()
    with server.connect() as connection:
        head = server.head("POST", "/v1/send_job", f"Content-Length: {len(body)}", "X-Request-Id: long")
        connection.sendall(head + body)
        deadline = time.monotonic() + SECONDS
        while server.post("ping", None, "-H", "X-Request-Id: long").status != 409:  # it is in flight
            assert time.monotonic() < deadline
    began = time.monotonic()
    assert server.post("send_job", {"steps": STEPS}).status == 200
    assert time.monotonic() - began < SECONDS
    accepted = server.post("send_job", {"steps": STEPS}, "-H", "Prefer: respond-async")
    assert (accepted.status, accepted.headers["preference-applied"]) == (202, "respond-async")
    assert accepted.json["content"]["status"] == "scheduled"
    assert ended(server, accepted.headers["location"])["status"] == "success"


def test_events_of_a_job(server: Serving) -> None:
    """They belong to the request by the id that its client gave it."""
    with server.connect() as listener:
        listener.sendall(server.head("GET", "/v1/events"))
        read_until(listener, b": listening")
        assert server.post("send_job", {"steps": STEPS}, "-H", "X-Request-Id: heard").status == 200
        heard = read_until(listener, b'"percentage":100')
        heard += read_until(listener, b"\n\n") if not heard.endswith(b"\n\n") else b""
    events = [json.loads(line[6:]) for line in heard.splitlines() if line.startswith(b"data: ")]
    assert {event["event"] for event in events} >= {"progress"}
    assert {event["id"] for event in events} == {"heard"}


def test_tokens(tmp_path: Path) -> None:
    """With authentication on, who may visit what, and who may see which job; our own token may stand in the address."""
    env = {"SIDECAR_TOKEN_SECRET": SECRET}
    command = [sys.executable, "-m", "sidecar", "token", "issuer"]
    issuer = subprocess.run(command, capture_output=True, text=True, check=True, env=environment(tmp_path, env)).stdout
    with Serving(tmp_path, env=env, token=TOKEN) as server:
        health = f"{server.url}/health"

        def issue(scope: str, token: str = issuer.strip()) -> tuple[int, Any]:
            return post(f"{server.url}/api/v1/issue-token", {"scope": scope}, token)

        status, answer = issue(health)
        assert (status, list(answer)) == (200, ["token"])
        ours, theirs = answer["token"], issue("https://example.com")[1]["token"]
        assert (issue(health, "")[0], issue(health, "")[1]["error"]) == (401, "Unauthenticated")
        assert issue(health, ours)[0] == 403
        job = {"steps": [{"url": health}]}
        assert server.curl("/api/v1/sync-job", data=job, token=ours).status == 200
        none = server.curl("/api/v1/sync-job", data=job, token="")
        assert refused(none) == (401, "Unauthenticated", "Authorization has not been provided")
        not_theirs = server.curl("/api/v1/async-job", data=job, token=theirs)
        said = "Provided token does not allow visiting one or more of the requested URLs"
        assert refused(not_theirs) == (403, "Forbidden", said)
        path = f"/api/v1/job-status?id={server.curl('/api/v1/async-job', data=job, token=ours).json['id']}"
        assert ended(server, path, ours)["status"] == "success"
        assert server.curl(path, token="").status == 401
        said = "Provided token does not allow retrieving data for this job"
        assert refused(server.curl(path, token=theirs)) == (403, "Forbidden", said)
        assert refused(server.curl(path, token="forged"))[0] == 401
        assert server.curl("/api/v1/healthcheck").json == {"status": "OK"}
        assert server.curl("/api/v1/tasks", token=ours).status == 401
