"""A store that is damaged, newer than we are, or held by somebody else: it is reported, and holds up nothing else."""

import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.jobs import ended, submit, succeeded
from tests.harness import SECONDS, Child, Rtcv, receiver, rtcv
from tests.redis_server import RedisServer

pytestmark = pytest.mark.browser

JOB = {"steps": [{"url": "data:text/html,<h1>here</h1>", "extract": {"title": "h1"}}]}
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PRIVATE = {"SIDECAR_ALLOW_PRIVATE_NETWORK": "true"}
LONGEST_WAIT = 10.0
"""Seconds until a request that needs a store which does not answer has its error."""
TABLES: dict[str, tuple[str, ...]] = {
    "job": ("job",),
    "agenda": ("agenda",),
    "endpoint and login": ("endpoint", "login"),
    "task_run": ("task_run",),
}
COLUMNS = {"task_run": "outcome", "login": "servers"}
IDENTITIES = {"job": "key", "login": "scope"}
DAMAGE = {"no JSON": b"{", "another shape": b'{"a":1}', "nothing": b""}
COPIES = ("", "-2", "-3")
"""What the names of each row and its copies end in: there is one for each kind of damage."""


@pytest.fixture(scope="module")
def hooks() -> Iterator[Rtcv]:
    """Takes webhooks."""
    with receiver() as running:
        yield running
        running.release()


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Locks the database against reads and writes."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def webhook(hooks: Rtcv) -> list[dict[str, Any]]:
    """Content of `set_webhooks`."""
    return [{"url": f"{hooks.server.url}/hook{one}", "secret": SECRET} for one in COPIES]


def fill(child: Child, hooks: Rtcv) -> str:
    """Leaves a row in every table: a job that waits, an endpoint, a schedule, a task and a run of it; the job's id."""
    with rtcv() as server:
        child.ask({"type": "set_credentials", "content": server.credentials})
    child.ask({"type": "set_webhooks", "content": webhook(hooks)})
    task = {"id": "t", "interval": 3_600_000, "running": False, "job": JOB}
    push = {"type": "send_job", "content": JOB}
    trigger = {
        "single": {"time": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() + 86_400)), "zone_type": 2}
    }
    schedule = {"name": "s", "enabled": True, "trigger": trigger, "push": push}
    replies = child.ask(
        {"type": "create_task", "content": task},
        {"type": "run_task", "content": {"id": "t"}},
        {"type": "create_schedule", "content": schedule},
    )
    assert [reply["type"] for reply in replies] == ["ok"] * 3, replies
    return submit(child, {**JOB, "mode": "async", "name": "damaged"})


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, hooks: Rtcv) -> tuple[Path, str]:
    """The folder of a session that has ended, with rows in every table, and its job's id."""
    folder = tmp_path_factory.mktemp("filled")
    with Child(folder, env=PRIVATE) as child:
        job_id = fill(child, hooks)
        ended(child, job_id)
        assert child.end() == 0
    with closing(sqlite3.connect(folder / "state" / "sidecar.db", isolation_level=None)) as other:
        for one in COPIES[1:]:
            copy(other, "job", f"key = '{job_id}'", key=one)
            copy(other, "agenda", "id NOT LIKE '%-_'", id=one)
            copy(other, "endpoint", "kind = 'server' AND id NOT LIKE '%-_'", id=one)
            copy(other, "task_run", "task = 't'", id=one, task=one)
            copy(other, "login", "scope NOT LIKE '%-_'", scope=one)
    return folder, job_id


def copy(store: sqlite3.Connection, table: str, which: str, **more: str) -> None:
    """Adds copies of rows, whose names in these columns end in something more."""
    columns = [row[1] for row in store.execute(f"PRAGMA table_info({table})") if row[1] != "number"]
    values = [f"{column} || '{more[column]}'" if column in more else column for column in columns]
    sql = f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {table} WHERE {which}"
    assert store.execute(sql).rowcount


def damage(path: Path, table: str) -> None:
    """Spoils every row of a table, a row and its copies each in another way; jobs wait again, first in their queue."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        column, identity = COLUMNS.get(table, "document"), IDENTITIES.get(table, "id")
        rows = other.execute(f"SELECT {identity} FROM {table} ORDER BY {identity}").fetchall()
        assert rows
        assert len(rows) % len(DAMAGE) == 0
        for (row,), document in zip(rows, cycle(DAMAGE.values()), strict=False):
            assert other.execute(f"UPDATE {table} SET {column} = ? WHERE {identity} = ?", (document, row)).rowcount == 1
        if table == "job":
            other.execute("UPDATE job SET status = 'queued', place = 1, drop_at = NULL, owner = NULL")


@pytest.mark.parametrize("tables", TABLES.values(), ids=TABLES)
def test_rows_that_can_not_be_read_block_no_other(
    tmp_path: Path, hooks: Rtcv, filled: tuple[Path, str], tables: tuple[str, ...]
) -> None:
    """Every request is answered, damaged jobs fail when they are due, and new work is done and reported."""
    folder, damaged = filled
    shutil.copytree(folder / "state", tmp_path / "state")
    for table in tables:
        damage(tmp_path / "state" / "sidecar.db", table)
    reported = {one: len(to(hooks, one)) for one in COPIES}
    with Child(tmp_path, env=PRIVATE) as child:
        child.ask({"type": "set_webhooks", "content": webhook(hooks)})
        fresh = submit(child, {**JOB, "mode": "async"})
        assert succeeded(child, fresh)["result"]["extract"] == {"title": "here"}
        hooks.wait_for("/hook", sum(reported.values()) + 4 * len(COPIES))
        assert {one: len(to(hooks, one)) - before for one, before in reported.items()} == dict.fromkeys(COPIES, 4)
        questions = ("list_jobs", "list_tasks", "list_schedules", "list_deliveries")
        replies = child.ask(*({"type": one, "content": {}} for one in questions))
        assert [reply["type"] for reply in replies] == ["ok"] * len(questions), replies
        if "job" in tables:
            for one in COPIES:
                state = ended(child, damaged + one)
                assert (state["status"], state["error"]["code"]) == ("failed", "internal")
                assert "can't read" in state["error"]["message"]
        else:
            assert ended(child, damaged)["status"] == "success"
        replies = child.ask(*({"type": "get_task_status", "content": {"id": f"t{one}"}} for one in COPIES))
        kind = "error" if "agenda" in tables else "ok"
        assert [reply["type"] for reply in replies] == [kind] * len(COPIES), replies
        assert child.end() == 0


def to(hooks: Rtcv, one: str) -> list[str]:
    """The updates that one of the webhooks has received."""
    return [request.headers["webhook-id"] for request in hooks.server.requests if request.path == f"/hook{one}"]


def test_a_newer_database_is_refused_and_not_touched(tmp_path: Path, filled: tuple[Path, str]) -> None:
    """What needs the store says so at once, all else goes on, and the file stays as it was."""
    shutil.copytree(filled[0] / "state", tmp_path / "state")
    path = tmp_path / "state" / "sidecar.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE job SET status = 'queued', place = 1, drop_at = NULL")
        other.execute("PRAGMA user_version = 1000")
    before = path.read_bytes()
    with Child(tmp_path) as child:
        job = {"type": "send_job", "content": {**JOB, "mode": "async"}}
        refused, pong, done = child.ask(job, {"type": "ping"}, {"type": "send_job", "content": JOB})
        assert "made by a newer sidecar" in refused["content"]
        assert refused["error"]["retryable"] is False
        assert pong == {"type": "pong"}
        assert done["content"]["result"]["extract"] == {"title": "here"}
        assert child.end() == 0
    assert path.read_bytes() == before


def test_a_database_that_is_held_from_the_start_is_an_error_in_time(tmp_path: Path, filled: tuple[Path, str]) -> None:
    """A request that needs it has its error within ten seconds, and others don't wait for that."""
    shutil.copytree(filled[0] / "state", tmp_path / "state")
    with held(tmp_path / "state" / "sidecar.db"), Child(tmp_path) as child:
        begun = time.monotonic()
        child.send({"type": "send_job", "id": "job", "content": {**JOB, "mode": "async"}})
        assert answered_before(child, "job", begun)
    with Child(tmp_path) as child:
        succeeded(child, submit(child, {**JOB, "mode": "async"}))


def test_a_frozen_redis_is_an_error_in_time(tmp_path: Path) -> None:
    """So it is where the fleet's Redis takes connections and does not answer."""
    with RedisServer(tmp_path) as redis:
        redis.signal(signal.SIGSTOP)
        with Child(tmp_path, env={"SIDECAR_QUEUE": redis.url}) as child:
            begun = time.monotonic()
            child.send({"type": "send_job", "id": "job", "content": {**JOB, "mode": "async"}})
            assert answered_before(child, "job", begun)
            redis.signal(signal.SIGCONT)
            succeeded(child, submit(child, {**JOB, "mode": "async"}))
            redis.signal(signal.SIGSTOP)
            begun = time.monotonic()
            child.send({"type": "send_job", "id": "again", "content": {**JOB, "mode": "async"}})
            assert answered_before(child, "again", begun)
            redis.signal(signal.SIGCONT)


def answered_before(child: Child, request: str, begun: float) -> int:
    """Checks that the request fails in time, retryable; returns the number of pings answered meanwhile."""
    pings = 0
    while True:
        child.send({"type": "ping", "id": pings})
        asked = time.monotonic()
        reply = child.read(SECONDS + LONGEST_WAIT)
        if reply["id"] == request:
            assert child.read()["id"] == pings
            break
        assert reply["id"] == pings
        assert time.monotonic() - asked < LONGEST_WAIT / 2  # far less than the request waits
        pings += 1
        time.sleep(0.1)
    assert reply["type"] == "error", reply
    assert reply["error"]["retryable"] is True
    assert time.monotonic() - begun < LONGEST_WAIT
    return pings
