"""Nothing accepted is lost: webhooks and copies for servers, through real processes that are killed."""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from sidecar.clock import Clock
from sidecar.deliveries.endpoint_worker import BATCH_SIZE
from tests.clocks import STEPPED
from tests.fakes import ApiKey, StandInRtcv, nobody_listens
from tests.harness import SECONDS, Child, Rtcv, environment, error, receiver, rtcv, serving
from tests.sidecar.deliveries.posting import SECRET, hook, posting

OK = {"type": "ok"}
STORE_KEY = b"a key of thirty-two bytes, always"[:32]
OPEN = {"SIDECAR_ALLOW_PRIVATE_NETWORK": "true"}
KEYED = {**OPEN, "SIDECAR_STORE_KEY": base64.b64encode(STORE_KEY).decode()}
WITHOUT_BROWSER = {"SIDECAR_CHROMIUM": "/is/not/there"}
"""Jobs end at once, and are reported as any are: where nothing else of them matters."""
JOB: dict[str, Any] = {"type": "send_job", "content": {"steps": [{"url": "data:text/html,<h1>Hello</h1>"}]}}


KILLED_AMID = 150
"""Deliveries of which processes that are killed send some each."""


def until(what: Callable[[], bool]) -> None:
    """Returns once it is so. Raises TimeoutError."""
    deadline = time.monotonic() + SECONDS
    while not what():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)


def ids(server: Rtcv, path: str = "/") -> list[str]:
    """The ids of what has arrived."""
    return [request.headers["webhook-id"] for request in server.server.to(path)]


def waiting(child: Child) -> list[dict[str, Any]]:
    """What has not arrived, as the parent sees it."""
    [answer] = child.ask({"type": "list_deliveries"})
    deliveries: list[dict[str, Any]] = answer["content"]["deliveries"]
    return deliveries


def left_behind(folder: Path, *urls: str, key: bytes | None, count: int = 3, secret: str = SECRET) -> None:
    """Has a process put deliveries and end before it has sent any."""

    async def put() -> None:
        state = folder / "state"
        state.mkdir(mode=0o700, exist_ok=True)
        async with posting(state / "sidecar.db", Clock(), key=key, start=False) as post:
            for number, one in enumerate(post.hook(*(hook(url, secret) if secret else hook(url) for url in urls))):
                post.put(one, *(f"{number}-{each}" for each in range(count)))

    asyncio.run(put())


@pytest.mark.browser
def test_updates_are_sent_before_the_end(tmp_path: Path) -> None:
    """A parent that goes at once after its job: every update has arrived, signed, when the process has ended."""
    with receiver() as taken, Child(tmp_path, env=OPEN) as child:
        hooks = [{"url": taken.server.url, "secret": SECRET}]
        [answer] = child.ask({"type": "set_webhooks", "content": hooks})
        assert answer["content"]["endpoints"][0].startswith("wh_")
        child.send(JOB)
        child.close_stdin()
        assert child.read()["content"]["status"] == "success"
        assert child.wait() == 0
        assert len(set(ids(taken))) == len(ids(taken)) == 4
        for request in taken.server.requests:
            headers = {name.lower(): value for name, value in request.headers.items()}
            assert standardwebhooks.Webhook(SECRET).verify(request.body, headers)["data"]["runState"]


@pytest.mark.browser
def test_webhooks_of_the_command_line(tmp_path: Path) -> None:
    """Each `--webhook`, and those of the variable; they hold for jobs in mock mode too."""
    with receiver() as taken:
        flags = [f"--webhook={taken.server.url}/a", "--webhook", f"{taken.server.url}/b"]
        with Child(tmp_path, *flags, env=OPEN) as child:
            assert child.ask({"type": "set_mock"}) == [OK]
            assert child.ask(JOB)[0]["content"]["status"] == "success"
            assert child.end() == 0
        assert [len(ids(taken, path)) for path in ("/a", "/b")] == [4, 4]
        assert not (tmp_path / "state" / "sidecar.db").exists()


WRONG = {
    "ftp://h": "this is not a usable http or https URL",
    "http://u:p@h": "a URL can't hold a user or a password",
    "http://127.0.0.1:1": ("127.0.0.1:1 is a private address, which only SIDECAR_ALLOW_PRIVATE_NETWORK=true allows"),
}


@pytest.mark.parametrize(("url", "said"), WRONG.items())
def test_a_wrong_webhook_on_the_command_line(tmp_path: Path, url: str, said: str) -> None:
    """It ends the process."""
    command = [sys.executable, "-m", "sidecar", "--webhook", url]
    ended = subprocess.run(
        command, input=b"", capture_output=True, cwd=tmp_path, env=environment(tmp_path), timeout=SECONDS
    )
    assert (ended.returncode, ended.stderr.decode()) == (2, f"sidecar: --webhook: {said}\n")


def test_a_wrong_webhook_in_a_message(tmp_path: Path) -> None:
    """It is an error."""
    with Child(tmp_path) as child:
        messages = [{"type": "set_webhooks", "content": [{"url": url}]} for url in WRONG]
        codes = ["forbidden" if "private" in said else "invalid_content" for said in WRONG.values()]
        wanted = [error(code, said, field="[0].url") for code, said in zip(codes, WRONG.values(), strict=True)]
        assert child.ask(*messages) == wanted


def test_deliveries_continue_after_a_restart_with_a_store_key(tmp_path: Path) -> None:
    """With a store key the next process sends the last one's deliveries, signed, without any message."""
    with receiver() as taken:
        left_behind(tmp_path, taken.server.url, key=STORE_KEY)
        with Child(tmp_path, env=KEYED) as child:
            taken.wait_for("/", 3)
            assert ids(taken) == ["0-0", "0-1", "0-2"]
            assert all("webhook-signature" in request.headers for request in taken.server.requests)
            until(lambda: waiting(child) == [])
            assert child.end() == 0


def test_without_a_key_signed_deliveries_wait_for_their_secret(tmp_path: Path) -> None:
    """Until `set_webhooks` names the endpoint again; those that are not signed don't wait."""
    with receiver() as taken:
        left_behind(tmp_path, f"{taken.server.url}/signed", key=None)
        left_behind(tmp_path, f"{taken.server.url}/plain", key=None, secret="")
        with Child(tmp_path, env=OPEN) as child:
            taken.wait_for("/plain", 3)
            until(lambda: len(waiting(child)) == 3)
            assert ids(taken, "/signed") == []
            hooks = [{"url": f"{taken.server.url}/signed", "secret": SECRET}]
            assert child.ask({"type": "set_webhooks", "content": hooks})[0]["type"] == "ok"
            taken.wait_for("/signed", 3)
            assert ids(taken, "/signed") == ["0-0", "0-1", "0-2"]
            assert child.end() == 0


@pytest.mark.browser
@pytest.mark.parametrize("kind", ["hang", "close"])
def test_a_kill_between_sending_and_noting(tmp_path: Path, kind: Any) -> None:
    """What has arrived and was not noted arrives again under the same id; what follows it comes after it."""
    with receiver() as taken:
        left_behind(tmp_path, taken.server.url, key=STORE_KEY)
        taken.server.fail("/", kind, None)
        with Child(tmp_path, env=KEYED) as child:
            taken.wait_for("/")
            child.signal(signal.SIGKILL)
            child.wait()
        before = len(ids(taken))
        assert set(ids(taken)) == {"0-0"}
        taken.release()
        with Child(tmp_path, env=KEYED) as child:
            until(lambda: ids(taken)[-1] == "0-2" and waiting(child) == [])
            assert ids(taken)[before:] == ["0-0", "0-1", "0-2"]
            assert child.end() == 0


def test_a_receiver_is_down_for_an_hour(tmp_path: Path) -> None:
    """Sender after sender is killed meanwhile; when the receiver is back it gets everything, in order."""
    steps = tmp_path / "steps"
    command = [sys.executable, "-c", STEPPED, str(steps)]
    with nobody_listens() as url:
        left_behind(tmp_path, url, key=STORE_KEY)
        for attempts, hour in ((1, "0"), (2, "3600")):
            steps.write_text(hour)
            with Child(tmp_path, command=command, env=KEYED) as child:
                until(lambda: [one["attempts"] for one in waiting(child)] == [attempts, 0, 0])  # noqa: B023
                child.signal(signal.SIGKILL)
                child.wait()
    steps.write_text("7200")
    with receiver(port=int(url.rpartition(":")[2])) as taken:
        with Child(tmp_path, command=command, env=KEYED) as child:
            until(lambda: waiting(child) == [])
            assert child.end() == 0
        assert ids(taken) == ["0-0", "0-1", "0-2"]


def test_a_receiver_that_answers_too_late(tmp_path: Path) -> None:
    """Its answer counts as none, also over a kill; neither the parent nor another receiver waits for it."""
    hurried = {**KEYED, "SIDECAR_REQUEST_TIMEOUT": "1"}
    with receiver() as slow, receiver() as quick:
        left_behind(tmp_path, slow.server.url, quick.server.url, key=STORE_KEY)
        slow.server.fail("/", "hang", 1)
        with Child(tmp_path, env=hurried) as child:
            slow.wait_for("/")
            assert child.ask({"type": "ping"}) == [{"type": "pong"}]
            quick.wait_for("/", 3)
            until(lambda: [one["attempts"] for one in waiting(child)] == [1, 0, 0])
            assert "did not answer within 1 s" in waiting(child)[0]["error"]
            child.signal(signal.SIGKILL)
            child.wait()
        slow.release()
        with Child(tmp_path, env=hurried) as child:
            until(lambda: waiting(child) == [])
            assert child.end() == 0
        assert ids(slow) == ["0-0", "0-0", "0-1", "0-2"]
        assert len(ids(quick)) == 3


def test_a_webhook_s_path_is_as_good_as_a_secret(tmp_path: Path) -> None:
    """With a key for the store no URL lies on disk: not with the endpoint, nor with jobs, schedules and tasks."""
    with receiver() as taken:
        taken.server.fail("/", "error", None, status=503)
        mine, theirs = (f"{taken.server.url}/services/canary-{name}?token=canary" for name in ("session", "job"))
        soon = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%d %H:%M:%S")
        later = {"single": {"time": soon, "zone_type": 1, "zone": "UTC"}}
        schedule = {"name": "later", "enabled": True, "trigger": later, "push": JOB}
        asynchronous = {**JOB["content"], "mode": "async", "webhooks": [theirs]}
        task = {"interval": 3_600_000, "init": "2100-01-01T00:00:00Z", "job": JOB["content"]}
        with Child(tmp_path, env=KEYED | WITHOUT_BROWSER) as child:
            for kind, content in (
                ("set_webhooks", [{"url": mine}]),
                ("create_schedule", schedule),
                ("create_task", task),
                ("send_job", asynchronous),
            ):
                [answer] = child.ask({"type": kind, "content": content})
                assert answer["type"] == "ok", answer
            taken.wait_for("/services/canary-session")
            taken.wait_for("/services/canary-job")
            child.signal(signal.SIGKILL)
            child.wait()
        for path in (tmp_path / "state").rglob("*"):
            assert not path.is_file() or b"canary" not in path.read_bytes(), path
        assert "canary" not in child.stderr
        taken.server.fail("/", "error", 0)
        taken.release()
        before = len(taken.server.requests)
        with Child(tmp_path, env=KEYED | WITHOUT_BROWSER) as child:
            until(lambda: waiting(child) == [])
            assert child.end() == 0
        assert {request.path for request in taken.server.requests[before:]} == {
            "/services/canary-session?token=canary",
            "/services/canary-job?token=canary",
        }


def test_many_kills_lose_nothing(tmp_path: Path) -> None:
    """At random moments, again and again: each delivery arrives, and in its order but for repetitions."""
    with receiver() as taken:
        left_behind(tmp_path, taken.server.url, key=STORE_KEY, count=KILLED_AMID)
        for round_ in range(4):
            with Child(tmp_path, env=KEYED) as child:
                taken.wait_for("/", len(ids(taken)) + 5 + 10 * round_)
                child.signal(signal.SIGKILL)
                child.wait()
        with Child(tmp_path, env=KEYED) as child:
            until(lambda: len(set(ids(taken))) == KILLED_AMID)
            until(lambda: waiting(child) == [])
            assert child.end() == 0
        arrived = ids(taken)
        assert list(dict.fromkeys(arrived)) == [f"0-{number}" for number in range(KILLED_AMID)]
        assert len(arrived) <= KILLED_AMID + 4 * BATCH_SIZE  # each kill may repeat what was not noted yet


def test_two_processes_on_one_home(tmp_path: Path) -> None:
    """Both would send what is there; each delivery is sent once."""
    with receiver() as taken:
        left_behind(tmp_path, taken.server.url, key=STORE_KEY, count=100)
        with Child(tmp_path, env=KEYED) as one, Child(tmp_path, env=KEYED) as other:
            until(lambda: len(ids(taken)) >= 100)
            until(lambda: waiting(one) == [] == waiting(other))
            assert (one.end(), other.end()) == (0, 0)
        assert ids(taken) == [f"0-{number}" for number in range(100)]


def test_dead_deliveries_are_listed_and_redelivered(tmp_path: Path) -> None:
    """A delivery is reported to a parent that asked, listed without secrets, and sent again on request."""
    with receiver() as taken:
        left_behind(tmp_path, f"{taken.server.url}/secret-path?token=secret", key=STORE_KEY, count=2)
        taken.server.fail("/", "error", 1, status=410)
        with Child(tmp_path, env=KEYED) as child:
            child.send({"type": "hello", "content": {"notifications": True}})
            lines = child.read_many(3)
            events = [line["content"] for line in lines if line["type"] == "event"]
            host = taken.server.url.removeprefix("http://")
            assert [(event["id"], event["status"], event["server"]) for event in events] == [
                ("0-0", "dead", host),
                ("0-1", "dead", host),
            ]
            dead = waiting(child)
            assert [(each["id"], each["status"], each["host"]) for each in dead] == [
                ("0-0", "dead", host),
                ("0-1", "dead", host),
            ]
            assert "secret" not in repr(dead)
            again = {"type": "redeliver", "content": {"id": "0-1"}}
            [refused] = child.ask(again)
            assert refused["error"]["code"] == "conflict"
            hooks = [{"url": f"{taken.server.url}/secret-path?token=secret", "secret": SECRET}]
            child.send({"type": "set_webhooks", "content": hooks}, again)
            child.read_many(2)
            until(lambda: ids(taken) == ["0-0", "0-1"] and len(waiting(child)) == 1)
            assert child.ask({"type": "list_deliveries", "content": {"status": "waiting"}})[0]["content"] == {
                "total_count": 0,
                "total_pages": 0,
                "page": 1,
                "deliveries": [],
            }
            assert child.end() == 0


def test_a_secondary_that_is_down_loses_nothing(tmp_path: Path) -> None:
    """Its CVs are answered by the primary, survive the process, and arrive in order when it is back, each once."""
    with rtcv() as primary:
        second = StandInRtcv(keys=[ApiKey(id="f" * 24, key="another-key")])
        with serving(second) as secondary:
            login = [
                primary.credentials | {"primary": True},
                {"server_location": secondary.server.url, "api_key_id": "f" * 24, "api_key": "another-key"},
            ]
            secondary.server.fail("scanCV", "drop", None)
            cvs = [{"type": "send_cv", "content": {"referenceNumber": f"{number}"}} for number in range(10)]
            with Child(tmp_path, env=KEYED) as child:
                assert child.ask({"type": "set_credentials", "content": login}) == [OK]
                assert child.ask(*cvs) == [{"type": "ok", "content": True}] * 10
                secondary.wait_for("scanCV")
                child.signal(signal.SIGKILL)
                child.wait()
            for path in (tmp_path / "state").glob("sidecar.db*"):
                assert b"another-key" not in path.read_bytes()
            secondary.release()
            before = len(secondary.server.to("scanCV"))
            with Child(tmp_path, env=KEYED) as child:  # no login: the key lies encrypted in the store
                secondary.wait_for("scanCV", before + 10)
                until(lambda: waiting(child) == [])
                assert child.end() == 0
            taken = secondary.server.to("scanCV")
            assert [request.json["cv"]["referenceNumber"] for request in taken[before:]] == [str(n) for n in range(10)]
            keys = [request.headers["Idempotency-Key"] for request in taken]
            assert len(set(keys)) == 10
            assert set(keys[: before + 1]) == {keys[0]}


@pytest.mark.parametrize("keyed", [False, True])
def test_copies_that_wait_are_encrypted_with_the_stores_key(tmp_path: Path, keyed: bool) -> None:
    """What a CV says of somebody is nowhere on the disk then, dead or waiting; and arrives as it came."""
    canary = "a canary who lives in Utrecht"
    with rtcv() as primary, rtcv() as secondary:
        login = [primary.credentials | {"primary": True}, secondary.credentials]
        secondary.server.fail("scanCV", "error", 1, status=422)
        secondary.server.fail("scanCV", "hang", None)
        cvs = [{"type": "send_cv", "content": {"referenceNumber": name, "said": canary}} for name in "ab"]
        with Child(tmp_path, env=KEYED if keyed else OPEN) as child:
            assert child.ask({"type": "set_credentials", "content": login}) == [OK]
            assert child.ask(*cvs) == [{"type": "ok", "content": True}] * 2
            until(lambda: [one["status"] for one in waiting(child)] == ["dead", "waiting"])
            secondary.wait_for("scanCV", 2)
            [dead, _] = waiting(child)
            assert dead["size"] == len(json.dumps(cvs[0]["content"]))
            files = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
            assert any(canary.encode() in path.read_bytes() for path in files) is not keyed
            secondary.release()
            again = {"type": "redeliver", "content": {"id": dead["id"]}}
            assert child.ask(again) == [OK]
            until(lambda: waiting(child) == [])
            assert child.end() == 0
        assert {request.json["cv"]["said"] for request in secondary.server.to("scanCV")} == {canary}


def test_without_a_key_copies_wait_for_their_login(tmp_path: Path) -> None:
    """The login names the server again, and the copies go."""
    with rtcv() as primary, rtcv() as secondary:
        login = [primary.credentials | {"primary": True}, secondary.credentials]
        secondary.server.fail("scanCV", "hang", None)
        with Child(tmp_path) as child:
            assert child.ask({"type": "set_credentials", "content": login}) == [OK]
            cv = {"type": "send_cv", "content": {"referenceNumber": "a"}}
            assert child.ask(cv) == [{"type": "ok", "content": True}]
            secondary.wait_for("scanCV")
            child.signal(signal.SIGKILL)
            child.wait()
        secondary.release()
        with Child(tmp_path) as child:
            until(lambda: len(waiting(child)) == 1)
            assert len(secondary.server.to("scanCV")) == 1
            assert child.ask({"type": "set_credentials", "content": login}) == [OK]
            secondary.wait_for("scanCV", 2)
            until(lambda: waiting(child) == [])
            assert child.end() == 0


@pytest.mark.browser
def test_results_of_async_jobs_reach_every_server(tmp_path: Path) -> None:
    """Each server, the primary included, gets a result once under the job's id, also after an outage and a kill."""
    with rtcv() as primary, rtcv() as secondary:
        login = [primary.credentials | {"primary": True}, secondary.credentials]
        for server in (primary, secondary):
            server.server.fail("jobResult", "drop", None)
        content = {**JOB["content"], "mode": "async", "forward": True, "reference_number": "a"}
        with Child(tmp_path, env=KEYED) as child:
            assert child.ask({"type": "set_credentials", "content": login}) == [OK]
            [scheduled] = child.ask({"type": "send_job", "content": content})
            job = {"type": "job_status", "content": {"id": scheduled["content"]["id"]}}
            until(lambda: child.ask(job)[0]["content"]["status"] == "success")
            for server in (primary, secondary):
                server.wait_for("jobResult")
            child.signal(signal.SIGKILL)
            child.wait()
        for server in (primary, secondary):
            server.release()
        with Child(tmp_path, env=KEYED) as child:
            until(lambda: waiting(child) == [])
            assert child.end() == 0
        for server in (primary, secondary):
            taken = server.server.to("jobResult")
            assert {request.headers["Idempotency-Key"] for request in taken} == {scheduled["content"]["id"]}
            result = taken[-1].json
            assert (result["runReference"], result["status"], result["reference_number"]) == (
                scheduled["content"]["id"],
                "success",
                "a",
            )


@pytest.mark.browser
def test_no_secret_is_stored_or_logged_in_clear(tmp_path: Path) -> None:
    """The secret is not in the store, the input log, the debug log or on stderr, and reaches no other process."""
    canary = base64.b64encode(b"canary canary canary canary").decode()
    with receiver() as taken:
        taken.server.fail("/", "error", None)
        flags = ["--log-input", "input.log", "--log-debug", "debug.log"]
        with Child(tmp_path, *flags, env=OPEN) as child:
            hooks = [{"url": taken.server.url, "secret": [f"whsec_{canary}", SECRET]}]
            assert child.ask({"type": "set_webhooks", "content": hooks})[0]["type"] == "ok"
            assert child.ask(JOB)[0]["type"] == "ok"
            taken.wait_for("/")
            listed = repr(child.ask({"type": "list_deliveries"}))
            assert child.end() == 0
        kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
        assert len(kept) > 3
        for text in (*kept, listed.encode(), child.stderr.encode()):
            for secret in (canary, SECRET.removeprefix("whsec_")):
                assert secret.encode() not in text


def test_an_idle_sidecar_with_dead_deliveries_costs_nothing(tmp_path: Path) -> None:
    """No endpoint worker runs, and no timer of a second or less."""
    with receiver() as taken:
        left_behind(tmp_path, taken.server.url, key=STORE_KEY)
        taken.server.fail("/", "error", 1, status=410)
        with Child(tmp_path, env=KEYED) as child:
            until(lambda: {each["status"] for each in waiting(child)} == {"dead"})
            before = _cpu(child)
            assert child.silent(2.0)
            assert _cpu(child) - before < 0.1
            assert child.end() == 0


def _cpu(child: Child) -> float:
    fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
