"""kill -9 between every two steps of a job's life: nothing accepted is lost, and each job has one end."""

import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.e2e.jobs import ended, page_job, status, submit
from tests.fakes import KEY_ID
from tests.harness import PAUSE, SECONDS, Child, Rtcv, rtcv

pytestmark = pytest.mark.browser

ONE_AT_A_TIME = {"SIDECAR_CONCURRENCY": "1"}
STORE_KEY = {"SIDECAR_STORE_KEY": "A" * 43 + "="}
ROUNDS = 5
LONGEST_LIFE = 1.5
"""Seconds that a child gets at most before it is killed."""


@pytest.fixture
def server() -> Iterator[Rtcv]:
    """Serves pages, and takes results."""
    with rtcv() as running:
        yield running
        running.release()


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Locks the database against writes, so that a process's changes stay in its memory."""
    with closing(sqlite3.connect(home / "state" / "sidecar.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_accepted_and_killed_at_once(tmp_path: Path, server: Rtcv) -> None:
    """The answer says that it is on disk: before its worker has even begun, the process may die."""
    with Child(tmp_path) as child:
        job_id = submit(child, page_job(server, "/page/accepted"))
        child.signal(signal.SIGKILL)
        child.wait()
    with Child(tmp_path) as child:
        assert ended(child, job_id)["status"] == "success"


def test_killed_while_a_job_runs_and_another_waits(tmp_path: Path, server: Rtcv) -> None:
    """The next process does both at once: it waits for no lease of a dead process."""
    server.server.fail("/page/runs", "hang", count=None)
    with Child(tmp_path, env=ONE_AT_A_TIME) as child:
        runs, waits = submit(child, page_job(server, "/page/runs")), submit(child, page_job(server, "/page/waits"))
        server.wait_for("/page/runs")
        assert status(child, runs)["status"] == "pending"
        assert server.server.to("/page/waits") == []
        child.signal(signal.SIGKILL)
        child.wait()
    server.release()
    began = time.monotonic()
    with Child(tmp_path, env=ONE_AT_A_TIME) as child:
        server.wait_for("/page/waits")  # without a word from the parent
        server.wait_for("/page/runs", 2)
        assert [ended(child, one)["status"] for one in (runs, waits)] == ["success", "success"]
        assert status(child, runs)["attempts"] == 2
        assert time.monotonic() - began < 20  # a lease takes 30


def test_killed_between_the_browser_and_the_server(tmp_path: Path, server: Rtcv) -> None:
    """The result had not reached its server: it is sent again, under the same key, and the job ends once."""
    server.server.fail("jobResult", "hang", count=1)
    with Child(tmp_path, env=STORE_KEY) as child:
        assert child.ask({"type": "set_credentials", "content": server.credentials}) == [{"type": "ok"}]
        job_id = submit(child, page_job(server, "/page/forwarded", forward=True))
        server.wait_for("jobResult")
        child.signal(signal.SIGKILL)
        child.wait()
    with Child(tmp_path, env=STORE_KEY) as child:
        server.wait_for("jobResult", 2)
        assert ended(child, job_id)["status"] == "success"
    sent = server.server.to("jobResult")
    assert len({request.headers["Idempotency-Key"] for request in sent}) == 1
    assert all(request.headers["Authorization"].startswith(f"Basic {KEY_ID}:") for request in sent)


def test_killed_before_it_is_accepted(tmp_path: Path, server: Rtcv) -> None:
    """Nothing was promised yet and nothing is there; sent again it is one job."""
    job = page_job(server, "/page/early", key="early")
    with Child(tmp_path) as child:
        ended(child, submit(child, page_job(server, "/page/before")))
        with locked(tmp_path):
            child.send({"type": "send_job", "content": job})
            assert child.silent(0.5)
            child.signal(signal.SIGKILL)
            child.wait()
    with Child(tmp_path) as child:
        (reply,) = child.ask({"type": "list_jobs"})
        assert reply["content"]["total_count"] == 1
        assert ended(child, submit(child, job))["attempts"] == 1
    assert len(server.server.to("/page/early")) == 1


def test_killed_between_a_run_s_end_and_its_note(tmp_path: Path, server: Rtcv) -> None:
    """The run has ended without a trace on disk: it runs again, and only that run is reported and forwarded."""
    server.server.fail("/page/unnoted", "hang", count=1)
    with Child(tmp_path, env=STORE_KEY) as child:
        assert child.ask({"type": "set_credentials", "content": server.credentials}) == [{"type": "ok"}]
        job_id = submit(child, page_job(server, "/page/unnoted", forward=True, artifacts="files", options=["PDF"]))
        server.wait_for("/page/unnoted")
        with locked(tmp_path):
            server.release()
            deadline = time.monotonic() + SECONDS
            while not list((tmp_path / "state" / "artifacts").rglob("*.pdf")):  # the last that a run does
                assert time.monotonic() < deadline
                time.sleep(PAUSE / 10)
            assert child.silent(0.5)
            child.signal(signal.SIGKILL)
            child.wait()
    assert server.server.to("jobResult") == []
    with Child(tmp_path, env=STORE_KEY) as child:
        state = ended(child, job_id)
        assert (state["status"], state["attempts"]) == ("success", 2)
        server.wait_for("jobResult")
    assert len(server.server.to("/page/unnoted")) == 2
    assert [one.headers["Idempotency-Key"] for one in server.server.to("jobResult")] == [job_id]


def test_killed_right_after_the_end(tmp_path: Path, server: Rtcv) -> None:
    """What `job_status` has said once, it says again."""
    with Child(tmp_path) as child:
        job_id = submit(child, page_job(server, "/page/ended"))
        before = ended(child, job_id)
        child.signal(signal.SIGKILL)
        child.wait()
    with Child(tmp_path) as child:
        assert status(child, job_id) == before
        assert len(server.server.to("/page/ended")) == 1


@pytest.mark.timeout(300)
def test_killed_at_any_moment(tmp_path: Path, server: Rtcv) -> None:
    """Processes that die anywhere, again and again, lose nothing that they had accepted."""
    moments = random.Random(20_260_131)
    accepted: dict[str, str] = {}
    for number in range(ROUNDS):
        with Child(tmp_path) as child:
            for one in range(3):
                key = f"{number}-{one}"
                accepted[key] = submit(child, page_job(server, f"/page/{key}", key=key))
            life = time.monotonic() + moments.uniform(0, LONGEST_LIFE)
            while time.monotonic() < life:
                child.ask({"type": "ping"})
                time.sleep(PAUSE / 10)
            child.signal(signal.SIGKILL)
            child.wait()
    with Child(tmp_path) as child:
        states = [ended(child, job_id) for job_id in accepted.values()]
        assert {state["status"] for state in states} == {"success"}
        assert [step["status"] for state in states for step in state["result"]["steps"]] == [404] * len(states)
        again = [submit(child, page_job(server, f"/page/{key}", key=key)) for key in accepted]
        assert again == list(accepted.values())
        (reply,) = child.ask({"type": "list_jobs"})
        assert reply["content"]["total_count"] == len(accepted)
    for key in accepted:
        assert server.server.to(f"/page/{key}") != []
