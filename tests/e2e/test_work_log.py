"""Each job, delivery, task and login is one structured line of the debug log and of a worker's stderr; no secrets."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.jobs import ended, page_job, status, submit
from tests.fakes import KEY
from tests.harness import SECONDS, Child, environment, receiver, rtcv

pytestmark = pytest.mark.browser

CANARY = "c4n4ry-in-a-cookie"
COOKIE = {"name": "n", "value": CANARY, "domain": "127.0.0.1"}
HEAD = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO sidecar\.work_log: "


def test_a_sessions_debug_log(tmp_path: Path) -> None:
    """As JSON: with the run's reference in what belongs to it; other lines are objects too."""
    env = {"SIDECAR_LOG_DEBUG": "debug.log", "SIDECAR_LOG_FORMAT": "json", "SIDECAR_ALLOW_PRIVATE_NETWORK": "1"}
    with rtcv() as server, receiver() as hooks, Child(tmp_path, env=env) as child:
        wrong = {**server.credentials, "api_key": "not-" + KEY}
        assert child.ask({"type": "set_credentials", "content": wrong})[0]["type"] == "error"
        assert child.ask({"type": "set_credentials", "content": server.credentials}) == [{"type": "ok"}]
        missing = {"url": f"{server.server.url}/page/a", "timeout_ms": 300, "actions": [{"click": f"#{CANARY}"}]}
        job = {
            "mode": "async",
            "name": "a job",
            "steps": [missing],
            "webhooks": [hooks.server.url],
            "cookies": [COOKIE],
        }
        job_id = submit(child, job)
        assert ended(child, job_id)["status"] == "failed"
        task = {"id": "nightly", "interval": 3_600_000, "job": {"steps": [{"url": "data:text/html,x"}]}}
        assert child.ask({"type": "create_task", "content": task})[0]["type"] == "ok"
        assert child.ask({"type": "run_task", "content": {"id": "nightly"}})[0]["type"] == "ok"
        assert child.end() == 0
        host = hooks.server.url.removeprefix("http://")
        place = server.server.url.removeprefix("http://")
    text = (tmp_path / "debug.log").read_text()
    assert CANARY not in text
    assert KEY not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert all({"at", "level", "logger"} < line.keys() for line in lines)
    told = {
        kind: [line for line in lines if line.get("event") == kind] for kind in ("login", "job", "delivery", "task")
    }
    assert [(one["servers"], one["status"]) for one in told["login"]][:2] == [([place], "failed"), ([place], "success")]
    failed = next(one for one in told["job"] if one["run"] == job_id)
    assert (failed["name"], failed["status"], failed["steps"], failed["of"]) == ("a job", "failed", 0, 1)
    assert failed["reason"]
    sent = [one for one in told["delivery"] if one["run"] == job_id]
    assert sent
    assert {(one["to"], one["status"], one["attempts"]) for one in sent} == {(host, "delivered", 1)}
    (run,) = (one for one in told["task"] if one["trigger"] == "manual")  # its own times may have come, too
    assert (run["task"], run["status"]) == ("nightly", "success")
    assert any(one["run"] == run["run"] and one["status"] == "success" for one in told["job"])


def test_a_workers_stderr(tmp_path: Path) -> None:
    """As text, one line each, also of what a name contains.

    It needs no parent: it does what others have left, and ends with a signal; what runs then is finished first.
    """
    command = [sys.executable, "-m", "sidecar", "worker"]
    with rtcv() as server:
        server.server.fail("/page/left", "hang", count=None)
        with Child(tmp_path, env={"SIDECAR_SHUTDOWN_TIMEOUT": "0"}) as child:
            job_id = submit(child, page_job(server, "/page/left", name="two\nlines"))
            server.wait_for("/page/left")
            assert child.end() == 0
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, cwd=tmp_path, env=environment(tmp_path)) as worker:
            try:
                server.wait_for("/page/left", 2)
                worker.send_signal(signal.SIGTERM)
                server.release()
                said, told = worker.communicate(timeout=2 * SECONDS)
            finally:
                worker.kill()
        with Child(tmp_path) as child:
            assert status(child, job_id)["status"] == "success"
    assert (said.decode(), worker.returncode) == (f"sidecar worker {worker.pid}: at work\n", 0)
    line = told.decode()
    logged = rf'job run={job_id} name="two\\nlines" status=success steps=1 of=1 seconds=[\d.]+\n'
    assert re.fullmatch(HEAD + logged, line), line
