"""Runs inside the image: a parent that spawns the sidecar in mock mode and lets it do one browser job.

Plain Python, because the image has nothing else. Argument: the image's entrypoint.
"""

import http.server
import json
import os
import subprocess
import sys
import threading
from typing import Any

PAGE = b"<!doctype html><title>Shelf</title><h1>Two books</h1><ul><li>Emma<li>Persuasion</ul>"


class Site(http.server.BaseHTTPRequestHandler):
    """One page."""

    def do_GET(self) -> None:
        """Answers every path with the page."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: object) -> None:
        """Keeps quiet."""


def session(url: str) -> list[dict[str, Any]]:
    """What the parent sends."""
    step = {"url": url, "extract": {"title": "h1", "books": {"selector": "li", "all": True}}}
    return [
        {"type": "set_mock", "content": {"secrets": {"user": {"username": "anna", "password": "x"}}}},
        {"type": "get_user_secret", "content": {"key": "user", "encryption_key": "k"}},
        {"type": "send_cv", "content": {"referenceNumber": "1"}},
        {"type": "has_cached_reference", "content": "1"},
        {"type": "send_job", "content": {"steps": [step], "options": ["SCREENSHOT"]}},
    ]


def check(answers: list[dict[str, Any]]) -> None:
    """Every line got what it asked for."""
    ready, mock, secret, cv, cached, job = answers
    assert ready["type"] == "ready", ready
    assert mock == {"type": "ok"}, mock
    assert secret["content"] == {"username": "anna", "password": "x"}, secret
    assert cv == {"type": "ok", "content": True}, cv
    assert cached == {"type": "ok", "content": True}, cached
    assert job["type"] == "ok", job
    result = job["content"]["result"]
    assert result["extract"] == {"title": "Two books", "books": ["Emma", "Persuasion"]}, result["extract"]
    assert result["screenshot"].startswith("iVBORw0KGgo"), "the screenshot is no PNG"


def main() -> None:
    """Serves the page, plays the session, checks the answers."""
    assert os.getuid() != 0, "the image must not run as root"
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    lines = "".join(json.dumps(message) + "\n" for message in session(f"http://127.0.0.1:{site.server_port}/"))
    ended = subprocess.run(sys.argv[1:], input=lines, capture_output=True, text=True, timeout=120, check=False)
    print(ended.stderr, end="", file=sys.stderr)
    assert ended.returncode == 0, f"the sidecar ended with {ended.returncode}"
    check([json.loads(line) for line in ended.stdout.splitlines()])
    print("image-test: secret, CV, reference, browser job and exit are as they should be")


if __name__ == "__main__":
    main()
