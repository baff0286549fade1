"""Ctrl-C ends each command within a second, with a sentence and 130; never a traceback."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sidecar.cli.commands import COMMANDS
from tests.harness import PAUSE, SECONDS, environment

ELSEWHERE = {
    "get": "tests/sidecar/cli/test_one_job.py",
    "run-job": "tests/sidecar/cli/test_one_job.py",
    "replay": "tests/sidecar/recording/test_replay.py",
}
"""Commands whose Ctrl-C has a test of its own."""
SESSIONS = {"run", "serve"}
"""They end as a session does: what is accepted is finished first, exit code 0."""
WRITE = ("1", "64")
"""The number of the system call `write`, on amd64 and arm64."""
RECORDING = Path(__file__).parents[3] / "replay_logs" / "recorded_async_job_with_webhook"
ARGUMENTS = {
    "client": ["go"],
    "completion": ["bash"],
    "conformance": ["--list"],
    "export": [str(RECORDING), "--format", "har", "-o", "made.har"],
    "install": ["ffmpeg"],
    "redact": ["log"],
    "report": [str(RECORDING)],
    "token": ["issuer"],
}


def full_pipe() -> tuple[int, int]:
    """A pipe that takes nothing more: whatever writes to it waits."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    while True:
        try:
            os.write(writer, bytes(4096))
        except BlockingIOError:
            break
    os.set_blocking(writer, True)
    return reader, writer


def waits_for_its_reader(child: subprocess.Popen[bytes]) -> bool:
    """Whether it hangs in a write to its stdout: the first system call's argument is the descriptor."""
    call = Path(f"/proc/{child.pid}/syscall").read_text().split()
    return call[0] in WRITE and int(call[1], 16) == 1


@pytest.mark.parametrize("command", sorted({*COMMANDS} - {*ELSEWHERE, *SESSIONS, "worker"}))
def test_a_command_that_waits(tmp_path: Path, command: str) -> None:
    """For the reader of its output, which never reads."""
    (tmp_path / "log").write_text('{"type":"ping"}\n')
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    extra = {
        "SIDECAR_TOKEN_SECRET": "x" * 32,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SIDECAR_CHROMIUM": "/nowhere",
        "SIDECAR_FIREFOX": "/nowhere",
    }
    reader, writer = full_pipe()
    child = subprocess.Popen(
        [sys.executable, "-m", "sidecar", command, *ARGUMENTS.get(command, [])],
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=environment(tmp_path, extra),
    )
    os.close(writer)
    try:
        deadline = time.monotonic() + 2 * SECONDS
        while not waits_for_its_reader(child):
            assert child.poll() is None, child.communicate()
            assert time.monotonic() < deadline
            time.sleep(PAUSE)
        interrupted(child)
    finally:
        child.kill()
        os.close(reader)


def test_a_worker(tmp_path: Path) -> None:
    """It has nothing to finish; SIGTERM would end it with 0."""
    child = subprocess.Popen(
        [sys.executable, "-m", "sidecar", "worker"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=environment(tmp_path),
    )
    try:
        assert child.stdout
        assert child.stdout.readline().endswith(b": at work\n")
        interrupted(child)
    finally:
        child.kill()


def interrupted(child: subprocess.Popen[bytes]) -> None:
    """Sends the signal and looks at the end."""
    began = time.monotonic()
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=SECONDS)
    assert (child.returncode, said) == (130, b"sidecar: interrupted\n")
    assert time.monotonic() - began < SECONDS / 4


def test_a_signal_that_another_thread_gets(tmp_path: Path) -> None:
    """The kernel chooses the thread; the main one, which waits, is woken."""
    program = """
import os, pathlib, signal, threading
from sidecar.cli.interrupt import interruptible
def strike():
    while "futex" not in pathlib.Path(f"/proc/self/task/{os.getpid()}/wchan").read_text():
        pass  # until the main thread waits
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
@interruptible
def wait():
    waited = threading.Event()
    threading.Thread(target=strike, daemon=True).start()
    waited.wait(60)
wait()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, env=environment(tmp_path), timeout=SECONDS
    )
    assert (done.returncode, done.stderr) == (130, b"sidecar: interrupted\n")


def test_before_anything_is_imported(tmp_path: Path) -> None:
    """As early as our first line runs."""
    program = "import os, signal, sys; import sidecar.__main__; os.kill(os.getpid(), signal.SIGINT); os.read(0, 1)"
    done = subprocess.run(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, capture_output=True, env=environment(tmp_path)
    )
    assert (done.returncode, done.stderr) == (130, b"sidecar: interrupted\n")


def test_the_tests_that_stand_elsewhere() -> None:
    """They are there."""
    root = Path(__file__).parents[3]
    for path in ELSEWHERE.values():
        assert "SIGINT" in (root / path).read_text() or "ctrl_c" in (root / path).read_text()
