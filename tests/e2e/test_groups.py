"""Signals that go to the whole process group: a terminal's hang-up, timeout(1), a service manager's stop."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.harness import PAUSE, SECONDS

pytestmark = pytest.mark.browser

STEPS = [{"url": "data:text/html,<h1>Hi</h1>", "actions": [{"wait_for_timeout": 1500}]}]


def start(folder: Path, browser: str = "CHROMIUM") -> subprocess.Popen[bytes]:
    """A sidecar that leads a process group of its own and has been given a job."""
    child = subprocess.Popen(
        [sys.executable, "-m", "sidecar"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env=os.environ | {"SIDECAR_HOME": str(folder)},
    )
    assert child.stdin is not None
    job: dict[str, Any] = {"type": "send_job", "content": {"browser": browser, "steps": STEPS}}
    child.stdin.write(json.dumps(job).encode() + b"\n")
    child.stdin.flush()
    return child


def descendants(pid: int, wanted: str) -> list[psutil.Process]:
    """Everything that the process started, once a process of that name is among it."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = psutil.Process(pid).children(recursive=True)
        if any(wanted in " ".join(_command(one)) for one in found):
            return found
        time.sleep(PAUSE)
    raise AssertionError(f"no {wanted} was started")


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])  # others: tests/e2e/test_endings.py
def test_a_job_is_finished(tmp_path: Path, number: signal.Signals) -> None:
    """The browser is not in the group, so the job in flight gets its time, and then all are gone."""
    child = start(tmp_path)
    started = descendants(child.pid, "--type=renderer")
    os.killpg(child.pid, number)
    output, _ = child.communicate(timeout=SECONDS)
    replies = [json.loads(line) for line in output.splitlines()]
    assert [reply["type"] for reply in replies] == ["ready", "ok"]
    assert replies[1]["content"]["status"] == "success"
    assert child.returncode == 0
    assert psutil.wait_procs(started, timeout=30)[1] == []


@pytest.mark.parametrize(("browser", "sign"), [("CHROMIUM", "--type=renderer"), ("FIREFOX", "-contentproc")])
def test_nothing_survives_a_killed_group(tmp_path: Path, browser: str, sign: str) -> None:
    """The driver learns of it by the end of its input, and takes the browser with it."""
    child = start(tmp_path, browser)
    started = descendants(child.pid, sign)
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate(timeout=SECONDS)
    assert psutil.wait_procs(started, timeout=30)[1] == []
