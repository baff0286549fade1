"""Interrupted runs that are not repeated: the next process reports their end to webhooks, once."""

import json
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.documents import check_self_describing
from tests.e2e.jobs import ended, page_job, submit
from tests.harness import SECONDS, Child, Rtcv, receiver, rtcv

pytestmark = pytest.mark.browser

OPEN = {"SIDECAR_ALLOW_PRIVATE_NETWORK": "true"}
KEYED = {**OPEN, "SIDECAR_STORE_KEY": "A" * 43 + "="}
WHY = "the run was interrupted: its sidecar died"


@pytest.fixture
def server() -> Iterator[Rtcv]:
    """Serves pages; the first two requests for `/page/late` are not answered before `release`."""
    with rtcv() as running:
        running.server.fail("/page/late", "hang", count=2)
        yield running
        running.release()


@pytest.fixture
def hook() -> Iterator[Rtcv]:
    """Takes updates."""
    with receiver() as running:
        yield running


def reported(hook: Rtcv) -> list[dict[str, Any]]:
    """The updates in their order, each once."""
    return list({one.headers["webhook-id"]: json.loads(one.body)["data"] for one in hook.server.to("/hook")}.values())


def states(hook: Rtcv) -> dict[str, list[str]]:
    """Run -> its states."""
    runs: dict[str, list[str]] = {}
    for update in reported(hook):
        runs.setdefault(update["runReference"], []).append(update["runState"])
    return runs


def until(hook: Rtcv, state: str, runs: int = 1) -> None:
    """Returns once the webhook has received this state of that many runs. Raises TimeoutError."""
    deadline = time.monotonic() + 2 * SECONDS
    while sum(state in one for one in states(hook).values()) < runs:
        if time.monotonic() > deadline:
            raise TimeoutError(states(hook))
        time.sleep(0.02)


def kill(child: Child) -> None:
    """As the kernel does when memory is short."""
    child.signal(signal.SIGKILL)
    child.wait()


def begin(child: Child, server: Rtcv, hook: Rtcv, *kinds: str) -> None:
    """Begins runs that only this process knows of; their webhook has heard that they run."""
    steps = [{"name": "late", "url": f"{server.server.url}/page/late"}, {"name": "never", "url": "data:text/html,x"}]
    assert child.ask({"type": "set_webhooks", "content": [{"url": f"{hook.server.url}/hook"}]})[0]["type"] == "ok"
    if "run_task" in kinds:
        task = {"id": "t", "interval": 3_600_000, "running": False, "job": {"steps": steps}}
        assert child.ask({"type": "create_task", "content": task})[0]["type"] == "ok"
        child.send({"type": "run_task", "content": {"id": "t"}, "id": "task"})
    if "send_job" in kinds:
        child.send({"type": "send_job", "content": {"steps": steps}, "id": "job"})
    server.wait_for("/page/late", len(kinds))
    until(hook, "RUNNING", len(kinds))


@pytest.mark.parametrize("env", [OPEN, KEYED], ids=["in clear", "sealed"])
def test_the_next_process_reports_the_end(tmp_path: Path, server: Rtcv, hook: Rtcv, env: dict[str, str]) -> None:
    """Of a job and of a task's run: their running step has failed, later ones are skipped.

    The process after that reports nothing.
    """
    with Child(tmp_path, env=env) as child:
        begin(child, server, hook, "send_job", "run_task")
        kill(child)
    for _ in range(2):
        with Child(tmp_path, env=env) as child:
            until(hook, "FAILED", 2)
            assert child.ask({"type": "ping"}) == [{"type": "pong"}]
            assert child.end() == 0
    assert list(states(hook).values()) == [["WAITING", "RUNNING", "FAILED"]] * 2
    ends = [update for update in reported(hook) if update["runState"] == "FAILED"]
    assert sorted(update["jobName"] == "t" for update in ends) == [False, True]
    for last in ends:
        assert [(task["taskName"], task["state"]) for task in last["taskStates"]] == [
            ("late", "FAILED"),
            ("never", "SKIPPED"),
        ]
        assert {task["error_message"] for task in last["taskStates"]} == {WHY}
    for request in hook.server.to("/hook")[-2:]:
        check_self_describing(json.loads(request.body))


def test_a_live_process_reports_its_own_end(tmp_path: Path, server: Rtcv, hook: Rtcv) -> None:
    """A process that starts next to the running one reports nothing; an ended run leaves no record."""
    with Child(tmp_path, env=OPEN) as child:
        begin(child, server, hook, "send_job")
        with Child(tmp_path, env=OPEN) as other:
            assert other.ask({"type": "list_jobs"})[0]["type"] == "ok"
            assert other.end() == 0
        server.release()
        assert child.read()["type"] == "ok"
        until(hook, "COMPLETED")
        kill(child)
    with Child(tmp_path, env=OPEN) as child:
        assert child.ask({"type": "list_jobs"})[0]["type"] == "ok"
        assert child.end() == 0
    [seen] = states(hook).values()
    assert "FAILED" not in seen


def test_a_job_that_is_repeated_has_one_end(tmp_path: Path, server: Rtcv, hook: Rtcv) -> None:
    """A killed async job is done again and not reported as failed.

    One whose cancelling a kill has cut is not done again, and its webhook hears that it is over.
    """
    hooks = [f"{hook.server.url}/hook"]
    with Child(tmp_path, env=OPEN | {"SIDECAR_CONCURRENCY": "2"}) as child:
        repeated, cancelled = (
            submit(child, page_job(server, f"/page/late/{name}", webhooks=hooks)) for name in ("repeated", "cancelled")
        )
        server.wait_for("/page/late", 2)
        until(hook, "RUNNING", 2)
        kill(child)
    with closing(sqlite3.connect(tmp_path / "state" / "sidecar.db")) as store, store:
        # as `cancel_job` leaves it until the run has ended
        document = "json_set(document, '$.error', 'cancelled')"
        marked = store.execute(f"UPDATE job SET status = 'aborting', document = {document} WHERE key = ?", (cancelled,))
        assert marked.rowcount == 1
    server.release()
    with Child(tmp_path, env=OPEN) as child:
        assert ended(child, repeated)["status"] == "success"
        assert ended(child, cancelled)["status"] == "cancelled"
        until(hook, "COMPLETED")
        until(hook, "FAILED")
        assert child.end() == 0
    assert "FAILED" not in states(hook)[repeated]
    assert states(hook)[cancelled] == ["WAITING", "RUNNING", "FAILED"]
    assert [len(server.server.to(f"/page/late/{name}")) for name in ("repeated", "cancelled")] == [2, 1]
