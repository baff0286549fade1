"""A cancelled request cancels no other: shared work continues for the others."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Child, error

PAGE = "data:text/html,<h1>Hi</h1>"
JOBS = 3
WITHOUT_BROWSER = {"SIDECAR_CHROMIUM": "/is/not/there"}
"""Accepted jobs end at once: what they would do is not looked at here, and would take most of the time."""
SCHEDULE = {
    "name": "later",
    "enabled": True,
    "trigger": {"single": {"time": "2026-01-01 00:00:00", "zone_type": 2}},
    "push": {"type": "set_cached_reference", "content": "a"},
}
WAITING: list[dict[str, Any]] = [
    {"type": "list_jobs"},
    {"type": "redeliver", "content": {"id": "none"}},
    {"type": "job_status", "content": {"id": "none"}},
    {"type": "cancel_job", "content": {"id": "none"}},
    {"type": "create_task", "content": {"interval": 3_600_000, "job": {"steps": [{"url": PAGE}]}}},
    {"type": "start_task", "content": {"id": "none"}},
    {"type": "list_task_runs", "content": {"id": "none"}},
    {"type": "create_schedule", "content": SCHEDULE},
    {"type": "set_webhooks", "content": []},
    {"type": "list_deliveries"},
    {"type": "send_job", "content": {"steps": [{"url": PAGE}]}},
]


def job(number: int) -> dict[str, Any]:
    """An async job as a request of its own."""
    content = {"mode": "async", "steps": [{"url": PAGE}]}
    return {"type": "send_job", "content": content, "id": f"job {number}"}


@contextmanager
def held(home: Path) -> Iterator[None]:
    """No transaction ends meanwhile, so whatever waits for one is sure to wait."""
    with closing(sqlite3.connect(home / "state" / "sidecar.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the one process of this module."""
    return tmp_path_factory.mktemp("cancelling")


@pytest.fixture(scope="module")
def child(place: Path) -> Iterator[Child]:
    """A process that has its store open."""
    with Child(place, env=WITHOUT_BROWSER) as running:
        assert running.ask({"type": "list_jobs"})[0]["type"] == "ok"
        yield running
        assert running.end() == 0


@pytest.mark.parametrize("message", WAITING, ids=[one["type"] for one in WAITING])
def test_other_requests_are_answered(child: Child, place: Path, message: dict[str, Any]) -> None:
    """A request is cancelled while a commit is under way that others wait for, too: each of them has its answer."""
    with held(place):
        child.send(*map(job, range(JOBS)), {**message, "id": "it"}, {"type": "ping", "id": "read"})
        assert child.read() == {"type": "pong", "id": "read"}
        assert child.silent(0.1)  # no other line leaves before the commit
        child.send({"type": "cancel", "content": {"id": "it"}, "id": "cancel"})
    child.send({"type": "ping", "id": "after"})
    replies = {reply["id"]: reply for reply in child.read_many(JOBS + 3)}
    assert {replies[f"job {number}"]["type"] for number in range(JOBS)} == {"ok"}
    assert [replies[one]["type"] for one in ("cancel", "after")] == ["ok", "pong"]
    assert len(replies) == JOBS + 3  # the cancelled one is answered, too, once
    [listed] = child.ask({"type": "list_jobs", "content": {"status": "pending"}})
    assert listed["type"] == "ok"


def test_a_store_that_opens_for_several(tmp_path: Path) -> None:
    """The first request that needs the store is cancelled while it opens: the second one has it."""
    for _ in ("made", "there"):
        with Child(tmp_path) as child:
            child.send(
                {"type": "list_jobs", "id": "first"},
                {"type": "list_jobs", "id": "second"},
                {"type": "cancel", "content": {"id": "first"}, "id": "cancel"},
            )
            replies = {reply["id"]: reply for reply in child.read_many(3)}
            assert replies["first"] == error("cancelled", "the request was cancelled", id="first")
            assert replies["second"]["content"]["total_count"] == 0
            assert child.end() == 0
            assert child.stderr == ""


def test_a_cancelled_mock_session_is_none_or_whole(tmp_path: Path) -> None:
    """Whatever `set_mock` comes to, the store in force is the session's own: a real job is not put into memory."""
    with Child(tmp_path, env=WITHOUT_BROWSER) as child:
        child.ask({"type": "set_mock"}, {"type": "list_jobs"})
        child.send({"type": "set_mock", "id": "m"}, {"type": "cancel", "content": {"id": "m"}, "id": "c"})
        replies = {reply["id"]: reply for reply in child.read_many(2)}
        [reply] = child.ask({"type": "send_job", "content": {"mode": "async", "steps": [{"url": PAGE}]}})
        assert reply["content"]["status"] == "scheduled", replies
        [listed] = child.ask({"type": "list_jobs"})
        assert listed["content"]["total_count"] == 1
        assert child.end() == 0
    with Child(tmp_path) as child:
        assert child.ask({"type": "list_jobs"})[0]["content"]["total_count"] == 0
