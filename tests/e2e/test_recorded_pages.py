"""Browser jobs of a recorded session: replayed without a network, they answer as they did."""

import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl

import jwt
import pytest

from tests.harness import PAUSE, SECONDS, Child, environment

pytestmark = pytest.mark.browser

PAGE = """<!doctype html><title>Shop</title><h1>Lamps</h1><p id=user></p>
<form action=/login method=post><input name=user><input name=password type=password><button>log in</button></form>
<script>
document.body.dataset.random = Math.random();
document.body.dataset.year = new Date().getFullYear();
const ask = (query) => fetch('/graph', {method: 'POST', body: JSON.stringify({query})}).then((r) => r.text());
(async () => {
  const answers = [await ask('lamps'), await ask('chairs'), await (await fetch('/count?_t=' + Date.now())).text(),
    await (await fetch('/count?_t=' + Date.now())).text(), await (await fetch('/moved')).text()];
  document.getElementById('user').textContent = answers.join(' ');
  document.title = 'ready';
})();
</script>"""
PASSWORD = "correct-horse-9"
CSRF = "canary-csrf-4713"
LOGIN = [
    {"fill": {"selector": "[name=user]", "value": "ann"}},
    {"fill": {"selector": "[name=password]", "value": PASSWORD}},
    {"click": "button"},
]


class Shop(ThreadingHTTPServer):
    """A site whose answers depend on what was asked before."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.count = itertools.count(1)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path in ("/moved", "/enter"):
            self._answer("", 302, {"Location": {"/moved": "/there", "/enter": "/welcome"}[path]})
        elif path == "/count":
            self._answer(f"count:{next(cast(Shop, self.server).count)}")
        else:
            self._answer(PAGE if path == "/" else f"<title>{path}</title><h1>{path}</h1>")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/graph":
            self._answer(f"{json.loads(body)['query']}:{next(cast(Shop, self.server).count)}")
            return
        form = dict(parse_qsl(body))
        inside = "in" if form["password"] == PASSWORD else "out"
        page = f"<title>{inside}</title><h1>Hello {form['user']}</h1><input name=csrf value={CSRF}><p>{CSRF}"
        self._answer(page, headers={"Set-Cookie": "sid=cookie-value-123; Path=/"})

    def _answer(self, page: str, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        body = page.encode()
        self.send_response(status)
        for name, value in {"Content-Type": "text/html", "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Says nothing."""


@contextmanager
def shop() -> Iterator[str]:
    """Runs the site for as long as the block lasts; gives its URL."""
    with Shop() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(20)


def record(folder: Path, *jobs: dict[str, Any]) -> list[Any]:
    """Sends jobs in a mock session, each when the one before is recorded; gives the replies to them."""
    replies = []
    with Child(folder, "--record", "recording") as child:
        child.ask({"type": "set_mock", "content": {}})
        for number, job in enumerate(jobs, 1):
            replies += child.ask({"type": "send_job", "content": job})
            wait_for_notes(folder / "recording" / "jobs" / f"{number:06}" / "job.json")
        assert child.end() == 0
    return replies


def wait_for_notes(path: Path) -> None:
    """Waits until a job's notes are whole: what is recorded of it goes on when it has its result."""
    deadline = time.monotonic() + SECONDS
    while not path.exists() or json.loads(path.read_text()).get("running"):
        assert time.monotonic() < deadline, f"{path} is not written"
        time.sleep(PAUSE)


def replay(folder: Path, *arguments: str) -> list[Any]:
    """Replays the recording, which must answer as before; gives the replies to the jobs."""
    command = [sys.executable, "-m", "sidecar", "replay", "recording", "--check", "--json", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False, timeout=180
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line)["message"] for line in done.stdout.splitlines()[1:-1]]


def title(text: str) -> dict[str, Any]:
    """An action that waits for a title."""
    return {"wait_for_function": f"document.title === '{text}'"}


@pytest.mark.parametrize("browser", ["CHROMIUM", "FIREFOX"])
def test_pages_are_as_they_were(tmp_path: Path, browser: str) -> None:
    """Posts to one URL by their bodies, repeated requests, redirects, time and randomness, a login and a failure, with
    the site gone. Each job has a picture of its end, however short it was."""
    with shop() as url:
        extract = {"answers": "#user", "random": {"selector": "body", "attribute": "data-random"}}
        step = {"url": url, "actions": [title("ready")], "extract": extract}
        login = {"url": url, "actions": [title("ready"), *LOGIN], "extract": {"hello": "h1"}}
        missing = {"url": f"{url}/there", "actions": [{"click": {"selector": "#nothing", "timeout": 300}}]}
        jobs = [step, {"url": f"{url}/enter"}], [login], [missing]
        first, second, third = record(tmp_path, *({"browser": browser, "steps": steps} for steps in jobs))
    assert first["type"] == "ok", first
    assert first["content"]["result"]["extract"]["answers"].startswith("lamps:1 chairs:2 count:3 count:4")
    assert second["content"]["result"]["extract"] == {"hello": "Hello ann"}
    assert third["error"]["code"] == "action_failed"
    pages, logged_in, failed = (
        json.loads((tmp_path / "recording" / "jobs" / name / "job.json").read_text())
        for name in ("000001", "000002", "000003")
    )
    assert all("picture" in note for note in (pages["steps"][1], logged_in["steps"][0], failed["failure"]))
    replayed = replay(tmp_path)
    assert replayed[0]["content"]["result"]["extract"] == first["content"]["result"]["extract"]
    assert replayed[0]["content"]["result"]["steps"][1]["url"] == f"{url}/welcome"
    assert replayed[1]["content"]["result"]["steps"][0]["title"] == "in"
    assert replayed[2]["error"]["code"] == "action_failed"


def test_a_login_is_replayed_without_its_password(tmp_path: Path) -> None:
    """Typed text, cookies and what fields named like secrets read are words in every file; selectors stay. The form's
    answer is found with them."""
    with shop() as url:
        extract = {"hello": "h1", "password": "p", "token": {"selector": "[name=csrf]", "attribute": "value"}}
        step = {"url": url, "actions": [title("ready"), *LOGIN], "extract": extract}
        (reply,) = record(tmp_path, {"steps": [step], "options": ["HAR"]})
    assert reply["content"]["result"]["steps"][0]["title"] == "in"
    for path in (tmp_path / "recording").rglob("*"):
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes(), path
            assert b"cookie-value-123" not in path.read_bytes(), path
            assert CSRF.encode() not in path.read_bytes(), path
    (_, sent) = (json.loads(line) for line in (tmp_path / "recording" / "session.jsonl").read_text().splitlines())
    assert sent["content"]["steps"][0]["extract"] == extract
    film = json.loads((tmp_path / "recording" / "jobs" / "000001" / "job.json").read_text())
    assert "picture" in film["steps"][0]
    (replayed,) = replay(tmp_path)
    assert replayed["content"]["result"]["steps"][0]["title"] == "in"
    assert reply["content"]["result"]["extract"]["token"] == CSRF
    assert replayed["content"]["result"]["extract"]["token"].startswith("secret_")
    assert replayed["content"]["result"]["har"]


def test_a_request_that_was_not_recorded_is_named(tmp_path: Path) -> None:
    """A changed address of a step, and a page that was not visited: `not_recorded` with the URL."""
    with shop() as url:
        record(tmp_path, {"steps": [{"url": f"{url}/a"}]}, {"steps": [{"url": f"{url}/b"}]})
        session = tmp_path / "recording" / "session.jsonl"
        session.write_text(session.read_text().replace(f"{url}/b", f"{url}/c"))
        har = tmp_path / "recording" / "pages" / "000001.har"
        har.write_text(har.read_text().replace(f'"url":"{url}/a"', f'"url":"{url}/z"'))
        command = [sys.executable, "-m", "sidecar", "replay", "recording", "--check", "--json"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    _, first, second, _ = (json.loads(line) for line in done.stdout.splitlines())
    assert first["message"]["error"]["code"] == second["message"]["error"]["code"] == "not_recorded"
    assert first["message"]["error"]["message"] == f"GET {url}/a was not recorded"
    assert second["message"]["error"]["url"] == f"{url}/c"


def test_failures_are_recorded_too(tmp_path: Path) -> None:
    """A refused connection, a failing action and a timeout answer as they did; JavaScript's element has its place."""
    with Shop() as unused:
        closed = unused.server_port
    with shop() as url:
        late = {"steps": [{"url": url, "actions": [title("never"), "page.title()"]}], "timeout_ms": 4_000}
        record(
            tmp_path,
            {"steps": [{"url": f"http://127.0.0.1:{closed}"}]},
            {"steps": [{"url": "http://127.0.0.1:1"}]},
            {"steps": [{"url": url, "actions": [{"click": "#nothing"}], "timeout_ms": 1_000}]},
            late,
            {"steps": [{"url": url, "actions": ["page.locator('h1').waitFor({state: 'hidden', timeout: 400})"]}]},
        )
    failure = json.loads((tmp_path / "recording" / "jobs" / "000005" / "job.json").read_text())["failure"]
    assert (failure["target"]["selector"], failure["target"]["found"]) == ("h1", 1)
    assert failure["target"]["box"]["width"] > 0
    codes = [reply["error"]["code"] for reply in replay(tmp_path)]
    assert codes == ["navigation_failed", "navigation_failed", "action_failed", "timeout", "action_failed"]


def test_visit_tokens_are_replayed(tmp_path: Path) -> None:
    """Words stand for tokens: the scope and the end of those that were valid hold, and no token is in any file.

    With real servers a word opens nothing.
    """
    secret = "a signing secret of enough bytes!"
    issuer = jwt.encode({"master": True}, secret, "HS256")
    env = {"SIDECAR_TOKEN_SECRET": secret}
    with shop() as url, Child(tmp_path, "--record", "recording", env=env) as child:
        issue = {"scope": url, "issuer_token": issuer}
        _, issued, strict = child.ask(
            {"type": "set_mock", "content": {}},
            {"type": "issue_token", "content": issue},
            {"type": "issue_token", "content": {**issue, "strict_resources": True}},
        )
        tokens = [one["content"]["token"] for one in (issued, strict)]
        old = jwt.encode({"scope": url, "exp": 1_000_000_000}, secret, "HS256")
        page = {"steps": [{"url": url, "actions": [title("ready")], "extract": {"answers": "#user"}}]}
        jobs = [{**page, "token": token} for token in (*tokens, old, f"{old}x")]
        jobs += [{"steps": [{"url": "http://elsewhere.example"}], "token": tokens[0]}, page]
        replies = child.ask(*({"type": "send_job", "content": job} for job in jobs))
        assert child.end() == 0
    codes = [one.get("error", {}).get("code") for one in replies]
    assert codes == [None, None, "unauthorized", "unauthorized", "forbidden", "unauthorized"], replies
    for path in (tmp_path / "recording").rglob("*"):
        for word in (*tokens, issuer, old, secret) if path.is_file() else ():
            assert word.encode() not in path.read_bytes(), path
    replay(tmp_path)
    session = tmp_path / "recording" / "session.jsonl"
    session.write_text(session.read_text().replace(f'"url": "{url}"', '"url": "http://other.example"', 1))
    command = [sys.executable, "-m", "sidecar", "replay", "recording", "--json", "--only", "set_mock,send_job"]
    for more, code in (((), "forbidden"), (("--live",), "unauthorized")):
        done = subprocess.run(
            [*command, "--until", "4", *more],
            cwd=tmp_path,
            env=environment(tmp_path, env),
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout.splitlines()[1])["message"]["error"]["code"] == code, done.stdout


def test_pictures_are_compared_by_their_kind(tmp_path: Path) -> None:
    """Another machine has other fonts; a picture in place of an error is still seen."""
    with shop() as url:
        (reply,) = record(tmp_path, {"steps": [{"url": f"{url}/x"}], "options": ["SCREENSHOT", "PDF"]})
    (replayed,) = replay(tmp_path)
    assert replayed["content"]["result"].keys() == reply["content"]["result"].keys()
