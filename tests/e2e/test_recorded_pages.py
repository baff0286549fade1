"""Browser jobs of a recorded session: replayed without a network, they answer as they did."""

import itertools
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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
PATIENCE = 3 * SECONDS
"""Seconds for a job whose browser has to start first, which takes Firefox long on a busy machine."""
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
            child.send({"type": "send_job", "content": job})
            replies.append(child.read(PATIENCE))
            wait_for_notes(notes(folder, number))
        assert child.end() == 0
    return replies


def notes(folder: Path, number: int) -> Path:
    """The file of what was recorded of a job."""
    return folder / "recording" / "jobs" / f"{number:06}" / "job.json"


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
    _, *replies, _ = map(json.loads, done.stdout.splitlines())
    assert done.returncode == 0, ([one for one in replies if one["differences"]], done.stderr)
    return [one["message"] for one in replies]


def title(text: str) -> dict[str, Any]:
    """An action that waits for a title."""
    return {"wait_for_function": f"document.title === '{text}'"}


def jobs_at(url: str, closed: int) -> dict[str, dict[str, Any]]:
    """All that is recorded in Chromium, in one session."""
    answers = {"answers": "#user", "random": {"selector": "body", "attribute": "data-random"}}
    inside = {"hello": "h1", "password": "p", "token": {"selector": "[name=csrf]", "attribute": "value"}}
    ready = {"url": url, "actions": [title("ready")]}
    steps: dict[str, list[dict[str, Any]]] = {
        "a page": [{"url": f"{url}/a"}],
        "another page": [{"url": f"{url}/b"}],
        "pages": [{**ready, "extract": answers}, {"url": f"{url}/enter"}],
        "login": [{"url": url, "actions": [title("ready"), *LOGIN], "extract": inside}],
        "missing": [{"url": f"{url}/there", "actions": [{"click": {"selector": "#nothing", "timeout": 300}}]}],
        "refused": [{"url": f"http://127.0.0.1:{closed}"}],
        "unsafe": [{"url": "http://127.0.0.1:1"}],
        "step's limit": [{"url": url, "actions": [{"click": "#nothing"}], "timeout_ms": 2_000}],
        "job's limit": [{"url": url, "actions": [title("never"), "page.title()"]}],
        "script": [{"url": url, "actions": ["page.locator('h1').waitFor({state: 'hidden', timeout: 400})"]}],
        "pictures": [{"url": f"{url}/x"}],
    }
    more: dict[str, dict[str, Any]] = {
        "login": {"options": ["HAR"]},
        "job's limit": {"timeout_ms": 5_000},
        "pictures": {"options": ["SCREENSHOT", "PDF"]},
    }
    return {name: {"steps": of, **more.get(name, {})} for name, of in steps.items()}


@dataclass(frozen=True)
class Recorded:
    """A session of a site that is gone."""

    folder: Path
    url: str
    jobs: dict[str, dict[str, Any]]
    replies: dict[str, Any]
    """By the names of the jobs."""
    replayed: dict[str, Any]
    """Replies without the site."""

    def noted(self, name: str) -> dict[str, Any]:
        """What was recorded of a job."""
        noted: dict[str, Any] = json.loads(notes(self.folder, [*self.jobs].index(name) + 1).read_text())
        return noted


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """One recording and one replay for all that Chromium does: a job leaves nothing to the next one."""
    folder = tmp_path_factory.mktemp("recorded")
    with Shop() as unused:
        closed = unused.server_port
    with shop() as url:
        jobs = jobs_at(url, closed)
        replies = record(folder, *jobs.values())
    replayed = replay(folder)
    return Recorded(folder, url, jobs, dict(zip(jobs, replies, strict=True)), dict(zip(jobs, replayed, strict=True)))


def test_pages_are_as_they_were(recorded: Recorded) -> None:
    """Posts to one URL by their bodies, repeated requests, redirects, time and randomness, a login and a failure, with
    the site gone. Each job has a picture of its end, however short it was."""
    first, replayed = recorded.replies["pages"], recorded.replayed["pages"]
    assert first["type"] == "ok", first
    assert first["content"]["result"]["extract"]["answers"].startswith("lamps:1 chairs:2 count:3 count:4")
    assert recorded.replies["login"]["content"]["result"]["extract"]["hello"] == "Hello ann"
    assert recorded.replies["missing"]["error"]["code"] == "action_failed"
    pages, logged_in, failed = map(recorded.noted, ("pages", "login", "missing"))
    assert all("picture" in note for note in (pages["steps"][1], logged_in["steps"][0], failed["failure"]))
    assert replayed["content"]["result"]["extract"] == first["content"]["result"]["extract"]
    assert replayed["content"]["result"]["steps"][1]["url"] == f"{recorded.url}/welcome"
    assert recorded.replayed["login"]["content"]["result"]["steps"][0]["title"] == "in"
    assert recorded.replayed["missing"]["error"]["code"] == "action_failed"


def test_pages_are_as_they_were_in_firefox(tmp_path: Path) -> None:
    """Firefox opens them in one job, each in a step; the last one fails."""
    with shop() as url:
        jobs = jobs_at(url, 1)
        login = jobs["login"]["steps"][0] | {"extract": {"hello": "h1", "inside": "title"}}
        steps = [*jobs["pages"]["steps"], login, *jobs["missing"]["steps"]]
        steps[1] = steps[1] | {"extract": {"moved": "h1"}}
        (reply,) = record(tmp_path, {"browser": "FIREFOX", "steps": steps})
    assert reply["error"]["code"] == "action_failed", reply
    found = reply["error"]["extract"]
    assert found["answers"].startswith("lamps:1 chairs:2 count:3 count:4")
    assert (found["moved"], found["hello"], found["inside"]) == ("/welcome", "Hello ann", "in")
    assert "picture" in json.loads(notes(tmp_path, 1).read_text())["failure"]
    (replayed,) = replay(tmp_path)
    assert replayed["error"]["code"] == "action_failed"
    assert replayed["error"]["extract"] == found


def test_a_login_is_replayed_without_its_password(recorded: Recorded) -> None:
    """Typed text, cookies and what fields named like secrets read are words in every file; selectors stay. The form's
    answer is found with them."""
    recording, reply = recorded.folder / "recording", recorded.replies["login"]
    assert reply["content"]["result"]["steps"][0]["title"] == "in"
    for path in recording.rglob("*"):
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes(), path
            assert b"cookie-value-123" not in path.read_bytes(), path
            assert CSRF.encode() not in path.read_bytes(), path
    (_, *sent) = (json.loads(line) for line in (recording / "session.jsonl").read_text().splitlines())
    login = dict(zip(recorded.jobs, sent, strict=True))["login"]
    assert login["content"]["steps"][0]["extract"] == recorded.jobs["login"]["steps"][0]["extract"]
    assert "picture" in recorded.noted("login")["steps"][0]
    replayed = recorded.replayed["login"]["content"]["result"]
    assert replayed["steps"][0]["title"] == "in"
    assert reply["content"]["result"]["extract"]["token"] == CSRF
    assert replayed["extract"]["token"].startswith("secret_")
    assert replayed["har"]


def test_a_request_that_was_not_recorded_is_named(recorded: Recorded, tmp_path: Path) -> None:
    """A changed address of a step, and a page that was not visited: `not_recorded` with the URL."""
    shutil.copytree(recorded.folder / "recording", tmp_path / "recording")
    url, session = recorded.url, tmp_path / "recording" / "session.jsonl"
    session.write_text(session.read_text().replace(f"{url}/b", f"{url}/c"))
    har = tmp_path / "recording" / "pages" / "000001.har"
    har.write_text(har.read_text().replace(f'"url":"{url}/a"', f'"url":"{url}/z"'))
    command = [sys.executable, "-m", "sidecar", "replay", "recording", "--check", "--json", "--until", "3"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    _, first, second, _ = (json.loads(line) for line in done.stdout.splitlines())
    assert first["message"]["error"]["code"] == second["message"]["error"]["code"] == "not_recorded"
    assert first["message"]["error"]["message"] == f"GET {url}/a was not recorded"
    assert second["message"]["error"]["url"] == f"{url}/c"


def test_failures_are_recorded_too(recorded: Recorded) -> None:
    """A refused connection, a failing action and a timeout answer as they did; JavaScript's element has its place."""
    failure = recorded.noted("script")["failure"]
    assert (failure["target"]["selector"], failure["target"]["found"]) == ("h1", 1)
    assert failure["target"]["box"]["width"] > 0
    failing = "refused", "unsafe", "step's limit", "job's limit", "script"
    codes = [recorded.replayed[name]["error"]["code"] for name in failing]
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


def test_pictures_are_compared_by_their_kind(recorded: Recorded) -> None:
    """Another machine has other fonts; a picture in place of an error is still seen."""
    reply, replayed = recorded.replies["pictures"], recorded.replayed["pictures"]
    assert replayed["content"]["result"].keys() == reply["content"]["result"].keys() >= {"screenshot", "pdf"}
