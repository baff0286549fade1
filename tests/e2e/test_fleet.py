"""Several sidecars on one Redis: jobs run anywhere, are known everywhere, and outlive machines that die or freeze."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from tests.e2e.jobs import ended, page_job, status, stored, submit
from tests.e2e.test_tasks import OPEN, ask, ask_amid, gate, runs, script, wait_until
from tests.fakes import ENCRYPTION_KEY
from tests.harness import PAUSE, SECONDS, Child, Rtcv, environment, rtcv
from tests.redis_server import RedisServer

STORE_KEY = {"SIDECAR_STORE_KEY": "A" * 43 + "="}
LEASE = 60.0
"""Seconds in which the jobs of a machine that is gone are done by others: 15 until it is noticed, and then some."""

SELDOM = 0.2
"""Seconds between two looks at what takes many seconds."""


@pytest.fixture(scope="module")
def server() -> Iterator[Rtcv]:
    """Serves pages."""
    with rtcv() as running:
        yield running
        running.release()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis that keeps its data over a restart."""
    with RedisServer(tmp_path_factory.mktemp("redis"), lasting=True) as running:
        yield running


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """Another one, of one test's own."""
    with RedisServer(tmp_path, lasting=True) as running:
        yield running


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory, redis: RedisServer) -> Iterator[list[Child]]:
    """Three sidecars, each on a state folder of its own, which run one job at a time; all are alive at the end."""
    folder = tmp_path_factory.mktemp("machines")
    with ExitStack() as running:
        children = [running.enter_context(machine(folder / name, redis)) for name in ("one", "two", "three")]
        yield children
        assert [child.end() for child in children] == [0, 0, 0]


def machine(folder: Path, redis: RedisServer) -> Child:
    """A sidecar of the fleet."""
    folder.mkdir(exist_ok=True)
    return Child(folder, env=member(redis))


def member(redis: RedisServer) -> dict[str, str]:
    """What makes a process one of the fleet."""
    return {"SIDECAR_QUEUE": redis.url, "SIDECAR_CONCURRENCY": "1"}


@contextmanager
def worker(folder: Path, env: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A process without a parent, on a state folder of its own."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "sidecar", "worker"]
    with (folder / "stderr").open("wb") as errors:
        working = subprocess.Popen(command, cwd=folder, env=environment(folder, env), stderr=errors)
        try:
            yield working
        finally:
            working.kill()
            working.wait(SECONDS)


def planned(folder: Path, env: dict[str, str]) -> list[tuple[str, str, str, int]]:
    """What `sidecar agenda` shows on a machine of the fleet: kind, what, state, how often it ran."""
    return [(row["kind"], row["what"], row["state"], row["ran"]) for row in agenda_rows(folder, env)]


def agenda_rows(folder: Path, env: dict[str, str]) -> list[dict[str, Any]]:
    """The rows of `sidecar agenda`."""
    command = [sys.executable, "-m", "sidecar", "agenda", "--json"]
    said = subprocess.run(command, env=environment(folder, env), capture_output=True, check=True, timeout=SECONDS)
    rows: list[dict[str, Any]] = orjson.loads(said.stdout)["agenda"]
    return rows


def total(child: Child, wanted: str) -> int:
    """How many jobs have a status, as one sidecar sees it."""
    (reply,) = child.ask({"type": "list_jobs", "content": {"status": wanted}})
    count = reply["content"]["total_count"]
    assert isinstance(count, int)
    return count


def visits(server: Rtcv, path: str) -> int:
    """How often a page was asked for."""
    return len(server.server.to(path))


@pytest.mark.browser
def test_jobs_run_anywhere_and_are_known_everywhere(machines: list[Child], server: Rtcv) -> None:
    """Three pages are held at once, so three machines run them; each of them can report the result.

    Events arrive at the submitting parent, whichever machine runs the job; another one that asked for events has none.
    """
    submitter, other, _ = machines
    before = [total(child, "success") for child in machines]
    for child in (submitter, other):
        assert ask_amid(child, "hello", notifications=True)
    server.server.fail("/page/anywhere", "hang", count=3)
    jobs = [page_job(server, f"/page/anywhere/{one}", key=f"k{one}") for one in range(3)]
    ids = [ask_amid(submitter, "send_job", **job)["id"] for job in jobs]
    server.wait_for("/page/anywhere", 3)
    server.release()
    finished: set[str] = set()
    deadline = time.monotonic() + LEASE
    while finished != set(ids):
        assert time.monotonic() < deadline, finished
        line = submitter.read()
        if line.get("event") == "job_update":
            data: dict[str, Any] = line["content"]["data"]
            if data["runState"] == "COMPLETED":
                finished.add(data["runReference"])
    assert other.silent()
    for child in (submitter, other):
        ask_amid(child, "hello", notifications=False)
    states = [[ended(child, one) for one in ids] for child in machines]
    assert states[0] == states[1] == states[2]
    assert [state["status"] for state in states[0]] == ["success"] * 3
    assert [submit(child, jobs[0]) for child in machines] == [ids[0]] * 3
    assert [total(child, "success") for child in machines] == [count + 3 for count in before]


@pytest.mark.browser
def test_one_is_killed_and_one_frozen(tmp_path: Path, own_redis: RedisServer, server: Rtcv) -> None:
    """Every job ends exactly once in the results and at least once in effect; who thaws changes nothing."""
    with ExitStack() as running:
        made = [running.enter_context(machine(tmp_path / name, own_redis)) for name in ("one", "two", "three")]
        _kill_and_freeze(made, server)


def _kill_and_freeze(machines: list[Child], server: Rtcv) -> None:
    survivor, killed, frozen = machines
    count = 5
    server.server.fail("/page/ends", "hang", count=3)
    ids = [submit(survivor, page_job(server, f"/page/ends/{number}")) for number in range(count)]
    server.wait_for("/page/ends", 3)
    killed.signal(signal.SIGKILL)
    frozen.signal(signal.SIGSTOP)
    server.release()
    states = [ended(survivor, one, LEASE) for one in ids]
    assert [state["status"] for state in states] == ["success"] * count
    assert max(state["attempts"] for state in states) == 2
    assert all(visits(server, f"/page/ends/{number}") >= 1 for number in range(count))
    frozen.signal(signal.SIGCONT)
    assert frozen.ask({"type": "ping"}) == [{"type": "pong"}]
    assert [ended(frozen, one) for one in ids] == states
    assert frozen.end() == 0
    assert [ended(survivor, one) for one in ids] == states
    assert [total(survivor, one) for one in ("success", "pending", "failed", "cancelled")] == [count, 0, 0, 0]


@pytest.mark.browser
def test_redis_is_restarted(machines: list[Child], server: Rtcv, redis: RedisServer) -> None:
    """Killed while jobs run and wait: the work goes on, and meanwhile the sidecars answer and refuse new jobs."""
    server.server.fail("/page/restarted", "hang", count=3)
    ids = [submit(machines[0], page_job(server, f"/page/restarted/{number}")) for number in range(6)]
    server.wait_for("/page/restarted", 3)
    redis.stop()
    server.release()  # three jobs end while there is no Redis
    (refused,) = machines[1].ask({"type": "send_job", "content": page_job(server, "/page/refused")})
    assert refused["type"] == "error"
    assert refused["error"]["retryable"]
    assert machines[2].ask({"type": "ping"}) == [{"type": "pong"}]
    redis.start()
    states = [ended(machines[2], one, LEASE) for one in ids]
    assert [state["status"] for state in states] == ["success"] * 6, states
    assert ended(machines[0], submit(machines[1], page_job(server, "/page/late")))["status"] == "success"


@pytest.mark.browser
def test_a_login_goes_along(tmp_path: Path, own_redis: RedisServer, server: Rtcv) -> None:
    """With a shared store key a worker without a login fetches a secret and forwards the result.

    A machine that only works, without a parent, takes jobs until a signal ends it.
    """
    env = {**member(own_redis), **STORE_KEY}
    fetched, forwarded = len(server.server.to("/secrets/")), len(server.server.to("jobResult"))
    folder = tmp_path / "one"
    folder.mkdir()
    secrets = {"user": {"key": "user", "encryption_key": ENCRYPTION_KEY}}
    with Child(folder, env=env) as child:
        assert child.ask({"type": "set_credentials", "content": server.credentials}) == [{"type": "ok"}]
        server.server.fail("/page/held", "hang", count=1)
        held = submit(child, page_job(server, "/page/held"))
        server.wait_for("/page/held")  # the sidecar itself has its hands full
        typed = [{"fill": {"selector": "body", "value": "{{user.username}}"}}]
        job = page_job(server, "/page/forwarded", secrets=secrets, forward=True, reference_number="a")
        typing = page_job(server, "/page/typed", secrets=secrets)
        typing["steps"][0]["actions"] = typed
        wanted, refused = submit(child, job), submit(child, typing)
        with worker(tmp_path / "worker", env) as working:
            assert ended(child, wanted)["status"] == "success"
            assert ended(child, refused)["error"]["code"] == "action_failed", "there is nothing to type into"
            server.wait_for("jobResult", forwarded + 1)
            assert status(child, held)["status"] == "pending"
            working.send_signal(signal.SIGTERM)
            assert working.wait(SECONDS) == 0
        (result,) = server.server.to("jobResult")[forwarded:]
        assert (result.json["runReference"], result.json["reference_number"]) == (wanted, "a")
        assert len(server.server.to("/secrets/")) == fetched + 2
        again = page_job(server, "/page/forwarded", secrets=secrets, reference_number="a")
        server.release()
        assert ended(child, held)["status"] == "success"
        skipped = ended(child, submit(child, again))
        assert (skipped["status"], skipped["outcome"], "result" in skipped) == ("success", "skipped", False)
        assert child.end() == 0
    plain = [server.credentials["api_key"], ENCRYPTION_KEY, "demo-buyer"]
    kept = stored(tmp_path) + b"".join(path.read_bytes() for path in own_redis.files)
    assert [one for one in plain if one.encode() in kept] == []


@pytest.mark.browser
def test_without_a_common_key_logins_stay_on_their_machine(machines: list[Child], server: Rtcv) -> None:
    """A job that needs its login waits for the process that has it, though others have nothing to do."""
    one, other, _ = machines
    assert one.ask({"type": "set_credentials", "content": server.credentials}) == [{"type": "ok"}]
    forwarded = len(server.server.to("jobResult"))
    server.server.fail("/page/its-own", "hang", count=1)
    job_id = submit(one, page_job(server, "/page/its-own", forward=True))
    server.wait_for("/page/its-own")
    server.release()
    assert ended(other, job_id)["status"] == "success"
    server.wait_for("jobResult", forwarded + 1)


def test_references_are_shared(tmp_path: Path, server: Rtcv, own_redis: RedisServer) -> None:
    """What one machine remembers the others know; without Redis they say that they don't know, and no `false`."""
    with machine(tmp_path / "one", own_redis) as one, machine(tmp_path / "two", own_redis) as other:
        _share_references(one, other, server, own_redis)
        assert (one.end(), other.end()) == (0, 0)


def _share_references(one: Child, other: Child, server: Rtcv, redis: RedisServer) -> None:
    login = {"type": "set_credentials", "content": server.credentials}
    assert [child.ask(login) for child in (one, other)] == [[{"type": "ok"}]] * 2
    assert one.ask({"type": "set_cached_reference", "content": "a"}) == [{"type": "ok"}]
    deadline = time.monotonic() + SECONDS
    while other.ask({"type": "has_cached_reference", "content": "a"}) != [{"type": "ok", "content": True}]:
        assert time.monotonic() < deadline
        time.sleep(PAUSE)
    assert other.ask({"type": "has_cached_reference", "content": "b"}) == [{"type": "ok", "content": False}]
    redis.stop()
    assert one.ask({"type": "set_cached_reference", "content": "b"}) == [{"type": "ok"}]
    assert one.ask({"type": "has_cached_reference", "content": "b"}) == [{"type": "ok", "content": True}]
    (unknown,) = other.ask({"type": "has_cached_reference", "content": "b"})
    assert unknown["type"] == "error"
    assert unknown["error"]["retryable"]
    redis.start()
    deadline = time.monotonic() + SECONDS
    while other.ask({"type": "has_cached_reference", "content": "b"}) != [{"type": "ok", "content": True}]:
        assert time.monotonic() < deadline
        time.sleep(PAUSE)
    assert one.ask({"type": "send_cv", "content": {"referenceNumber": "a"}}) == [{"type": "ok"}]


@pytest.mark.browser
def test_schedules_are_shared(tmp_path: Path, own_redis: RedisServer, server: Rtcv) -> None:
    """With a key that all machines have: one makes a schedule and is killed, another one runs it, once."""
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    with (
        Child(folders[0], env={**member(own_redis), **STORE_KEY}) as one,
        Child(folders[1], env={**member(own_redis), **STORE_KEY}) as other,
    ):
        at = datetime.now(ZoneInfo("UTC")) + timedelta(seconds=20)
        schedule = {
            "name": "soon",
            "enabled": True,
            "trigger": {"single": {"time": at.strftime("%Y-%m-%d %H:%M:%S"), "zone_type": 1, "zone": "UTC"}},
            "push": {"type": "send_job", "content": page_job(server, "/page/scheduled")},
        }
        (made,) = one.ask({"type": "create_schedule", "content": schedule})
        assert made["type"] == "ok", made
        one.signal(signal.SIGKILL)
        one.wait()
        (listed,) = other.ask({"type": "list_schedules", "content": {"page": 1}})
        assert [entry["name"] for entry in listed["content"]["schedules"]] == ["soon"], listed
        assert planned(tmp_path, {**member(own_redis), **STORE_KEY}) == [("schedule", "soon", "pending", 0)]
        deadline = time.monotonic() + LEASE
        while visits(server, "/page/scheduled") == 0:
            assert time.monotonic() < deadline, other.stderr
            assert other.ask({"type": "ping"}) == [{"type": "pong"}]
            time.sleep(SELDOM)
        while total(other, "success") != 1:
            assert time.monotonic() < deadline, other.stderr
            time.sleep(PAUSE)
        assert visits(server, "/page/scheduled") == 1
        assert other.end() == 0


@pytest.mark.browser
def test_tasks_are_shared(tmp_path: Path, own_redis: RedisServer) -> None:
    """With a key that all machines have each time runs once, wherever; also after one machine is killed in a run."""
    env = {**member(own_redis), **STORE_KEY, **OPEN}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        script(tmp_path / name, "exports.main = async ({url}) => (await fetch(url + '/x')).text()")
    with gate() as held, Child(tmp_path / "one", env=env) as one, Child(tmp_path / "two", env=env) as other:
        held.open.set()
        ask(one, "create_task", id="t", script="a.js", config={"url": held.url}, interval=1_000)
        assert [task["id"] for task in ask(other, "list_tasks")["tasks"]] == ["t"]
        wait_until(lambda: total(other, "success") >= 3)
        assert ask(other, "stop_task", id="t")["running"] is False
        wait_until(lambda: total(other, "pending") == 0)
        times = total(one, "success")
        assert len(held.asked) == times
        assert len(runs(one)) == times
        assert len({run["due"] for run in runs(one)}) == times
        assert runs(other) == runs(one)
        held.open.clear()
        ask(one, "start_task", id="t")
        held.wait_for(times + 1)
        one.signal(signal.SIGKILL)
        one.wait()
        held.open.set()
        wait_until(lambda: total(other, "success") >= times + 2, LEASE)
        ask(other, "stop_task", id="t")
        wait_until(lambda: total(other, "pending") == 0)
        done = runs(other, "success")
        assert len({run["due"] for run in done}) == len(done) == total(other, "success")
        assert times + 2 <= len(done) <= len(held.asked) <= len(done) + 1, "the killed one's run alone is repeated"
        assert planned(tmp_path / "elsewhere", env) == [("task", "t", "stopped", len(done))]
        ask(other, "delete_task", id="t")
        assert planned(tmp_path / "elsewhere", env) == []
        ask(other, "create_task", id="c", script="a.js", cron="0 12 L 12 *", zone="Europe/Amsterdam")
        due = ask(other, "get_task_status", id="c")["next_execution"]
        assert due[4:] == "-12-31T11:00:00Z"
        assert [row["next"] for row in agenda_rows(tmp_path / "elsewhere", env)] == [due]
        assert other.end() == 0
