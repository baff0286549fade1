"""A member of a fleet ends on request, whatever Redis does: with 0, in a bounded time, without a traceback."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import PAUSE, Child
from tests.redis_server import RedisServer

JOB = {"type": "send_job", "content": {"mode": "async", "steps": [{"url": "data:text/html,<h1>Hi</h1>"}]}}
WITHOUT_BROWSER = "/is/not/there"
"""A Chromium whose jobs end at once, where only their acceptance matters."""
LONGEST = 35.0
"""Seconds: the time for finishing, and all that closing may take."""


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of its own, which a test may stop or freeze."""
    with RedisServer(tmp_path) as running:
        yield running


def member(folder: Path, redis: RedisServer, **more: str) -> Child:
    """A process of the fleet that can open what the others seal."""
    folder.mkdir(exist_ok=True)
    env = {"SIDECAR_QUEUE": redis.url, "SIDECAR_STORE_KEY": "A" * 43 + "=", "SIDECAR_SHUTDOWN_TIMEOUT": "1"}
    return Child(folder, env=env | more)


def ends(child: Child) -> None:
    """It ends as it should."""
    assert child.wait(LONGEST) == 0
    assert "Traceback" not in child.stderr
    assert "shutdown timed out" not in child.stderr


def test_right_after_its_first_job(tmp_path: Path, redis: RedisServer) -> None:
    """Stdin ends as the queue is being opened: many times over, at another moment each time."""
    for number in range(3):
        with member(tmp_path / f"{number}", redis, SIDECAR_CHROMIUM=WITHOUT_BROWSER) as child:
            child.send(JOB)
            if number % 2:
                assert child.read()["content"]["status"] == "scheduled"
            child.close_stdin()
            ends(child)


@pytest.mark.parametrize("busy", [False, True], ids=["at once", "at work"])
def test_a_signal(tmp_path: Path, redis: RedisServer, busy: bool) -> None:
    """SIGTERM as it opens its queue, or once its workers wait for jobs in Redis."""
    with member(tmp_path / "one", redis, SIDECAR_CHROMIUM=WITHOUT_BROWSER) as child:
        child.send(JOB)
        assert child.read()["content"]["status"] == "scheduled"
        while busy and child.ask({"type": "list_jobs"})[0]["content"]["jobs"][0]["status"] == "pending":
            time.sleep(PAUSE)
        child.signal(signal.SIGTERM)
        ends(child)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", ["down", "frozen"])
@pytest.mark.parametrize("ended_by", ["end of input", "signal"])
def test_without_redis(tmp_path: Path, redis: RedisServer, how: str, ended_by: str) -> None:
    """Redis no longer answers: the process gives up its farewell, and other machines requeue its jobs."""
    with member(tmp_path / "one", redis) as child:
        child.send(JOB)
        assert child.read()["content"]["status"] == "scheduled"
        if how == "down":
            redis.stop()
        else:
            redis.signal(signal.SIGSTOP)
        child.close_stdin() if ended_by == "end of input" else child.signal(signal.SIGTERM)
        ends(child)
        if how == "frozen":
            redis.signal(signal.SIGCONT)
