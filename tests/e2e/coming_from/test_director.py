"""Rows of Director: a call of its API and our message, or a script that is given to `test_task`.

There is one task, named `first`, before a call that is no POST. JSON in the third cell is a part of the reply's content
or of its error; for a script it is the result, in the order of theirs and ours where both run.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.coming_from.minutes import run_minute
from tests.e2e.coming_from.page import Row, rows
from tests.harness import Child

pytestmark = pytest.mark.browser

SECTION = "Director"
ROUTES = {
    "POST /api/v1/tasks": "create_task",
    "GET /api/v1/tasks": "list_tasks",
    "GET /api/v1/tasks/ID": "get_task",
    "PUT /api/v1/tasks/ID": "update_task",
    "DELETE /api/v1/tasks/ID": "delete_task",
    "GET /api/v1/tasks/ID/status": "get_task_status",
    "PUT /api/v1/tasks/ID/run": "run_task",
    "PUT /api/v1/tasks/ID/status/stop": "stop_task",
    "POST /api/v1/tasks/test": "test_task",
}
NAMES = {"scriptText": "script_text", "scriptConfig": "config"}
FILES = {
    "hello.js": "module.exports.main = (config) => `hello ${config.agreementId}`",
    "hello.json": '{"interval":3600000,"agreementId":"a1"}',
    "lib/price.js": "exports.double = (price) => 2 * price",
    "data.json": '{"read":"by the sidecar"}',
}


class _Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"asked": self.path.partition("?")[0]}, separators=(",", ":")).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Says nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A site that says what was asked for."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Site) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join(20)


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """One sidecar with the scripts that the page names, for all rows: scripts leave nothing, and calls are undone."""
    folder = tmp_path_factory.mktemp("director")
    for name, text in FILES.items():
        path = folder / "scripts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    env = {
        "SIDECAR_SCRIPTS_FOLDER": str(folder / "scripts"),
        "SIDECAR_SCRIPT_HOSTS": "127.0.0.1",
        "SIDECAR_ALLOW_PRIVATE_NETWORK": "true",
    }
    with Child(folder, env=env) as running:
        assert running.ask({"type": "set_mock"}) == [{"type": "ok"}]
        yield running


CALLS, SCRIPTS = (
    [row for row in rows(SECTION) if ("/api/v1/" in row.theirs[0]) is are_calls] for are_calls in (True, False)
)


@pytest.mark.parametrize("row", CALLS, ids=str)
def test_call(row: Row, child: Child) -> None:
    """A call has our message with its content, and is answered as the row says."""
    check_call(row, child)
    (left,) = child.ask({"type": "list_tasks"})
    for task in left["content"]["tasks"]:
        assert child.ask({"type": "delete_task", "content": {"id": task["id"]}})[0]["type"] == "ok"


@pytest.mark.parametrize("row", SCRIPTS, ids=str)
def test_script(row: Row, child: Child, url: str) -> None:
    """A script gives its result."""
    for (script,), happens in zip(row.forms, row.happens, strict=True):
        found = run(child, script, url)
        assert contains(found, json.loads(happens)), found


def check_call(row: Row, child: Child) -> None:
    """Sends our message for their call."""
    [theirs], message = row.theirs, json.loads(row.ours[0])
    method, path, *body = theirs.split(" ", 2)
    parts = path.split("/")
    named = len(parts) > 4 and parts[4] != "test"
    route = "/".join([*parts[:4], *(["ID"] if named else parts[4:5]), *parts[5:]])
    assert message["type"] == ROUTES[f"{method} {route}"]
    wanted = {NAMES.get(name, name): value for name, value in (json.loads(body[0]) if body else {}).items()}
    assert message.get("content", {}) == wanted | ({"id": parts[4]} if named else {})
    if method != "POST":
        child.ask({"type": "create_task", "content": {"id": "first", "script": "hello.js"}})
    (reply,) = child.ask(message)
    found = reply["error"] if reply["type"] == "error" else reply.get("content")
    expected = [json.loads(span) for span in row.happens]
    assert bool(expected) == (found is not None), reply
    for part in expected:
        assert contains(found, part), reply


def run(child: Child, script: str, url: str) -> Any:
    """The result of a script; where it fails, its error."""
    config = {"agreementId": "a1", "url": url}
    (reply,) = child.ask({"type": "test_task", "content": {"script_text": script, "config": config}})
    return reply["error"] if reply["type"] == "error" else reply["content"]["result"]


def contains(found: Any, part: Any) -> bool:
    """Whether `part` is what was found; of an object, its members are among those that were."""
    if isinstance(part, dict) and isinstance(found, dict):
        return all(name in found and contains(found[name], part[name]) for name in part)
    return bool(found == part)


def test_minute(tmp_path: Path) -> None:
    """A script and its JSON file run as they are."""
    assert '"result":"hello a1"' in run_minute(SECTION, tmp_path)
