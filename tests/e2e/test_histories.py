"""Seeded histories of a parent that sends, cancels and dies: nothing accepted is missing, and each run has one end."""

import json
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.harness import PAUSE, SECONDS, Child, Rtcv, receiver, rtcv

pytestmark = pytest.mark.browser

OPEN = {"SIDECAR_ALLOW_PRIVATE_NETWORK": "true", "SIDECAR_CONCURRENCY": "2"}
SEEDS = [157, 1_263]
"""Between them every kind of end, kills before and after a life's work, tasks and cancellations."""
LIVES = 4
"""Processes of one history that end in some way before the last one, which is left to finish."""
MOST = 3
"""Messages of one process at most; beyond that they add jobs to do, but no other state."""
HOW = ("kill", "kill", "term", "eof", "here document")


class History:
    """One parent's life with its sidecars, drawn from a seed; what it was promised is kept."""

    def __init__(self, folder: Path, seed: int, server: Rtcv, hook: Rtcv) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.server = server
        self.hook = hook
        self.accepted: dict[str, str] = {}
        """Job by its key."""
        self.cancelled: set[str] = set()
        self.tasks: set[str] = set()
        self.seen: set[psutil.Process] = set()
        """Every process that a sidecar has started."""
        self._number = 0

    def live(self) -> None:
        """One process: some messages, then an end at a moment of its own."""
        how = self.chance.choice(HOW)
        with Child(self.folder, env=OPEN) as child:
            messages = [self._webhooks(), *(self._message() for _ in range(self.chance.randint(1, MOST)))]
            child.send(*messages)
            if how != "here document":
                self._answers(messages, child.read_many(len(messages)))
                self._wait(child)
                self._cancel(child)
            self.seen |= set(psutil.Process(child.pid).children(recursive=True))
            if how == "kill":
                child.signal(signal.SIGKILL)
            elif how == "term":
                child.signal(signal.SIGTERM)
            else:
                child.close_stdin()
            if how == "here document":
                self._answers(messages, child.rest())
            assert child.wait(2 * SECONDS) == (-signal.SIGKILL if how == "kill" else 0)

    def finish(self) -> dict[str, dict[str, Any]]:
        """What the last process says of each job once all have ended."""
        with Child(self.folder, env=OPEN) as child:
            deadline = time.monotonic() + 3 * SECONDS
            while self._pending(child):
                if time.monotonic() > deadline:
                    raise TimeoutError(child.stderr)
                time.sleep(0.1)
            states = {}
            for key, job_id in self.accepted.items():
                [reply] = child.ask({"type": "job_status", "content": {"id": job_id}})
                states[key] = reply["content"]
                again = self._job(key)
                assert child.ask(again)[0]["content"]["id"] == job_id  # the same key is the same job
            self.seen |= set(psutil.Process(child.pid).children(recursive=True))
            assert child.end() == 0
        return states

    def reported(self) -> dict[str, list[str]]:
        """Run -> the states that the webhook received, each document once."""
        states: dict[str, dict[str, str]] = {}
        for request in self.hook.server.to("/hook"):
            update = json.loads(request.body)["data"]
            states.setdefault(update["runReference"], {})[request.headers["webhook-id"]] = update["runState"]
        return {run: list(documents.values()) for run, documents in states.items()}

    def _webhooks(self) -> dict[str, Any]:
        return {"type": "set_webhooks", "content": [{"url": f"{self.hook.server.url}/hook"}]}

    def _job(self, key: str) -> dict[str, Any]:
        steps = [{"url": f"{self.server.server.url}/page/{key}", "extract": {"title": "h1"}}]
        return {"type": "send_job", "content": {"mode": "async", "key": key, "steps": steps}}

    def _message(self) -> dict[str, Any]:
        self._number += 1
        key = f"{self._number}"
        if self.chance.random() < 0.2:
            steps = [{"url": f"{self.server.server.url}/page/task-{key}"}]
            task = {"id": key, "interval": 3_600_000, "job": {"steps": steps}}
            return {"type": "create_task", "content": task}
        return self._job(key)

    def _answers(self, messages: list[dict[str, Any]], replies: list[dict[str, Any]]) -> None:
        for message, reply in zip(messages, replies, strict=True):
            assert reply["type"] == "ok", reply
            if message["type"] == "send_job":
                self.accepted[message["content"]["key"]] = reply["content"]["id"]
            elif message["type"] == "create_task":
                self.tasks.add(message["content"]["id"])

    def _wait(self, child: Child) -> None:
        """Lets some of the work happen."""
        life = time.monotonic() + self.chance.uniform(0, 1.2)
        while time.monotonic() < life:
            assert child.ask({"type": "ping"}) == [{"type": "pong"}]
            time.sleep(PAUSE)

    def _cancel(self, child: Child) -> None:
        if self.accepted and self.chance.random() < 0.5:
            key = self.chance.choice(sorted(self.accepted))
            [reply] = child.ask({"type": "cancel_job", "content": {"id": self.accepted[key]}})
            if reply["content"]["cancelled"]:
                self.cancelled.add(key)

    def _pending(self, child: Child) -> bool:
        [jobs] = child.ask({"type": "list_jobs", "content": {"status": "pending"}})
        [deliveries] = child.ask({"type": "list_deliveries"})
        runs = [child.ask({"type": "get_task_status", "content": {"id": one}})[0]["content"] for one in self.tasks]
        never = any(not one["runs"] or one["busy"] for one in runs)
        return bool(jobs["content"]["total_count"] or deliveries["content"]["total_count"] or never)


@pytest.fixture
def history(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[History]:
    """A history of its seed."""
    with rtcv() as server, receiver() as hook:
        yield History(tmp_path, request.param, server, hook)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("history", SEEDS, indirect=True)
def test_a_history(history: History) -> None:
    """Every promise is kept, whatever the processes died of, and nothing that they started outlives them."""
    for _ in range(LIVES):
        history.live()
    states = history.finish()
    reported = history.reported()
    for key, state in states.items():
        assert state["status"] in ("success", "cancelled"), (key, state)
        assert state["status"] == "success" or key in history.cancelled, (key, state)
        ends = [one for one in reported.get(history.accepted[key], []) if one in ("COMPLETED", "FAILED")]
        if state["status"] == "success":
            assert ends == ["COMPLETED"], (key, reported[history.accepted[key]])
            assert history.server.server.to(f"/page/{key}") != []
        else:
            assert len(ends) <= 1, (key, ends)
    for run, seen in reported.items():
        assert seen[-1] in ("COMPLETED", "FAILED"), (run, seen)  # every run has an end
    for key in history.tasks:
        assert history.server.server.to(f"/page/task-{key}") != []
    deadline = time.monotonic() + SECONDS
    while left := [one for one in history.seen if _lives(one)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def _lives(process: psutil.Process) -> bool:
    """Whether it still runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
