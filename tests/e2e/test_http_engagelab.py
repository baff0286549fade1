"""EngageLab's documented calls with curl, and its numbers with their statuses."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.http_harness import TOKEN, Answer, Serving

PUSH = {"type": "set_cached_reference", "content": "abcd"}
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


def schedule(**changes: Any) -> dict[str, Any]:
    """The documented body, for an hour from now."""
    time = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S")
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
    own = {
        "from": "push",
        "to": {"registration_id": ["1a0018970ab49abda3e"]},
        "body": {"platform": "web"},
        "request_id": "12345",
    }
    assert refused(ask(server, "POST", "", schedule(push=own))) == (404, 28105)
    unknown = server.curl(PATH, "-u", "appkey:wrong", token="")
    assert refused(unknown) == (401, 28101)
    assert unknown.headers["www-authenticate"].startswith("Basic")
    assert refused(server.curl(PATH, token="")) == (401, 28101)
    wrong = ask(server, "PATCH", "")
    assert (refused(wrong), wrong.headers["allow"]) == ((405, 28100), "POST, GET, HEAD, OPTIONS")
