"""`sidecar jobs`, `deliveries` and `tasks`: what a real sidecar has left is read, and nothing begins by that."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sidecar.cli import commands
from tests.e2e.jobs import ended, submit
from tests.fakes import nobody_listens
from tests.harness import SECONDS, Child, environment
from tests.redis_server import RedisServer

PAGE = "data:text/html,<h1>Hello</h1>"
NO_BROWSER = {"SIDECAR_CHROMIUM": "/nowhere"}
Typed = Callable[..., tuple[int, str, str]]


def command(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=folder,
        env=environment(folder, env),
        timeout=3 * SECONDS,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def as_json(ended: tuple[int, str, str]) -> Any:
    """What a command has printed as JSON."""
    code, said, wrong = ended
    assert (code, wrong) == (0, "")
    return json.loads(said)


@pytest.fixture
def typed(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Runs a command in this process, which takes a tenth of the time; gives its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", environment(tmp_path))

    def run(*arguments: str) -> tuple[int, str, str]:
        command = commands.parse(arguments).run
        assert command is not None
        return command(), *capfd.readouterr()

    return run


def printed(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Any:
    """What a command prints as JSON."""
    return as_json(command(folder, *arguments, "--json", env=env))


@pytest.mark.browser
def test_what_ran_and_why_it_failed(tmp_path: Path, typed: Typed) -> None:
    """A job that is done and one that failed; a webhook that does not arrive; a task."""
    with nobody_listens() as receiver, Child(tmp_path, env={"SIDECAR_ALLOW_PRIVATE_NETWORK": "true"}) as child:
        good = submit(child, {"mode": "async", "name": "good", "steps": [{"url": PAGE, "extract": {"title": "h1"}}]})
        missing = {"url": PAGE, "timeout_ms": 300, "actions": [{"click": "#missing"}]}
        bad = submit(child, {"mode": "async", "name": "bad\x1b[2J", "steps": [missing], "webhooks": [receiver]})
        assert [ended(child, one)["status"] for one in (good, bad)] == ["success", "failed"]
        task = {"id": "nightly", "interval": 3_600_000, "init": "2099-01-01T00:00:00Z", "job": {"steps": [missing]}}
        child.ask({"type": "create_task", "content": task})
        child.ask({"type": "run_task", "content": {"id": "nightly"}})
        assert child.end() == 0
    jobs = printed(tmp_path, "jobs")
    assert [one["id"] for one in jobs["jobs"]] == [bad, good]
    assert jobs["total_count"] == 2
    (failed,) = as_json(typed("jobs", "--failed", "--json"))["jobs"]
    assert (failed["id"], failed["error"]["code"]) == (bad, "action_failed")
    _, said, _ = typed("jobs", "--failed")
    assert bad in said
    assert good not in said
    assert "action_failed: " in said
    assert "\x1b" not in said
    assert as_json(typed("jobs", good, "--json"))["result"]["result"]["extract"] == {"title": "Hello"}
    _, said, _ = typed("jobs", bad)
    assert "error" in said
    assert typed("jobs", "none")[::2] == (1, "sidecar: there is no job 'none'; `sidecar jobs` lists them\n")

    deliveries = printed(tmp_path, "deliveries")["deliveries"]
    assert deliveries
    assert {(one["host"], one["status"]) for one in deliveries} == {(receiver.removeprefix("http://"), "waiting")}
    assert receiver.removeprefix("http://") in typed("deliveries", "--waiting")[1]
    assert as_json(typed("deliveries", "--dead", "--json")) == {"total_count": 0, "deliveries": []}

    (shown,) = printed(tmp_path, "tasks")["tasks"]
    assert (shown["id"], shown["state"], shown["every"], shown["failed"]) == ("nightly", "running", "3600 s", 1)
    assert shown["error"]["code"] == "action_failed"
    (run,) = as_json(typed("tasks", "nightly", "--failed", "--json"))["runs"]
    assert (run["status"], run["trigger"]) == ("failed", "manual")
    assert "action_failed: " in typed("tasks", "nightly")[1]
    assert typed("tasks", "none")[::2] == (1, "sidecar: there is no task 'none'; `sidecar tasks` lists them\n")


def test_waiting_jobs_do_not_begin(tmp_path: Path) -> None:
    """Nothing is written either: a look is a look."""
    with Child(tmp_path, env={**NO_BROWSER, "SIDECAR_CONCURRENCY": "1"}) as child:
        ids = [submit(child, {"mode": "async", "steps": [{"url": PAGE}]}) for _ in range(3)]
        assert child.end() == 0
    before = sorted((path.name, path.stat().st_mtime_ns) for path in (tmp_path / "state").iterdir())
    assert [one["id"] for one in printed(tmp_path, "jobs", "--limit", "2")["jobs"]] == ids[:0:-1]
    _, said, _ = command(tmp_path, "jobs", "--limit", "2")
    assert said.splitlines()[-1] == "the first 2 of 3 jobs; --limit N shows more"
    after = sorted((path.name, path.stat().st_mtime_ns) for path in (tmp_path / "state").iterdir())
    assert [one for one in before if not one[0].endswith(("-shm", "-wal"))] == [
        one for one in after if not one[0].endswith(("-shm", "-wal"))
    ]


def test_nothing_is_stored(tmp_path: Path) -> None:
    """A sentence each, and no state folder is made."""
    for name, said in (("jobs", "jobs"), ("deliveries", "deliveries that have not arrived"), ("tasks", "tasks")):
        assert command(tmp_path, name) == (0, f"no {said}\n", "")
    assert not (tmp_path / "state").exists()


def test_jobs_of_a_fleet(tmp_path: Path) -> None:
    """They are read from its Redis; one that is not there is a sentence and 2."""
    with RedisServer(tmp_path) as redis:
        fleet = {**NO_BROWSER, "SIDECAR_QUEUE": redis.url, "SIDECAR_STORE_KEY": "A" * 43 + "="}
        with Child(tmp_path, env=fleet) as child:
            job_id = submit(child, {"mode": "async", "steps": [{"url": PAGE}]})
            task = {"id": "t", "interval": 3_600_000, "job": {"steps": [{"url": PAGE}]}}
            assert child.ask({"type": "create_task", "content": task})[0]["type"] == "ok"
            assert child.end() == 0
        assert [one["id"] for one in printed(tmp_path, "jobs", env=fleet)["jobs"]] == [job_id]
        assert [one["id"] for one in printed(tmp_path, "tasks", env=fleet)["tasks"]] == ["t"]
        assert printed(tmp_path, "deliveries", env=fleet)["total_count"] == 0
    code, said, wrong = command(tmp_path, "jobs", env=fleet)
    assert (code, said) == (2, "")
    assert wrong.startswith("sidecar: the fleet's Redis can't be used")
