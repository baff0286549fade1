"""Director's calls with curl, and its answers."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.http_harness import Answer, Serving

pytestmark = pytest.mark.browser

PATH = "/api/v1/tasks"
TASK = {
    "id": "taskId",
    "script": "hello.js",
    "running": True,
    "config": {"agreementId": "a2"},
    "init": "2026-01-01T00:00:00Z",
    "end": "2999-01-01T00:00:00Z",
    "interval": 3_600_000,
}
SCRIPTS = {
    "hello.js": '"use strict"; module.exports.main = (config) => `hello ${config.agreementId}`',
    "object.js": "module.exports.main = (config) => ({config})",
    "fails.js": "module.exports.main = () => { throw new Error('on purpose') }",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One with scripts."""
    folder = tmp_path_factory.mktemp("director")
    for name, text in SCRIPTS.items():
        (folder / name).write_text(text)
    with Serving(folder, env={"SIDECAR_SCRIPTS_FOLDER": str(folder)}) as serving:
        yield serving


def ask(server: Serving, method: str, path: str = "", body: Any = None) -> Answer:
    """One call."""
    return server.curl(PATH + path, "-X", method, data=body)


def coded(answer: Answer) -> tuple[int, str]:
    """The status, which stands in the body too, and what is said."""
    assert list(answer.json) == ["code", "message"], answer
    assert answer.json["code"] == answer.status
    return answer.status, answer.json["message"]


def test_every_call(server: Serving) -> None:
    """The seven documented ones, and those of the running system."""
    created = ask(server, "POST", "", TASK)
    assert (created.status, created.json | TASK) == (200, created.json)
    assert coded(ask(server, "POST", "", TASK)) == (400, "Task already exists")
    assert ask(server, "POST", "", {"script": "object.js", "interval": 1000, "running": False}).json["id"]
    assert [task["id"] == "taskId" for task in ask(server, "GET").json] == [True, False]
    for query in (
        "id=taskId",
        "running=true",
        "interval=3600000",
        "script=hello.js&running=true",
        "config%5BagreementId%5D=a2",
        "config.agreementId=a2",
    ):
        assert [task["id"] for task in ask(server, "GET", f"?{query}").json] == ["taskId"]
    for query in ("id=nobody", "running=perhaps", "strange=1", "config.agreementId=a", "config=a2"):
        assert ask(server, "GET", f"?{query}").json == []
    assert ask(server, "GET", "/taskId").json == created.json
    status = ask(server, "GET", "/taskId/status").json
    assert (status["id"], status["running"], int(status["nextExecution"]) % 3_600_000) == ("taskId", True, 0)
    assert coded(ask(server, "PUT", "/taskId", created.json | {"interval": 7_200_000})) == (201, "Updated")
    assert coded(ask(server, "PUT", "/taskId", {"id": "another"}))[0] == 400
    assert ask(server, "GET", "/taskId").json["interval"] == 7_200_000
    for method in ("PUT", "POST"):
        ran = ask(server, method, "/taskId/run")
        assert (ran.status, ran.body) == (200, b"hello a2")
    assert b"running" in ask(server, "GET", "/taskId/badge").body
    assert coded(ask(server, "PUT", "/taskId/status/start")) == (400, "Task already running")
    assert ask(server, "PUT", "/taskId/status/stop").json["running"] is False
    assert coded(ask(server, "PUT", "/taskId/status/stop")) == (400, "Task is not running")
    assert ask(server, "GET", "/taskId/status").json == {"id": "taskId", "running": False, "nextExecution": None}
    badge = ask(server, "GET", "/taskId/badge")
    assert (badge.headers["content-type"].split(";")[0], b"stopped" in badge.body) == ("image/svg+xml", True)
    assert ask(server, "PUT", "/taskId/status/switch").json["running"] is True
    assert coded(ask(server, "PUT", "/taskId/status/dance")) == (400, "Action not permitted")
    tested = ask(server, "POST", "/test", {"scriptText": SCRIPTS["object.js"], "scriptConfig": {"a": [1]}})
    assert tested.json == {"config": {"a": [1]}}
    assert coded(ask(server, "POST", "/test", {"scriptText": SCRIPTS["fails.js"]}))[0] == 500
    assert coded(ask(server, "POST", "/test", {}))[0] == 400
    assert coded(ask(server, "DELETE", "/taskId")) == (202, "Deleted")
    for method, path in (("GET", "/taskId"), ("DELETE", "/taskId"), ("GET", "/test"), ("GET", "/a%2Fb/status")):
        assert coded(ask(server, method, path)) == (404, "Not Found")
    assert coded(ask(server, "POST", "", {"id": "x"}))[0] == 400
    assert coded(ask(server, "PATCH", "/taskId"))[0] == 405
