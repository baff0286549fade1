"""Every navigation of a job with a visit token is checked: steps, actions, redirects, scripts and popups."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sidecar.browser.pool import BrowserPool
from sidecar.clock import Clock
from sidecar.errors import Forbidden
from sidecar.settings import Settings
from sidecar.work.jobs.runner import JobRunner
from sidecar.work.jobs.tokens import Scope
from tests.sidecar.browser.parts import make_job

pytestmark = pytest.mark.browser


class TwoHosts:
    """One server under two names: 127.0.0.1 is inside the scope, localhost is not."""

    def __init__(self) -> None:
        self.outside: list[str] = []
        """Paths that were asked for under the name that is outside."""
        self.inside = self.elsewhere = ""

    async def answer(self, request: web.Request) -> web.Response:
        """`/away` redirects to the other name; all else is a page with ways out."""
        if request.host.startswith("localhost"):
            self.outside.append(request.path)
        if request.path == "/away":
            raise web.HTTPFound(f"{self.elsewhere}/redirected")
        body = f"""<title>in</title><a id=link href="{self.elsewhere}/linked">out</a><a id=near href="/near">near</a>
          <a id=pop target=_blank href="{self.elsewhere}/popped">pop</a><a id=away href="/away">away</a>
          <button id=js onclick="location = '{self.elsewhere}/scripted'">go</button>
          <iframe src="{self.elsewhere}/framed"></iframe>"""
        return web.Response(text=body if request.path != "/framed" else "x", content_type="text/html")


@pytest.fixture
async def hosts() -> AsyncIterator[TwoHosts]:
    """The server, running."""
    hosts = TwoHosts()
    app = web.Application()
    app.router.add_get("/{path:.*}", hosts.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    hosts.inside, hosts.elsewhere = f"http://127.0.0.1:{port}", f"http://localhost:{port}"
    yield hosts
    await runner.cleanup()


RunnerOf = Callable[[Scope], JobRunner]


@pytest.fixture
async def runner_of(pool: BrowserPool, tmp_path: Path) -> RunnerOf:
    """A runner whose jobs all have this scope."""
    return lambda scope: JobRunner(pool, lambda: tmp_path, Clock(), lambda _: scope)


async def test_inside_the_scope_all_goes_on(runner_of: RunnerOf, hosts: TwoHosts) -> None:
    """Links within the scope work, and frames of others are the page's own affair."""
    job = make_job(f"{hosts.inside}/", actions=[{"click": "#near"}])
    result = await runner_of(Scope(hosts.inside, False)).run(job)
    assert result.steps[0].url == f"{hosts.inside}/near"
    assert set(hosts.outside) == {"/framed"}


WAYS: list[Any] = [
    [{"click": "#link"}],
    [{"click": "#js"}],
    [{"click": "#away"}],
    [{"goto": "ELSEWHERE/went"}],
    [{"goto": "data:text/html,<title>other</title>"}],
    [{"click": "#pop"}, {"wait_for_timeout": 3000}],
]


@pytest.mark.parametrize("browser", ["CHROMIUM", "FIREFOX"])
async def test_every_way_out_is_forbidden(runner_of: RunnerOf, hosts: TwoHosts, browser: str) -> None:
    """Link, script, redirect, goto and popup: the job ends with `forbidden`, and the next one works."""
    runner = runner_of(Scope(hosts.inside, False))
    for way in WAYS:
        actions = json.loads(json.dumps(way).replace("ELSEWHERE", hosts.elsewhere))
        with pytest.raises(Forbidden, match="scope does not cover"):
            await runner.run(make_job(f"{hosts.inside}/", actions=actions, browser=browser))
    with pytest.raises(Forbidden, match="scope does not cover"):
        await runner.run(make_job(f"{hosts.inside}/away", browser=browser))
    left = {"/framed", "/popped"} if browser == "CHROMIUM" else {"/framed", "/popped", "/redirected", "/favicon.ico"}
    assert set(hosts.outside) <= left


async def test_a_strict_scope_is_one_page(runner_of: RunnerOf, hosts: TwoHosts) -> None:
    """Another page of the same host is forbidden too."""
    runner = runner_of(Scope(f"{hosts.inside}/", True))
    assert (await runner.run(make_job(f"{hosts.inside}/"))).steps[0].title == "in"
    with pytest.raises(Forbidden):
        await runner.run(make_job(f"{hosts.inside}/", actions=[{"click": "#near"}]))


async def test_nothing_is_left_behind_by_a_refused_job(hosts: TwoHosts, tmp_path: Path) -> None:
    """A refused job's page is closed, and its place is free."""
    pool = BrowserPool(Settings(concurrency=1), Clock())
    runner = JobRunner(pool, lambda: tmp_path, Clock(), lambda _: Scope(hosts.inside, False))
    for _ in range(2):
        with pytest.raises(Forbidden):
            await runner.run(make_job(f"{hosts.inside}/", actions=[{"click": "#link"}]))
    await runner.run(make_job(f"{hosts.inside}/"))
    await pool.close()
