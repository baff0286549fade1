"""The cost of updates: the same jobs without and with a signed webhook, alternating."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Final

from aiohttp import web

from benchmarks.bench import SIDECAR, Bench, Figure
from benchmarks.child import Child
from benchmarks.lines import line

JOBS: Final = 40
"""Number of jobs of one round."""
AT_ONCE: Final = 2
UPDATES: Final = 6
"""Updates of one job of two steps."""
SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_STEP: Final = {"url": "data:text/html,<title>x</title><script>console.log('a line of output')</script>"}
_JOB: Final = {"name": "listing", "steps": [_STEP, _STEP]}


def updates(bench: Bench) -> list[Figure]:
    """Jobs a second, compared with a sidecar without webhooks; every update has to arrive."""
    with _receiver() as (url, bodies), _child(bench) as plain, _child(bench) as reporting:
        answer = reporting.ask(line("set_webhooks", [{"url": url, "secret": SECRET}]))
        if answer["type"] != "ok":
            raise RuntimeError(f"set_webhooks failed: {answer}")
        for child in (plain, reporting):
            _rate(child)  # warms up
        without, reported = bench.medians(partial(_rate, plain), partial(_rate, reporting))
        _wait_for(bodies, (bench.rounds + 1) * JOBS * UPDATES)
    return [Figure("jobs with a signed webhook, compared with jobs without", "1/s", without, reported, least=0.9)]


def _child(bench: Bench) -> contextlib.AbstractContextManager[Child]:
    return bench.child(SIDECAR, SIDECAR_CONCURRENCY=str(AT_ONCE), SIDECAR_ALLOW_PRIVATE_NETWORK="true")


def _rate(child: Child) -> float:
    """Jobs a second, with that many at once."""
    started = time.perf_counter()
    for number in range(JOBS + AT_ONCE):
        if number < JOBS:
            child.send(line("send_job", _JOB, number))
        if number >= AT_ONCE:
            answer = child.receive()
            if answer["type"] != "ok":
                raise RuntimeError(f"a job failed: {answer}")
    return JOBS / (time.perf_counter() - started)


def _wait_for(bodies: list[int], count: int) -> None:
    deadline = time.monotonic() + 30
    while len(bodies) < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(bodies)} updates arrived, not {count}")
        time.sleep(0.05)


@contextlib.contextmanager
def _receiver() -> Iterator[tuple[str, list[int]]]:
    """Receives posts in its own thread; yields its URL and the bodies' sizes."""
    bodies: list[int] = []

    async def take(request: web.Request) -> web.Response:
        bodies.append(len(await request.read()))
        return web.Response(status=204)

    async def open_it() -> str:
        app = web.Application()
        app.router.add_post("/hook", take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}/hook"

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(open_it(), loop).result(10), bodies
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
