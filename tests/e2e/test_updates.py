"""Updates of runs from the outside: on stdout for parents that asked, at webhooks, over a crash, without secrets."""

import base64
import hashlib
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import quote

import psutil
import pytest

from tests.documents import check_cloud_event, check_self_describing
from tests.fakes import KEY, ApiKey, Secret
from tests.harness import Child, Rtcv, encoded, receiver, rtcv

pytestmark = pytest.mark.browser

PAGE: Final = "data:text/html,<title>t</title><script>console.log('hi')</script>"
HELLO: Final = {"type": "hello", "content": {"notifications": True}}
AT_HOME: Final = {"SIDECAR_ALLOW_PRIVATE_NETWORK": "true"}
WHOLE: Final = ["WAITING", "RUNNING", "RUNNING", "COMPLETED"]
"""States of a run of one step."""
ECHO: Final = b"""<!doctype html><input id=u><script>
const say = text => { console.log(text); setTimeout(() => { throw new Error(text) }) }
say(document.cookie)
say(new URLSearchParams(location.search).get("q"))
document.querySelector("#u").oninput = event => say(event.target.value)
</script>"""
"""A page that repeats its cookies, its address and whatever is typed."""


class Site(ThreadingHTTPServer):
    """Serves `ECHO`; `/hang` is answered when `go` is set, and `/once` the second time that it is asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.go = threading.Event()
        self.asked = threading.Event()
        """Set as soon as somebody asked for `/hang` or `/once`."""
        self.times = 0

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        site = cast(Site, self.server)
        if self.path == "/once":
            site.times += 1
        if self.path == "/hang" or (self.path == "/once" and site.times == 1):
            site.asked.set()
            site.go.wait(60)
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(ECHO)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Says nothing."""


@contextmanager
def site() -> Iterator[Site]:
    """A site for as long as the block lasts."""
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.go.set()
            server.shutdown()
            thread.join(20)


def job(*urls: str, request: int | None = None, **content: Any) -> dict[str, Any]:
    """A job of a step for each URL."""
    message = {"type": "send_job", "content": {"steps": [{"url": url} for url in urls], **content}}
    return message if request is None else {**message, "id": request}


def until(child: Child, event: str, done: Any) -> list[dict[str, Any]]:
    """Contents of events of one kind up to the first that is `done`, other lines left out."""
    contents: list[dict[str, Any]] = []
    while not contents or not done(contents[-1]):
        line = child.read()
        if line.get("event") == event:
            contents.append(line["content"])
    return contents


def over(update: dict[str, Any]) -> bool:
    """Whether an update is the run's last."""
    return update["data"]["runState"] in ("COMPLETED", "FAILED")


def states(updates: list[dict[str, Any]]) -> list[str]:
    """The run's state in each update, all of them checked."""
    return [str(check_self_describing(update)["runState"]) for update in updates]


def exchange(child: Child, message: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Sends a message; gives the events before its reply, and the reply."""
    child.send(message)
    events = []
    while (line := child.read())["type"] == "event":
        events.append(line)
    return events, line


def posted(server: Rtcv, path: str, count: int) -> list[dict[str, Any]]:
    """The first bodies that arrived at a path, waited for."""
    server.wait_for(path, count)
    return [request.json for request in server.server.to(path)[:count]]


def test_parents_that_asked_see_updates_and_progress(tmp_path: Path) -> None:
    """Before the reply, under the request's id; parents that did not ask see the reply alone.

    An async job's reference is its id, and no request is named: its reply came long ago.
    """
    with Child(tmp_path) as child:
        events, reply = exchange(child, job(PAGE, request=1))
        assert (events, reply["type"], reply["id"]) == ([], "ok", 1)
        child.ask(HELLO)
        events, reply = exchange(child, job(PAGE, PAGE, request=2, name="listing"))
        assert (reply["type"], reply["id"]) == ("ok", 2)
        assert {event["id"] for event in events} == {2}
        updates = [event["content"] for event in events if event["event"] == "job_update"]
        assert states(updates) == ["WAITING", *["RUNNING"] * 4, "COMPLETED"]
        last = updates[-1]["data"]
        assert (last["jobName"], last["taskStates"][1]["stdout"]) == ("listing", "hi")
        progress = [event["content"] for event in events if event["event"] == "progress"]
        assert [(one["step"], one["steps"], one["percentage"]) for one in progress] == [
            (1, 2, 0),
            (2, 2, 50),
            (2, 2, 100),
        ]
        assert {(one["run"], one["name"]) for one in progress} == {(last["runReference"], "listing")}
        events, _ = exchange(child, job(PAGE))
        assert all("id" not in event for event in events)
        events, reply = exchange(child, {"type": "send_job", "content": {"steps": [{"url": "file:///etc/passwd"}]}})
        assert (events, reply["error"]["code"]) == ([], "invalid_content")
        _check_async_job(child)
        child.ask({"type": "hello"})
        assert exchange(child, job(PAGE))[0] == []
        assert child.end() == 0


def _check_async_job(child: Child) -> None:
    events, reply = exchange(child, job(PAGE, request=3, mode="async"))
    updates = [event["content"] for event in events if event["event"] == "job_update"]
    while not updates or not over(updates[-1]):
        line = child.read()
        assert "id" not in line
        updates += [line["content"]] if line["event"] == "job_update" else []
    assert states(updates) == WHOLE
    assert {update["data"]["runReference"] for update in updates} == {reply["content"]["id"]}


def test_a_run_that_is_tried_again_waits(tmp_path: Path) -> None:
    """A retried run waits, and starts again with its own start time."""
    with site() as pages, Child(tmp_path) as child:
        child.ask(HELLO)
        step = {"url": f"{pages.url}/once", "timeout_ms": 5000}
        child.send({"type": "send_job", "content": {"mode": "async", "retries": 1, "steps": [step]}})
        updates = until(child, "job_update", over)
        assert states(updates) == ["WAITING", "RUNNING", "RUNNING", "WAITING", *WHOLE]
        assert len({update["data"]["startTime"] for update in updates}) == 2
        assert len({update["data"]["runReference"] for update in updates}) == 1
        (failed,) = updates[3]["data"]["taskStates"]
        assert (failed["state"], failed["returnCode"]) == ("FAILED", 1)
        pages.go.set()
        assert child.end() == 0


def test_schedules_are_reported_by_their_names(tmp_path: Path) -> None:
    """Whatever they run; what is no browser job is a run of one step."""
    pushes = {
        "nightly visit": {"type": "send_job", "content": {"name": "visit", "steps": [{"url": PAGE}]}},
        "nightly cv": {"type": "send_cv", "content": {"referenceNumber": "a"}},
        "nightly mark": {"type": "set_cached_reference", "content": "b"},
    }
    with Child(tmp_path) as child:
        child.ask({"type": "set_mock"}, HELLO, {"type": "list_jobs", "content": {}})  # loads what takes time
        for name, push in pushes.items():
            soon = (datetime.now(UTC) + timedelta(seconds=4)).strftime("%Y-%m-%d %H:%M:%S")
            trigger = {"single": {"time": soon, "zone_type": 1, "zone": "UTC"}}
            content = {"name": name, "enabled": True, "trigger": trigger, "push": push}
            answer = exchange(child, {"type": "create_schedule", "content": content})[1]
            assert answer["type"] == "ok", answer
        reported: dict[str, list[dict[str, Any]]] = {name: [] for name in pushes}
        while not all(updates and over(updates[-1]) for updates in reported.values()):
            line = child.read()
            if line["event"] == "job_update":
                reported[line["content"]["data"]["jobName"]].append(line["content"])
        assert {name: states(updates) for name, updates in reported.items()} == dict.fromkeys(pushes, WHOLE)
        (task,) = reported["nightly cv"][-1]["data"]["taskStates"]
        assert (task["taskName"], task["stdout"]) == ("send_cv", "true")
        assert child.end() == 0


SAID = {"cancel": "stopped", "timeout": "took longer than 5000 ms", "crash": "during the job"}


def test_a_run_that_is_cut_short_has_failed(tmp_path: Path) -> None:
    """In the step that it was in, and with a reason."""
    with Child(tmp_path) as child:
        child.ask(HELLO)
        for end, said in SAID.items():
            with site() as pages:
                updates = _cut_short(child, pages, end)
            assert states(updates)[-1] == "FAILED", end
            tasks = updates[-1]["data"]["taskStates"]
            assert [task["state"] for task in tasks] == ["COMPLETED", "FAILED", "SKIPPED"], end
            assert said in tasks[1]["error_message"], end
        assert child.end() == 0


def _cut_short(child: Child, pages: Site, end: str) -> list[dict[str, Any]]:
    limit = {"timeout_ms": 5000} if end == "timeout" else {}
    child.send(job(PAGE, f"{pages.url}/hang", PAGE, request=1, **limit))
    assert pages.asked.wait(20)
    if end == "cancel":
        child.send({"type": "cancel", "content": {"id": 1}})
    elif end == "crash":
        for process in psutil.Process(child.pid).children(recursive=True):
            if "--type=renderer" in process.cmdline():
                process.kill()
    updates = until(child, "job_update", over)
    while (line := child.read()).get("id") != 1 or line["type"] == "event":
        pass  # the reply to `cancel`, which has no id, or an event
    assert line["type"] == "error", end
    return updates


def test_webhooks_get_updates_in_order(tmp_path: Path) -> None:
    """The session's in its form and the job's own, of sync and async jobs alike."""
    with receiver() as server, Child(tmp_path, env=AT_HOME) as child:
        url = server.server.url
        hooks = [{"url": f"{url}/cloud", "format": "cloudevents", "max_stdouterr_size": 1}]
        (answer,) = child.ask({"type": "set_webhooks", "content": hooks})
        assert answer["type"] == "ok"
        (reply,) = child.ask(job(PAGE, webhooks=[f"{url}/own"]))
        assert reply["type"] == "ok"
        assert states(posted(server, "/own", 4)) == WHOLE
        events = posted(server, "/cloud", 4)
        assert [check_cloud_event(event)["runState"] for event in events] == WHOLE
        assert events[-1]["data"]["taskStates"][0]["stdout"] == "i"
        headers = [request.headers for request in server.server.to("/cloud")]
        assert [one["webhook-id"] for one in headers] == [event["id"] for event in events]
        assert {one["Content-Type"].partition(";")[0] for one in headers} == {"application/cloudevents+json"}
        (reply,) = child.ask(job(PAGE, mode="async", webhooks=[f"{url}/later"]))
        updates = posted(server, "/later", 4)
        assert states(updates) == WHOLE
        assert updates[0]["data"]["runReference"] == reply["content"]["id"]
        (reply,) = child.ask(job(PAGE, webhooks=["ftp://no"]))
        assert (reply["error"]["code"], reply["error"]["field"]) == ("invalid_content", "webhooks[0].url")
        assert child.end() == 0


def test_updates_survive_a_crash(tmp_path: Path) -> None:
    """Updates are on disk before the reply: the next process delivers them, in order and under the same ids."""
    with receiver() as server:
        url = f"{server.server.url}/hook"
        fault = server.server.fail("/hook", "error", None, status=503)
        with Child(tmp_path, env=AT_HOME) as child:
            (reply,) = child.ask(job(PAGE, webhooks=[url]))
            assert reply["type"] == "ok"
            server.wait_for("/hook")
            child.signal(signal.SIGKILL)
            child.wait()
        fault.left = 0
        before = len(server.server.to("/hook"))
        with Child(tmp_path, env=AT_HOME) as child:
            (answer,) = child.ask({"type": "list_deliveries"})
            for waiting in answer["content"]["deliveries"]:
                child.ask({"type": "redeliver", "content": {"id": waiting["id"]}})
            server.wait_for("/hook", before + 4)
            arrived = server.server.to("/hook")[before:]
            assert states([request.json for request in arrived]) == WHOLE
            assert server.server.to("/hook")[0].headers["webhook-id"] == arrived[0].headers["webhook-id"]
            assert child.end() == 0


COOKIE: Final = "canary-cookie"
TYPED: Final = "canary-typed ü"
SCRIPTED: Final = "canary-scripted"
HEADER: Final = "canary-header"
TOKEN: Final = "canary-token"
ENCRYPTION: Final = "canary/encryption key"
FETCHED: Final = "canary fetched/ß"
QUERY: Final = "canary-query"
CANARIES: Final = (COOKIE, TYPED, SCRIPTED, HEADER, TOKEN, ENCRYPTION, FETCHED, QUERY)


def forms(canary: str) -> list[bytes]:
    """How a canary may be written."""
    raw = canary.encode()
    written = [canary, json.dumps(canary)[1:-1], quote(canary), quote(canary, safe=""), base64.b64encode(raw).decode()]
    return [form.encode() for form in (*written, hashlib.sha256(raw).hexdigest(), hashlib.sha512(raw).hexdigest())]


def test_no_update_contains_a_secret(tmp_path: Path) -> None:
    """Not when the page repeats all of them, nor in the error that ends the run, nor in what is kept on disk."""
    stored = {"user": Secret(json.dumps({"password": FETCHED}).encode(), quote(ENCRYPTION, safe=""))}
    with site() as pages, receiver() as server, rtcv(keys=[ApiKey(key=KEY, secrets=stored)]) as primary:
        with Child(tmp_path, env=AT_HOME) as child:
            child.ask(HELLO, {"type": "set_credentials", "content": primary.credentials})
            url = server.server.url
            child.ask(
                {"type": "set_webhooks", "content": [{"url": f"{url}/f"}, {"url": f"{url}/c", "format": "cloudevents"}]}
            )
            fault = server.server.fail("/f", "error", None, status=503)
            actions = [
                {"fill": {"selector": "#u", "value": TYPED}},
                f"page.fill('#u', '{SCRIPTED}')",
                {"fill": {"selector": "#u", "value": "{{user.password}}"}},
                {"input_value": "#u"},
                "page.inputValue('#u')",
                {"click": {"selector": f"#{TYPED.split()[0]}", "timeout": 500}},
            ]
            content = {
                "steps": [{"url": f"{pages.url}/?q={HEADER}&token={QUERY}", "actions": actions}],
                "cookies": [{"name": "c", "value": COOKIE, "domain": "127.0.0.1"}],
                "context": {"extra_http_headers": {"X-Key": HEADER}},
                "secrets": {"user": {"key": "user", "encryption_key": ENCRYPTION}},
                "token": TOKEN,
            }
            events, reply = exchange(child, {"type": "send_job", "id": 1, "content": content})
            assert reply["error"]["code"] == "action_failed"
            events += exchange(child, {"type": "send_job", "id": 2, "content": {**content, "mode": "async"}})[0]
            later = until(child, "job_update", over)
            bodies = posted(server, "/c", 8)
            disk = b"".join(path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file())
            fault.left = 0
            reported = b"".join(encoded(one) for one in (*events, *later, *bodies))
            factfile = base64.b64decode(bodies[0]["data"]["factfile"])
            assert bodies[-1]["data"]["runState"] == "FAILED"
            assert "**********" in bodies[-1]["data"]["taskStates"][0]["stdout"]
            assert child.end() == 0
        found = {canary: form for canary in CANARIES for form in forms(canary) if form in reported + factfile + disk}
        assert found == {}
