"""JavaScript actions on Firefox pages: the sandbox is a Chromium all the same, the page is Firefox's."""

from typing import Any

import pytest
from sidecar_protocol.jobs import StepResult

from sidecar.errors import ActionFailed, Forbidden
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from tests.sidecar.browser.parts import make_job

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def act(runner: BrowserJobRunner, url: str, *actions: Any, **content: Any) -> StepResult:
    """One step with these actions, in Firefox."""
    return (await runner.run(make_job(url, actions=list(actions), browser="FIREFOX", **content))).steps[0]


async def test_reading_writing_and_chains(runner: BrowserJobRunner, site: str) -> None:
    """Values, locators, functions handed to the page, plain values, an async function."""
    actions = [
        "page.title()",
        "page.locator('tr').nth(1).locator('td').last().innerText()",
        "page.evaluate(({a}) => a.map((x) => x * 2), {a: [1, 2]})",
        "[page.isClosed(), context.pages().length, page.url().endsWith('/actions.html')]",
        "(async () => { const out = []; for (const td of await page.locator('td').all())"
        " out.push(await td.innerText()); return out })()",
        "navigator.userAgent.includes('Chrome')",
        "page.evaluate(() => navigator.userAgent.includes('Firefox'))",
    ]
    step = await act(runner, f"{site}/actions.html", *actions)
    assert list(step.values) == [
        "Actions",
        "3.00",
        [2, 4],
        [False, 1, True],
        ["Tea", "2.50", "Cake", "3.00"],
        True,
        True,
    ]


async def test_navigations_events_and_routes(runner: BrowserJobRunner, site: str) -> None:
    """A click that navigates has arrived; handlers that were registered before the visit hear the page."""
    actions = [
        "page.on('console', (line) => console.log(`heard ${line.text()}`))",
        "page.route('**/second.html', (r) => r.fulfill({contentType: 'text/html', body: '<title>Mine</title>'}))",
        "page.evaluate(() => console.log('hello'))",
        "page.goto(page.url().replace('actions', 'second')).then((response) => response.status())",
        "page.title()",
    ]
    step = await act(runner, f"{site}/actions.html", *actions)
    assert list(step.values[3:]) == [200, "Mine"]
    assert {"hello", "heard hello"} <= set(step.console)


async def test_what_is_refused(runner: BrowserJobRunner, site: str) -> None:
    """Firefox refuses the same calls."""
    for action in ("page.goto('file:///etc/passwd')", "context.request", "page.screenshot({path: '/tmp/x'})"):
        with pytest.raises(Forbidden):
            await act(runner, f"{site}/actions.html", action)
    with pytest.raises(ActionFailed, match="process is not defined"):
        await act(runner, f"{site}/actions.html", "process.exit()")
