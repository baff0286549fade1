"""What Playwright has added over the years: histories, overlays, web storage, newer locators, events."""

from typing import Any

import pytest
from sidecar_protocol.jobs import StepResult

from sidecar.browser.sandbox.action_session import ActionSession
from sidecar.browser.sandbox.locator_handlers import MAX_HANDLERS
from sidecar.browser.sandbox.sandbox import ScriptError
from sidecar.errors import ActionFailed, Forbidden, LimitExceeded, SidecarError
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from tests.sidecar.browser.parts import make_job
from tests.sidecar.browser.sandbox.newer_calls import check_newer_calls, iife

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

OVERLAY = """page.evaluate(() => {
  const cover = document.createElement('div');
  cover.id = 'cover';
  cover.style = 'position: fixed; inset: 0; background: white';
  cover.innerHTML = '<button onclick="document.title += 1; this.parentNode.remove()">Accept all</button>';
  document.body.append(cover);
})"""


async def act(runner: BrowserJobRunner, url: str, *actions: Any, **content: Any) -> StepResult:
    """One step with these actions."""
    return (await runner.run(make_job(url, actions=list(actions), **content))).steps[0]


async def test_newer_calls_have_these_values(site: str, runner: BrowserJobRunner) -> None:
    """As Playwright's own have in Node."""
    await check_newer_calls(runner, site, "CHROMIUM")


async def test_the_bytes_of_a_body(site: str, runner: BrowserJobRunner) -> None:
    """Firefox does not report them."""
    action = iife(
        "const [request] = await Promise.all([page.waitForRequest('**/second.html'), page.evaluate(() =>"
        " fetch('/second.html', {method: 'POST', body: 'h\\u00e9'}))]);"
        "return [request.postDataBuffer().length, request.postDataBuffer().toString('base64')]"
    )
    assert (await act(runner, f"{site}/actions.html", action)).values == ([3, "aMOp"],)


async def test_a_locator_handler_clears_the_way(site: str, runner: BrowserJobRunner) -> None:
    """For JavaScript and typed actions, each time that the overlay is there; one that was removed does not."""
    step = await act(
        runner,
        f"{site}/actions.html",
        "page.addLocatorHandler(page.getByText('Accept all'), async (seen) => {"
        " console.log('clearing'); await seen.click() })",
        OVERLAY,
        "page.click('#pushed')",
        "page.title()",
        OVERLAY,
        {"click": "#pushed"},
        "page.title()",
        "page.removeLocatorHandler(page.getByText('Accept all'))",
        OVERLAY,
        "page.click('#pushed', {timeout: 300}).then(() => 'clicked', (error) => error.name)",
    )
    assert (step.values[3], step.values[6], step.values[9]) == ("Actions1", "Actions11", "TimeoutError")
    assert step.console == ("clearing", "clearing")


async def test_a_locator_handler_runs_as_often_as_it_may(site: str, runner: BrowserJobRunner) -> None:
    """A handler that throws is reported in the step's errors, and the action continues."""
    step = await act(
        runner,
        f"{site}/actions.html",
        "page.addLocatorHandler(page.locator('#cover'), async () => {"
        " await page.locator('#cover button').evaluate((e) => e.click()); throw new Error('after all') }, {times: 1})",
        OVERLAY,
        "page.click('#pushed')",
        OVERLAY,
        "page.click('#pushed', {timeout: 300}).then(() => 'clicked', (error) => error.name)",
    )
    assert step.values[4] == "TimeoutError"
    assert [line for line in step.errors if "after all" in line] == list(step.errors)
    assert len(step.errors) == 1


async def test_a_locator_handler_that_never_ends_is_cut_off_by_the_action(site: str, runner: BrowserJobRunner) -> None:
    """By its timeout; the job goes on, and ends."""
    step = await act(
        runner,
        f"{site}/actions.html",
        "page.addLocatorHandler(page.locator('#cover'), () => new Promise(() => {}), {noWaitAfter: true})",
        OVERLAY,
        "page.click('#pushed', {timeout: 300}).then(() => 'clicked', (error) => error.name)",
        "page.title()",
    )
    assert step.values[2:] == ("TimeoutError", "Actions")


@pytest.mark.parametrize(
    ("action", "kind", "said"),
    [
        ("page.routeWebSocket('**', () => 1)", Forbidden, "actions can't access web sockets"),
        ("context.routeWebSocket('**', () => 1)", Forbidden, "actions can't access web sockets"),
        ("page.pickLocator()", Forbidden, "no one can pick"),
        ("page.webmcp", Forbidden, "a page's tools"),
        ("page.ariaSnapshotJSON()", Forbidden, "use ariaSnapshot"),
        ("page.locator('h1').ariaSnapshotJSON()", Forbidden, "use ariaSnapshot"),
        ("context.setHTTPCredentials(null)", Forbidden, "http_credentials in the context of the job"),
        ("context.serviceWorkers()", Forbidden, "actions can't access workers"),
        ("context.backgroundPages()", Forbidden, "a job has no extensions"),
        ("page.locator('body').drop({files: '/etc/passwd'})", Forbidden, "paths are refused"),
        ("page.locator('body').drop({files: ['/etc/passwd']})", Forbidden, "paths are refused"),
        ("page.locator('body').drop({path: '/etc/passwd'})", ActionFailed, "drop takes {files, data}"),
        ("page.addLocatorHandler('#a', () => 1)", ActionFailed, "needs a locator"),
        ("page.addLocatorHandler(page.locator('#a'), 'click')", ActionFailed, "not a function"),
        ("page.addLocatorHandler(page.locator('#a'), () => 1, {times: 'x'})", ActionFailed, "times, a number"),
        ("page.localStorage.nothing()", ActionFailed, "not a function"),
    ],
)
async def test_what_is_refused_of_the_newer_calls(
    session: ActionSession, action: str, kind: type[SidecarError], said: str
) -> None:
    """With the reason."""
    with pytest.raises(ScriptError, match=said) as failed:
        await session.run(action)
    assert failed.value.code == kind.code


async def test_locator_handlers_are_limited(site: str, runner: BrowserJobRunner) -> None:
    """Each of them is asked for before every action."""
    many = f"Array.from({{length: {MAX_HANDLERS + 1}}}, () => page.addLocatorHandler(page.locator('#a'), () => 1))"
    with pytest.raises(LimitExceeded, match="locator handlers"):
        await act(runner, f"{site}/actions.html", f"Promise.all({many})")


async def test_a_history_begins_with_the_job(site: str, runner: BrowserJobRunner) -> None:
    """A profile's page has had other jobs before."""
    url = f"{site}/actions.html"
    await runner.run(make_job(url, actions=[{"evaluate": "console.log('of the job before')"}], profile="histories"))
    reported = iife("return [(await page.consoleMessages()).length, (await page.requests()).length]")
    assert (await act(runner, f"{site}/second.html", reported, profile="histories")).values == ([0, 1],)
