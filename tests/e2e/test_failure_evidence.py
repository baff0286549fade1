"""A failed job leaves evidence: in the reply, in `job_status`, after a time limit and after a crash."""

import contextlib
import json
import stat
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.harness import PAUSE, Child

pytestmark = pytest.mark.browser

PATIENCE = 60.0
"""Seconds for a browser that starts, or starts again, on a loaded machine."""
FIRST = {"url": "data:text/html,<title>one</title><script>console.log('first')</script><p>a", "extract": {"a": "p"}}
SECRET = "typed-secret"
SECOND = (
    "data:text/html,<title>two</title><script>console.log('second typed-secret')</script><input value=typed-secret>"
)
FILL = {"fill": {"selector": "input", "value": SECRET}}
CLICK = {"click": {"selector": "#nothing", "timeout": 500}}


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """One process for all of them."""
    with Child(tmp_path_factory.mktemp("evidence")) as running:
        yield running


@pytest.fixture(scope="module", params=["CHROMIUM", "FIREFOX"])
def browser(request: pytest.FixtureRequest) -> str:
    """In which the jobs run, where browsers differ: in pictures and HTML, what they show for a page that did not open,
    and what they do about one that hangs and about a crash. Elsewhere Chromium shows what is done with the evidence."""
    return str(request.param)


def failed(child: Child, browser: str, steps: list[dict[str, Any]], **members: Any) -> dict[str, Any]:
    """The error of a job."""
    child.send({"type": "send_job", "content": {"browser": browser, "steps": steps, **members}})
    answer = child.read(PATIENCE)
    assert answer["type"] == "error", answer
    error: dict[str, Any] = answer["error"]
    assert SECRET not in json.dumps(error)
    return error


def test_files_are_captured_by_default(child: Child, browser: str) -> None:
    """A picture and the HTML, without what was typed; where the job was, what it had, and its last console lines."""
    error = failed(child, browser, [FIRST, {"url": SECOND, "actions": [FILL, CLICK]}], artifacts="files")
    assert (error["code"], error["step"], error["action"]) == ("action_failed", "step 2", "click '#nothing'")
    assert (error["title"], error["extract"]) == ("two", {"a": "a"})
    assert error["console"] == ["first", "second **********"]
    assert error["url"].startswith("data:text/html,<title>two")
    screenshot, html = Path(error["artifacts"]["screenshot"]), Path(error["artifacts"]["html"])
    assert screenshot.read_bytes().startswith(b"\x89PNG")
    assert '<input value="**********">' in html.read_text()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (screenshot, html)} == {0o600}


def test_a_page_that_did_not_open_has_no_picture(child: Child, browser: str) -> None:
    """It would be blank, and so would the HTML."""
    closed = {"url": "http://127.0.0.1:1/"}
    assert "artifacts" not in failed(child, browser, [closed], artifacts="files")


def test_an_empty_page_has_no_picture(child: Child) -> None:
    """What a script wrote to it has one."""
    wrote = {"url": "about:blank", "actions": ["await page.evaluate('document.body.append(1)')", CLICK]}
    assert failed(child, "CHROMIUM", [wrote], artifacts="files")["artifacts"].keys() == {"screenshot", "html"}
    empty = failed(child, "CHROMIUM", [{"url": "about:blank", "actions": [CLICK]}], artifacts="files")
    assert "artifacts" not in empty


def test_inline_and_off(child: Child) -> None:
    """In the reply only what was asked for; an empty list turns it off."""
    step = {"url": SECOND, "actions": [FILL, CLICK]}
    error = failed(child, "CHROMIUM", [step], on_failure=["HTML"])
    assert error["artifacts"].keys() == {"html"}
    assert '<input value="**********">' in error["artifacts"]["html"]
    assert "artifacts" not in failed(child, "CHROMIUM", [step])
    assert "artifacts" not in failed(child, "CHROMIUM", [step], artifacts="files", on_failure=[])


def test_after_a_time_limit_with_a_trace(child: Child) -> None:
    """The trace was recorded from the start; a job that succeeds has none."""
    options = {"artifacts": "files", "on_failure": ["TRACE", "SCREENSHOT"]}
    step = {"url": SECOND, "actions": [FILL, {"wait_for_timeout": 60_000}]}
    error = failed(child, "CHROMIUM", [step], timeout_ms=2_000, **options)
    assert (error["code"], error["title"], error["retryable"]) == ("timeout", "two", True)
    assert error["artifacts"].keys() == {"trace", "screenshot"}
    with zipfile.ZipFile(error["artifacts"]["trace"]) as trace:
        texts = [trace.read(name) for name in trace.namelist() if name.endswith((".trace", ".network"))]
    assert texts
    assert not any(SECRET.encode() in text for text in texts)
    [fine] = child.ask({"type": "send_job", "content": {"steps": [FIRST], **options}})
    assert fine["content"]["result"].keys() == {"steps", "extract"}


def test_a_page_that_hangs_delays_the_end_by_the_limit_alone(child: Child, browser: str) -> None:
    """What can't be had is left out, and the error is the job's own."""
    endless = "data:text/html,<title>x</title><script>setTimeout(() => { for (;;); }, 100)</script>"
    step = {"url": endless, "timeout_ms": 1_500, "actions": [{"wait_for_timeout": 500}, {"evaluate": "1"}]}
    error = failed(child, browser, [FIRST, step], artifacts="files")
    assert (error["code"], error["step"], error["extract"]) == ("timeout", "step 2", {"a": "a"})
    assert "artifacts" not in error


def test_an_async_job_has_it_in_its_status(child: Child) -> None:
    """The list of jobs leaves it out."""
    content = {
        "mode": "async",
        "artifacts": "files",
        "steps": [FIRST, {"url": SECOND, "actions": [CLICK]}],
    }
    [scheduled] = child.ask({"type": "send_job", "content": content})
    job_id = scheduled["content"]["id"]
    state: dict[str, Any] = {"status": "pending"}
    while state["status"] == "pending":
        state = child.ask({"type": "job_status", "content": {"id": job_id}})[0]["content"]
        time.sleep(PAUSE)
    assert state["status"] == "failed"
    error = state["error"]
    assert error["extract"] == {"a": "a"}
    assert Path(error["artifacts"]["screenshot"]).stat().st_size > 1_000
    [listed] = child.ask({"type": "list_jobs"})
    assert listed["content"]["jobs"][0]["error"].keys() == error.keys() - {"artifacts", "extract", "console"}


def test_after_a_crash_what_is_known_is_said(child: Child, browser: str) -> None:
    """Without asking the browser."""
    child.ask({"type": "hello", "content": {"notifications": True}})
    steps = [FIRST, {"url": SECOND, "actions": [{"wait_for_timeout": 20_000}]}]
    child.send({"type": "send_job", "content": {"browser": browser, "steps": steps, "artifacts": "files"}})
    while (event := child.read(PATIENCE))["type"] != "event" or event["content"].get("step") != 2:
        pass
    for process in psutil.Process(child.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):  # one that has ended meanwhile
            if {"--type=renderer", "-contentproc"} & {*process.cmdline()}:
                process.kill()
    while (answer := child.read(PATIENCE))["type"] == "event":
        pass
    error = answer["error"]
    assert (error["code"], error["extract"], error["console"][0]) == ("browser_crashed", {"a": "a"}, "first")
    assert "artifacts" not in error
    child.ask({"type": "hello", "content": {"notifications": False}})
