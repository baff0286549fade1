"""Blocks of the documentation that can be run are run: commands of the examples, and scripts for tasks and actions."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.harness import NODE, PIPE, SECONDS, Child
from tests.harness import environment as clean_environment
from tests.ports import free_port

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]
SHOP = "https://shop.example"
"""What the documentation calls the shop that is served here."""
ORDERS = "<table><tr><td>one<tr><td>two</table><b class=total>12.50</b>"
PAGES = {
    "/": "<b class=name>chair</b><b class=name>table</b>",
    "/login": "<input id=user><button id=send onclick=\"location = '/orders'\">go</button>",
    "/orders": ORDERS,
    "/api/prices": '{"chair": 12}',
}


def blocks(page: str, language: str) -> list[str]:
    """The blocks of one language, in their order."""
    text = (ROOT / page).read_text()
    return [str(block) for block in re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)]


@contextmanager
def shop() -> Iterator[str]:
    """Serves the pages for as long as the block lasts; gives the URL, without a slash at its end."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """The page of that name."""
            page = PAGES.get(self.path, "").encode()
            self.send_response(200 if page else 404)
            self.send_header("Content-Type", "application/json" if "api" in self.path else "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Nothing to say."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(SECONDS)


def last_run(child: Child) -> dict[str, Any]:
    """The first run of the task, once it has ended. Raises TimeoutError."""
    deadline = time.monotonic() + 2 * SECONDS
    while time.monotonic() < deadline:
        (reply,) = child.ask({"type": "list_task_runs", "content": {"id": "prices"}})
        for run in reply["content"]["runs"]:
            if run.get("status") in ("success", "failed"):
                return dict(run)
        time.sleep(0.05)
    raise TimeoutError(child.stderr)


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the scripts."""
    folder = tmp_path_factory.mktemp("blocks") / "state" / "scripts"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture(scope="module")
def child(scripts: Path) -> Iterator[Child]:
    """One sidecar for the scripts and the job, which leave nothing to each other."""
    env = {"SIDECAR_ALLOW_PRIVATE_NETWORK": "true", "SIDECAR_SCRIPT_HOSTS": "127.0.0.1"}
    with Child(scripts.parents[1], env=env) as running:
        yield running


@pytest.mark.parametrize(("number", "result"), [(0, {"chair": 12}), (1, "chair\ntable")])
def test_the_scripts_of_tasks(child: Child, scripts: Path, number: int, result: Any) -> None:
    """The page's task runs each of the page's scripts."""
    page = "docs/periodic-tasks.md"
    (scripts / "prices.js").write_text(blocks(page, "js")[number])
    with shop() as url:
        task = json.loads(blocks(page, "json")[0].replace(SHOP, url))
        del task["content"]["init"], task["content"]["end"]  # now, and for ever
        (made,) = child.ask(task)
        assert made["type"] == "ok", made
        run = last_run(child)
        (deleted,) = child.ask({"type": "delete_task", "content": {"id": "prices"}})
        assert deleted["type"] == "ok", deleted
    assert (run["status"], run["result"]) == ("success", result)


def test_the_job_of_javascript_actions(child: Child) -> None:
    """The page's job logs in, and gives what its actions gave."""
    (first, *_) = blocks("docs/javascript-actions.md", "json")
    with shop() as url:
        (reply,) = child.ask(json.loads(first.replace(SHOP, url)))
    assert reply["type"] == "ok", reply
    (step,) = reply["content"]["result"]["steps"]
    assert (step["values"][-1], step["console"]) == ("12.50", ["one", "two"])


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that has what a reader's checkout has after `make setup`, and a Node."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    for name in ("examples", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "node").symlink_to(NODE)
    return tmp_path


def environment(checkout: Path) -> dict[str, str]:
    """The reader's, with a Node in the PATH."""
    path = f"{checkout / 'bin'}:{os.environ['PATH']}"
    return os.environ | {"SIDECAR_HOME": str(checkout / "state"), "PATH": path}


def bash(checkout: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command line to its end."""
    env = environment(checkout)
    return subprocess.run(["bash", "-c", command], cwd=checkout, env=env, capture_output=True, text=True, timeout=100)


def test_the_commands_of_the_examples(checkout: Path) -> None:
    """Each ends well when it is run from the checkout; the last, the demo, is run by tests/e2e/test_examples.py."""
    *scrapers, demo = blocks("examples/README.md", "sh")[0].splitlines()
    assert (len(scrapers), demo) == (2, ".venv/bin/python -m examples.demo")
    for line in scrapers:
        done = bash(checkout, line)
        assert (done.returncode, done.stderr) == (0, ""), (line, done.stdout)


def test_the_python_scraper_by_hand(checkout: Path) -> None:
    """With the servers that the block starts, which say when they are there, under ports that are free here."""
    text = blocks("examples/README.md", "sh")[1]
    for port in ("8000", "4000"):
        assert text.count(port) == 2
        text = text.replace(port, str(free_port()))
    *servers, scraper = text.replace("\\\n", " ").splitlines()
    running = [
        subprocess.Popen(line.split(), cwd=checkout, env=environment(checkout), stdin=PIPE, stdout=PIPE, text=True)
        for line in servers
    ]
    try:
        for server in running:
            assert server.stdout is not None
            assert "http://127.0.0.1:" in server.stdout.readline()
        done = bash(checkout, scraper)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert "20 in stock: 20 sent" in done.stdout
    finally:
        for server in running:
            server.kill()
            server.communicate(timeout=SECONDS)


def test_the_blocks_of_the_python_client(tmp_path: Path) -> None:
    """Both print what their jobs have found, after their events."""
    printed = []
    for block in blocks("docs/python-client.md", "python"):
        done = subprocess.run(
            [sys.executable, "-c", block], capture_output=True, text=True, env=clean_environment(tmp_path), timeout=110
        )
        assert (done.returncode, done.stderr) == (0, "")
        printed.append(done.stdout.splitlines())
    assert {"job_update", "progress"} == set(printed[0][:-2]) == set(printed[1][:-1])
    assert printed[0][-2:] == ["{'title': 'Hello'}", "not_found False"]
    assert printed[1][-1] == "['Hello', 'Hello', 'Hello']"
