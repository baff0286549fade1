"""`sidecar get` and `sidecar run-job`: an extract without code, files that are named, an exit code for each outcome."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil
import pytest

from sidecar.cli.get import full_url
from tests.harness import SECONDS, environment

pytestmark = pytest.mark.browser

PATIENCE = 6 * SECONDS
PAGE = b"<title>Shop</title><h1>Hello</h1><a href='/a' download='../../x y.txt'>one</a><a href='/b'>two</a>"


class Shop(BaseHTTPRequestHandler):
    """Serves PAGE everywhere, a file at /a; /slow begins and never ends."""

    asked: Event
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answers."""
        self.send_response(404 if self.path == "/missing" else 200)
        kind = "application/octet-stream" if self.path == "/a" else "text/html"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(PAGE) + (self.path == "/slow")))
        self.end_headers()
        self.wfile.write(PAGE)
        if self.path == "/slow":
            self.asked.set()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def shop() -> Iterator[str]:
    """Its URL."""
    Shop.asked = Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(SECONDS)


def command(
    folder: Path, *arguments: str, given: object = None, env: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", *arguments],
        input=json.dumps(given),
        capture_output=True,
        cwd=folder,
        env=environment(folder, {"TMPDIR": str(folder), **(env or {})}),
        timeout=PATIENCE,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def test_an_extract_without_code(tmp_path: Path, shop: str) -> None:
    """Texts, attributes and all matches of a page; its picture and HTML; nothing is left but what was named."""
    fields = ("-e", "title=h1", "-e", "links[]=a@href", "-e", "none=#none")
    code, said, wrong = command(tmp_path, "get", f"{shop}/page", *fields, "--screenshot", "pictures/shop.png")
    assert (code, json.loads(said), wrong) == (0, {"title": "Hello", "links": ["/a", "/b"], "none": None}, "")
    assert (tmp_path / "pictures/shop.png").read_bytes().startswith(b"\x89PNG")
    secrets = {"SIDECAR_TOKEN_SECRET": "x" * 32, "SIDECAR_QUEUE": "redis://127.0.0.1:1"}
    code, said, wrong = command(tmp_path, "get", f"http://{shop}/", "--html", "-", env=secrets)
    assert (code, wrong) == (0, "")
    assert "<h1>Hello</h1>" in said
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


def test_what_a_page_did_instead(tmp_path: Path, shop: str) -> None:
    """Without an extract: where it ended, also where that is no success."""
    code, said, wrong = command(tmp_path, "get", f"{shop}/missing")
    assert (code, json.loads(said)) == (0, {"url": f"http://{shop}/missing", "status": 404, "title": "Shop"})
    code, said, wrong = command(tmp_path, "get", f"{shop}/", "-e", "title")
    assert (code, said) == (2, "")
    assert "'title' is not NAME=SELECTOR, such as title=h1" in wrong


def test_a_job_from_a_file(tmp_path: Path, shop: str) -> None:
    """The message or its content, from a file or stdin; files are named after it, downloads stay in their folder."""
    steps = [{"url": f"http://{shop}/", "actions": [{"download": "a"}], "extract": {"title": "h1"}}]
    job = {"steps": steps, "options": ["SCREENSHOT", "HTML"], "mode": "async"}
    (tmp_path / "shop.json").write_text(json.dumps(job))
    code, said, wrong = command(tmp_path, "run-job", "shop.json", "--out", "made")
    assert (code, wrong) == (0, "")
    result = json.loads(said)["result"]
    assert result["extract"] == {"title": "Hello"}
    files = [result["screenshot"], result["html"], result["downloads"][0]["path"]]
    assert files[:2] == ["made/shop.png", "made/shop.html"]
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.glob("made/*")} == set(files)
    assert (tmp_path / files[2]).read_bytes() == PAGE
    message = {"type": "send_job", "content": {"steps": [{"url": f"http://{shop}/slow"}], "timeout_ms": 900}}
    code, said, wrong = command(tmp_path, "run-job", "-", given=message)
    assert (code, json.loads(said)["error"]["code"]) == (75, "timeout")
    assert wrong.startswith("sidecar run-job: timeout: ")
    code, said, wrong = command(tmp_path, "run-job", "-", given={"steps": [{"url": 1}]})
    assert (code, json.loads(said)["error"]["field"]) == (2, "steps[0].url")


def test_the_evidence_of_a_failure(tmp_path: Path, shop: str) -> None:
    """Files of the page as it was, whose paths are in the reply and on stderr; a success before keeps its own.

    An HTTP status is a failure if that is asked for.
    """
    (tmp_path / "shop.png").write_bytes(b"of a success")
    step = {"url": f"http://{shop}/", "actions": [{"click": {"selector": "#none", "timeout": 200}}]}
    (tmp_path / "shop.json").write_text(json.dumps({"steps": [step]}))
    code, said, wrong = command(tmp_path, "run-job", "shop.json")
    assert (code, json.loads(said)["error"]["code"]) == (1, "action_failed")
    assert json.loads(said)["error"]["artifacts"] == {"screenshot": "shop.failed.png", "html": "shop.failed.html"}
    assert wrong.splitlines()[-1] == "sidecar run-job: the page at that moment: shop.failed.png, shop.failed.html"
    assert "<h1>Hello</h1>" in (tmp_path / "shop.failed.html").read_text()
    assert (tmp_path / "shop.png").read_bytes() == b"of a success"
    code, said, wrong = command(tmp_path, "get", f"{shop}/missing", "--fail", "--screenshot", "missing.png")
    assert (code, said) == (1, "")
    first, second = wrong.splitlines()
    assert re.fullmatch(r"sidecar get: navigation_failed: http://\S+ answered with status 404 .*", first)
    assert second.startswith("sidecar get: the page at that moment: ")
    paths = second.removeprefix("sidecar get: the page at that moment: ").split(", ")
    assert paths[0] == "missing.png"
    assert (tmp_path / "missing.png").read_bytes().startswith(b"\x89PNG")
    assert re.fullmatch(rf"{tmp_path}/sidecar-get-\w+/page\.failed\.html", paths[1])
    assert "<h1>Hello</h1>" in Path(paths[1]).read_text()


def test_what_is_no_job(tmp_path: Path) -> None:
    """One line on stderr, and 2."""
    (tmp_path / "text").write_text("{'steps'")
    (tmp_path / "list").write_text("[]")
    for file, said in (
        ("text", "text is not JSON: "),
        ("list", 'list is not a job, such as {"steps": [{"url": "https://example.com"}]}\n'),
        ("nothing", "can't read nothing: No such file or directory\n"),
    ):
        code, out, wrong = command(tmp_path, "run-job", file)
        assert (code, out) == (2, "")
        assert wrong.startswith(f"sidecar run-job: {said}")


@pytest.mark.parametrize("kind", ["get", "run-job"])
def test_ctrl_c_during_a_job(tmp_path: Path, shop: str, kind: str) -> None:
    """Within a second, with a sentence; no browser and no folder is left."""
    url = f"http://{shop}/slow"
    (tmp_path / "job.json").write_text(json.dumps({"steps": [{"url": url}]}))
    child = subprocess.Popen(
        [sys.executable, "-m", "sidecar", kind, url if kind == "get" else "job.json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=environment(tmp_path, {"TMPDIR": str(tmp_path)}),
        text=True,
    )
    try:
        assert Shop.asked.wait(PATIENCE)
        started = psutil.Process(child.pid).children(recursive=True)
        child.send_signal(2)
        said, wrong = child.communicate(timeout=SECONDS)
    finally:
        child.kill()
    assert (child.returncode, said) == (130, "")
    assert "Traceback" not in wrong
    assert wrong.endswith("sidecar: interrupted\n")
    _, alive = psutil.wait_procs(started, SECONDS)
    assert alive == []


@pytest.mark.parametrize(
    ("typed", "full"),
    [
        ("example.com/a?b=c:d", "https://example.com/a?b=c:d"),
        ("example.com:8443/", "https://example.com:8443/"),
        ("localhost:8000", "http://localhost:8000"),
        ("127.0.0.1/x", "http://127.0.0.1/x"),
        ("HTTP://x", "HTTP://x"),
        ("data:text/html,x", "data:text/html,x"),
        ("about:blank", "about:blank"),
    ],
)
def test_a_url_as_people_type_it(typed: str, full: str) -> None:
    """A scheme is added where there is none."""
    assert full_url(typed) == full
