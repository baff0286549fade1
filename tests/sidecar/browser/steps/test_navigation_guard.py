"""Every navigation of a job with a visit token is checked: steps, actions, redirects, scripts and popups."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Error as PlaywrightError

from sidecar.browser.pool import BrowserPool
from sidecar.browser.processes.job_page import JobPage
from sidecar.browser.steps.document_gate import DocumentGate
from sidecar.browser.steps.navigation_guard import run_guarded
from sidecar.clock import Clock
from sidecar.errors import Forbidden, NavigationFailed
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from sidecar.jobs.token_scope import Scope
from sidecar.settings import Settings
from tests.fakes import nobody_listens
from tests.scopes import ScopedRunner
from tests.sidecar.browser.parts import make_job
from tests.sidecar.browser.two_hosts import RunnerOf, TwoHosts

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
# In Firefox some of it: tests/sidecar/browser/test_firefox.py


async def test_inside_the_scope_all_works(runner_of: RunnerOf, hosts: TwoHosts) -> None:
    """Links within the scope work, and frames of others are the page's own affair."""
    job = make_job(f"{hosts.inside}/", actions=[{"click": "#near"}])
    result = await runner_of(Scope(hosts.inside, False)).run(job)
    assert result.steps[0].url == f"{hosts.inside}/near"
    assert set(hosts.outside) == {"/framed"}


async def test_objects_are_frames(runner_of: RunnerOf, hosts: TwoHosts) -> None:
    """So are embeds: those of another site are no navigation of the page, also where they lead on or fail.

    No action waits for them as for a navigation.
    """
    job = make_job(f"{hosts.inside}/objects", actions=[{"wait_for_timeout": 500}, {"click": "button"}])
    result = await runner_of(Scope(hosts.inside, False)).run(job)
    assert result.steps[0].url == f"{hosts.inside}/objects"
    assert result.steps[0].title == "clicked"
    assert {"/object", "/embed", "/redirected"} <= set(hosts.outside)


WAYS: list[Any] = [
    [{"click": "#link"}],
    [{"click": "#js"}],
    [{"click": "#away"}],
    [{"goto": "ELSEWHERE/went"}],
    [{"goto": "data:text/html,<title>other</title>"}],
    [{"click": "#pop"}, {"wait_for_timeout": 3000}],
]
POPUPS = [
    "open('ELSEWHERE/opened')",
    "open('ELSEWHERE/opened', '_blank', 'noopener')",
    "{ const other = open('about:blank'); other.location = 'ELSEWHERE/later' }",
    "{ const other = open('/near'); setTimeout(() => { other.location = 'ELSEWHERE/later' }, 200) }",
    "open(`javascript:location='ELSEWHERE/script'`)",
    "open('/refresh')",
    """{ const other = open(); other.document.write('<meta http-equiv=refresh content="0;url=ELSEWHERE/meta">');
      other.document.close() }""",
    """{ document.body.innerHTML = '<form target=_blank method=post action="ELSEWHERE/form"></form>';
      document.querySelector('form').submit() }""",
    "{ history.pushState(null, '', '/x'); location.replace('ELSEWHERE/replaced') }",
    "open('about:blank').opener.location = 'ELSEWHERE/opener'",
]
"""What a page may try with another page; a popup's first request is held as any other."""


def tried(way: str) -> list[Any]:
    """Actions that try it, and then wait."""
    return [{"evaluate": f"() => {{ {way} }}"}, {"wait_for_timeout": 5000}]


ROUTES = [
    "page.route('**/over', (route) => route.continue({url: 'ELSEWHERE/continued'}))",
    "page.route('**/over', (route) => route.fallback({url: 'ELSEWHERE/fallen'}))",
    "context.route('**/over', (route) => route.continue({url: 'ELSEWHERE/continued'}))",
    "context.route('**/over', (route) => route.fallback({url: 'ELSEWHERE/fallen'}))",
]
NEW_PAGES = [
    "(async () => { const other = await context.newPage(); await other.goto('ELSEWHERE/new') })()",
    "(async () => { const other = await context.newPage(); await other.evaluate(() => { location = 'ELSEWHERE/went' });"
    " await page.waitForTimeout(3000) })()",
]


async def test_every_way_out_is_forbidden(runner_of: RunnerOf, hosts: TwoHosts) -> None:
    """Link, script, redirect, goto and popup: the job ends with `forbidden`, and the next one works."""
    runner = runner_of(Scope(hosts.inside, False))
    for way in WAYS:
        actions = json.loads(json.dumps(way).replace("ELSEWHERE", hosts.elsewhere))
        with pytest.raises(Forbidden, match="scope does not cover"):
            await runner.run(make_job(f"{hosts.inside}/", actions=actions))
    with pytest.raises(Forbidden, match="scope does not cover"):
        await runner.run(make_job(f"{hosts.inside}/away"))
    assert set(hosts.outside) <= {"/framed"}


async def test_a_popup_sends_nothing_elsewhere(runner_of: RunnerOf, hosts: TwoHosts) -> None:
    """However a page sends another one elsewhere, its first request is not sent, and the job is forbidden."""
    runner = runner_of(Scope(hosts.inside, False))
    for way in (*map(tried, POPUPS), *([way] for way in NEW_PAGES)):
        hosts.outside.clear()
        actions = json.loads(json.dumps(way).replace("ELSEWHERE", hosts.elsewhere))
        with pytest.raises(Forbidden, match="scope does not cover"):
            await runner.run(make_job(f"{hosts.inside}/", actions=actions))
        assert set(hosts.outside) <= {"/framed"}, way


async def test_a_route_brings_no_other_document(runner_of: RunnerOf, hosts: TwoHosts) -> None:
    """A request whose address a handler changes is checked under the address that is requested."""
    runner = runner_of(Scope(hosts.inside, False))
    for way in ROUTES:
        actions = [way.replace("ELSEWHERE", hosts.elsewhere)]
        with pytest.raises(Forbidden, match="scope does not cover"):
            await runner.run(make_job(f"{hosts.inside}/over", actions=actions))
    near = "page.route('**/over', (route) => route.continue({url: 'INSIDE/near'}))".replace("INSIDE", hosts.inside)
    result = await runner.run(make_job(f"{hosts.inside}/over", actions=[near]))
    assert (result.steps[0].title, result.steps[0].url) == ("in", f"{hosts.inside}/over")
    assert set(hosts.outside) <= {"/framed"}


OWN_PAGES = [
    "open('about:blank#there')",
    "open(URL.createObjectURL(new Blob(['<title>made</title>'], {type: 'text/html'})))",
    "location.href = 'about:blank#here'",
]
"""The last one leaves the page."""


async def test_a_page_may_open_pages_of_its_own(runner_of: RunnerOf, hosts: TwoHosts) -> None:
    """Empty ones, whatever their fragment, and blobs, which belong to the site that has made them, strict excepted."""
    acts = [act for way in OWN_PAGES for act in ({"evaluate": f"() => {{ {way} }}"}, {"wait_for_timeout": 700})]
    job = make_job(f"{hosts.inside}/", actions=acts)
    result = await runner_of(Scope(hosts.inside, False)).run(job)
    assert len(result.steps[0].values) == len(acts)
    with pytest.raises(Forbidden, match="scope does not cover"):
        await runner_of(Scope(f"{hosts.inside}/", True)).run(job)


async def test_each_hop_of_a_redirect_chain_is_checked(runner_of: RunnerOf, hosts: TwoHosts) -> None:
    """A redirect within the scope is followed, and the one behind it that leads out is not."""
    with pytest.raises(Forbidden, match="scope does not cover"):
        await runner_of(Scope(hosts.inside, False)).run(make_job(f"{hosts.inside}/far"))
    assert not hosts.outside


async def test_no_service_worker_begins(runner_of: RunnerOf, hosts: TwoHosts) -> None:
    """It would answer in place of a server, and past every route."""
    register = """page.evaluate(async () => {
      try { await navigator.serviceWorker.register('/worker.js') } catch (error) { return error.name }
      return 'begun' })"""
    job = make_job(f"{hosts.inside}/", actions=[register])
    result = await runner_of(Scope(hosts.inside, False)).run(job)
    assert result.steps[0].values[0] != "begun"
    assert not hosts.scripts


async def test_what_pages_load_can_be_held_too(runner_of: RunnerOf, hosts: TwoHosts) -> None:
    """With strict_resources frames, images, redirects, fetch, sockets, workers and prefetches stay in the scope."""
    waiting = [{"wait_for_function": "document.title.startsWith('loaded')"}]
    job = make_job(f"{hosts.inside}/load", actions=waiting)
    for strict in (False, True):
        scope = Scope(f"{hosts.inside}/load" if strict else hosts.inside, strict, True)
        result = await runner_of(scope).run(job)
        assert result.steps[0].title == "loaded, peers: undefined"
        assert not hosts.outside
    await runner_of(Scope(hosts.inside, False)).run(job)
    assert {"/style", "/image", "/redirected", "/fetch", "/socket", "/worker"} <= set(hosts.outside)


async def test_unreachable_addresses_are_errors_with_limited_resources_too(
    runner_of: RunnerOf, hosts: TwoHosts
) -> None:
    """A server that is not there is a page that could not be opened, and no answer of our proxy's."""
    with nobody_listens() as url, pytest.raises(NavigationFailed):
        await runner_of(Scope(hosts.inside, False, True)).run(make_job(url))


async def test_a_strict_scope_is_one_page(runner_of: RunnerOf, hosts: TwoHosts) -> None:
    """Another page of the same host is forbidden too."""
    runner = runner_of(Scope(f"{hosts.inside}/", True))
    assert (await runner.run(make_job(f"{hosts.inside}/"))).steps[0].title == "in"
    with pytest.raises(Forbidden):
        await runner.run(make_job(f"{hosts.inside}/", actions=[{"click": "#near"}]))


async def test_a_guard_ends_with_its_job(pool: BrowserPool, hosts: TwoHosts) -> None:
    """On a page that lives on, as a profile's does, it listens to nothing more."""

    async def work(lent: JobPage) -> tuple[int, int]:
        async def visit() -> None:
            await lent.page.goto(f"{hosts.inside}/near")

        heard = lent.page._impl_obj.listeners("framenavigated")
        for _ in range(3):
            await run_guarded(Scope(hosts.inside, False).allows, lent, visit)
        return len(heard), len(lent.page._impl_obj.listeners("framenavigated"))

    before, after = await pool.run("CHROMIUM", work)
    assert after == before


async def test_a_gate_that_did_not_open_is_opened_again(
    hosts: TwoHosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the next job of the same browser."""
    pool = BrowserPool(Settings(concurrency=2), Clock())
    runner = ScopedRunner(BrowserJobRunner(pool, lambda: tmp_path, Clock()), lambda _: Scope(hosts.inside, False))

    async def refuse(_: DocumentGate) -> None:
        raise PlaywrightError("not now")

    with monkeypatch.context() as patch:
        patch.setattr(DocumentGate, "enable", refuse)
        with pytest.raises(Exception, match="not now"):
            await runner.run(make_job(f"{hosts.inside}/near"))
    assert (await runner.run(make_job(f"{hosts.inside}/near"))).steps[0].title == "in"
    await pool.close()


async def test_nothing_is_left_behind_by_a_refused_job(runner_of: RunnerOf, hosts: TwoHosts) -> None:
    """A refused job's page is closed, and its place is free."""
    runner = runner_of(Scope(hosts.inside, False))
    for _ in range(3):  # there are two places
        with pytest.raises(Forbidden):
            await runner.run(make_job(f"{hosts.inside}/", actions=[{"click": "#link"}]))
    async with asyncio.timeout(60):
        await runner.run(make_job(f"{hosts.inside}/"))
