"""EngageLab's documented calls with curl, and its numbers with their statuses."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.harness import SECONDS, environment, receiver
from tests.http_harness import TOKEN, Answer, Serving

PUSH = {"type": "set_cached_reference", "content": "abcd"}
OWN = {
    "from": "push",
    "to": {"registration_id": ["1a0018970ab49abda3e", "100d85590955c1d2793"]},
    "body": {
        "platform": "web",
        "notification": {
            "alert": "Api web timed task",
            "web": {"alert": "Api web timed task", "title": "Api web timed task", "extras": {"key1": "value1"}},
        },
        "message": {},
        "options": {"time_to_live": 60},
    },
    "request_id": "12345",
    "custom_args": "business info",
}
"""The documented push."""
PATH = "/v4/schedules"
BASIC = ("-u", f"appkey:{TOKEN}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One in mock mode, whose token is the master secret."""
    with Serving(tmp_path_factory.mktemp("engagelab"), token=TOKEN, env={"TZ": "UTC"}) as serving:
        assert serving.post("set_mock", {}).status == 200
        yield serving


def ask(server: Serving, method: str, path: str = "", body: Any = None, kind: str = "application/json") -> Answer:
    """As its documents show it: Basic authentication, JSON."""
    data = ("-H", f"Content-Type: {kind}", "--data-binary", body if isinstance(body, str) else None)
    given = data if isinstance(body, str) else ()
    headers = ("-X", method, *BASIC, "-H", "Accept: application/json", *(part for part in given if part))
    if body is None or isinstance(body, str):
        return server.curl(PATH + path, *headers, token="")
    return server.curl(PATH + path, *headers, data=body, token="")


def schedule(seconds: float = 3600, **changes: Any) -> dict[str, Any]:
    """The documented body, for an hour from now unless `seconds` say otherwise."""
    time = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S")
    whole = {
        "name": "schedule push example",
        "enabled": True,
        "trigger": {"single": {"time": time, "zone_type": 1}},
        "push": PUSH,
    }
    return whole | changes


def test_every_call(server: Serving) -> None:
    """The answers have the documented shapes."""
    created = ask(server, "POST", "", schedule())
    assert (created.status, created.headers["content-type"].split(";")[0]) == (200, "application/json")
    assert created.json == {"schedule_id": created.json["schedule_id"], "name": "schedule push example"}
    path = f"/{created.json['schedule_id']}"
    shown = ask(server, "GET", path).json
    assert list(shown) == ["schedule_id", "name", "enabled", "trigger", "push"]
    for query in ("", "?page=", "?page=1"):
        assert ask(server, "GET", query).json == {"total_count": 1, "total_pages": 1, "page": 1, "schedules": [shown]}
    assert ask(server, "GET", "?page=7").json == {"total_count": 1, "total_pages": 1, "page": 7, "schedules": []}
    for name in ("msg-ids", "msg_ids"):
        assert ask(server, "GET", f"{path}/{name}").json == {"count": 0, "msgids": []}
    form = "application/x-www-form-urlencoded"  # as the documents have it
    updated = ask(server, "PUT", path, '{"name": "task"}', form)
    assert (updated.status, updated.json["name"], list(updated.json)) == (200, "task", list(shown)[1:])
    deleted = ask(server, "DELETE", path)
    assert (deleted.status, deleted.headers["content-length"], deleted.body) == (200, "0", b"")


def test_every_number(server: Serving) -> None:
    """Each has the status of the documented table."""

    def refused(answer: Answer) -> tuple[int, int]:
        (error,) = answer.json.values()
        assert list(error) == ["code", "message"], error
        return answer.status, error["code"]

    assert refused(ask(server, "POST", "", schedule(enabled=False))) == (400, 28100)
    assert refused(
        ask(server, "POST", "", schedule(trigger={"single": {"time": "2014-2-15 13:16:59", "zone_type": 1}}))
    ) == (400, 28100)
    assert refused(ask(server, "POST", "", "{")) == (400, 28100)
    assert refused(ask(server, "POST", "", "[]")) == (400, 28100)
    assert refused(ask(server, "GET", "?page=x")) == (400, 28100)
    assert refused(ask(server, "GET", "/0eac1b80-c2ac-4b69-948b-c65b34b96512")) == (404, 28104)
    assert refused(ask(server, "DELETE", "/nobody")) == (404, 28104)
    without_url = ask(server, "POST", "", schedule(push=OWN))
    assert refused(without_url) == (404, 28105)
    assert "SIDECAR_PUSH_URL" in without_url.json["error"]["message"]
    unknown = server.curl(PATH, "-u", "appkey:wrong", token="")
    assert refused(unknown) == (401, 28101)
    assert unknown.headers["www-authenticate"].startswith("Basic")
    assert refused(server.curl(PATH, token="")) == (401, 28101)
    wrong = ask(server, "PATCH", "")
    assert (refused(wrong), wrong.headers["allow"]) == ((405, 28100), "POST, GET, HEAD, OPTIONS")


def test_a_push_in_their_own_form(tmp_path: Path) -> None:
    """It is posted to the URL of the setting when it is due, at least once, under the id of its message."""
    with receiver() as taken:
        env = {"TZ": "UTC", "SIDECAR_ALLOW_PRIVATE_NETWORK": "true", "SIDECAR_PUSH_URL": f"{taken.server.url}/v4/push"}
        taken.server.fail("push", "error", status=503, retry_after=1)
        with Serving(tmp_path, token=TOKEN, env=env) as server:
            later = ask(server, "POST", "", schedule(push=PUSH)).json["schedule_id"]
            made = ask(server, "POST", "", schedule(3, push=OWN))
            path = f"/{made.json['schedule_id']}"
            assert ask(server, "GET", path).json["push"] == OWN
            changed = OWN | {"to": "all", "request_id": "6"}
            assert ask(server, "PUT", f"/{later}", {"push": changed}).json["push"] == changed
            for wrong, place in (({"to": {}}, "push.to"), ({"body": 5}, "push.body"), ({"strange": 1}, "push.strange")):
                refused = ask(server, "POST", "", schedule(push=OWN | wrong))
                assert (refused.status, refused.json["error"]["code"]) == (404, 28105)
                assert refused.json["error"]["message"].startswith(f"{place}: ")
            taken.wait_for("push")
            ids = ask(server, "GET", f"{path}/msg-ids").json
            waiting = server.post("list_deliveries").json["content"]["deliveries"]
            assert [(one["kind"], one["id"]) for one in waiting] == [("push", ids["msgids"][0])]
            server.end(signal.SIGKILL)
        with Serving(tmp_path, token=TOKEN, env=env) as server:
            taken.wait_for("push", 2)
        first, second = taken.server.to("push")
        assert first.json == second.json == OWN
        assert {one.headers["webhook-id"] for one in (first, second)} == set(ids["msgids"])
        assert first.headers["Content-Type"].startswith("application/json")


def test_a_url_that_can_not_be(tmp_path: Path) -> None:
    """It is refused at the start, by the name of the setting."""
    command = [sys.executable, "-m", "sidecar", "serve", "--http", "127.0.0.1:0"]
    for url in ("ftp://a.example/", "http://10.0.0.1/"):
        env = environment(tmp_path, {"SIDECAR_PUSH_URL": url})
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, cwd=tmp_path, env=env)
        assert (done.returncode, done.stderr.startswith("sidecar: --push-url: ")) == (2, True), done
