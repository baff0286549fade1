"""Rows of Tourist: what its users post, and the actions in it.

A span `POST …` or `GET …` is theirs, and its body has to be the content of ours; another span of theirs is an action,
for a page of the tests' site. In the third cell an object is (a part of) an answer's content, or of the error; a word
is a member that `result`, or the answer, must have; any other span is the value of an action, in order.
"""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.coming_from.page import Row, minute, rows
from tests.e2e.jobs import succeeded
from tests.harness import Child, environment
from tests.site.server import TestSite

pytestmark = pytest.mark.browser

SECTION = "Tourist"
THEIR_SITE = "https://example.com"
MODES = {"/api/v1/sync-job": {}, "/api/v1/async-job": {"mode": "async"}}


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    """A page with what the actions want."""
    loop, site = asyncio.new_event_loop(), TestSite()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"{asyncio.run_coroutine_threadsafe(site.__aenter__(), loop).result()}/actions.html"
        asyncio.run_coroutine_threadsafe(site.__aexit__(None, None, None), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """One sidecar for all rows: none depends on another, and a browser's start takes longer than all of them."""
    with Child(tmp_path_factory.mktemp("tourist")) as running:
        yield running
        assert running.end() == 0


@pytest.mark.parametrize("row", rows(SECTION), ids=str)
def test_row(row: Row, page: str, child: Child) -> None:
    """Both forms say the same, and do what the row says."""
    if row.is_same:
        check_actions(row, page, child)
    else:
        messages = [json.loads(span) for span in row.ours]
        check_bodies(row.theirs, messages)
        check_messages(messages, row.happens, page, child)


def check_actions(row: Row, page: str, child: Child) -> None:
    """Each has the value that it says."""
    values = [json.loads(span) for span in row.happens[: len(row.theirs)]]
    job = {"type": "send_job", "content": {"steps": [{"url": page, "actions": list(row.theirs)}]}}
    (reply,) = child.ask(job)
    assert reply["content"]["result"]["steps"][0]["values"] == values, reply
    for span in row.happens[len(row.theirs) :]:
        assert span == "page.on", f"not checked: {span}"


def check_bodies(requests: tuple[str, ...], messages: list[dict[str, Any]]) -> None:
    """What they post is the content of ours."""
    for request, message in zip(requests, messages, strict=True):
        method, path, *body = request.split(" ", 2)
        if method == "GET":
            assert (path, message["type"]) == ("/api/v1/job-status?id=1", "job_status")
        else:
            assert message == {"type": "send_job", "content": json.loads(body[0]) | MODES[path]}


def check_messages(messages: list[dict[str, Any]], happens: tuple[str, ...], page: str, child: Child) -> None:
    """The answers say what the row says."""
    job = json.loads(json.dumps(messages[0]).replace(THEIR_SITE, page))
    (reply,) = child.ask(job)
    reported = reply["content"] if reply["type"] == "ok" else reply["error"]
    answers = [reported]
    if len(messages) == 2:
        answers += [{**reported, "status": "pending"}, succeeded(child, reported["id"])]
    expected = [json.loads(span) for span in happens if span.startswith("{")]
    for answer, part in zip(answers, expected, strict=True):
        assert answer | part == answer
    members = set().union(*(answer.keys() | answer.get("result", {}).keys() for answer in answers))
    assert {span for span in happens if not span.startswith("{")} <= members


def test_minute(tmp_path: Path) -> None:
    """Its lines work as they stand."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", minute(SECTION)],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout == '"status":"success"\n'
