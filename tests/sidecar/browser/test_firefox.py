"""What goes another way in Firefox: one of each kind, in one Firefox, whose start takes seconds of a processor."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sidecar.browser import screenshots
from sidecar.browser.limits import Limits
from sidecar.browser.pool import BrowserPool
from sidecar.browser.processes.browser_process import BrowserProcess, launch
from sidecar.browser.processes.job_page import JobPage
from sidecar.clock import Clock
from sidecar.errors import Forbidden
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from sidecar.jobs.token_scope import Scope
from sidecar.settings import Settings
from tests.sidecar.browser import test_captures as captures
from tests.sidecar.browser import test_cdp as questions
from tests.sidecar.browser.filmstrip.test_page_picture import popup_pictures
from tests.sidecar.browser.parts import make_job, make_jobs
from tests.sidecar.browser.steps import test_navigation_guard as guard
from tests.sidecar.browser.steps.test_scope_proxy import TALK, Keeping, hearing, running
from tests.sidecar.browser.two_hosts import RunnerOf, TwoHosts

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


def job(url: str, *actions: Any, **content: Any) -> Any:
    """A job of one step in Firefox."""
    return make_job(url, actions=list(actions), browser="FIREFOX", **content)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[BrowserPool]:
    """One whose Firefox stays, however slowly a busy machine closes a context.

    A job whose page opens while the window of the last one closes, which Firefox can't, does not replace it either.
    """
    launched = []

    async def counted(*given: Any, **named: Any) -> BrowserProcess:
        launched.append(await launch(*given, **named))
        return launched[-1]

    pool = BrowserPool(Settings(concurrency=2), Clock(), Limits(close=30))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sidecar.browser.pool.launch", counted)
        yield pool
    await pool.close()
    assert len(launched) <= 1


@pytest.fixture
def runner(pool: BrowserPool, tmp_path: Path) -> BrowserJobRunner:
    """Of jobs without a scope."""
    return BrowserJobRunner(pool, lambda: tmp_path, Clock())


REGISTER = """async () => {
  try { await navigator.serviceWorker.register('/worker.js') } catch (error) { return error.name }
  return 'begun' }"""


async def test_what_is_no_navigation_out_of_the_scope(runner_of: RunnerOf, hosts: TwoHosts) -> None:
    """Objects and embeds of other sites, which Firefox calls navigations of their page; pages of the page's own.

    No service worker begins meanwhile.
    """
    own = [act for way in guard.OWN_PAGES for act in ({"evaluate": f"() => {{ {way} }}"}, {"wait_for_timeout": 700})]
    clicked: list[Any] = [{"wait_for_timeout": 500}, {"click": "button"}, {"title": None}]
    actions = [*clicked, {"evaluate": "location.href"}, {"evaluate": REGISTER}, *own]
    result = await runner_of(Scope(hosts.inside, False)).run(job(f"{hosts.inside}/objects", *actions))
    title, place, registered, *rest = result.steps[0].values[2:]
    assert (title, place) == ("clicked", f"{hosts.inside}/objects")
    assert {"/object", "/embed", "/redirected"} <= set(hosts.outside)
    assert registered != "begun"
    assert not hosts.scripts
    assert len(rest) == len(own)


WAYS_OUT: list[Any] = [
    [{"click": "#js"}],
    [{"click": "#pop"}, {"wait_for_timeout": 3000}],
]


async def test_ways_out_are_forbidden(runner_of: RunnerOf, hosts: TwoHosts) -> None:
    """What a script and a popup ask for is not sent; Firefox reports a redirect only after following it."""
    runner = runner_of(Scope(hosts.inside, False))
    for way in WAYS_OUT:
        actions = json.loads(json.dumps(way).replace("ELSEWHERE", hosts.elsewhere))
        with pytest.raises(Forbidden, match="scope does not cover"):
            await runner.run(job(f"{hosts.inside}/", *actions))
        assert set(hosts.outside) <= {"/framed"}, way
    with pytest.raises(Forbidden, match="scope does not cover"):
        await runner.run(job(f"{hosts.inside}/away"))
    assert set(hosts.outside) <= {"/framed", "/redirected", "/favicon.ico"}


async def test_a_route_brings_no_other_document(runner_of: RunnerOf, hosts: TwoHosts) -> None:
    """A request whose address a handler changes is checked under the address that is requested."""
    runner = runner_of(Scope(hosts.inside, False))
    for way in guard.ROUTES[::3]:
        with pytest.raises(Forbidden, match="scope does not cover"):
            await runner.run(job(f"{hosts.inside}/over", way.replace("ELSEWHERE", hosts.elsewhere)))
    assert set(hosts.outside) <= {"/framed"}


async def test_the_proxy_of_a_scope(runner_of: RunnerOf, hosts: TwoHosts) -> None:
    """A server that keeps its connection is not asked for what another is to answer; forms and sockets work.

    With strict_resources all that a page loads stays in the scope.
    """
    loaded = {"wait_for_function": "document.title.startsWith('loaded')"}
    async with running(Keeping("first")) as first, running(Keeping("second")) as second, hearing() as url:
        steps: list[dict[str, Any]] = [{"url": f"{first.url}/one"}, {"url": f"{second.url}/two"}]
        steps += [{"url": f"{first.url}/three"}, {"url": f"{url}/", "actions": [{"evaluate": TALK}]}]
        steps += [{"url": f"{hosts.inside}/load", "actions": [loaded]}]
        result = await runner_of(Scope(first.url, False, True)).run(make_jobs(steps, browser="FIREFOX"))
    assert [step.title for step in result.steps] == ["first", "second", "first", "in", "loaded, peers: undefined"]
    assert b"/two" not in first.received
    assert b"GET /two " in second.received
    assert result.steps[3].values == ("3000000open",)
    assert not hosts.outside


async def test_questions_to_a_page(pool: BrowserPool, site: str) -> None:
    """Playwright asks them here, with the same answers."""

    async def ask(job_page: JobPage) -> None:
        await questions.values_of(job_page, site)
        await questions.hidden_members(job_page)
        await questions.failing_question(job_page)

    await pool.run("FIREFOX", ask)


async def test_actions_read_elements_whose_members_are_hidden(runner: BrowserJobRunner) -> None:
    """Where the errors of a hidden member are Firefox's."""
    reads = questions.READS
    (step,) = (await runner.run(job(questions.HIDING, *reads["typed"], *reads["scripted"]))).steps
    questions.check_reads(step.values[: len(reads["typed"])])
    questions.check_reads(step.values[len(reads["typed"]) :])


async def test_pictures(pool: BrowserPool) -> None:
    """Those of a quiet page and its elements are Playwright's own, to the last byte.

    Those of a page that grows after the look are cut at Firefox's own bound, those of the filmstrip have no secret.
    """

    async def work(job_page: JobPage) -> None:
        page = job_page.page
        await page.set_content(captures.QUIET)
        for given in captures.PAGE_PICTURES[1::2]:
            assert await screenshots.capture(page, given) == await page.screenshot(**given), given
        for body in ("below", "large"):
            await page.set_content(f"<body style='margin:3px'>{captures.BODIES[body]}")
            owner = page.locator("#e")
            assert await screenshots.capture(owner, {}) == await owner.screenshot(), body
        with pytest.MonkeyPatch.context() as patch:
            await captures.capture_growing_page(page, patch, 100_000)
        await popup_pictures(job_page)

    await pool.run("FIREFOX", work, {"viewport": {"width": 640, "height": 480}})
