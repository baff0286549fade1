"""Schedules in a real process: over the wire, over restarts and kills, by clocks that are set, in several sidecars."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest

from tests.clocks import STEPPED
from tests.harness import SECONDS, Child, environment, error, rtcv

REFERENCE: Final = {"type": "set_cached_reference", "content": "abcd"}


def at(moment: float, zone: str = "UTC") -> dict[str, Any]:
    """The trigger of that Unix time, rounded down to the second."""
    shown = datetime.fromtimestamp(int(moment), ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S")
    return {"single": {"time": shown, "zone_type": 1, "zone": zone}}


def utc(moment: float) -> str:
    """A Unix time as the sidecar writes it."""
    return datetime.fromtimestamp(moment, ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")


def wanted(moment: float, push: Mapping[str, Any] = REFERENCE) -> dict[str, Any]:
    """The message that makes a schedule."""
    return {
        "type": "create_schedule",
        "content": {"name": "nightly", "enabled": True, "trigger": at(moment), "push": push},
    }


def create(child: Child, moment: float, push: Mapping[str, Any] = REFERENCE) -> str:
    """Makes one; gives its id."""
    return str(ask(child, "create_schedule", **wanted(moment, push)["content"])["schedule_id"])


def ask(child: Child, kind: str, **content: Any) -> Any:
    """The content of the reply; events that come before it are skipped."""
    child.send({"type": kind, "content": content})
    while (line := child.read())["type"] == "event":
        pass
    assert line["type"] == "ok", line
    return line.get("content")


def listen(child: Child) -> Child:
    """Asks the child for notifications."""
    child.send({"type": "hello", "content": {"notifications": True, "zone": "UTC"}})
    assert child.read()["type"] == "ok"
    return child


def soon(child: Child, seconds: int = 2) -> int:
    """A second that comes so soon, once the child has loaded what schedules need."""
    ask(child, "list_schedules")
    return int(time.time()) + seconds


def fired(child: Child) -> dict[str, Any]:
    """The next `schedule_fired`."""
    while (line := child.read()).get("event") != "schedule_fired":
        assert line["type"] == "event", line
    content: dict[str, Any] = line["content"]
    return content


def wait_for_all(child: Child, ids: Sequence[str]) -> None:
    """Returns when the child has reported all of these; it may report others too."""
    missing = set(ids)
    while missing:
        missing.discard(fired(child)["schedule_id"])


POLL = 0.03
"""Seconds between two looks."""


def until(condition: Callable[[], bool]) -> None:
    """Returns as soon as the condition holds. Raises TimeoutError."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(POLL)


def wait_till(moment: float) -> None:
    """Returns at that Unix time."""
    time.sleep(max(0.0, moment - time.time()))


def wait_for_status(child: Child, schedule_id: str, status: str) -> None:
    """Returns when the schedule has come to that."""
    until(lambda: bool(ask(child, "get_schedule", schedule_id=schedule_id)["status"] == status))


def wait_for_job(child: Child, job_id: str) -> dict[str, Any]:
    """A job that has ended."""
    until(lambda: ask(child, "job_status", id=job_id)["status"] != "pending")
    job: dict[str, Any] = ask(child, "job_status", id=job_id)
    assert job["status"] == "success", job
    return job


def jobs_of(child: Child, schedule_id: str) -> list[dict[str, Any]]:
    """The jobs that a schedule has made, by the queue's own account."""
    page, jobs = 1, []
    while listed := ask(child, "list_jobs", page=page)["jobs"]:
        jobs += [job for job in listed if job["origin"] == f"schedule:{schedule_id}"]
        page += 1
    return jobs


def test_all_six_messages(tmp_path: Path) -> None:
    """From making to deleting."""
    moment = int(time.time()) + 3600
    shown = at(moment)
    with Child(tmp_path) as child:
        schedule_id = create(child, moment)
        expected = {
            "schedule_id": schedule_id,
            "name": "nightly",
            "enabled": True,
            "trigger": shown,
            "push": REFERENCE,
            "status": "pending",
            "due": utc(moment),
        }
        assert ask(child, "get_schedule", schedule_id=schedule_id) == expected
        page = {"total_count": 1, "total_pages": 1, "page": 1, "schedules": [expected]}
        assert child.ask({"type": "list_schedules"})[0]["content"] == page
        assert ask(child, "list_schedules", page=9) == {**page, "page": 9, "schedules": []}
        changed = {**expected, "name": "定时任务 2", "enabled": False, "status": "paused"}
        assert ask(child, "update_schedule", schedule_id=schedule_id, name="定时任务 2", enabled=False) == changed
        assert ask(child, "get_schedule_msg_ids", schedule_id=schedule_id) == {"count": 0, "msgids": []}
        assert child.ask({"type": "delete_schedule", "content": {"schedule_id": schedule_id}, "id": 1}) == [
            {"type": "ok", "id": 1}
        ]
        assert child.ask({"type": "get_schedule", "content": {"schedule_id": schedule_id}, "id": 2}) == [
            error("not_found", f"there is no schedule {schedule_id!r}", number=28104, id=2)
        ]
        assert child.end() == 0


def test_errors_carry_numbers(tmp_path: Path) -> None:
    """Those of the codec, of the rules and of the store alike."""
    with Child(tmp_path) as child:
        message = wanted(time.time() + 60)
        content = message["content"]
        asked = [
            {**message, "content": {**content, "name": "a/b"}},
            {**message, "content": {**content, "name": 5}},
            {**message, "content": {**content, "push": {"type": "ping"}}},
            {**message, "content": {name: content[name] for name in ("name", "enabled", "trigger")}},
            {**message, "content": {**content, "push": {"type": "send_cv", "content": {"referenceNumber": "a"}}}},
            {"type": "delete_schedule", "content": {"schedule_id": "x"}},
            {"type": "list_schedules", "content": {"page": 0}},
        ]
        replies = child.ask(*asked)
        assert [reply["error"]["number"] for reply in replies] == [28100, 28100, 28105, 28105, 28101, 28104, 28100]
        assert child.ask({"type": "hello", "content": {"zone": "Mars/Olympus"}})[0]["error"]["field"] == "zone"
        assert "number" not in child.ask({"type": "nonsense"})[0]["error"]


def test_a_store_that_can_not_be_used_has_a_number(tmp_path: Path) -> None:
    """28203: later, perhaps."""
    (tmp_path / "state" / "sidecar.db").mkdir(parents=True)
    with Child(tmp_path) as child:
        (reply,) = child.ask(wanted(time.time() + 60))
        assert reply["error"]["number"] == 28203
        assert reply["error"]["retryable"]
        assert child.ask({"type": "ping"}) == [{"type": "pong"}]


@pytest.mark.parametrize("home", ["Europe/Amsterdam", "CET-1CEST,M3.5.0,M10.5.0/3"])
def test_the_machines_zone(home: str, tmp_path: Path) -> None:
    """By its name, or as only the C library reads it."""
    moment = int(time.time()) + 150 * 86_400
    trigger = {"single": {"time": at(moment, "Europe/Amsterdam")["single"]["time"], "zone_type": 2}}
    with Child(tmp_path, env={"TZ": home}) as child:
        content = {**wanted(time.time() + 60)["content"], "trigger": trigger}
        schedule_id = ask(child, "create_schedule", **content)["schedule_id"]
        assert ask(child, "get_schedule", schedule_id=schedule_id)["due"] == utc(moment)


@pytest.mark.browser
def test_a_browser_job_is_fired_at_its_time(tmp_path: Path) -> None:
    """The job's result is available, and its run is reported under the schedule's name, as that of any job is."""
    page = "data:text/html,<h1>Hi</h1>"
    push = {"type": "send_job", "content": {"name": "another", "steps": [{"url": page, "extract": {"a": "h1"}}]}}
    with listen(Child(tmp_path)) as child:
        due = soon(child)
        schedule_id = create(child, due, push)
        reported: dict[str, Any] = {}
        updates: list[dict[str, Any]] = []
        while not reported or not updates or updates[-1]["runState"] != "COMPLETED":
            line = child.read()
            if line["event"] == "schedule_fired":
                reported = line["content"]
                assert 0 <= time.time() - due < SECONDS
            elif line["event"] == "job_update":
                updates.append(line["content"]["data"])
        assert {(update["jobName"], update["runReference"]) for update in updates} == {("nightly", reported["msgid"])}
        assert (reported["schedule_id"], reported["name"]) == (schedule_id, "nightly")
        assert ask(child, "get_schedule", schedule_id=schedule_id)["status"] == "fired"
        assert ask(child, "get_schedule_msg_ids", schedule_id=schedule_id)["msgids"] == [reported["msgid"]]
        job = wait_for_job(child, reported["msgid"])
        assert (job["status"], job["name"], job["origin"]) == ("success", "nightly", f"schedule:{schedule_id}")
        assert job["result"]["extract"] == {"a": "Hi"}
        assert child.end() == 0


def test_a_run_that_can_not_start_is_reported(tmp_path: Path) -> None:
    """The task that it is to run is not there."""
    with listen(Child(tmp_path)) as child:
        schedule_id = create(child, soon(child), {"type": "run_task", "content": {"id": "gone"}})
        while (line := child.read())["event"] != "job_update" or line["content"]["data"]["runState"] != "FAILED":
            pass
        update = line["content"]["data"]
        wait_for_status(child, schedule_id, "fired")
        (reported,) = ask(child, "get_schedule_msg_ids", schedule_id=schedule_id)["msgids"]
        assert (update["jobName"], update["runReference"]) == ("nightly", reported)
        assert "there is no task 'gone'" in str(update)
        until(lambda: ask(child, "job_status", id=reported)["status"] != "pending")
        job = ask(child, "job_status", id=reported)
        assert (job["status"], job["error"]["code"]) == ("failed", "not_found")


def test_a_token_has_to_last(tmp_path: Path) -> None:
    """One that will have expired by then is refused now."""
    env = {"SIDECAR_TOKEN_SECRET": "a signing secret of 32 bytes or more"}
    issuer = subprocess.run(
        [sys.executable, "-m", "sidecar", "token", "issuer"],
        env=environment(tmp_path, env),
        capture_output=True,
        check=True,
        timeout=SECONDS,
    )
    with Child(tmp_path, env=env) as child:
        scope = {"scope": "https://shop.example", "validity": 600, "issuer_token": issuer.stdout.decode().strip()}
        token = ask(child, "issue_token", **scope)["token"]
        push = {"type": "send_job", "content": {"steps": [{"url": "https://shop.example/"}], "token": token}}
        made = create(child, time.time() + 400, push)
        later = {"schedule_id": made, "trigger": at(time.time() + 700)}
        (moved,) = child.ask({"type": "update_schedule", "content": later})
        ask(child, "update_schedule", schedule_id=made, trigger=at(time.time() + 500))
        (reply,) = child.ask(wanted(time.time() + 700, push))
        assert moved["error"] == reply["error"]
        assert (reply["error"]["code"], reply["error"]["number"]) == ("unauthorized", 28101)
        assert reply["error"]["field"] == "push.content.token"
        assert reply["error"]["message"] == "push.content.token: will have expired when the job runs"
        assert child.end() == 0


@pytest.mark.browser
def test_what_is_secret_waits_encrypted(tmp_path: Path) -> None:
    """With a key of the user's it outlives the process that made it, and lies nowhere in clear."""
    cookie = {"name": "n", "value": "cookie-canary", "domain": "shop.example"}
    push = {"type": "send_job", "content": {"steps": [{"url": "data:text/html,x"}], "cookies": [cookie]}}
    env = {"SIDECAR_STORE_KEY": "A" * 43 + "="}
    with Child(tmp_path, env=env) as child:
        schedule_id = create(child, soon(child, 5), push)
        child.signal(signal.SIGKILL)
        child.wait()
    with listen(Child(tmp_path, env=env)) as child:
        shown = ask(child, "get_schedule", schedule_id=schedule_id)
        assert shown["push"]["content"]["cookies"] == [{**cookie, "value": "**********"}]
        wait_for_job(child, fired(child)["msgid"])
        assert child.end() == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file() and b"cookie-canary" in path.read_bytes()] == []


def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    """Without a word from the parent, what an earlier process has taken is fired at its time."""
    with Child(tmp_path) as child:
        due = soon(child, 4)
        schedule_id = create(child, due)
        assert child.end() == 0
    with listen(Child(tmp_path)) as child:
        assert fired(child)["schedule_id"] == schedule_id
        assert time.time() >= due
        assert len(jobs_of(child, schedule_id)) == 1


@pytest.mark.parametrize(("grace", "status"), [("3600", "fired"), ("0", "missed")])
def test_due_while_nothing_ran(grace: str, status: str, tmp_path: Path) -> None:
    """Fired at the next start where it is not too late, else missed, and visible as such."""
    with Child(tmp_path) as child:
        due = soon(child)
        schedule_id = create(child, due)
        assert child.end() == 0
    wait_till(due + 1)
    with Child(tmp_path, env={"SIDECAR_MISFIRE_GRACE": grace}) as child:
        wait_for_status(child, schedule_id, status)
        assert ask(child, "list_schedules")["total_count"] == 0
        (expired,) = ask(child, "list_schedules", expired=True)["schedules"]
        assert (expired["schedule_id"], expired["status"]) == (schedule_id, status)
        assert len(jobs_of(child, schedule_id)) == (status == "fired")
        (reply,) = child.ask({"type": "update_schedule", "content": {"schedule_id": schedule_id, "name": "late"}})
        assert reply["error"]["number"] == 28100


MOMENTS = (-0.005, 0.015, 0.045)
"""Seconds after the due time, until the kill: before, amid and after the firing."""


def test_killed_in_the_second_of_firing(tmp_path: Path) -> None:
    """At any moment of it: the next start leaves one job, never two and never none."""
    for number, moment in enumerate(MOMENTS):
        folder = tmp_path / str(number)
        folder.mkdir()
        with Child(folder) as child:
            due = soon(child)
            ids = [create(child, due) for _ in range(3)]
            wait_till(due + moment)
            child.signal(signal.SIGKILL)
            child.wait()
        with Child(folder) as child:
            for schedule_id in ids:
                wait_for_status(child, schedule_id, "fired")
                (job,) = jobs_of(child, schedule_id)
                reported = ask(child, "get_schedule_msg_ids", schedule_id=schedule_id)
                assert reported == {"count": 1, "msgids": [job["id"]]}
                wait_for_job(child, job["id"])


def test_three_sidecars_on_one_store(tmp_path: Path) -> None:
    """Each schedule is fired once, and each parent that created one gets the event, whichever process fired it."""
    with ExitStack() as stack:
        children = [listen(stack.enter_context(Child(tmp_path))) for _ in range(3)]
        due = max(soon(child) for child in children) + 2
        made = [[create(child, due) for _ in range(5)] for child in children]
        for child, ids in zip(children, made, strict=True):
            wait_for_all(child, ids)
        everything = [schedule_id for ids in made for schedule_id in ids]
        assert [len(jobs_of(children[0], schedule_id)) for schedule_id in everything] == [1] * 15


def test_stopped_past_its_time(tmp_path: Path) -> None:
    """A process that was suspended fires when it goes on, once."""
    with listen(Child(tmp_path)) as child:
        due = soon(child)
        schedule_id = create(child, due)
        child.signal(signal.SIGSTOP)
        wait_till(due + 2)
        child.signal(signal.SIGCONT)
        assert fired(child)["schedule_id"] == schedule_id
        assert len(jobs_of(child, schedule_id)) == 1


def test_the_clock_is_set(tmp_path: Path) -> None:
    """Forward a day: what became due is fired or missed within seconds. Back an hour: nothing is fired again."""
    steps = tmp_path / "steps"
    steps.write_text("0")
    with listen(Child(tmp_path, command=[sys.executable, "-c", STEPPED, str(steps)])) as child:
        now = time.time()
        late, too_late = create(child, now + 23.5 * 3600), create(child, now + 3600)
        steps.write_text(str(timedelta(days=1).total_seconds()))
        assert fired(child)["schedule_id"] == late
        assert ask(child, "get_schedule", schedule_id=too_late)["status"] == "missed"
        steps.write_text(str(timedelta(hours=23).total_seconds()))
        soon = create(child, time.time() + 23 * 3600 + 2)
        assert fired(child)["schedule_id"] == soon
        assert [len(jobs_of(child, one)) for one in (late, too_late, soon)] == [1, 0, 1]


def test_cvs_with_pdfs_and_lists_are_fired(tmp_path: Path) -> None:
    """A file is read when the time comes; what could never be sent is refused at once, below `push.content`."""
    (tmp_path / "cvs").mkdir()
    full: dict[str, Any] = {"type": "send_full_cv", "content": {"metadata": {"referenceNumber": "a"}, "cv": "ann.pdf"}}
    several: dict[str, Any] = {"type": "send_cvs_list", "content": [{"referenceNumber": "b"}, {}]}
    with rtcv() as server, listen(Child(tmp_path, env={"SIDECAR_CV_FOLDER": str(tmp_path / "cvs")})) as child:
        login = {"type": "set_credentials", "content": server.credentials}
        due = int(time.time()) + 3600
        (refused,) = child.ask(wanted(due, full))
        assert refused["error"]["code"] == "missing_credentials"
        assert child.ask(login) == [{"type": "ok"}]
        for field, wrong in {
            "push.content.cv": {**full, "content": {**full["content"], "cv": "../ann.pdf"}},
            "push.content.metadata.referenceNumber": {**full, "content": {**full["content"], "metadata": {}}},
            "push.content[0]": {**several, "content": [1]},
        }.items():
            (refused,) = child.ask(wanted(due, wrong))
            assert (refused["error"]["code"], refused["error"]["field"]) == ("invalid_content", field)
        due = soon(child)
        ids = [create(child, due, full), create(child, due, several)]
        (tmp_path / "cvs" / "ann.pdf").write_bytes(b"%PDF-1.4")
        messages = [fired(child)["msgid"] for _ in ids]
        jobs = [wait_for_job(child, message) for message in messages]
        results = {job["type"]: job["result"] for job in jobs}
        assert results == {"send_full_cv": True, "send_cvs_list": {"sent": 1, "duplicates": 0, "without_reference": 1}}
        assert server.server.to("scanCVDocument")[0].form["cv"].content == b"%PDF-1.4"
        assert server.server.to("allCVs")[0].json == {"cvs": [{"referenceNumber": "b"}]}


def test_mock_mode_keeps_schedules_in_memory(tmp_path: Path) -> None:
    """Schedules fire, and nothing of them is on disk; the next `set_mock` starts empty."""
    with listen(Child(tmp_path)) as child:
        ask(child, "set_mock")
        due = soon(child)
        schedule_id = create(child, due, {"type": "send_cv", "content": {"referenceNumber": "a"}})
        create(child, due + 3600)
        assert fired(child)["schedule_id"] == schedule_id
        assert not (tmp_path / "state").exists()
        ask(child, "set_mock")
        assert ask(child, "list_schedules")["total_count"] == 0
        assert child.end() == 0
