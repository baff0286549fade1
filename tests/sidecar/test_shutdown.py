"""Ends have a bound: tasks that lose a cancellation, farewells without an answer, a process that does not end."""

import asyncio
import logging
import subprocess
import sys
import time

import pytest

from sidecar.shutdown import best_effort, cancel_and_wait


async def loses(count: int, lost: list[int]) -> None:
    """Survives `count` cancellations, as redis-py sometimes does."""
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost.append(1)
            if len(lost) > count:
                raise


async def test_a_lost_cancellation_is_repeated() -> None:
    """A running task is cancelled again until it ends."""
    lost: list[int] = []
    task = asyncio.create_task(loses(3, lost))
    await asyncio.sleep(0)
    await cancel_and_wait(task, None, seconds=20)
    assert task.cancelled()
    assert len(lost) == 4


async def test_a_task_that_does_not_end_is_left(caplog: pytest.LogCaptureFixture) -> None:
    """A task that does not end is logged and left; one that failed meanwhile is reported, too."""

    async def fails() -> None:
        raise KeyError("mine")

    task, failing = asyncio.create_task(loses(1000, []), name="stubborn"), asyncio.create_task(fails())
    await asyncio.sleep(0)
    with caplog.at_level(logging.WARNING):
        await cancel_and_wait(task, failing, seconds=0.1)
    assert not task.done()
    said = [record.getMessage() for record in caplog.records]
    assert said == ["a task ended with KeyError: 'mine'", "a task did not stop after cancellation: stubborn"]
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)


async def test_a_cleanup_that_does_not_finish() -> None:
    """The wait is bounded, and the task's failure is not raised."""

    async def fails() -> None:
        raise OSError("gone")

    began = time.monotonic()
    await best_effort(asyncio.Event().wait(), 0.05)
    await best_effort(fails())
    assert time.monotonic() - began < 20


def test_a_process_ends_whatever_waits() -> None:
    """The process exits with 0 and a message on stderr, even if its loop or a thread hangs."""
    code = "import time; from sidecar.shutdown import force_exit_after; force_exit_after(0.2); time.sleep(600)"
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=60)
    assert (done.returncode, b"shutdown timed out" in done.stderr) == (0, True)
    assert time.monotonic() - began < 60


def test_a_process_with_an_unread_stderr_ends_too() -> None:
    """What it would say of its end can't be said where its reader has gone first, and it ends all the same."""
    program = "import time; from sidecar.shutdown import force_exit_after; force_exit_after(0.1); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) as process:
        assert process.stderr
        process.stderr.close()
        assert process.wait(30) == 0
