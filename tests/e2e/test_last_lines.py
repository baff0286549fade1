"""What is accepted as the session ends waits for the next process: stdin closed at once, signals, dying browsers."""

import contextlib
import json
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.jobs import ended, page_job, status, submit
from tests.harness import SECONDS, Child, Rtcv, encoded, receiver, rtcv

ROUNDS = 6
OPEN = {"SIDECAR_ALLOW_PRIVATE_NETWORK": "true", "SIDECAR_STORE_KEY": "A" * 43 + "="}
JOBS: dict[str, Any] = {"type": "list_jobs"}


def here_document(folder: Path, *messages: object) -> list[dict[str, Any]]:
    """What `sidecar <<LINES` answers: every line and the end of stdin are there before the first is read."""
    with Child(folder, env=OPEN) as child:
        child.send(*messages)
        child.close_stdin()
        lines = child.rest()
        assert child.wait() == 0
        assert child.stderr == ""
    assert [line["type"] for line in lines] == ["ok"] * len(messages), lines
    return lines


def runs_reported(hook: Rtcv) -> dict[str, list[str]]:
    """Run -> the states that its webhook received, each document once."""
    states: dict[str, dict[str, str]] = {}
    for request in hook.server.to("/hook"):
        update = json.loads(request.body)["data"]
        states.setdefault(update["runReference"], {})[request.headers["webhook-id"]] = update["runState"]
    return {run: list(reported.values()) for run, reported in states.items()}


def until_reported(hook: Rtcv, runs: int, state: str = "COMPLETED") -> dict[str, list[str]]:
    """The states that the webhook received, once that many runs have reached that end. Raises TimeoutError."""
    deadline = time.monotonic() + 2 * SECONDS
    while True:
        reported = runs_reported(hook)
        if sum(states[-1] == state for states in reported.values()) >= runs:
            return reported
        if time.monotonic() > deadline:
            raise TimeoutError(reported)
        time.sleep(0.02)


@pytest.mark.browser
@pytest.mark.timeout(180)
def test_a_here_document_loses_nothing(tmp_path: Path) -> None:
    """Its jobs, tasks and forwards, many times over, are pending when it has ended, and the next process does them."""
    with rtcv() as server, receiver() as hook:
        accepted = []
        for number in range(ROUNDS):
            lines = here_document(
                tmp_path,
                {"type": "set_credentials", "content": server.credentials},
                {"type": "set_webhooks", "content": [{"url": f"{hook.server.url}/hook"}]},
                {"type": "send_job", "content": page_job(server, f"/page/{number}", key=f"{number}", forward=True)},
                {"type": "create_task", "content": {"interval": 3_600_000, "job": _once(server, f"/page/t{number}")}},
            )
            accepted.append(lines[2]["content"]["id"])
        assert server.server.to("/page/") == []
        [listed] = here_document(tmp_path, JOBS)
        assert {job["status"] for job in listed["content"]["jobs"]} == {"pending"}
        with Child(tmp_path, env=OPEN) as child:
            assert [ended(child, one)["status"] for one in accepted] == ["success"] * ROUNDS
            reported = until_reported(hook, 2 * ROUNDS)  # and each task has run once
            assert child.end() == 0
        assert set(map(tuple, reported.values())) == {("WAITING", "RUNNING", "RUNNING", "COMPLETED")}
        assert sorted(one.headers["Idempotency-Key"] for one in server.server.to("jobResult")) == sorted(accepted)


def test_listing_jobs_ends_none(tmp_path: Path) -> None:
    """`echo list_jobs | sidecar` takes nothing that an earlier process has left."""
    with rtcv() as server:
        for number in range(3):
            here_document(tmp_path, {"type": "send_job", "content": page_job(server, f"/page/{number}")})
        for _ in range(ROUNDS):
            [listed] = here_document(tmp_path, JOBS)
            seen = [(job["status"], job.get("attempts", 0)) for job in listed["content"]["jobs"]]
            assert seen == [("pending", 0)] * 3
        assert server.server.to("/page/") == []


@pytest.mark.browser
def test_the_same_key_is_the_same_job(tmp_path: Path) -> None:
    """A here document that is repeated until it is done has its job done once."""
    with rtcv() as server:
        job = page_job(server, "/page/once", key="once")
        ids = {here_document(tmp_path, {"type": "send_job", "content": job})[0]["content"]["id"] for _ in range(3)}
        with Child(tmp_path, env=OPEN) as child:
            assert ended(child, submit(child, job))["status"] == "success"
            assert {submit(child, job)} == ids
        assert len(server.server.to("/page/once")) == 1


@pytest.mark.browser
@pytest.mark.parametrize("how", ["end of input", "signal"])
def test_the_deadline_is_no_job_s_end(tmp_path: Path, how: str) -> None:
    """A job that still runs at the deadline is requeued, and reported as waiting."""
    with rtcv() as server, receiver() as hook:
        server.server.fail("/page/slow", "hang", count=1)
        with Child(tmp_path, "--shutdown-timeout", "0.3", env=OPEN) as child:
            job_id = submit(child, page_job(server, "/page/slow", webhooks=[f"{hook.server.url}/hook"]))
            server.wait_for("/page/slow")
            child.close_stdin() if how == "end of input" else child.signal(signal.SIGTERM)
            assert child.wait() == 0
        server.release()
        with Child(tmp_path, env=OPEN) as child:
            assert ended(child, job_id)["status"] == "success"
            until_reported(hook, 1)
        states = runs_reported(hook)[job_id]
        assert "FAILED" not in states
        assert states.count("COMPLETED") == 1


@pytest.mark.browser
@pytest.mark.timeout(120)
def test_a_browser_that_is_killed_by_the_service_manager_too(tmp_path: Path) -> None:
    """A service manager that ends all processes at once ends no job: what its browser's death has cut is put back."""
    with rtcv() as server, receiver() as hook:
        server.server.fail("/page/slow", "hang", count=1)
        with Child(tmp_path, env=OPEN) as child:
            job_id = submit(child, page_job(server, "/page/slow", webhooks=[f"{hook.server.url}/hook"]))
            server.wait_for("/page/slow")
            below = psutil.Process(child.pid).children(recursive=True)
            child.signal(signal.SIGTERM)
            child.send({"type": "ping"})
            while not child.silent(0.5):  # until it has taken the signal, and answers nothing more
                assert child.read() == {"type": "pong"}
                child.send({"type": "ping"})
            for one in below:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.send_signal(signal.SIGTERM)
            assert child.wait() == 0
        server.release()
        with Child(tmp_path, env=OPEN) as child:
            state = ended(child, job_id)
            assert state["status"] == "success", state
            until_reported(hook, 1)
        assert "FAILED" not in runs_reported(hook)[job_id]


@pytest.mark.browser
def test_a_task_s_run_is_put_back(tmp_path: Path) -> None:
    """A periodic run that the end cuts short is done by the next process, at its own time and once."""
    with rtcv() as server:
        server.server.fail("/page/task", "hang", count=1)
        task = {"id": "t", "interval": 3_600_000, "job": _once(server, "/page/task")}
        with Child(tmp_path, "--shutdown-timeout", "0.3", env=OPEN) as child:
            child.write(encoded({"type": "create_task", "content": task}))
            assert child.read()["type"] == "ok"
            server.wait_for("/page/task")
            assert child.end() == 0
        server.release()
        with Child(tmp_path, env=OPEN) as child:
            server.wait_for("/page/task", 2)
            [reply] = child.ask(JOBS)
            [run] = [job["id"] for job in reply["content"]["jobs"] if job["type"] == "run_task"]
            assert ended(child, run)["status"] == "success"
            [reply] = child.ask({"type": "get_task_status", "content": {"id": "t"}})
            assert (reply["content"]["runs"], reply["content"]["failed"]) == (1, 0)
            assert reply["content"]["last_run"]["status"] == "success"
            assert status(child, run)["attempts"] == 2


def _once(server: Rtcv, path: str) -> dict[str, Any]:
    return {"steps": [{"url": f"{server.server.url}{path}"}]}
