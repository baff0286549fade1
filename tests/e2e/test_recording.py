"""Recorded sessions: what is written down, and that a replay without a network answers the same."""

import fcntl
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sidecar.recording.replay_recording import ReplayOptions, replay_recording
from sidecar.secret_encodings import MIN_SECRET_LENGTH, encodings
from tests.fakes import ENCRYPTION_KEY, KEY, default_secrets
from tests.harness import PAUSE, Child, Rtcv, environment, receiver, rtcv
from tests.http_harness import Serving

SESSION: list[dict[str, Any]] = [
    {"type": "has_cached_reference", "content": "before-login"},
    {"type": "get_user_secret", "content": {"encryption_key": ENCRYPTION_KEY, "key": "user"}},
    {"type": "get_users_secret", "content": {"encryption_key": ENCRYPTION_KEY, "key": "users"}},
    {"type": "get_secret", "content": {"encryption_key": ENCRYPTION_KEY, "key": "no such"}},
    {"type": "send_cv", "content": {"referenceNumber": "a-1", "personalDetails": {"firstName": "Ann"}}},
    {"type": "send_cv", "content": {"referenceNumber": "a-1"}},
    {"type": "send_cv", "content": {"referenceNumber": "a-2"}},
    {"type": "has_cached_reference", "content": "a-2"},
    {"type": "set_cached_reference", "content": "b"},
    {"type": "has_cached_reference", "content": "b"},
    {"type": "send_full_cv", "content": {"metadata": {"referenceNumber": "c"}, "cv": "JVBERi0xLjQK/////w=="}},
    {"type": "send_cvs_list", "content": [{"referenceNumber": "d"}, {"referenceNumber": "d"}]},
    {"type": "list_jobs"},
    {"type": "list_schedules"},
    {"type": "nonsense", "content": 1},
    {"type": "set_credentials", "content": {"server_location": "ftp://x", "api_key_id": "1", "api_key": "second-key"}},
]


@pytest.fixture
def server() -> Iterator[Rtcv]:
    """A server that knows the scraper's key."""
    with rtcv() as running:
        yield running


def record(folder: Path, server: Rtcv, *messages: dict[str, Any]) -> list[Any]:
    """Logs in, sends one message after the other, and ends; gives the replies."""
    with Child(folder, "--record", "recording") as child:
        replies = [child.ask({"type": "set_credentials", "content": server.credentials})]
        replies += [child.ask(message) for message in messages]
        assert child.end() == 0
    return [reply for (reply,) in replies]


def replay(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Replays the recording in a process of its own."""
    command = [sys.executable, "-m", "sidecar", "replay", "recording", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(folder, env), capture_output=True, text=True, check=False, timeout=120
    )


@dataclass(frozen=True)
class Session:
    """SESSION as it was recorded, with its server, which takes nothing any more."""

    recording: Path
    server: Rtcv
    replies: list[Any]
    asked: int
    """Requests that the server had got when the session ended."""

    def copy(self, folder: Path) -> Path:
        """The recording again, in a folder where it may be changed."""
        return Path(shutil.copytree(self.recording, folder / "recording"))


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """One recording for all that replay SESSION."""
    folder = tmp_path_factory.mktemp("session")
    with rtcv() as server:
        replies = record(folder, server, *SESSION)
        server.server.fail("/scanCV", "error", count=None)
        yield Session(folder / "recording", server, replies, len(server.server.requests))


@pytest.fixture(scope="module")
def short_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a session that logged in and sent a ping; its server is gone."""
    folder = tmp_path_factory.mktemp("short")
    with rtcv() as server:
        record(folder, server, {"type": "ping"})
    return folder / "recording"


def until_unlocked(folder: Path) -> None:
    """Waits until no process records into a folder; after a `kill -9` the recorder still writes what it was given."""
    deadline = time.monotonic() + 2
    with (folder / ".lock").open("rb") as lock:
        while True:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                assert time.monotonic() < deadline, "the recorder outlives its session"
                time.sleep(0.01)


def until_written(path: Path, count: int) -> None:
    """Waits until a file has as many lines."""
    deadline = time.monotonic() + 20
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert time.monotonic() < deadline, f"{path.name} does not get {count} lines"
        time.sleep(0.01)


def recorder_of(child: Child) -> int:
    """The process that records a session."""
    (recorder,) = Path(f"/proc/{child.process.pid}/task/{child.process.pid}/children").read_text().split()
    return int(recorder)


def wait_for_priority(process: int, priority: int) -> None:
    """Waits until a thread of the process has a priority."""
    deadline = time.monotonic() + 20
    while priority not in [os.getpriority(os.PRIO_PROCESS, int(task.name)) for task in tasks_of(process)]:
        assert time.monotonic() < deadline, "it keeps the session's priority"
        time.sleep(PAUSE)


def tasks_of(process: int) -> Iterator[Path]:
    """The threads of a process."""
    return Path(f"/proc/{process}/task").iterdir()


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_session_is_replayed_without_its_server(tmp_path: Path, session: Session) -> None:
    """With a server that gets no request, in another zone: the same replies."""
    session.copy(tmp_path)
    done = replay(tmp_path, "--check", "--json", env={"TZ": "Pacific/Auckland"})
    assert done.returncode == 0, done.stdout + done.stderr
    *replayed, summary = [json.loads(line) for line in done.stdout.splitlines()]
    assert summary["summary"]["different"] == 0
    assert [one["message"]["type"] for one in replayed] == [reply["type"] for reply in session.replies]
    assert replayed[5]["message"]["content"] is True
    assert len(session.server.server.requests) == session.asked


MOCK_PASSWORD = "mock-password-4711"


def test_sessions_over_http_are_replayed(tmp_path: Path) -> None:
    """`sidecar serve` and `sidecar run`: each request is a line, answered as it was; no secret is in any file."""
    secret = {"encryption_key": ENCRYPTION_KEY, "key": "user"}
    cv = {"referenceNumber": "a-1"}
    run = tmp_path / "run"
    run.mkdir()
    with rtcv() as server:
        with Serving(tmp_path, "--record", "recording") as serving:
            asked = [
                ("set_credentials", server.credentials),
                ("get_user_secret", secret),
                ("send_cv", cv),
                ("send_cv", {}),
            ]
            statuses = [serving.post(kind, content).status for kind, content in asked]
            assert statuses == [200, 200, 200, 400]
            assert serving.end() == 0
        login = {"username": "ann", "password": MOCK_PASSWORD}
        (run / "env.json").write_text(json.dumps({"mock_mode": True, "mock_users": [login]}))
        scraper = f"curl -sS -d '{json.dumps(cv)}' -H 'Content-Type: application/json' \"$SCRAPER_ADDRESS/v1/send_cv\""
        command = [sys.executable, "-m", "sidecar", "run", "--", "bash", "-c", scraper]
        done = subprocess.run(
            command, cwd=run, env=environment(run, {"SIDECAR_RECORD": "recording"}), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    for folder in (tmp_path, run):
        replayed = replay(folder, "--check", "--json")
        assert replayed.returncode == 0, replayed.stdout + replayed.stderr
        assert [json.loads(line).get("type") for line in replayed.stdout.splitlines()][-2] == "send_cv"
        for path in (folder / "recording").rglob("*"):
            for word in (KEY, ENCRYPTION_KEY, MOCK_PASSWORD) if path.is_file() else ():
                assert word.encode() not in path.read_bytes(), path


TRAP = """
import os, runpy, sys
def trap(event, arguments):
    outward = event == "socket.connect" and isinstance(arguments[1], tuple)
    if outward or event in ("socket.getaddrinfo", "socket.sendto"):
        print("a connection was tried:", event, arguments, file=sys.stderr)
        os._exit(66)
sys.addaudithook(trap)
runpy.run_module("sidecar", run_name="__main__", alter_sys=True)
"""


def test_nothing_leaves_the_machine(tmp_path: Path, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay tries no connection and resolves no name, also for what was not recorded; a trap would end it."""
    for name in environment(tmp_path):
        monkeypatch.setenv(name, environment(tmp_path)[name])
    trapped = (sys.executable, "-c", TRAP)
    recording, options = session.copy(tmp_path), ReplayOptions(check=True)
    assert replay_recording(recording, options, io.StringIO(), trapped) == 0
    path = recording / "session.jsonl"
    path.write_text(path.read_text().replace('"a-1"', '"a-3"'))
    printed = io.StringIO()
    assert replay_recording(recording, options, printed, trapped) == 1
    assert "was recorded with another body" in printed.getvalue()
    assert len(session.server.server.requests) == session.asked
    live = subprocess.run([*trapped], input=path.read_bytes(), capture_output=True, timeout=60, check=False)
    assert live.returncode == 66  # the trap works


SECRETS = [KEY, ENCRYPTION_KEY, *json.loads(default_secrets()["user"].json).values()]


def test_no_secret_is_in_any_file_of_a_recording(tmp_path: Path, session: Session) -> None:
    """Keys, encryption keys and what servers keep: in no file, encoded or not, nor in what a replay prints."""
    session.copy(tmp_path)
    printed = replay(tmp_path, "--json")
    files = {path: path.read_bytes() for path in (tmp_path / "recording").rglob("*") if path.is_file()}
    files[tmp_path / "stdout"] = (printed.stdout + printed.stderr).encode()
    for path, data in files.items():
        for secret in SECRETS:
            for form in encodings(secret) if len(secret) >= MIN_SECRET_LENGTH else ():
                assert form.encode() not in data, (path.name, form)


def test_a_recording_is_private_and_complete(short_recording: Path) -> None:
    """Folder 0700, files 0600; the manifest says what was recorded, and that it is whole."""
    folder = short_recording
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["complete"] is True
    assert manifest["requests"] == 2
    assert manifest["settings"]["max_in_flight"] == 64
    assert [line["_log"]["seq"] for line in lines(folder / "session.jsonl")] == [1, 2]
    replies = lines(folder / "replies.jsonl")
    assert [(line["_log"]["seq"], line["_log"]["read"]) for line in replies] == [(1, 1), (2, 2)]
    assert [line["_log"]["ms"] >= 0 for line in replies] == [True, True]
    exchanges = lines(folder / "exchanges.jsonl")
    assert [(one["method"], one["response"]["status"]) for one in exchanges] == [("GET", 200)] * 3


def test_a_changed_reply_is_shown_and_can_be_accepted(tmp_path: Path, session: Session) -> None:
    """`--check` exits with 1 and says where; `--update` makes it the recorded one."""
    path = session.copy(tmp_path) / "replies.jsonl"
    path.write_text(path.read_text().replace('"page":1', '"page":7'))
    done = replay(tmp_path, "--check")
    assert done.returncode == 1
    listed = 2 + [message["type"] for message in SESSION].index("list_jobs")
    shown = f"differs: list_jobs (request {listed}): content.page\n  - 7\n  + 1\n"
    assert shown in done.stdout
    assert replay(tmp_path, "--update").returncode == 0
    assert replay(tmp_path, "--check").returncode == 0
    assert '"page": 1' in path.read_text()


def test_what_was_not_recorded_is_named(tmp_path: Path, session: Session) -> None:
    """A request that the recording doesn't have is `not_recorded`, with the nearest one that it has."""
    path, server = session.copy(tmp_path) / "session.jsonl", session.server
    path.write_text(path.read_text().replace('"a-1"', '"a-3"'))
    done = replay(tmp_path, "--check", "--json", "--only", "set_credentials,send_cv")
    assert done.returncode == 1
    error = json.loads(done.stdout.splitlines()[1])["message"]["error"]
    assert error["code"] == "not_recorded"
    assert error["message"].startswith(f"POST {server.server.url}/api/v1/scraper/scanCV was recorded with another body")
    assert "a-1" in error["message"]
    assert error["url"] == f"{server.server.url}/api/v1/scraper/scanCV"


def test_failures_of_servers_are_replayed_at_once(tmp_path: Path) -> None:
    """Refused connections, breaks, timeouts and busy servers: the same errors, without their waits."""
    with rtcv() as server:
        with Child(tmp_path, "--record", "recording", "--request-timeout", "1") as child:
            child.ask({"type": "set_credentials", "content": server.credentials})
            server.server.fail("/scanCV", "error", status=503, retry_after=0)
            replies = child.ask({"type": "send_cv", "content": {"referenceNumber": "1"}})
            server.server.fail("/scanCV", "hang", count=None)
            replies += child.ask({"type": "send_cv", "content": {"referenceNumber": "2"}})
            server.release()
            assert child.end() == 0
        assert [reply["type"] for reply in replies] == ["ok", "error"]
    done = replay(tmp_path, "--check", "--json")
    assert done.returncode == 0, done.stdout
    replayed = [json.loads(line) for line in done.stdout.splitlines()]
    assert replayed[2]["message"]["error"]["code"] == "timeout"
    assert replayed[2]["ms"] < 1_000


def test_a_second_recording_in_a_folder_keeps_the_first(tmp_path: Path, server: Rtcv) -> None:
    """The newest is at the top; two at once don't mix."""
    record(tmp_path, server, {"type": "ping"})
    with Child(tmp_path, "--record", "recording") as one:
        one.ask({"type": "ping"})
        with Child(tmp_path, "--record", "recording") as other:
            other.ask({"type": "ping"}, {"type": "ping"})
            one.end()
            other.end()
    folder = tmp_path / "recording"
    assert len(lines(folder / "session.jsonl")) == 1
    assert len(lines(folder / "earlier" / "000001" / "session.jsonl")) == 2
    (beside,) = [path for path in folder.iterdir() if path.is_dir() and path.name != "earlier"]
    assert len(lines(beside / "session.jsonl")) == 2


def test_recording_stops_at_its_limit(tmp_path: Path) -> None:
    """With a warning, and a manifest that says so; the session goes on."""
    with Child(tmp_path, "--record", "recording", "--record-max-mb", "1") as child:
        big = "x" * (1 << 20)
        assert child.ask({"type": "set_cached_reference", "content": big}, {"type": "ping"})[1] == {"type": "pong"}
        assert child.end() == 0
        assert "nothing more is recorded to recording: SIDECAR_RECORD_MAX_MB is reached" in child.stderr
    assert json.loads((tmp_path / "recording" / "manifest.json").read_text())["complete"] is False


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "holds no recording: manifest.json is missing"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json is not JSON"),
        (lambda folder: (folder / "manifest.json").write_text('{"format":99}'), "was recorded by a newer sidecar"),
        (
            lambda folder: (folder / "session.jsonl").write_bytes(b"\x00\xff\n"),
            "line 1 of recording/session.jsonl is not",
        ),
        (lambda folder: (folder / "session.jsonl").write_text('{"type":"ping"}\n'), "has no `_log` with its number"),
        (
            lambda folder: (folder / "replies.jsonl").write_text("[]\n"),
            "line 1 of recording/replies.jsonl is not a JSON",
        ),
        (lambda folder: (folder / "exchanges.jsonl").write_text("{}\n"), "line 1 is no exchange"),
        (
            lambda folder: (folder / "manifest.json").write_text('{"format":1,"protocol":"9.1"}'),
            "was recorded with protocol 9; this sidecar replays 1 to 2",
        ),
        (lambda folder: (folder / "manifest.json").write_text('{"format":1}'), "has no version of the protocol"),
        (
            lambda folder: (folder / "session.jsonl").write_text('{"_log":{"seq":2}}\n{"_log":{"seq":2}}\n'),
            "line 2 of recording/session.jsonl has the number 2 and comes after number 2",
        ),
        (
            lambda folder: (folder / "exchanges.jsonl").write_text(
                (folder / "exchanges.jsonl")
                .read_text()
                .replace('"body":{"text":"', '"body":{"omitted":17000000,"was":"')
            ),
            "was not recorded: it had 17000000 bytes",
        ),
        (lambda folder: (folder / "session.jsonl").unlink(), "can't read recording/session.jsonl: no such file"),
    ],
)
def test_what_is_no_recording_is_named(
    tmp_path: Path, short_recording: Path, spoil: Callable[[Path], object], said: str
) -> None:
    """Damaged and foreign folders: one sentence, exit code 2 or 1."""
    shutil.copytree(short_recording, tmp_path / "recording")
    spoil(tmp_path / "recording")
    done = replay(tmp_path, "--check")
    assert done.returncode in (1, 2)
    assert said in done.stdout + done.stderr


def test_a_recording_that_was_cut_off_replays_as_far_as_it_goes(tmp_path: Path, server: Rtcv) -> None:
    """After `kill -9`: no complete manifest, half a line at the end."""
    with Child(tmp_path, "--record", "recording") as child:
        child.ask({"type": "set_credentials", "content": server.credentials}, {"type": "ping"})
        child.process.kill()
        child.wait()
    until_unlocked(tmp_path / "recording")
    for name in ("session.jsonl", "replies.jsonl", "exchanges.jsonl"):
        with (tmp_path / "recording" / name).open("ab") as file:
            file.write(b'{"type":"pi')
    done = replay(tmp_path, "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 replies, 0 of them errors, 0 other than recorded" in done.stdout


def test_a_part_of_a_session_can_be_replayed(tmp_path: Path, session: Session) -> None:
    """`--skip`, `--only` and `--until` choose; `--repeat` prints the percentiles of each type."""
    session.copy(tmp_path)
    skipped = replay(tmp_path, "--skip", "list_jobs,list_schedules,nonsense", "--until", "11", "--json")
    types = [json.loads(line)["type"] for line in skipped.stdout.splitlines()[:-1]]
    assert types == ["set_credentials", *(message["type"] for message in SESSION[:10])]
    only = replay(tmp_path, "--only", "set_credentials,send_cv", "--repeat", "3")
    assert only.stdout.count("IN: send_cv") == 9
    assert "send_cv                          9 times: p50 " in only.stdout


def test_known_references_are_those_of_the_recording(tmp_path: Path, server: Rtcv) -> None:
    """What an earlier session had stored is known in the replay, and nothing of this machine's state is."""
    record(tmp_path, server, {"type": "set_cached_reference", "content": "old"})
    asked = [{"type": "has_cached_reference", "content": one} for one in ("old", "new")]
    replies = record(tmp_path, server, *asked, {"type": "send_cv", "content": {"referenceNumber": "old"}})
    assert [reply.get("content") for reply in replies] == [None, True, False, None]
    assert replay(tmp_path, "--check").returncode == 0


def test_requests_at_once_are_replayed_at_once(tmp_path: Path, server: Rtcv) -> None:
    """Replies with ids come in another order; each is compared with its own."""
    messages = [{"type": "send_cv", "id": n, "content": {"referenceNumber": f"r{n % 7}"}} for n in range(50)]
    with Child(tmp_path, "--record", "recording") as child:
        child.ask({"type": "set_credentials", "content": server.credentials})
        child.ask(*messages, {"type": "list_jobs", "id": "jobs"})
        assert child.end() == 0
    done = replay(tmp_path, "--check")
    assert done.returncode == 0, done.stdout
    assert "52 replies, 0 of them errors, 0 other than recorded" in done.stdout


def test_ids_that_were_generated_are_those_of_the_replay(tmp_path: Path) -> None:
    """A schedule is made, asked for and deleted by the id that it was given; a year later its time is still ahead."""
    push = {"type": "send_cv", "content": {"referenceNumber": "1"}}
    with Child(tmp_path, "--record", "recording") as child:
        child.ask({"type": "set_mock", "content": {}})
        soon = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() + 3_600))
        trigger = {"single": {"time": soon, "zone_type": 2}}
        (made,) = child.ask(
            {"type": "create_schedule", "content": {"name": "s", "enabled": True, "trigger": trigger, "push": push}}
        )
        schedule = {"schedule_id": made["content"]["schedule_id"]}
        child.ask({"type": "get_schedule", "content": schedule}, {"type": "delete_schedule", "content": schedule})
        assert child.end() == 0
    done = replay(tmp_path, "--check", "--json", env={"TZ": "Asia/Kathmandu"})
    assert done.returncode == 0, done.stdout
    replies = [json.loads(line)["message"] for line in done.stdout.splitlines()[:-1]]
    assert [reply["type"] for reply in replies] == ["ok"] * 4
    assert replies[1]["content"]["schedule_id"] != made["content"]["schedule_id"]


def push_schedule(due: float) -> dict[str, Any]:
    """A schedule of a push in EngageLab's own form."""
    trigger = {"single": {"time": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(due)), "zone_type": 1}}
    push = {"type": "push", "content": {"to": "all", "body": {"platform": "web"}}}
    return {"type": "create_schedule", "content": {"name": "s", "enabled": True, "trigger": trigger, "push": push}}


def test_pushes_are_replayed(tmp_path: Path) -> None:
    """A push to SIDECAR_PUSH_URL is recorded, and another one answered from the recording; the URL's path is a word."""
    private = {"SIDECAR_ALLOW_PRIVATE_NETWORK": "true", "TZ": "UTC"}
    with receiver() as taken:
        env = {"SIDECAR_PUSH_URL": f"{taken.server.url}/canary-4711", **private}
        with Child(tmp_path, "--record", "recording", env=env) as child:
            child.ask({"type": "set_mock", "content": {}})
            child.ask({"type": "list_schedules"})  # all is loaded
            (made,) = child.ask(push_schedule(time.time() + 3))
            assert made["type"] == "ok", made
            until_written(tmp_path / "recording" / "exchanges.jsonl", 1)
            assert child.end() == 0
    recording = tmp_path / "recording"
    posted = lines(recording / "exchanges.jsonl")
    assert [(one["method"], one["response"]["status"]) for one in posted] == [("POST", 200)]
    manifest = json.loads((recording / "manifest.json").read_text())
    url = manifest["settings"]["push_url"]
    assert {one["url"] for one in posted} == {url}
    assert all(b"canary-4711" not in path.read_bytes() for path in recording.rglob("*") if path.is_file())
    began = time.time()
    with Child(tmp_path, "--offline", "recording", "--push-url", url, env=private) as child:
        child.ask({"type": "set_mock", "content": {}}, {"type": "list_schedules"})
        now = datetime.fromisoformat(manifest["started_at"]).timestamp() + time.time() - began
        (made,) = child.ask(push_schedule(now + 3))
        assert made["type"] == "ok", made
        deadline = time.monotonic() + 20
        schedule = {"schedule_id": made["content"]["schedule_id"]}
        while True:
            fired, waiting = child.ask({"type": "get_schedule", "content": schedule}, {"type": "list_deliveries"})
            if (fired["content"]["status"], waiting["content"]["deliveries"]) == ("fired", []):
                break
            assert time.monotonic() < deadline, "the push is not answered"
            time.sleep(0.1)


def test_what_a_killed_session_read_is_recorded(tmp_path: Path) -> None:
    """All lines that it had read before a `kill -9`, and the recorder lets go of the folder soon after."""
    with Child(tmp_path, "--record", "recording") as child:
        child.ask({"type": "set_mock", "content": {}}, *({"type": "ping", "id": number} for number in range(2_000)))
        child.process.kill()
        child.wait()
    until_unlocked(tmp_path / "recording")
    assert len(lines(tmp_path / "recording" / "session.jsonl")) == 2_001
    assert len(lines(tmp_path / "recording" / "replies.jsonl")) == 2_001
    assert json.loads((tmp_path / "recording" / "manifest.json").read_text())["complete"] is False


def test_what_was_said_is_written_while_a_session_waits(tmp_path: Path) -> None:
    """All of a burst, however the recorder reads it, is in the files before anything else comes."""
    replies = tmp_path / "recording" / "replies.jsonl"
    with Child(tmp_path, "--record", "recording") as child:
        asked = 0
        for burst in (1, 20_000, 3_000, 7_001):
            child.write(b'{"type":"ping"}\n' * burst)
            assert child.read_many(burst) == [{"type": "pong"}] * burst
            asked += burst
            until_written(replies, asked)


def test_a_session_goes_on_without_its_recorder(tmp_path: Path) -> None:
    """One that was killed is a warning; so is one that a full disk stops. It works at a lower priority."""
    with Child(tmp_path, "--record", "recording") as child:
        child.ask({"type": "set_mock", "content": {}})
        wait_for_priority(recorder_of(child), min(os.getpriority(os.PRIO_PROCESS, child.process.pid) + 10, 19))
        os.kill(recorder_of(child), signal.SIGKILL)
        for _ in range(3):
            assert child.ask({"type": "ping"}) == [{"type": "pong"}]
        assert child.end() == 0
        assert child.stderr.count("nothing more is recorded to recording: the recorder has ended") == 1


def test_a_signal_to_the_whole_group_leaves_a_complete_recording(tmp_path: Path) -> None:
    """A Ctrl-C and a SIGTERM reach the recorder, too; only the session heeds them."""
    with Child(tmp_path, "--record", "recording") as child:
        child.ask({"type": "set_mock", "content": {}})
        os.kill(recorder_of(child), signal.SIGTERM)
        child.process.terminate()
        child.wait()
    assert json.loads((tmp_path / "recording" / "manifest.json").read_text())["complete"] is True


def test_a_recording_is_read_while_it_is_written(tmp_path: Path) -> None:
    """Replay, report and export take what is there, while the session goes on and in any state of its files."""
    commands = ("replay", "recording", "--json"), ("report", "recording"), ("export", "recording", "--format", "har")

    def read(command: list[str]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, timeout=60)

    with Child(tmp_path, "--record", "recording") as child, ThreadPoolExecutor() as threads:
        child.ask({"type": "set_mock", "content": {}})
        until_written(tmp_path / "recording" / "replies.jsonl", 1)
        readers = [threads.submit(read, [sys.executable, "-m", "sidecar", *command]) for command in commands]
        number = 0
        while not all(reader.done() for reader in readers):
            number += 1
            reference = {"referenceNumber": f"a-{number}", "password": f"canary-{number}"}
            assert child.ask({"type": "send_cv", "content": reference})[0]["type"] == "ok"
        assert child.end() == 0
    done = [reader.result() for reader in readers]
    assert [one.returncode for one in done] == [0, 0, 0], done
    assert all(b"Traceback" not in one.stderr and b"canary-" not in one.stdout + one.stderr for one in done)
    assert all(json.loads(line) for line in done[0].stdout.splitlines())
    assert len(lines(tmp_path / "recording" / "replies.jsonl")) == number + 1


def test_a_recording_that_is_being_written_says_so(tmp_path: Path, short_recording: Path) -> None:
    """It is replayed as far as it goes; a program reads nothing but JSON."""
    shutil.copytree(short_recording, tmp_path / "recording")
    with (tmp_path / "recording" / ".lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "is still being recorded: it is replayed as far as it goes" in replay(tmp_path).stdout
        assert all(json.loads(line) for line in replay(tmp_path, "--json").stdout.splitlines())
