"""docs/mistakes.md: each mistake there is written to one real process, and answered exactly as the page says."""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.harness import Child, environment, rtcv

pytestmark = pytest.mark.browser

PAGE: Final = Path(__file__).parents[2] / "docs" / "mistakes.md"
CASE: Final = re.compile(r"^### ([^\n]+)\n\n```\n([^\n]*)\n```\n\n```json\n(\{.*?\n\})\n```$", re.MULTILINE | re.DOTALL)
AT_A_SHELL: Final = re.compile(
    r"^### ([^\n]+)\n\n```sh\n([^\n]*)\n```\n\n```text\n(.*?)\n```$", re.MULTILINE | re.DOTALL
)
IN_A_CONTAINER: Final = "Chromium's sandbox is forbidden"
NO_SANDBOX: Final = """#!/bin/sh
echo '[1:1:ERROR:zygote_host_impl_linux.cc(101)] No usable sandbox! If you are running on Ubuntu 23.10+' >&2
exit 1
"""
"""Chromium, where an engine's defaults forbid its sandbox."""
MOST_CHANGES: Final = re.compile(r"\b\d{2,4}ms\b|\d{4}-\d\d-\d\dT[\d:.]+Z")
"""What differs from run to run: milliseconds that were left, and times of creation."""
FIXED_TIME: Final = "2030-01-31T12:00:00Z"


class Shop(http.server.BaseHTTPRequestHandler):
    """A web server that is no RT-CV server."""

    def do_GET(self) -> None:
        """A page."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<h1>Shop</h1>")

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  the base class's name
        """Nothing."""


@contextmanager
def shop() -> Iterator[str]:
    """Its host and port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def normalized(answer: dict[str, Any], hosts: dict[str, str]) -> dict[str, Any]:
    """An answer with the page's host names, and without what differs from run to run."""
    text = json.dumps(answer, ensure_ascii=False)
    for real, shown in hosts.items():
        text = text.replace(real, shown)
    changed: dict[str, Any] = json.loads(MOST_CHANGES.sub(lambda at: at[0] if at[0] == FIXED_TIME else "…", text))
    return changed


def test_every_mistake_has_its_exact_answer(tmp_path: Path) -> None:
    """One process lives through all that don't depend on the machine. `UPDATE_MISTAKES=1` rewrites the page."""
    text = PAGE.read_text()
    cases = [match.groups() for match in CASE.finditer(text)]
    shells = [match.groups() for match in AT_A_SHELL.finditer(text)]
    assert len(cases) + len(shells) == text.count("\n### ") >= 60
    answers: dict[str, dict[str, Any]] = {}
    with shop() as web, rtcv() as server, Child(tmp_path, env={"SIDECAR_WEBKIT": ""}) as child:
        hosts = {web: "shop.example", server.server.url.removeprefix("http://"): "rtcv.example"}
        for title, line, _ in cases:
            if title == IN_A_CONTAINER:
                continue
            sent = re.sub(r"(https?://)shop\.example/(?!\w)", rf"\g<1>{web}/", line)
            sent = sent.replace('"http://shop.example"', f'"http://{web}"')
            sent = sent.replace("http://rtcv.example", server.server.url)
            child.send(sent.encode())
            answers[title] = normalized(child.read(60.0), hosts)
        assert child.ask({"type": "ping"}) == [{"type": "pong"}]
        assert child.end() == 0
    answers[IN_A_CONTAINER] = in_a_container(
        tmp_path, next(line for title, line, _ in cases if title == IN_A_CONTAINER)
    )
    said = {title: at_a_shell(tmp_path, line) for title, line, _ in shells}
    if os.environ.get("UPDATE_MISTAKES"):
        shown = {title: json.dumps(answer, indent=1, ensure_ascii=False) for title, answer in answers.items()}
        text = CASE.sub(lambda at: f"### {at[1]}\n\n```\n{at[2]}\n```\n\n```json\n{shown[at[1]]}\n```", text)
        text = AT_A_SHELL.sub(lambda at: f"### {at[1]}\n\n```sh\n{at[2]}\n```\n\n```text\n{said[at[1]]}\n```", text)
        PAGE.write_text(text)
    assert answers == {title: json.loads(answer) for title, _, answer in cases}
    assert said == {title: answer for title, _, answer in shells}


def in_a_container(folder: Path, line: str) -> dict[str, Any]:
    """The answer of a sidecar whose Chromium must not have its sandbox."""
    chromium = folder / "chromium"
    chromium.write_text(NO_SANDBOX)
    chromium.chmod(0o755)
    with Child(folder, env={"SIDECAR_CHROMIUM": str(chromium)}) as child:
        child.send(line.encode())
        answer = normalized(child.read(60.0), {str(chromium): "/usr/bin/chromium"})
        assert child.end() == 0
    return answer


def at_a_shell(folder: Path, line: str) -> str:
    """What `sidecar` says on stderr."""
    env = environment(folder, {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"})
    done = subprocess.run(
        ["bash", "-c", line], env=env, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, ""), line
    return done.stderr.removesuffix("\n")
