"""The Python client against a child that answers on cue."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from sidecar.client import Sidecar, SidecarEnded, SidecarFailure
from sidecar.client.requests import Step
from tests.harness import environment
from tests.sidecar.client.echoing import child


@pytest.fixture
def sidecar() -> Iterator[Sidecar]:
    """A client with such a child, closed after the test."""
    with child() as client:
        yield client


def test_ready_is_kept(sidecar: Sidecar) -> None:
    """The content of `ready` is available."""
    assert sidecar.ready["version"] == "0"


def test_each_method_sends_its_message(sidecar: Sidecar) -> None:
    """Every convenience method is one message of the protocol."""
    secret = {"key": "k", "encryption_key": "e"}
    assert sidecar.get_secret("k", "e") == {"type": "get_secret", "content": secret}
    users: Any = sidecar.get_users_secret("e")
    assert users == {"type": "get_users_secret", "content": {"key": "users", "encryption_key": "e"}}
    user: Any = sidecar.get_user_secret("e")
    assert user == {"type": "get_user_secret", "content": {"key": "user", "encryption_key": "e"}}
    cv: Any = sidecar.send_cv({"referenceNumber": "é"})
    assert cv == {"type": "send_cv", "content": {"referenceNumber": "é"}}
    assert sidecar.send_job({"steps": []}) == {"type": "send_job", "content": {"steps": []}}
    assert sidecar.is_remembered("r") is True
    sidecar.remember("r")
    sidecar.remember("r", short=True)
    sidecar.login("http://localhost", "id", "key")
    sidecar.set_credentials([{"server_location": "http://localhost", "primary": True}])
    sidecar.set_mock({"user": 1}, cv_matches=False)
    sidecar.ping()


def test_failure_carries_what_the_error_said(sidecar: Sidecar) -> None:
    """An error becomes an exception with code, message, retryable and places."""
    with pytest.raises(SidecarFailure, match="no button") as caught:
        sidecar.request("fail")
    failure = caught.value
    assert (failure.code, failure.message, failure.retryable) == ("action_failed", "no button", False)
    assert failure.fields == {"step": "list", "action": "click"}


def test_answers_find_their_requests_in_any_order(sidecar: Sidecar) -> None:
    """Answers that come in another order than the requests reach the right futures."""
    futures = [sidecar.submit("hold") for _ in range(3)]
    released = sidecar.request("release")
    ids = [future.result(10) for future in futures]
    assert ids == sorted(ids)
    assert released == ids[-1] + 1


def test_threads_may_share_a_client(sidecar: Sidecar) -> None:
    """Each of many threads gets the answers to its own requests."""
    wrong: list[Any] = []

    def work(name: int) -> None:
        for turn in range(50):
            answer = sidecar.request("echo", [name, turn])["content"]
            if answer != [name, turn]:
                wrong.append(answer)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []


def test_request_without_an_answer_times_out_and_is_cancelled(sidecar: Sidecar) -> None:
    """A request waits no longer than its timeout; the client stays usable."""
    with pytest.raises(TimeoutError, match=r"hold had no answer after 0.05 s"):
        sidecar.request("hold", timeout=0.05)
    sidecar.ping()


def test_line_that_is_too_long_fails_its_own_request(sidecar: Sidecar) -> None:
    """The answer to a line over the limit has no id, and still reaches the request that was too long."""
    waiting = sidecar.submit("hold")
    with pytest.raises(SidecarFailure) as caught:
        sidecar.request("echo", "x" * 200_000)
    assert caught.value.code == "line_too_long"
    assert not waiting.done()


def test_events_reach_the_callback() -> None:
    """A client with a callback asks for notifications and hands them on."""
    events: Future[dict[str, Any]] = Future()
    with child(on_event=events.set_result) as sidecar:
        sidecar.request("notify", {"done": 1})
        assert events.result(10)["content"] == {"done": 1}


def test_close_lets_work_in_flight_finish() -> None:
    """What was asked before the end is answered at the end."""
    with child() as sidecar:
        late = sidecar.submit("hold")
    assert late.result(0) == "late"
    with pytest.raises(SidecarEnded):
        sidecar.ping()
    sidecar.close()


def test_child_that_dies_fails_what_waits(sidecar: Sidecar) -> None:
    """No request waits for a child that is gone."""
    waiting = sidecar.submit("hold")
    with pytest.raises(SidecarEnded):
        sidecar.request("die")
    with pytest.raises(SidecarEnded):
        waiting.result(10)


def test_child_that_writes_nonsense_is_ended(sidecar: Sidecar) -> None:
    """A line that isn't protocol ends the connection with a reason."""
    with pytest.raises(SidecarEnded, match="a line that can't be used"):
        sidecar.request("nonsense")


@pytest.mark.parametrize("mood", ["stay", "deaf"])
def test_child_that_does_not_end_is_killed(mood: str) -> None:
    """Closing is bounded, whether the child has read its end of input or not."""
    with child(close_timeout=0.2) as sidecar:
        sidecar.request(mood)
        process = sidecar._core.child.process
    assert process.returncode == -9


def test_close_frees_a_thread_that_is_stuck_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that writes to a child which doesn't read is freed by `close`."""
    sidecar = child(close_timeout=5)
    sidecar.request("deaf")
    writing, outcome = threading.Event(), Future[str]()
    write = sidecar._core.child._input.write

    def tell_and_write(line: bytes) -> int:
        writing.set()
        return write(line)

    def ask() -> None:
        try:
            sidecar.request("echo", "x" * 1_000_000)
        except SidecarEnded:
            outcome.set_result("freed")

    monkeypatch.setattr(
        sidecar._core.child,
        "_input",
        SimpleNamespace(write=tell_and_write, flush=None, close=sidecar._core.child._input.close),
    )
    thread = threading.Thread(target=ask)
    thread.start()
    assert writing.wait(10)
    sidecar.close()
    assert outcome.result(10) == "freed"
    thread.join(10)
    assert sidecar._core.child.process.returncode == -signal.SIGTERM


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("print('hello')", "can't be used"),
        ("""print('{"type":"ready","protocol":"9.1"}')""", "not `ready` of protocol 2"),
        ("""print('{"type":"ready","content":"waiting for credentials"}')""", "not `ready` of protocol 2"),
        ("pass", "before it was ready"),
    ],
)
def test_child_that_is_no_sidecar_is_refused(script: str, reason: str) -> None:
    """Anything but `ready` of the known protocol is an error at once."""
    with pytest.raises(SidecarEnded, match=reason):
        Sidecar([sys.executable, "-c", script], timeout=30)


def test_real_sidecar_in_mock_mode() -> None:
    """The client and the sidecar mean the same by every message that mock mode answers."""
    with Sidecar() as sidecar:
        with pytest.raises(SidecarFailure) as caught:
            sidecar.get_secret("any", "key")
        assert caught.value.code == "missing_credentials"
        sidecar.set_mock({"user": {"username": "u", "password": "p"}, "users": [], "number": 10**30})
        assert sidecar.get_user_secret("key") == {"username": "u", "password": "p"}
        assert sidecar.get_users_secret("key") == []
        assert sidecar.get_secret("number", "key") == 10**30
        assert sidecar.is_remembered("r") is False
        sidecar.remember("r")
        sidecar.remember("s", short=True)
        assert sidecar.is_remembered("r") is sidecar.is_remembered("s") is True
        assert sidecar.send_cv({"referenceNumber": "r"}) is None
        assert sidecar.send_cv({"referenceNumber": "t"}) is True
        assert sidecar.send_full_cv({"referenceNumber": "f"}, b"%PDF-1.4") is True
        assert sidecar.send_full_cv({"referenceNumber": "f"}, b"%PDF-1.4") is None
        with pytest.raises(SidecarFailure, match="SIDECAR_CV_FOLDER"):
            sidecar.send_full_cv({"referenceNumber": "g"}, Path("g.pdf"))
        assert sidecar.send_cvs_list([{"referenceNumber": "h"}, {"referenceNumber": "h"}, {}]) == {
            "sent": 1,
            "duplicates": 1,
            "without_reference": 1,
        }
        sidecar.set_mock(cv_matches=False)
        assert sidecar.send_cv({"referenceNumber": "t"}) is False
        sidecar.ping()


@pytest.mark.browser
def test_jobs_that_are_queued(tmp_path: Path) -> None:
    """The same key is the same job; its outcome is a result or a failure."""
    with Sidecar(env=environment(tmp_path)) as sidecar:
        sidecar.set_mock()
        sidecar.set_webhooks([])
        page: Step = {"url": "data:text/html,<h1>Hello</h1>", "extract": {"title": "h1"}}
        job = sidecar.queue_job({"steps": [page]}, key="once")
        assert sidecar.queue_job({"steps": [page]}, key="once") == job
        done = sidecar.wait_for_job(job)
        assert (done["status"], done["result"]["extract"]) == ("success", {"title": "Hello"})
        assert sidecar.job_status(job)["attempts"] == 1
        missing = sidecar.queue_job({"steps": [page | {"actions": [{"click": "#no"}], "timeout_ms": 300}]})
        with pytest.raises(SidecarFailure) as failed:
            sidecar.wait_for_job(missing)
        assert failed.value.code in ("timeout", "action_failed")
        endless = sidecar.queue_job({"steps": [page | {"actions": [{"wait_for_selector": "#no"}]}]})
        with pytest.raises(TimeoutError):
            sidecar.wait_for_job(endless, timeout=0.2)
        sidecar.request("cancel_job", {"id": endless})
        with pytest.raises(SidecarFailure) as cancelled:
            sidecar.wait_for_job(endless)
        assert cancelled.value.code == "cancelled"


def test_real_sidecar_refuses_a_line_over_its_limit() -> None:
    """A request that is too long fails alone."""
    with Sidecar([sys.executable, "-m", "sidecar", "--max-line", "4096"]) as sidecar:
        with pytest.raises(SidecarFailure) as caught:
            sidecar.remember("x" * 5000)
        assert caught.value.code == "line_too_long"
        sidecar.ping()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            "print('one'); print('two', file=sys.stderr); sys.exit(3)",
            r"before it was ready \(exit code 3\); its last words:\n  one\n  two$",
        ),
        ("os.kill(os.getpid(), 9)", r"before it was ready \(by SIGKILL\)$"),
        (
            "import nothing_like_this",
            r"\(exit code 1\); its last words:\n(.*\n)+  ModuleNotFoundError: No module named",
        ),
    ],
)
def test_a_child_that_ends_early_says_why(script: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The error has the exit code or signal and the last lines of its stderr, which go to ours as well."""
    script = f"import os, sys; sys.stdout = sys.stderr; {script}"
    with pytest.raises(SidecarEnded, match=said):
        Sidecar([sys.executable, "-c", script], timeout=30)
    assert ("two" in capfd.readouterr().err) == ("two" in said)


def test_a_child_that_ends_later_says_why(sidecar: Sidecar) -> None:
    """So does the error of a request that was waiting."""
    with pytest.raises(SidecarEnded, match=r"^the sidecar has ended \(exit code 3\)$"):
        sidecar.request("die")


WAITING = """
import sys
from sidecar.client import Sidecar
with Sidecar() as sidecar:
    print(sidecar.ready["pid"], flush=True)
    sidecar.login(sys.argv[1], "111111111111111111111111", "key")
"""
WITHOUT_BLOCK = """
import sys
from sidecar.client import Sidecar
sidecar = Sidecar()
try:
    print(sidecar.ready["pid"], flush=True)
    sidecar.login(sys.argv[1], "111111111111111111111111", "key")
finally:
    sidecar.close()
"""
ASYNC = """
import asyncio, sys
from sidecar.client import Sidecar
async def main():
    with Sidecar() as sidecar:
        print(sidecar.ready["pid"], flush=True)
        server = {"server_location": sys.argv[1], "api_key_id": "1" * 24, "api_key": "key"}
        await asyncio.wrap_future(sidecar.submit("set_credentials", server))
asyncio.run(main())
"""
ASYNC_CLIENT = """
import asyncio, sys
from sidecar.client import AsyncSidecar
async def main():
    async with AsyncSidecar() as sidecar:
        print(sidecar.ready["pid"], flush=True)
        await sidecar.login(sys.argv[1], "1" * 24, "key")
asyncio.run(main())
"""


@pytest.mark.parametrize("to_all", [True, False])
@pytest.mark.parametrize("scraper", [WAITING, WITHOUT_BLOCK, ASYNC, ASYNC_CLIENT])
def test_an_interrupted_scraper_ends_at_once(tmp_path: Path, scraper: str, to_all: bool) -> None:
    """Ctrl-C, to the scraper alone or as a terminal sends it, waits for no work in flight and leaves nothing behind."""
    with silent_server() as (url, asked):
        started = subprocess.Popen(
            [sys.executable, "-c", scraper, url],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(tmp_path), process_group=0,
        )  # fmt: skip
        with started:
            assert started.stdout
            child = psutil.Process(int(started.stdout.readline()))
            assert asked.wait(30)
            began = time.monotonic()
            (os.killpg if to_all else os.kill)(started.pid, signal.SIGINT)
            _, said = started.communicate(timeout=30)
            assert time.monotonic() - began < 15  # the request had 30 seconds
            assert said.splitlines()[-1] == "KeyboardInterrupt"
            assert started.returncode in (130, -signal.SIGINT)
            child.wait(10)


@contextlib.contextmanager
def silent_server() -> Iterator[tuple[str, threading.Event]]:
    """A server that takes connections and says nothing, and whether somebody has come."""
    asked = threading.Event()

    def take() -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                kept.append(listening.accept()[0])
                asked.set()

    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(10)
    for one in kept:
        one.close()
