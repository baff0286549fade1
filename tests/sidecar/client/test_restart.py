"""A crashed sidecar is restarted: it gets its session and the unanswered requests again."""

import asyncio
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from sidecar.client import AsyncSidecar, Sidecar, SidecarEnded, SidecarFailure
from tests.harness import environment

CHILD = """
import json, os, sys
log, *mood = sys.argv[1:]
def say(reply):
    print(json.dumps(reply), flush=True)
with open(log, "a") as lines:
    lines.write("begins\\n")
begun = open(log).read().count("begins\\n")
if "dies at once" in mood and begun > 1:
    print("no more", file=sys.stderr)
    sys.exit(4)
say({"type": "ready", "content": "", "protocol": "2.0", "version": "0", "pid": os.getpid()})
for line in sys.stdin:
    request = json.loads(line)
    kind, content, ident = request["type"], request.get("content"), {"id": request["id"]}
    with open(log, "a") as lines:
        lines.write(line)
    code = {"delete_task": "not_found", "create_task": "conflict"}.get(kind) if begun > 1 else None
    if kind == "set_credentials" and "refuses" in mood and begun > 1:
        code = "unauthorized"
    if kind == "ends politely" and begun == 1:
        code = "shutting_down"
    if isinstance(content, dict) and content.get("config", content).get("deaths", 0) >= begun:
        if kind != "dies":
            continue
        os._exit(9)
    if code:
        say({"type": "error", "content": "no", "error": {"code": code, "message": "no", "retryable": False}, **ident})
    else:
        say({"type": "ok", "content": {"type": kind, "content": content}, **ident})
    if code == "shutting_down":
        sys.exit(0)
"""


def child(log: Path, *mood: str, **options: Any) -> Sidecar:
    """A restarting client whose child writes down what it reads; a request waits for as many deaths as it says."""
    return Sidecar([sys.executable, "-c", CHILD, str(log), *mood], timeout=30, restart=True, **options)


def lives(log: Path) -> list[list[tuple[str, Any]]]:
    """What each process has read: type and content of its requests."""
    read = [one.splitlines() for one in log.read_text().split("begins\n")[1:]]
    return [[(line["type"], line.get("content")) for line in map(json.loads, one)] for one in read]


def test_the_session_and_what_was_not_answered_are_repeated(tmp_path: Path) -> None:
    """Login and webhooks as they were last, then the requests with their keys; what has no key is lost."""
    log = tmp_path / "log"
    with child(log) as sidecar:
        sidecar.login("http://first", "id", "key")
        sidecar.login("http://second", "id", "key")
        sidecar.request("set_webhooks", [{"url": "http://hook"}])
        sidecar.hello(zone="Asia/Tokyo")
        before = sidecar.ready["pid"]
        job = sidecar.submit("send_job", {"steps": [], "mode": "async", "deaths": 1})
        task = sidecar.submit("create_task", {"interval": 1000, "config": {"deaths": 1}})
        deleted = sidecar.submit("delete_task", {"id": "t", "deaths": 1})
        lost = sidecar.submit("run_task", {"id": "t", "deaths": 1})
        dies = sidecar.submit("dies", {"deaths": 1})
        assert job.result(30)["type"] == "send_job"
        assert task.result(30)["type"] == "get_task"  # it was created before, so it is read
        assert deleted.result(30) is None
        with pytest.raises(SidecarEnded, match="whether run_task was done is not known"):
            lost.result(30)
        assert dies.result(30)["content"] == {"deaths": 1}
        assert sidecar.ready["pid"] != before
    first, second = lives(log)
    servers = {"api_key_id": "id", "api_key": "key", "server_location": "http://second"}
    assert second[:3] == [
        ("hello", {"notifications": True, "zone": "Asia/Tokyo"}),
        ("set_credentials", servers),
        ("set_webhooks", [{"url": "http://hook"}]),
    ]
    asked = dict(first)
    assert asked["send_job"]["key"]
    assert asked["create_task"]["id"]
    assert dict(second[3:]) == {kind: asked[kind] for kind in ("send_job", "create_task", "delete_task", "dies")} | {
        "get_task": {"id": asked["create_task"]["id"]}
    }


def test_what_kills_it_each_time_is_given_up(tmp_path: Path) -> None:
    """A request is asked three times; the client goes on with the next process."""
    with child(tmp_path / "log") as sidecar:
        with pytest.raises(SidecarEnded, match=r"exit code 9\); dies was asked 3 times") as ended:
            sidecar.request("dies", {"deaths": 99})
        assert ended.value.exit_code == 9
        sidecar.request("echo")


def test_being_told_to_end_by_another_is_no_answer(tmp_path: Path) -> None:
    """`shutting_down` is asked again as a death is."""
    with child(tmp_path / "log") as sidecar:
        assert sidecar.request("ends politely") == {"type": "ends politely", "content": None}


def test_processes_that_die_at_once_end_it(tmp_path: Path) -> None:
    """After five more the client gives up, and says what the process said last."""
    ended = threading.Event()
    with child(tmp_path / "log", "dies at once") as sidecar:
        sidecar._core.add_listener(lambda _: None, ended.set)
        with pytest.raises(
            SidecarEnded, match=r"exit code 9\); starting it anew failed: .*exit code 4(.*\n)+  no more"
        ):
            sidecar.request("dies", {"deaths": 99})
        assert ended.wait(30)
        with pytest.raises(SidecarEnded):
            sidecar.ping()
    assert len(lives(tmp_path / "log")) == 6


def test_a_login_that_is_refused_ends_it(tmp_path: Path) -> None:
    """Nothing is asked without the login that there was."""
    with child(tmp_path / "log", "refuses") as sidecar:
        sidecar.login("http://first", "id", "key")
        with pytest.raises(SidecarEnded, match="starting it anew failed: no"):
            sidecar.request("dies", {"deaths": 1})


def test_closing_ends_a_restart(tmp_path: Path) -> None:
    """No process is left where the client is closed while it starts one."""
    with child(tmp_path / "log", "dies at once") as sidecar:
        waiting = sidecar.submit("dies", {"deaths": 99})
    with pytest.raises(SidecarEnded):
        waiting.result(30)
    left = [one for one in psutil.Process().children() if str(tmp_path / "log") in one.cmdline()]
    assert psutil.wait_procs(left, timeout=10)[1] == []


async def test_a_real_sidecar_is_killed(tmp_path: Path) -> None:
    """SIGKILL in the middle of a session: the next process has the webhooks, the task and what the store holds."""
    env = environment(tmp_path, {"SIDECAR_ALLOW_PRIVATE_NETWORK": "true"})
    async with AsyncSidecar(env=env, restart=True) as sidecar:
        endpoints = await sidecar.set_webhooks(["http://127.0.0.1:9/hook"])
        task = await sidecar.create_task({"script": "a.js", "interval": 3_600_000, "running": False})
        await sidecar.remember("a")
        pid = sidecar.ready["pid"]
        os.kill(pid, signal.SIGKILL)
        answers = await asyncio.gather(sidecar.get_task(task["id"]), sidecar.set_webhooks(["http://127.0.0.1:9/hook"]))
        assert answers == [task, endpoints]
        assert sidecar.ready["pid"] != pid
        with pytest.raises(SidecarFailure) as failed:
            await sidecar.get_task("none")
        assert failed.value.code == "not_found"
