"""Async jobs in a real process: accepted, run, reported, cancelled, encrypted."""

import base64
import re
import resource
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.browser import discovery
from sidecar.settings import Settings
from tests.clocks import STEPPED
from tests.e2e.jobs import EXTRACT, ended, page_job, status, stored, submit, succeeded
from tests.fakes import ENCRYPTION_KEY
from tests.harness import MISSING_CREDENTIALS, PAUSE, SECONDS, Child, Rtcv, error, rtcv

ONE_AT_A_TIME = {"SIDECAR_CONCURRENCY": "1"}
STORE_KEY = {"SIDECAR_STORE_KEY": "A" * 43 + "="}
CANARY = "c4n4ry-in-a-cookie"
COOKIE = {"name": "n", "value": CANARY, "domain": "127.0.0.1"}
SEALED = "this needs a secret that was encrypted with another key; set SIDECAR_STORE_KEY or send it again"


@pytest.fixture
def server() -> Iterator[Rtcv]:
    """Serves pages and secrets, and takes results."""
    with rtcv() as running:
        yield running
        running.release()


@pytest.mark.browser
def test_a_mock_session_leaves_nothing(tmp_path: Path, server: Rtcv) -> None:
    """Its jobs run, and live in memory alone; their status has Tourist's shape."""
    with Child(tmp_path) as child:
        mock = {"type": "set_mock", "content": {"secrets": {"user": {"username": "foo"}}}}
        assert child.ask(mock) == [{"type": "ok"}]
        _check_tourists_shape(child)
        secrets = {"user": {"key": "user", "encryption_key": "any"}}
        job_id = submit(child, page_job(server, "/page/mocked", forward=True, secrets=secrets))
        succeeded(child, job_id)
        assert child.ask({"type": "set_mock"}) == [{"type": "ok"}]
        assert child.ask({"type": "job_status", "content": {"id": job_id}})[0]["error"]["code"] == "not_found"
        assert child.end() == 0
    assert not (tmp_path / "state").exists()
    assert server.server.to("jobResult") == []


def _check_tourists_shape(child: Child) -> None:
    """`{status, result}`, with the files of the options that were chosen; a job that was not done says so."""
    page = {"url": "data:text/html,<h1>Hi</h1><script>alert('hello')</script>", "extract": EXTRACT}
    wanted = {"mode": "async", "steps": [page], "options": ["SCREENSHOT", "PDF", "RECORD", "READ_ALERTS"]}
    assert child.ask({"type": "set_cached_reference", "content": "known"}) == [{"type": "ok"}]
    state = succeeded(child, submit(child, wanted))
    result = state["result"]
    begins = {name: base64.b64decode(result[name])[:4] for name in ("screenshot", "pdf", "video")}
    assert begins == {"screenshot": b"\x89PNG", "pdf": b"%PDF", "video": b"\x1a\x45\xdf\xa3"}
    assert sorted(result) == ["extract", "messages", "pdf", "screenshot", "steps", "video"]
    assert (result["messages"], result["extract"], "outcome" in state) == (["hello"], {"title": "Hi"}, False)
    skipped = succeeded(child, submit(child, wanted | {"reference_number": "known"}))
    assert (skipped["outcome"], "result" in skipped) == ("skipped", False)


@pytest.mark.browser
def test_a_job_from_its_acceptance_to_its_end(tmp_path: Path, server: Rtcv) -> None:
    """The answer comes before the job has begun; what it brought home is asked for later, also by page.

    The same key is the same job: while it runs, when it is done, and for the next process.
    """
    server.server.fail("/page/held", "hang", count=1)
    job = page_job(server, "/page/held", name="a listing", key="k")
    with Child(tmp_path) as child:
        job_id = submit(child, job)
        assert submit(child, job) == job_id
        server.wait_for("/page/held")
        running = status(child, job_id)
        assert running["status"] == "pending"
        assert submit(child, job) == job_id
        assert running["started"] >= running["submitted"]
        server.release()
        state = ended(child, job_id)
        assert (state["status"], state["name"], state["type"], state["attempts"]) == (
            "success",
            "a listing",
            "send_job",
            1,
        )
        assert state["result"]["extract"] == {"title": "404"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", state["ended"])
        listed = {name: value for name, value in state.items() if name != "result"}
        for asked, total in (({}, 1), ({"status": "success"}, 1), ({"status": "failed"}, 0), ({"page": 2}, 1)):
            (reply,) = child.ask({"type": "list_jobs", "content": asked})
            jobs = [listed] if total and asked.get("page") != 2 else []
            page = asked.get("page", 1)
            assert reply["content"] == {"total_count": total, "total_pages": total, "page": page, "jobs": jobs}
        assert submit(child, job) == job_id
        assert child.end() == 0
    with Child(tmp_path) as child:
        assert submit(child, job) == job_id
        assert status(child, job_id) == state
        assert submit(child, page_job(server, "/page/other", key="other")) != job_id
    assert len(server.server.to("/page/held")) == 1


WRONG: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
    ({"key": ""}, error("invalid_content", "key: must not be empty", field="key")),
    ({"retries": 11}, error("invalid_content", "retries: expected int <= 10", field="retries")),
    (
        {"key": "schedule:1"},
        error("invalid_content", "key: must not begin with schedule: or task:", field="key"),
    ),
    ({"forward": True}, MISSING_CREDENTIALS),
    ({"steps": [{"url": "https://a.example", "actions": [{"jump": "#a"}]}]}, None),
    ({"mode": "later"}, error("invalid_content", "mode: expected 'sync' or 'async'", field="mode")),
]


def test_what_is_wrong_is_refused_before_it_is_accepted(tmp_path: Path) -> None:
    """As strictly as a job that is run at once; what is unknown is not found, whatever is asked of it."""
    with Child(tmp_path) as child:
        for content, refusal in WRONG:
            job = {"mode": "async", "steps": [{"url": "https://a.example"}], **content}
            asked = {"type": "send_job", "content": job}
            (reply,) = child.ask(asked)
            if refusal is None:
                (refusal,) = child.ask({**asked, "content": {**job, "mode": "sync"}})
                assert refusal["type"] == "error"
            assert reply == refusal, content
            (reply,) = child.ask({"type": "list_jobs"})
            assert reply["content"]["total_count"] == 0, content
        for kind in ("job_status", "cancel_job"):
            assert child.ask({"type": kind, "content": {"id": "x"}}) == [error("not_found", "there is no job 'x'")]


@pytest.mark.browser
def test_jobs_are_cancelled(tmp_path: Path, server: Rtcv) -> None:
    """One that waits at once, one that runs with its page; one that has ended stays as it is.

    The end of input cancels none: the running job finishes, and the next process has its result.
    """
    server.server.fail("/page/runs", "hang", count=None)
    with Child(tmp_path, env=ONE_AT_A_TIME) as child:
        runs, waits = submit(child, page_job(server, "/page/runs")), submit(child, page_job(server, "/page/waits"))
        server.wait_for("/page/runs")
        (reply,) = child.ask({"type": "cancel_job", "content": {"id": waits}})
        assert reply["content"] == {"cancelled": True, "status": "cancelled"}
        (reply,) = child.ask({"type": "cancel_job", "content": {"id": runs}})
        assert reply["content"]["cancelled"] is True
        assert ended(child, runs)["status"] == "cancelled"
        (reply,) = child.ask({"type": "cancel_job", "content": {"id": runs}})
        assert reply["content"] == {"cancelled": False, "status": "cancelled"}
        server.server.fail("/page/later", "hang", count=1)
        later = submit(child, page_job(server, "/page/later"))
        server.wait_for("/page/later")
        child.close_stdin()
        assert child.silent()
        server.release()
        assert child.wait() == 0
    assert server.server.to("/page/waits") == []
    with Child(tmp_path) as child:
        state = status(child, later)
        assert (state["status"], state["attempts"]) == ("success", 1)


@pytest.mark.browser
def test_a_failure_that_may_pass_is_tried_again(tmp_path: Path, server: Rtcv) -> None:
    """As often as the job says; one that will not pass is final."""
    server.server.fail("/page/slow", "hang", count=None)
    with Child(tmp_path) as child:
        job_id = submit(child, page_job(server, "/page/slow", retries=1, timeout_ms=2500))
        state = ended(child, job_id)
        assert (state["status"], state["attempts"], state["error"]["code"]) == ("failed", 2, "timeout")
        assert len(server.server.to("/page/slow")) == 2
        final = {"mode": "async", "retries": 3, "steps": [{"url": "data:text/html,x", "actions": [{"click": "#no"}]}]}
        final["steps"][0]["timeout_ms"] = 300  # type: ignore[index]
        state = ended(child, submit(child, final))
        assert state["status"] == "failed"
        assert state["attempts"] == (4 if state["error"]["retryable"] else 1)


@pytest.mark.browser
def test_a_wave_of_jobs_waits_for_a_browser_that_cannot_start_just_now(tmp_path: Path) -> None:
    """Failed launches fail no accepted job; a waiting parent gets a retryable error, and the job is done later."""
    flaky, chromium = tmp_path / "flaky", discovery.find("CHROMIUM", Settings()).path
    tries = tmp_path / "tries"
    flaky.write_text(
        f'#!/bin/sh\necho x >> {tries}\n[ $(wc -l < {tries}) -gt 2 ] || kill -9 $$\nexec {chromium} "$@"\n'
    )
    flaky.chmod(0o755)
    job = {"steps": [{"url": "data:text/html,<h1>here</h1>", "extract": {"title": "h1"}}]}
    with Child(tmp_path, env={"SIDECAR_CHROMIUM": str(flaky)}) as child:
        (refused,) = child.ask({"type": "send_job", "content": job})
        assert (refused["error"]["code"], refused["error"]["retryable"]) == ("browser_unavailable", True)
        for job_id in [submit(child, {**job, "mode": "async"}) for _ in range(4)]:
            assert succeeded(child, job_id)["result"]["extract"] == {"title": "here"}
    assert len(tries.read_text().splitlines()) > 2


@pytest.mark.browser
def test_a_clock_that_is_set_back_an_hour_holds_up_nothing(tmp_path: Path, server: Rtcv) -> None:
    """Neither a job that runs, nor one that waits to be tried again, nor one that comes after."""
    steps = tmp_path / "steps"
    steps.write_text("3600")
    server.server.fail("/page/again", "hang", count=1)
    server.server.fail("/page/runs", "hang", count=1)
    command = [sys.executable, "-c", STEPPED, str(steps)]
    with Child(tmp_path, command=command, env={"SIDECAR_CONCURRENCY": "2"}) as child:
        running = submit(child, page_job(server, "/page/runs"))
        again = submit(child, page_job(server, "/page/again", retries=1, timeout_ms=5000))
        server.wait_for("/page/runs")
        server.wait_for("/page/again")
        steps.write_text("0")
        after = submit(child, page_job(server, "/page/after"))
        assert succeeded(child, after)["attempts"] == 1
        assert succeeded(child, again)["attempts"] == 2
        server.release()
        assert succeeded(child, running)["attempts"] == 1


@pytest.mark.browser
def test_two_sidecars_share_the_work_of_one_home(tmp_path: Path, server: Rtcv) -> None:
    """Each takes what it has a place for, and both know of everything; one takes over from a dead one at once."""
    for one in range(2):
        server.server.fail(f"/page/{one}", "hang", count=None)
    with Child(tmp_path, env=ONE_AT_A_TIME) as first, Child(tmp_path, env=ONE_AT_A_TIME) as second:
        submit(second, page_job(server, "/page/mine"))
        ids = [submit(first, page_job(server, f"/page/{one}")) for one in range(2)]
        server.wait_for("/page/0")
        server.wait_for("/page/1")  # the first has no place for it
        server.release()
        assert [ended(second, one)["status"] for one in ids] == ["success"] * 2
        assert [status(first, one)["status"] for one in ids] == ["success"] * 2
        server.server.fail("/page/held", "hang", count=2)
        held = [submit(first, page_job(server, f"/page/held/{one}")) for one in range(2)]
        server.wait_for("/page/held", 2)  # each has one of them
        first.signal(signal.SIGKILL)
        first.wait()
        server.release()
        states = [ended(second, one) for one in held]
        assert [state["status"] for state in states] == ["success"] * 2
        assert sorted(state["attempts"] for state in states) == [1, 2]


@pytest.mark.browser
def test_secrets_are_not_on_disk_and_end_with_their_process(tmp_path: Path, server: Rtcv) -> None:
    """Without a store key no other process can run such a job, and its error says why; one without secrets resumes.

    Its result is sent once the parent logs in again.
    """
    server.server.fail("/page/", "hang", count=1)
    login = {"type": "set_credentials", "content": server.credentials}
    with Child(tmp_path, env=ONE_AT_A_TIME) as child:
        assert child.ask(login) == [{"type": "ok"}]
        forwarded = submit(child, page_job(server, "/page/forwarded", forward=True))
        server.wait_for("/page/forwarded")
        plain = submit(child, page_job(server, "/page/plain"))
        secret = submit(child, page_job(server, "/page/secret", cookies=[COOKIE]))
        assert CANARY.encode() not in stored(tmp_path / "state")
        child.signal(signal.SIGKILL)
        child.wait()
    server.release()
    with Child(tmp_path) as child:
        succeeded(child, plain)
        state = ended(child, secret)
        refusal = error("missing_credentials", SEALED)["error"]
        assert (state["status"], state["error"]) == ("failed", refusal)
        succeeded(child, forwarded)
        assert server.server.to("jobResult") == []
        assert child.ask(login) == [{"type": "ok"}]
        server.wait_for("jobResult")


@pytest.mark.browser
def test_with_a_store_key_everything_resumes(tmp_path: Path, server: Rtcv) -> None:
    """Cookies and the login's secrets too, and they lie in the store encrypted."""
    server.server.fail("/page/", "hang", count=1)
    with Child(tmp_path, env=STORE_KEY) as child:
        assert child.ask({"type": "set_credentials", "content": server.credentials}) == [{"type": "ok"}]
        secrets = {"user": {"key": "user", "encryption_key": ENCRYPTION_KEY}}
        job = page_job(server, "/page/secret", cookies=[COOKIE], secrets=secrets, forward=True)
        job_id = submit(child, job)
        server.wait_for("/page/secret")
        kept = stored(tmp_path / "state")
        assert all(one.encode() not in kept for one in (CANARY, ENCRYPTION_KEY, server.credentials["api_key"] * 2))
        child.signal(signal.SIGKILL)
        child.wait()
    server.release()
    with Child(tmp_path, env=STORE_KEY) as child:
        succeeded(child, job_id)
        server.wait_for("jobResult")
        assert f"n={CANARY}" in server.server.to("/page/secret")[-1].headers["Cookie"]
    with Child(tmp_path) as child:
        assert status(child, job_id)["status"] == "success"


@pytest.mark.browser
def test_a_store_in_trouble(tmp_path: Path, server: Rtcv) -> None:
    """A broken database is kept aside: the sidecar says so on stderr and goes on with a new one.

    A full disk refuses and passes, and a locked database delays and loses nothing.
    """
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "sidecar.db").write_bytes(b"no database at all " * 1000)
    with Child(tmp_path) as child:
        succeeded(child, submit(child, page_job(server, "/page/a")))
        assert "is not a usable database" in child.stderr
        _fill_the_disk_for_a_while(child, server)
        _lock_for_a_while(child, server, tmp_path / "state" / "sidecar.db")
    kept = [path for path in (tmp_path / "state").iterdir() if "broken" in path.name]
    assert [path.read_bytes()[:19] for path in kept] == [b"no database at all "]


def _fill_the_disk_for_a_while(child: Child, server: Rtcv) -> None:
    """What can't be stored is not accepted; the process lives on, and takes jobs again when there is room."""
    huge = page_job(server, "/page/huge", name="x" * 4_000_000)
    _limit_file_size(child.pid, 2_000_000)
    (reply,) = child.ask({"type": "send_job", "content": huge})
    assert reply["type"] == "error"
    assert reply["error"]["code"] == "internal"
    assert reply["error"]["retryable"] is True
    _limit_file_size(child.pid, -1)
    assert child.ask({"type": "ping"}) == [{"type": "pong"}]
    succeeded(child, submit(child, page_job(server, "/page/after-full")))
    assert server.server.to("/page/huge") == []


def _lock_for_a_while(child: Child, server: Rtcv, database: Path) -> None:
    """Another process holds the file for seconds: the job is accepted after it."""
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    child.send({"type": "send_job", "id": "j", "content": page_job(server, "/page/after-lock")})
    assert child.silent(5)
    other.execute("ROLLBACK")
    other.close()
    reply = child.read()
    assert reply["id"] == "j"
    succeeded(child, reply["content"]["id"])


@pytest.mark.browser
def test_a_full_disk_is_logged_at_intervals(tmp_path: Path, server: Rtcv) -> None:
    """However often it is met: jobs go on to end, and what they come to is tried until it is stored."""
    server.server.fail("/page/held", "hang", count=None)
    with Child(tmp_path) as child:
        held = submit(child, page_job(server, "/page/held"))
        server.wait_for("/page/held")
        _limit_file_size(child.pid, (tmp_path / "state" / "sidecar.db-wal").stat().st_size)
        server.release()
        deadline = time.monotonic() + 2 * SECONDS
        while "could not write to the database" not in child.stderr:
            assert time.monotonic() < deadline
            time.sleep(PAUSE)
        assert child.silent(4)
        lines = [line.partition(" WARNING ")[2] for line in child.stderr.splitlines() if " WARNING " in line]
        _limit_file_size(child.pid, -1)
        succeeded(child, held)
    assert len(lines) == len(set(lines))


def _limit_file_size(pid: int, limit: int) -> None:

    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, hard))
