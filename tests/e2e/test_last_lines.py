"""What is accepted as the session ends waits for the next process: stdin closed at once, signals, dying browsers."""

import contextlib
import json
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.jobs import ended, page_job, submit
from tests.harness import SECONDS, Child, Rtcv, encoded, receiver, rtcv

ROUNDS = 3
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


def until_ended(hook: Rtcv, run: str) -> list[str]:
    """The states of a run that the webhook received, once it has completed. Raises TimeoutError."""
    deadline = time.monotonic() + 2 * SECONDS
    while "COMPLETED" not in (states := runs_reported(hook).get(run, [])):
        if time.monotonic() > deadline:
            raise TimeoutError(states)
        time.sleep(0.05)
    return states


@pytest.mark.browser
@pytest.mark.timeout(180)
def test_a_here_document_loses_nothing(tmp_path: Path) -> None:
    """Its jobs, tasks and forwards, many times over, are pending when it has ended, and the next process does them.

    One that is repeated, with a key, has its job done once.
    """
    with rtcv() as server, receiver() as hook:
        accepted = []
        for number in (*range(ROUNDS), 0):
            lines = here_document(
                tmp_path,
                {"type": "set_credentials", "content": server.credentials},
                {"type": "set_webhooks", "content": [{"url": f"{hook.server.url}/hook"}]},
                {"type": "send_job", "content": page_job(server, f"/page/{number}", key=f"{number}", forward=True)},
                {"type": "create_task", "content": {"interval": 3_600_000, "job": _once(server, f"/page/t{number}")}},
            )
            accepted.append(lines[2]["content"]["id"])
        assert accepted.pop() == accepted[0]
        assert server.server.to("/page/") == []
        [listed] = here_document(tmp_path, JOBS)
        assert {job["status"] for job in listed["content"]["jobs"]} == {"pending"}
        with Child(tmp_path, env=OPEN) as child:
            assert [ended(child, one)["status"] for one in accepted] == ["success"] * ROUNDS
            reported = until_reported(hook, 2 * ROUNDS + 1)  # and each task has run once
            assert submit(child, page_job(server, "/page/0", key="0")) == accepted[0]
            assert child.end() == 0
        assert set(map(tuple, reported.values())) == {("WAITING", "RUNNING", "RUNNING", "COMPLETED")}
        assert sorted(one.headers["Idempotency-Key"] for one in server.server.to("jobResult")) == sorted(accepted)
        assert [len(server.server.to(f"/page/{number}")) for number in range(ROUNDS)] == [1] * ROUNDS


def test_listing_jobs_ends_none(tmp_path: Path) -> None:
    """`echo list_jobs | sidecar` takes nothing that an earlier process has left."""
    with rtcv() as server:
        here_document(
            tmp_path, *({"type": "send_job", "content": page_job(server, f"/page/{number}")} for number in range(3))
        )
        for _ in range(ROUNDS):
            [listed] = here_document(tmp_path, JOBS)
            seen = [(job["status"], job.get("attempts", 0)) for job in listed["content"]["jobs"]]
            assert seen == [("pending", 0)] * 3
        assert server.server.to("/page/") == []


class Sessions:
    """Sessions one after another on one home, each with a job and a task whose pages come only when it has ended."""

    def __init__(self, folder: Path, server: Rtcv, hook: Rtcv) -> None:
        self.folder = folder
        self._server = server
        self._hook = hook

    def begin(self, child: Child, how: str) -> str:
        """Has a job and a task begin, and then one job wait; gives the first job's id."""
        hooks = [f"{self._hook.server.url}/hook"]
        self._server.server.fail(f"/page/{how}", "hang", count=2)
        job_id = submit(child, page_job(self._server, f"/page/{how}/job", key=how, webhooks=hooks))
        task = {"id": how, "interval": 3_600_000, "job": _once(self._server, f"/page/{how}/task")}
        child.write(encoded({"type": "create_task", "content": task}))
        assert child.read()["type"] == "ok"
        self._server.wait_for(f"/page/{how}", 2)
        submit(child, page_job(self._server, f"/page/{how}/waits", key=f"{how} waits", webhooks=hooks))
        assert len(self._server.server.to(f"/page/{how}")) == 2
        return job_id

    def check(self, child: Child, how: str, job_id: str) -> None:
        """What was cut short is done by this process, at its own time and once, and no end but that is reported."""
        waits = submit(child, page_job(self._server, f"/page/{how}/waits", key=f"{how} waits"))
        states = [ended(child, one) for one in (job_id, waits)]
        assert [one["status"] for one in states] == ["success"] * 2, (how, states)
        assert states[0]["attempts"] == 2, (how, states)
        self._server.wait_for(f"/page/{how}/task", 2)
        [reply] = child.ask({"type": "list_task_runs", "content": {"id": how}})
        [run] = [one["run"] for one in reply["content"]["runs"]]
        state = ended(child, run)
        assert (state["status"], state["attempts"]) == ("success", 2), (how, state)
        [reply] = child.ask({"type": "get_task_status", "content": {"id": how}})
        assert (reply["content"]["runs"], reply["content"]["failed"]) == (1, 0), how
        assert reply["content"]["last_run"]["status"] == "success", how
        for one in (job_id, waits):
            reported = until_ended(self._hook, one)
            assert "FAILED" not in reported, (how, reported)
            assert reported.count("COMPLETED") == 1, (how, reported)


@pytest.mark.browser
@pytest.mark.timeout(240)
def test_the_end_of_a_session_is_no_run_s_end(tmp_path: Path) -> None:
    """What still runs at the deadline, or loses its browser before it, is requeued and reported as waiting.

    The deadline comes after the end of input, or after a signal. A service manager ends the browsers as well: what
    their death has cut is put back, too. No browser stays behind, and the exit code is 0.
    """
    left: list[tuple[str, str]] = []
    with rtcv() as server, receiver() as hook:
        sessions = Sessions(tmp_path, server, hook)
        for how in ("input", "signal", "manager"):
            timeout = [] if how == "manager" else ["--shutdown-timeout", "0.3"]
            with Child(tmp_path, *timeout, env=OPEN | {"SIDECAR_CONCURRENCY": "2"}) as child:
                if left:
                    sessions.check(child, *left.pop())
                left.append((how, sessions.begin(child, how)))
                started = psutil.Process(child.pid).children(recursive=True)
                child.close_stdin() if how == "input" else child.signal(signal.SIGTERM)
                if how == "manager":
                    _end_all(child, started)
                assert child.wait() == 0, how
                assert psutil.wait_procs(started, timeout=30)[1] == [], how
            server.release()
        with Child(tmp_path, env=OPEN) as child:
            sessions.check(child, *left.pop())
            assert child.end() == 0


def _end_all(child: Child, below: list[psutil.Process]) -> None:
    """Signals what the child has started, once it has taken its own signal and answers nothing more."""
    child.send({"type": "ping"})
    while not child.silent(0.5):
        assert child.read() == {"type": "pong"}
        child.send({"type": "ping"})
    for one in below:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.send_signal(signal.SIGTERM)


def _once(server: Rtcv, path: str) -> dict[str, Any]:
    return {"steps": [{"url": f"{server.server.url}{path}"}]}
