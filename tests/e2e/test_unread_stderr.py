"""A parent that never reads stderr: the sidecar, which has things to say there, goes on working all the same."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import PIPE, SECONDS, encoded, environment, rtcv

FULL_STDERR = Path(__file__).parent / "parents" / "full_stderr.py"


def pipe() -> tuple[int, int]:
    """As most languages make it: the end that is never read, and the child's."""
    return os.pipe()


def stream() -> tuple[int, int]:
    """As Node makes it."""
    ours, theirs = socket.socketpair()
    return ours.detach(), theirs.detach()


@pytest.mark.parametrize("make", [pipe, stream])
def test_a_full_stderr_holds_up_nothing(make: Callable[[], tuple[int, int]], tmp_path: Path) -> None:
    """Warnings are dropped; requests are answered, and the end comes when stdin ends."""
    unread, errors = make()
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)  # which is warned of when the store is opened
    with rtcv() as server:
        login = encoded({"type": "set_credentials", "content": server.credentials})
        done = subprocess.run(
            [sys.executable, str(FULL_STDERR), sys.executable, "-m", "sidecar"],
            input=login + encoded({"type": "ping"}),
            stdout=PIPE,
            stderr=errors,
            cwd=tmp_path,
            env=environment(tmp_path),
            timeout=SECONDS,
        )
    os.close(errors)
    assert done.returncode == 0
    assert done.stdout.splitlines()[1:] == [b'{"type":"ok"}', b'{"type":"pong"}']
    os.close(unread)
