"""The client for asyncio, against a child that answers on cue and against the real one."""

import asyncio
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from sidecar.client import AsyncSidecar, SidecarEnded, SidecarFailure
from sidecar.client.requests import SendJob
from tests.harness import environment
from tests.sidecar.client.echoing import CHILD

HELLO: SendJob = {"steps": [{"url": "data:text/html,<h1>Hello</h1>", "extract": {"title": "h1"}}]}
ENDLESS: SendJob = {"steps": [{"url": "data:text/html,x", "actions": [{"wait_for_selector": "#no"}]}]}


def child(**options: Any) -> AsyncSidecar:
    """A client whose child follows the script."""
    return AsyncSidecar([sys.executable, "-c", CHILD], timeout=30, **options)


async def test_answers_failures_and_bounds() -> None:
    """Requests side by side get their own answers; errors, timeouts and cancellations harm no other."""
    async with child() as sidecar:
        held = [asyncio.ensure_future(sidecar.request("hold")) for _ in range(3)]
        await asyncio.sleep(0)
        released = await sidecar.request("release")
        assert await asyncio.gather(*held) == sorted([await one for one in held])
        assert released not in [one.result() for one in held]
        assert await sidecar.is_remembered("r") is True
        with pytest.raises(SidecarFailure) as failed:
            await sidecar.request("fail")
        assert (failed.value.code, failed.value.fields) == ("action_failed", {"step": "list", "action": "click"})
        with pytest.raises(TimeoutError, match=r"hold had no answer after 0.05 s"):
            await sidecar.request("hold", timeout=0.05)
        waiting = asyncio.ensure_future(sidecar.request("hold"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await sidecar.ping()
        with pytest.raises(SidecarEnded, match="exit code 3") as ended:
            await sidecar.request("die")
        assert ended.value.exit_code == 3


async def test_events_come_on_the_loop() -> None:
    """The callback and the iterator get them in the loop's own thread; the iterator ends with the sidecar."""
    told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def take(event: Any) -> None:
        if not told.done():
            told.set_result((threading.current_thread(), event["content"]))

    async with child(on_event=take) as sidecar:
        events = sidecar.events()
        first = asyncio.ensure_future(anext(events))
        await sidecar.ping()  # by now it listens
        await sidecar.request("notify", {"done": 1})
        assert (await first)["content"] == {"done": 1}
        assert await told == (threading.current_thread(), {"done": 1})
        rest = asyncio.ensure_future(_all(events))
        await sidecar.request("notify", {"done": 2})
    assert [event["content"] for event in await rest] == [{"done": 2}]


async def _all(events: Any) -> list[Any]:
    return [event async for event in events]


async def test_a_child_that_does_not_read_blocks_no_loop() -> None:
    """What can't be written waits in a thread; a block that is cancelled ends the child at once."""
    sidecar = child()

    async def ask() -> None:
        async with sidecar:
            await sidecar.request("deaf")
            asking.set_result(psutil.Process(sidecar._core.child.process.pid))
            await sidecar.request("echo", "x" * 1_000_000)

    asking: asyncio.Future[psutil.Process] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(ask())
    process = await asking
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not process.is_running()


async def test_a_child_that_is_never_ready_ends_with_its_client() -> None:
    """Whether it ends by itself, or the one who waits is cancelled; no process is left."""
    with pytest.raises(SidecarEnded, match="before it was ready"):
        await AsyncSidecar([sys.executable, "-c", ""], timeout=30).open()
    silent = AsyncSidecar([sys.executable, "-c", "import time; print(end='', flush=True); time.sleep(600)"])
    opening = asyncio.ensure_future(silent.open())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert silent._core.child.process.returncode == -9


@pytest.mark.browser
async def test_jobs(tmp_path: Path) -> None:
    """A job that was started has its own events, a reply and an end on request; queued ones too."""
    async with AsyncSidecar(env=environment(tmp_path)) as sidecar:
        await sidecar.set_mock()
        await sidecar.hello(notifications=False, zone="Asia/Tokyo")
        job, other = sidecar.start(HELLO), sidecar.start({**HELLO, "name": "other"})
        events = [event async for event in job]
        assert {event.get("id") for event in events} == {job._run.asked.request_id}
        states = [event["content"]["data"]["runState"] for event in events if event["event"] == "job_update"]
        assert (states[0], states[-1]) == ("WAITING", "COMPLETED")
        assert [event async for event in job] == []
        assert (await job)["result"]["extract"] == (await other)["result"]["extract"] == {"title": "Hello"}
        assert sidecar._core._session["hello"][1] == {"notifications": True, "zone": "Asia/Tokyo"}

        queued = sidecar.start({**HELLO, "mode": "async"})
        assert (await queued)["result"]["extract"] == {"title": "Hello"}
        told = [event async for event in queued]
        assert told
        assert all("id" not in event for event in told)

        for endless in (sidecar.start(ENDLESS), sidecar.start({**ENDLESS, "mode": "async"})):
            async for event in endless:
                if event["event"] == "progress":
                    break
            assert await endless.cancel()
            with pytest.raises(SidecarFailure) as failed:
                await endless
            assert failed.value.code == "cancelled"
            assert not await endless.cancel()
        wrong = sidecar.start({"steps": [], "mode": "async"})
        with pytest.raises(SidecarFailure, match="steps"):
            await wrong
        assert not await wrong.cancel()
