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
    """Serves pages; `/page/late` is not answered before `release` when it is first asked for."""
    with rtcv() as running:
        running.server.fail("/page/late", "hang", count=1)
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


def states(hook: Rtcv) -> list[str]:
    """The run's states."""
    return [update["runState"] for update in reported(hook)]


def until(hook: Rtcv, state: str) -> None:
    """Returns once the webhook has received these states. Raises TimeoutError."""
    deadline = time.monotonic() + 2 * SECONDS
    while state not in states(hook):
        if time.monotonic() > deadline:
            raise TimeoutError(states(hook))
        time.sleep(0.02)


def kill(child: Child) -> None:
    """As the kernel does when memory is short."""
    child.signal(signal.SIGKILL)
    child.wait()


def begin(child: Child, server: Rtcv, hook: Rtcv, kind: str) -> None:
    """Begins a run that only this process knows of; its webhook has heard that it runs."""
    steps = [{"name": "late", "url": f"{server.server.url}/page/late"}, {"name": "never", "url": "data:text/html,x"}]
    assert child.ask({"type": "set_webhooks", "content": [{"url": f"{hook.server.url}/hook"}]})[0]["type"] == "ok"
    if kind == "run_task":
        task = {"id": "t", "interval": 3_600_000, "running": False, "job": {"steps": steps}}
        assert child.ask({"type": "create_task", "content": task})[0]["type"] == "ok"
        child.send({"type": "run_task", "content": {"id": "t"}, "id": 1})
    else:
        child.send({"type": "send_job", "content": {"steps": steps}, "id": 1})
    server.wait_for("/page/late")
    until(hook, "RUNNING")


@pytest.mark.parametrize("kind", ["send_job", "run_task"])
@pytest.mark.parametrize("env", [OPEN, KEYED], ids=["in clear", "sealed"])
def test_the_next_process_reports_the_end(
    tmp_path: Path, server: Rtcv, hook: Rtcv, kind: str, env: dict[str, str]
) -> None:
    """The running step has failed, later ones are skipped; the process after that reports nothing."""
    with Child(tmp_path, env=env) as child:
        begin(child, server, hook, kind)
        kill(child)
    for _ in range(2):
        with Child(tmp_path, env=env) as child:
            until(hook, "FAILED")
            assert child.ask({"type": "ping"}) == [{"type": "pong"}]
            assert child.end() == 0
    assert states(hook) == ["WAITING", "RUNNING", "FAILED"]
    last = reported(hook)[-1]
    assert [(task["taskName"], task["state"]) for task in last["taskStates"]] == [
        ("late", "FAILED"),
        ("never", "SKIPPED"),
    ]
    assert {task["error_message"] for task in last["taskStates"]} == {WHY}
    check_self_describing(json.loads(hook.server.to("/hook")[-1].body))


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
    assert "FAILED" not in states(hook)


def test_a_job_that_is_repeated_has_one_end(tmp_path: Path, server: Rtcv, hook: Rtcv) -> None:
    """A killed async job is done again and not reported as failed."""
    with Child(tmp_path, env=OPEN) as child:
        job_id = submit(child, page_job(server, "/page/late", webhooks=[f"{hook.server.url}/hook"]))
        server.wait_for("/page/late")
        until(hook, "RUNNING")
        kill(child)
    server.release()
    with Child(tmp_path, env=OPEN) as child:
        assert ended(child, job_id)["status"] == "success"
        until(hook, "COMPLETED")
        assert child.end() == 0
    assert "FAILED" not in states(hook)


def test_a_job_that_was_being_cancelled(tmp_path: Path, server: Rtcv, hook: Rtcv) -> None:
    """A job whose cancelling a kill has cut is not done again, and its webhook hears that it is over."""
    with Child(tmp_path, env=OPEN) as child:
        job_id = submit(child, page_job(server, "/page/late", webhooks=[f"{hook.server.url}/hook"]))
        server.wait_for("/page/late")
        until(hook, "RUNNING")
        kill(child)
    with closing(sqlite3.connect(tmp_path / "state" / "sidecar.db")) as store, store:
        # as `cancel_job` leaves it until the run has ended
        store.execute("UPDATE job SET status = 'aborting', document = json_set(document, '$.error', 'cancelled')")
    with Child(tmp_path, env=OPEN) as child:
        assert ended(child, job_id)["status"] == "cancelled"
        until(hook, "FAILED")
        assert child.end() == 0
    assert states(hook) == ["WAITING", "RUNNING", "FAILED"]
    assert len(server.server.to("/page/late")) == 1
