"""kill -9 between every two steps of a job's life: nothing accepted is lost, and each job has one end."""

import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.jobs import ended, page_job, status, submit
from tests.fakes import KEY_ID
from tests.harness import PAUSE, SECONDS, Child, Rtcv, rtcv

pytestmark = pytest.mark.browser

ONE_AT_A_TIME = {"SIDECAR_CONCURRENCY": "1"}
STORE_KEY = {"SIDECAR_STORE_KEY": "A" * 43 + "="}
LIVES = (0.0, 0.4, 0.9, 1.5)
"""Within which of these seconds each child is killed, one a round: at once, or between this and the one before."""


@pytest.fixture
def server() -> Iterator[Rtcv]:
    """Serves pages, and takes results."""
    with rtcv() as running:
        yield running
        running.release()


def kill(child: Child) -> None:
    """As `kill -9` does."""
    child.signal(signal.SIGKILL)
    child.wait()


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Locks the database against writes, so that a process's changes stay in its memory."""
    with closing(sqlite3.connect(home / "state" / "sidecar.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_killed_in_each_state(tmp_path: Path, server: Rtcv) -> None:
    """While a job runs and another is just accepted, right after the end, and before the third is accepted."""
    server.server.fail("/page/runs", "hang", count=None)
    with Child(tmp_path, env=ONE_AT_A_TIME) as child:
        runs = submit(child, page_job(server, "/page/runs"))
        server.wait_for("/page/runs")
        assert status(child, runs)["status"] == "pending"
        waits = submit(child, page_job(server, "/page/waits"))
        kill(child)
    assert server.server.to("/page/waits") == []
    server.release()
    ends = _both_are_done(tmp_path, server, runs, waits)
    with Child(tmp_path) as child:
        assert [status(child, one) for one in (runs, waits)] == ends  # what has been said once is said again
        early = page_job(server, "/page/early", key="early")
        with locked(tmp_path):
            child.send({"type": "send_job", "content": early})
            assert child.silent(0.5)
            kill(child)
    with Child(tmp_path) as child:  # nothing was promised, and nothing is there; sent again it is one job
        (reply,) = child.ask({"type": "list_jobs"})
        assert reply["content"]["total_count"] == 2
        assert ended(child, submit(child, early))["attempts"] == 1
    assert [len(server.server.to(f"/page/{name}")) for name in ("runs", "waits", "early")] == [2, 1, 1]


def _both_are_done(folder: Path, server: Rtcv, runs: str, waits: str) -> list[dict[str, Any]]:
    """The next process does both at once: it waits for no lease of a dead one. It is killed when they have ended."""
    began = time.monotonic()
    with Child(folder, env=ONE_AT_A_TIME) as child:
        server.wait_for("/page/waits")  # without a word from the parent
        server.wait_for("/page/runs", 2)
        ends = [ended(child, one) for one in (runs, waits)]
        assert [(one["status"], one["attempts"]) for one in ends] == [("success", 2), ("success", 1)]
        assert time.monotonic() - began < 20  # a lease takes 30
        kill(child)
    return ends


def test_killed_between_a_run_s_end_and_its_note(tmp_path: Path, server: Rtcv) -> None:
    """The run has ended without a trace on disk: it runs again, and only that run is reported and forwarded.

    Another one's end was noted, and its result had not reached its server: that is sent again, under the same key.
    """
    server.server.fail("jobResult", "hang", count=1)
    with rtcv() as pages:
        pages.server.fail("/page/unnoted", "hang", count=1)
        with Child(tmp_path, env=STORE_KEY) as child:
            assert child.ask({"type": "set_credentials", "content": server.credentials}) == [{"type": "ok"}]
            noted = submit(child, page_job(pages, "/page/noted", forward=True))
            server.wait_for("jobResult")
            job_id = submit(child, page_job(pages, "/page/unnoted", forward=True, artifacts="files", options=["PDF"]))
            pages.wait_for("/page/unnoted")
            with locked(tmp_path):
                pages.release()
                deadline = time.monotonic() + SECONDS
                while not list((tmp_path / "state" / "artifacts").rglob("*.pdf")):  # the last that a run does
                    assert time.monotonic() < deadline
                    time.sleep(PAUSE)
                assert child.silent(0.5)
                kill(child)
        assert _keys(server) == [noted]
        with Child(tmp_path, env=STORE_KEY) as child:
            state = ended(child, job_id)
            assert (state["status"], state["attempts"]) == ("success", 2)
            state = ended(child, noted)
            assert (state["status"], state["attempts"]) == ("success", 1)
            server.wait_for("jobResult", 3)
        assert [len(pages.server.to(f"/page/{name}")) for name in ("noted", "unnoted")] == [1, 2]
    assert sorted(_keys(server)) == sorted([noted, noted, job_id])
    sent = server.server.to("jobResult")
    assert all(request.headers["Authorization"].startswith(f"Basic {KEY_ID}:") for request in sent)


def _keys(server: Rtcv) -> list[str]:
    """The jobs whose results the server has been sent, by the keys of the requests."""
    return [request.headers["Idempotency-Key"] for request in server.server.to("jobResult")]


@pytest.mark.timeout(300)
def test_killed_at_any_moment(tmp_path: Path, server: Rtcv) -> None:
    """Processes that die anywhere, also at once, again and again, lose nothing that they had accepted."""
    moments = random.Random(20_260_131)
    accepted: dict[str, str] = {}
    for number, (least, longest) in enumerate(pairwise((0.0, *LIVES))):
        with Child(tmp_path) as child:
            for one in range(2):
                key = f"{number}-{one}"
                accepted[key] = submit(child, page_job(server, f"/page/{key}", key=key))
            life = time.monotonic() + moments.uniform(least, longest)
            while time.monotonic() < life:
                child.ask({"type": "ping"})
                time.sleep(PAUSE)
            kill(child)
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
