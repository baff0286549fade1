"""How a session ends: end of input, signals, the deadline, a parent that goes away or dies."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from sidecar.shutdown import SAME_SECONDS
from tests.harness import SECONDS, Child, Rtcv, encoded, environment, error, rtcv

OK = {"type": "ok"}
MATCHED = {"type": "ok", "content": True}
SHUTTING_DOWN = error("shutting_down", "the sidecar is shutting down and did not finish this request", retryable=True)
SOON = 2.0
"""Seconds within which a death is noticed."""
SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


def cv(reference: str, **extra: Any) -> dict[str, Any]:
    """A `send_cv`."""
    return {"type": "send_cv", "content": {"referenceNumber": reference}, **extra}


@pytest.fixture(scope="module")
def running_server() -> Iterator[Rtcv]:
    """One server for all tests."""
    with rtcv() as running:
        yield running


@pytest.fixture
def server(running_server: Rtcv) -> Iterator[Rtcv]:
    """The server, as if it were new."""
    running_server.server.requests.clear()
    for key in running_server.server.keys.values():
        key.scanned.clear()
    yield running_server
    running_server.release()


def logged_in(child: Child, server: Rtcv) -> Child:
    """Logs in."""
    assert child.ask({"type": "set_credentials", "content": server.credentials}) == [OK]
    return child


def hanging(child: Child, server: Rtcv, *more: dict[str, Any]) -> None:
    """Brings a CV with id 1 and one without to the server, which does not answer; then sends more."""
    logged_in(child, server)
    server.server.fail("scanCV", "hang", count=2)
    child.send(cv("x", id=1), cv("y"))
    server.wait_for("scanCV", 2)
    if more:
        child.send(*more, {"type": "ping", "id": "read"})
        assert child.read() == {"type": "pong", "id": "read"}


def test_the_end_of_input_answers_everything(tmp_path: Path, server: Rtcv) -> None:
    """What was accepted is finished and answered, in order, and the exit code is 0."""
    with Child(tmp_path) as child:
        hanging(child, server, {"type": "ping"}, {"type": "has_cached_reference", "content": "y"})
        child.close_stdin()
        assert child.silent()
        server.release()
        lines = child.rest()
        lines.remove({**MATCHED, "id": 1})
        assert lines == [MATCHED, {"type": "pong"}, MATCHED]
        assert child.wait() == 0


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_finishes_what_is_in_flight(tmp_path: Path, server: Rtcv, number: int) -> None:
    """No more is taken, what runs is answered, and the exit code is 0."""
    with Child(tmp_path) as child:
        hanging(child, server, {"type": "ping"})
        child.signal(number)
        assert child.silent()
        child.send({"type": "ping", "id": "too late"})
        assert child.silent()
        server.release()
        lines = child.rest()
        lines.remove({**MATCHED, "id": 1})
        assert lines == [MATCHED, {"type": "pong"}]
        assert child.wait() == 0
        assert child.stderr == ""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_ends_at_once(tmp_path: Path, server: Rtcv, number: int) -> None:
    """A second signal ends the process at once: exit code 128 and the signal's number."""
    with Child(tmp_path) as child:
        hanging(child, server)
        child.signal(number)
        assert child.silent(SAME_SECONDS + 0.1)
        child.signal(number)
        assert child.wait(SOON) == 128 + number


def test_another_signal_ends_at_once(tmp_path: Path, server: Rtcv) -> None:
    """One of another kind is no echo of the first, however soon it comes."""
    with Child(tmp_path) as child:
        hanging(child, server)
        child.signal(signal.SIGINT)
        child.signal(signal.SIGTERM)
        assert child.wait(SOON) in (128 + signal.SIGTERM, 128 + signal.SIGINT)


@pytest.mark.parametrize("number", SIGNALS)
def test_one_signal_that_comes_twice_is_no_second_one(tmp_path: Path, server: Rtcv, number: int) -> None:
    """A terminal's Ctrl-C that a parent hands on as well: requests in flight get their time."""
    with Child(tmp_path) as child:
        hanging(child, server)
        child.signal(number)
        time.sleep(0.1)
        child.signal(number)
        assert child.silent(1)
        assert child.process.poll() is None


def test_a_worker_under_timeout_ends_politely(tmp_path: Path) -> None:
    """GNU `timeout` signals its child, and then the whole group: the worker ends as after one signal."""
    command = ["timeout", "--preserve-status", "6", sys.executable, "-m", "sidecar", "worker"]
    ended = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=SECONDS)
    assert "at work" in ended.stdout
    assert ended.returncode == 0, ended.stderr


def test_the_first_signal_after_the_end_of_input_is_not_the_second(tmp_path: Path, server: Rtcv) -> None:
    """A parent that closes stdin and then terminates still gets its answers."""
    with Child(tmp_path) as child:
        hanging(child, server)
        child.close_stdin()
        assert child.silent()
        child.signal(signal.SIGTERM)
        assert child.silent()
        server.release()
        assert len(child.rest()) == 2
        assert child.wait() == 0


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_before_anything_was_read(tmp_path: Path, number: int) -> None:
    """Right after `ready` there is nothing to finish: exit code 0, whatever is loaded by then."""
    with Child(tmp_path) as child:
        child.signal(number)
        assert child.wait() == 0
        assert child.stderr == ""


@pytest.mark.parametrize("how", ["end of input", "signal"])
def test_the_deadline_answers_what_is_left(tmp_path: Path, server: Rtcv, how: str) -> None:
    """After `shutdown_timeout` everything still open is answered `shutting_down`, in order."""
    with Child(tmp_path, "--shutdown-timeout", "0.5") as child:
        waiting = [{"type": "ping"}, {"type": "set_mock", "id": "m"}, cv("z", id=2), {"type": "nothing"}, cv("q")]
        hanging(child, server)
        child.send(*waiting)
        child.send({"type": "nothing", "id": "read"})
        assert child.read() == error(
            "unknown_type", "unknown message type nothing", hint="`hello` answers with all message types", id="read"
        )
        child.close_stdin() if how == "end of input" else child.signal(signal.SIGTERM)
        lines = child.rest()
        assert child.wait() == 0
        assert [line for line in lines if "id" not in line] == [
            SHUTTING_DOWN,
            SHUTTING_DOWN,
            error("unknown_type", "unknown message type nothing", hint="`hello` answers with all message types"),
            SHUTTING_DOWN,
        ]
        assert {line["id"]: line for line in lines if "id" in line} == {
            number: {**SHUTTING_DOWN, "id": number} for number in (1, "m", 2)
        }
        assert len(lines) == 7
        assert child.stderr == ""


# --- readers that go away


def test_a_closed_stdout_ends_an_idle_process(tmp_path: Path) -> None:
    """It is noticed without anything to say."""
    with Child(tmp_path) as child:
        child.close_stdout()
        assert child.wait(SOON) == 0
        assert child.stderr == ""


def test_a_closed_stdout_ends_a_busy_process(tmp_path: Path, server: Rtcv) -> None:
    """The end does not wait for work whose answer is not read."""
    with Child(tmp_path) as child:
        hanging(child, server)
        child.close_stdout()
        assert child.wait(SOON) == 0


def test_a_closed_stdout_ends_a_clogged_process(tmp_path: Path) -> None:
    """A closed stdout ends the process while answers are unread and input is waiting."""
    with Child(tmp_path) as child:
        child.offer(encoded({"type": "ping", "id": "x" * 100}) * 50_000, quiet=0.2)
        child.close_stdout()
        assert child.wait(SOON) == 0


def test_a_closed_socket_ends_an_idle_process(tmp_path: Path) -> None:
    """A closed socket as stdout, as in Node, ends the process."""
    ours, theirs = socket.socketpair()
    with theirs:
        child = Child(tmp_path, stdout=theirs.fileno())
    with child:
        child.stdout = ours.detach()
        assert child.read()["type"] == "ready"
        assert child.ask({"type": "ping"}) == [{"type": "pong"}]
        child.close_stdout()
        assert child.wait(SOON) == 0


def test_a_signal_ends_a_process_with_unread_output(tmp_path: Path) -> None:
    """Answers that can't be written are given up at the deadline."""
    with Child(tmp_path, "--shutdown-timeout", "0.5") as child:
        child.offer(encoded({"type": "ping", "id": "x" * 100}) * 50_000, quiet=0.2)
        child.signal(signal.SIGTERM)
        assert child.wait() == 0


# --- a parent that dies


SPAWN = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "sidecar", *sys.argv[1:]])
print(child.pid, file=sys.stderr, flush=True)
child.wait()
"""


class Orphan:
    """A sidecar whose parent is a process between it and the test, which keeps the pipes open."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.parent = Child(folder, command=[sys.executable, "-c", SPAWN, *arguments])
        self.pid = int(self.parent.stderr.split()[0])
        self._watched = os.pidfd_open(self.pid)

    def kill_parent(self) -> None:
        """Kills the process between."""
        self.parent.signal(signal.SIGKILL)
        self.parent.wait()

    def signal(self, number: int) -> None:
        """Sends a signal to the sidecar, if it is still there."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._watched, number)

    def gone_within(self, seconds: float) -> bool:
        """Whether the sidecar ends so soon."""
        return bool(select.select([self._watched], [], [], seconds)[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.signal(signal.SIGKILL)
        os.close(self._watched)
        self.parent.__exit__()


def test_the_parents_death_is_the_end(tmp_path: Path) -> None:
    """The parent's death counts while another process holds the pipe open; input left in it is handled."""
    with Orphan(tmp_path) as orphan:
        assert orphan.parent.ask({"type": "ping"}) == [{"type": "pong"}]
        orphan.signal(signal.SIGSTOP)
        orphan.parent.send({"type": "ping", "id": 1}, b'{"type":"ping","id":"last","a":"' + b"x" * 30_000 + b'"}')
        os.write(orphan.parent.stdin, b'{"type":"ping","id":"no newline"}')
        orphan.kill_parent()
        orphan.signal(signal.SIGCONT)
        assert orphan.gone_within(SOON)
        assert [line["id"] for line in orphan.parent.rest()] == [1, "last", "no newline"]


def test_the_parents_death_right_after_ready(tmp_path: Path) -> None:
    """There is no moment at which it goes unnoticed."""
    with Orphan(tmp_path) as orphan:
        orphan.kill_parent()
        assert orphan.gone_within(SOON)


def test_the_parents_death_lets_work_finish(tmp_path: Path, server: Rtcv) -> None:
    """It counts as the end of input: what is in flight gets its time."""
    with Orphan(tmp_path) as orphan:
        hanging(orphan.parent, server)
        orphan.kill_parent()
        assert not orphan.gone_within(1)
        server.release()
        assert len(orphan.parent.rest()) == 2
        assert orphan.gone_within(SOON)


def test_the_parents_death_with_unread_output(tmp_path: Path) -> None:
    """A sidecar that waits for a reader does not wait for one for ever."""
    with Orphan(tmp_path, "--shutdown-timeout", "0.5") as orphan:
        orphan.parent.offer(encoded({"type": "ping", "id": "x" * 100}) * 50_000, quiet=0.2)
        orphan.kill_parent()
        assert orphan.gone_within(SOON + 1)
