"""Periodic tasks in real processes: across restarts, kills, suspensions, and several processes on one store."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sidecar_protocol.encoding import encode

from sidecar.composition.tasks import MAX_SCRIPTS
from sidecar.storage.agenda import Agenda
from sidecar.storage.database import Database
from sidecar.tasks.task_record import decode
from tests.harness import SECONDS, Child, environment, error

pytestmark = pytest.mark.browser

STORE_KEY = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I="
OPEN = {"SIDECAR_ALLOW_PRIVATE_NETWORK": "true", "SIDECAR_SCRIPT_HOSTS": "127.0.0.1"}
TASKS = MAX_SCRIPTS + 4
"""More than can have their turn at once."""
DELETE: dict[str, Any] = {"type": "delete_task", "content": {"id": "t"}}


class Gate:
    """A server that scripts ask; its answers wait until it is open."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[str] = []
        self.posted: list[dict[str, Any]] = []
        self.open = threading.Event()

    def wait_for(self, count: int) -> None:
        """Returns once that many requests have come."""
        wait_until(lambda: len(self.asked) >= count)


@contextmanager
def gate() -> Iterator[Gate]:
    """Serves for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Waits at the gate."""
            made.asked.append(self.path)
            made.open.wait(SECONDS)
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"text")

        def do_POST(self) -> None:
            """Takes what comes."""
            made.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Nothing to say."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = Gate(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.open.set()
        server.shutdown()
        server.server_close()
        thread.join(SECONDS)


def wait_until(holds: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Returns once it holds. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)


def ask(child: Child, kind: str, **content: Any) -> Any:
    """The content of the reply, which must be `ok`."""
    (reply,) = child.ask({"type": kind, "content": content})
    assert reply["type"] == "ok", reply
    return reply.get("content")


def script(folder: Path, text: str, name: str = "a.js") -> None:
    """Puts a script into the scripts folder."""
    scripts = folder / "state" / "scripts"
    scripts.mkdir(parents=True, exist_ok=True)
    (scripts / name).write_text(text)


def runs(child: Child, status: str = "", task: str = "t") -> list[dict[str, Any]]:
    """The runs of the task, the earliest first."""
    listed: list[dict[str, Any]] = ask(child, "list_task_runs", id=task)["runs"][::-1]
    return [run for run in listed if not status or run["status"] == status]


def has_runs(child: Child, count: int, status: str = "success", task: str = "t") -> Callable[[], bool]:
    """Whether that many runs have ended."""
    return lambda: len(runs(child, status, task)) >= count


def ask_amid(child: Child, kind: str, **content: Any) -> Any:
    """Sends a message to a child with notifications and returns the reply; skips events."""
    child.send({"type": kind, "content": content, "id": kind})
    while (line := child.read()).get("id") != kind or line["type"] == "event":
        pass
    assert line["type"] == "ok", line
    return line.get("content")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the process that tests share."""
    return tmp_path_factory.mktemp("tasks")


@pytest.fixture(scope="module")
def shared(place: Path) -> Iterator[Child]:
    """A process for tests that need no restart; each makes tasks and scripts of its own, and deletes the tasks."""
    with Child(place, env=OPEN) as child:
        yield child
        assert child.end() == 0


def test_a_task_runs_at_its_times_and_the_parent_is_told(place: Path, shared: Child) -> None:
    """Events for a parent that asked, the same runs in the list, and no time twice."""
    script(place, "exports.main = (config) => { console.log('hello'); return 'got ' + config.n }", "told.js")
    ask(shared, "hello", notifications=True)
    ask(shared, "create_task", id="told", script="told.js", running=True, config={"n": 1}, interval=1_000)
    reported: list[dict[str, Any]] = []
    while len(reported) < 3:
        line = shared.read()
        if line.get("event") == "task_run":
            reported.append(line["content"])
    assert {run["result"] for run in reported} == {"got 1"}
    assert {tuple(run["output"]) for run in reported} == {("hello",)}
    times = [run["due"] for run in reported]
    assert len(set(times)) == 3
    assert len({due[19:] for due in times}) == 1, "each is whole seconds after the first"
    stopped = ask_amid(shared, "stop_task", id="told")
    assert (stopped["running"], stopped["next_execution"]) == (False, None)
    ask_amid(shared, "hello", notifications=False)
    listed = runs(shared, task="told")
    assert [run["run"] for run in reported] == [run["run"] for run in listed[:3]]
    ask(shared, "delete_task", id="told")


def test_every_message(place: Path, shared: Child) -> None:
    """Each with its answer, in one session."""
    script(place, "exports.main = (config) => 'a' + config.n", "n.js")
    made = ask(
        shared,
        "create_task",
        id="t",
        script="n.js",
        running=False,
        config={"n": 1},
        init="2099-01-01",
        interval=1000,
    )
    assert "1000 is 1 s" in made.pop("warnings")[0]
    assert made == ask(shared, "get_task", id="t")
    assert [one for one in ask(shared, "list_tasks", running=False)["tasks"] if one["id"] == "t"] == [made]
    assert ask(shared, "update_task", id="t", config={"n": 2})["config"] == {"n": 2}
    assert ask(shared, "run_task", id="t")["result"] == "a2"
    assert ask(shared, "start_task", id="t")["next_execution"] == "2099-01-01T00:00:00Z"
    status = ask(shared, "get_task_status", id="t")
    assert (status["id"], status["running"], status["runs"], status["last_run"]["result"]) == ("t", True, 1, "a2")
    assert ask(shared, "stop_task", id="t")["running"] is False
    tried = ask(
        shared, "test_task", script_text="exports.main = (c) => { console.log(1); return c.x }", config={"x": "y"}
    )
    assert (tried["status"], tried["result"], tried["output"]) == ("success", "y", ["1"])
    assert [run["result"] for run in runs(shared)] == ["a2"]
    assert ask(shared, "delete_task", id="t") is None
    assert shared.ask({"type": "get_task", "content": {"id": "t"}}) == [error("not_found", "there is no task 't'")]
    failed = shared.ask({"type": "test_task", "content": {"script_text": "throw new Error('x')", "config": {}}})
    said = "the script failed: x (script_text, line 1, column 7)"
    assert failed == [error("action_failed", said, stack=["script_text:1:7"])]


def test_a_task_with_a_browser_job_and_a_script_that_runs_one(place: Path, shared: Child) -> None:
    """The config in the page's address; the reply of `send_job` as the result."""
    job = {"steps": [{"url": "data:text/html,<h1>{{what}}</h1>", "extract": {"title": "h1"}}]}
    text = """exports.main = async ({what}) => {
      const steps = [{url: 'data:text/html,<h1>' + what + '</h1>', extract: {title: 'h1'}}];
      return (await job({steps})).result.extract.title }"""
    script(place, text, "runs.js")
    ask(shared, "create_task", id="j", job=job, running=False, config={"what": "Hello"}, interval=1_000)
    assert ask(shared, "run_task", id="j")["result"]["result"]["extract"] == {"title": "Hello"}
    ask(shared, "create_task", id="t", script="runs.js", running=False, config={"what": "there"}, interval=1_000)
    assert ask(shared, "run_task", id="t")["result"] == "there"
    for task in ("j", "t"):
        ask(shared, "delete_task", id=task)


def test_tasks_go_on_after_a_restart(tmp_path: Path) -> None:
    """Tasks continue without a message. Times missed in between are one run; those of cron, too.

    Webhooks that were set when a task was made get updates of each of its runs, named after it, also in the next
    session, which has set none.
    """
    script(tmp_path, "exports.main = () => { console.log('out'); return 'x' }")
    with gate() as held:
        with Child(tmp_path, env=OPEN) as child:
            ask(child, "create_task", id="often", script="a.js", interval=1_000)
            _create_cron_tasks(child)
            (reply,) = child.ask({"type": "set_webhooks", "content": [{"url": f"{held.url}/hook"}]})
            assert reply["type"] == "ok"
            ask(child, "create_task", id="told", script="a.js", running=False, interval=1_000)
            ask(child, "run_task", id="told")
            wait_until(lambda: len(held.posted) >= 4, 40)
            wait_until(has_runs(child, 1, task="often"))
            assert child.end() == 0
            ended = time.time()
        updates = [posted["data"] for posted in held.posted]
        assert {update["jobName"] for update in updates} == {"told"}
        assert [update["runState"] for update in updates] == ["WAITING", "RUNNING", "RUNNING", "COMPLETED"]
        assert updates[-1]["taskStates"][0]["stdout"] == 'out\n"x"'
        held.posted.clear()
        stopped_an_hour_ago(tmp_path)
        wait_until(lambda: time.time() > ended + 3)
        with Child(tmp_path, env=OPEN) as child:
            before = len(runs(child, task="often"))
            wait_until(has_runs(child, before + 2, task="often"))
            assert ask(child, "get_task_status", id="often")["coalesced"] >= 2
            dues = [run["due"] for run in runs(child, task="often")]
            assert len(set(dues)) == len(dues)
            _check_cron_tasks(child, tmp_path)
            ask(child, "start_task", id="told")
            wait_until(lambda: len(held.posted) >= 4, 40)
            assert {posted["data"]["jobName"] for posted in held.posted} == {"told"}
            assert child.end() == 0


def _create_cron_tasks(child: Child) -> None:
    ask(child, "create_task", id="t", script="a.js", cron="*/10 * * * *", zone="Europe/Amsterdam")
    ask(child, "create_task", id="later", script="a.js", cron="0 12 31 12 *", zone="Europe/Amsterdam")
    (never,) = child.ask({"type": "create_task", "content": {"script": "a.js", "cron": "0 0 30 2 *"}})
    message = "cron: never comes: it has no time in the next 100 years"
    assert never == error("invalid_content", message, field="cron")


def _check_cron_tasks(child: Child, folder: Path) -> None:
    """What was missed in an hour without a sidecar is one run, at once; other times stay as they are."""
    wait_until(has_runs(child, 1))
    (run, *_) = runs(child)
    assert (run["trigger"], run["due"][15:]) == ("cron", "0:00Z")
    status = ask(child, "get_task_status", id="t")
    assert status["coalesced"] in (5, 6)
    assert status["next_execution"] > run["due"]
    assert status["next_execution"][15:] == "0:00Z"
    assert ask(child, "get_task_status", id="later")["next_execution"][4:] == "-12-31T11:00:00Z"
    reported = subprocess.run(
        [sys.executable, "-m", "sidecar", "agenda", "--json"],
        env=environment(folder),
        capture_output=True,
        check=True,
        timeout=SECONDS,
    )
    planned = {row["what"]: row["next"] for row in json.loads(reported.stdout)["agenda"]}
    assert planned["later"] == ask(child, "get_task_status", id="later")["next_execution"]


def stopped_an_hour_ago(folder: Path) -> None:
    """Makes the store that of a sidecar that ended then: the task's times in between have not been handed over."""

    async def set_back() -> None:
        database = await Database.open(folder / "state" / "sidecar.db")
        agenda = Agenda(database, "task")
        item = await agenda.get("t")
        assert item
        assert item.due
        record = decode(item.document)
        then = record.replace(init=record.init - 3_600_000, created=record.created - 3_600_000)
        assert await agenda.replace(item, encode(then), item.due - 3_600)
        await database.close()

    asyncio.run(set_back())


def test_a_run_that_was_cut_short_runs_again_once(tmp_path: Path) -> None:
    """At the deadline for the end it is put back and repeated. After `kill -9` in the middle of its script, too.

    The next process repeats that run, under its id, and no other.
    """
    script(tmp_path, "exports.main = async ({url}) => (await fetch(url + '/x')).text()")
    with gate() as held:
        with Child(tmp_path, env=OPEN | {"SIDECAR_SHUTDOWN_TIMEOUT": "1"}) as child:
            ask(child, "create_task", id="t", script="a.js", config={"url": held.url}, interval=3_600_000)
            held.wait_for(1)
            (first,) = runs(child)
            assert child.end() == 0
        with Child(tmp_path, env=OPEN) as child:
            held.wait_for(2)
            (going,) = runs(child)
            assert (going["status"], going["run"], going["due"]) == ("running", first["run"], first["due"])
            child.signal(signal.SIGKILL)
            child.wait()
        held.open.set()
        with Child(tmp_path, env=OPEN) as child:
            wait_until(has_runs(child, 1))
            (done,) = runs(child)
            assert (done["run"], done["result"], done["due"]) == (going["run"], "text", going["due"])
            assert ask(child, "get_task_status", id="t")["runs"] == 1
            assert len(held.asked) == 3
            assert child.end() == 0


def test_two_sidecars_on_one_store_run_each_time_once(tmp_path: Path) -> None:
    """Each time runs once, also after one sidecar is killed."""
    script(tmp_path, "exports.main = () => 'x'")
    with Child(tmp_path) as one, Child(tmp_path) as other:
        ask(one, "create_task", id="t", script="a.js", interval=1_000)
        assert [task["id"] for task in ask(other, "list_tasks")["tasks"]] == ["t"]
        wait_until(has_runs(other, 4))
        one.signal(signal.SIGKILL)
        one.wait()
        before = len(runs(other))
        wait_until(has_runs(other, before + 2), 40)
        dues = [run["due"] for run in runs(other)]
        assert len(set(dues)) == len(dues)
        assert other.end() == 0


def test_a_suspended_process_makes_up_for_one_run(place: Path, shared: Child) -> None:
    """SIGSTOP for some seconds: the times in between are counted."""
    script(place, "exports.main = () => 'x'", "x.js")
    ask(shared, "create_task", id="t", script="x.js", interval=1_000)
    wait_until(has_runs(shared, 2))
    shared.signal(signal.SIGSTOP)
    stopped = time.time()
    wait_until(lambda: time.time() > stopped + 3.5)
    shared.signal(signal.SIGCONT)
    before = len(runs(shared))
    wait_until(has_runs(shared, before + 2))
    assert ask(shared, "get_task_status", id="t")["coalesced"] >= 2
    ask(shared, "delete_task", id="t")


def test_a_run_in_the_way_is_skipped_over(place: Path, shared: Child) -> None:
    """While a script waits the times pass, and are counted."""
    script(place, "exports.main = async ({url}) => (await fetch(url + '/x')).text()", "waits.js")
    with gate() as held:
        ask(shared, "create_task", id="t", script="waits.js", config={"url": held.url}, interval=1_000)
        wait_until(lambda: ask(shared, "get_task_status", id="t")["skipped"] >= 2)
        assert len(runs(shared)) == 1
        assert len(held.asked) == 1
        held.open.set()
        wait_until(has_runs(shared, 2))
        ask(shared, "delete_task", id="t")


@pytest.mark.parametrize("key", ["", STORE_KEY])
def test_what_is_secret_in_a_job_is_not_on_disk(tmp_path: Path, key: str) -> None:
    """With a key the task goes on after a restart; without one it says why it can't."""
    env = {"SIDECAR_STORE_KEY": key} if key else {}
    page = "data:text/html,<input id=p>"
    job = {"steps": [{"url": page, "actions": [{"fill": {"selector": "#p", "value": "typed-canary"}}]}]}
    run = {"type": "run_task", "content": {"id": "t"}}
    with Child(tmp_path, env=env) as child:
        made = ask(child, "create_task", id="t", job=job, running=False, config={}, interval=1_000)
        assert "canary" not in str(made)
        if not key:
            assert child.ask(run)[0]["content"]["result"]["status"] == "success"
        assert child.end() == 0
    assert b"canary" not in _written(tmp_path)
    with Child(tmp_path, env=env) as child:
        (reply,) = child.ask(run)
        if key:
            assert reply["content"]["result"]["status"] == "success"
        else:
            assert reply["error"]["code"] == "missing_credentials"
        assert child.end() == 0
    assert b"canary" not in _written(tmp_path)


def _written(folder: Path) -> bytes:
    """All that lies in the state folder."""
    return b"".join(path.read_bytes() for path in (folder / "state").rglob("*") if path.is_file())


def test_in_mock_mode_tasks_live_in_memory(tmp_path: Path) -> None:
    """They run, and leave nothing behind."""
    script(tmp_path, "exports.main = () => 'x'")
    with Child(tmp_path) as child:
        ask(child, "set_mock")
        ask(child, "create_task", id="t", script="a.js", interval=1_000)
        wait_until(has_runs(child, 2))
        assert child.end() == 0
    assert not (tmp_path / "state" / "sidecar.db").exists()


def test_a_looping_script_blocks_no_other(tmp_path: Path) -> None:
    """The script ends in its time, recorded as a timeout; another task runs meanwhile, and the next run succeeds."""
    script(tmp_path, "exports.main = () => { for (;;); }")
    script(tmp_path, "exports.main = () => 'fine'", "b.js")
    with Child(tmp_path, env={"SIDECAR_SCRIPT_TIMEOUT": "1.5"}) as child:
        ask(child, "create_task", id="t", script="a.js", interval=3_600_000)
        ask(child, "create_task", id="b", script="b.js", running=False, interval=1_000)
        assert ask(child, "run_task", id="b")["result"] == "fine"
        wait_until(has_runs(child, 1, "failed"))
        (failed,) = runs(child)
        assert (failed["error"]["code"], failed["error"]["message"]) == ("timeout", "the script took longer than 1.5 s")
        assert (failed["trigger"], "due" in failed, failed["duration_ms"] >= 1_500) == ("interval", True, True)
        script(tmp_path, "exports.main = () => 'better'")
        assert ask(child, "run_task", id="t")["result"] == "better"
        assert child.end() == 0


def test_cancelled_and_deleted_while_it_runs(place: Path, shared: Child) -> None:
    """Events of a run come before its reply; a deleted task's run continues and is still reported."""
    script(place, "exports.main = async ({url}) => (await fetch(url + '/x')).text()", "waits.js")
    with gate() as held:
        ask(shared, "hello", notifications=True)
        ask(shared, "create_task", id="t", script="waits.js", running=False, config={"url": held.url}, interval=60_000)
        for number, (message, status, kind) in enumerate(
            [({"type": "cancel", "content": {"id": 0}}, "cancelled", "error"), (DELETE, "success", "ok")]
        ):
            shared.send({"type": "run_task", "content": {"id": "t"}, "id": number})
            held.wait_for(number + 1)
            shared.send(message)
            if message == DELETE:
                held.open.set()
            lines: list[Any] = []
            while len(replies := [line for line in lines if line["type"] != "event"]) < 2:
                lines.append(shared.read())
            (ended,) = [reply for reply in replies if reply.get("id") == number]
            assert ended["type"] == kind
            lines = lines[: lines.index(ended)]
            (reported,) = [line["content"] for line in lines if line.get("event") == "task_run"]
            assert reported["status"] == status
        assert shared.ask({"type": "get_task", "content": {"id": "t"}})[0]["error"]["code"] == "not_found"
        ask_amid(shared, "hello", notifications=False)


def test_the_end_waits_for_no_run_that_waits(tmp_path: Path) -> None:
    """Runs that have not had their turn are put back at once, those that go on end; each is run once in all."""
    script(tmp_path, "exports.main = async ({url, n}) => (await fetch(url + '/' + n)).text()")
    with gate() as held:
        with Child(tmp_path, env=OPEN) as child:
            ask(child, "hello", notifications=True)
            for n in range(TASKS):
                content = {"id": f"t{n}", "script": "a.js", "config": {"url": held.url, "n": n}}
                ask_amid(child, "create_task", **content, interval=3_600_000)
            held.wait_for(MAX_SCRIPTS)
            wait_until(lambda: all(ask_amid(child, "list_task_runs", id=f"t{n}")["runs"] for n in range(TASKS)))
            child.close_stdin()
            reported = {"cancelled": 0, "success": 0}
            while sum(reported.values()) < TASKS:
                line = child.read()
                if line.get("event") == "task_run":
                    reported[line["content"]["status"]] += 1
                if reported["cancelled"] == TASKS - MAX_SCRIPTS:
                    held.open.set()
            assert child.wait() == 0
        assert len(held.asked) == MAX_SCRIPTS
        with Child(tmp_path, env=OPEN) as child:
            wait_until(lambda: len(held.asked) == TASKS)
            for n in range(TASKS):
                wait_until(lambda n=n: ask(child, "list_task_runs", id=f"t{n}")["runs"][0]["status"] == "success")  # type: ignore[misc]
            assert sorted(held.asked) == sorted(f"/{n}" for n in range(TASKS))
            assert child.end() == 0
