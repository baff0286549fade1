"""JavaScript actions on Firefox pages: the sandbox is a Chromium all the same, the page is Firefox's."""

import asyncio
from typing import Any

import pytest

from sidecar.errors import Forbidden
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from tests.sidecar.browser.parts import make_job, make_jobs
from tests.sidecar.browser.sandbox.newer_calls import check_newer_calls

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),  # Firefox takes its time on a busy machine
]

READING: list[tuple[str, Any]] = [
    ("page.title()", "Actions"),
    ("page.locator('tr').nth(1).locator('td').last().innerText()", "3.00"),
    ("page.evaluate(({a}) => a.map((x) => x * 2), {a: [1, 2]})", [2, 4]),
    ("[page.isClosed(), context.pages().length, page.url().endsWith('/actions.html')]", [False, 1, True]),
    (
        "(async () => { const out = []; for (const td of await page.locator('td').all())"
        " out.push(await td.innerText()); return out })()",
        ["Tea", "2.50", "Cake", "3.00"],
    ),
    ("navigator.userAgent.includes('Chrome')", True),
    ("page.evaluate(() => navigator.userAgent.includes('Firefox'))", True),
    ("page.wait_for_selector('h1').then((found) => found.inner_text())", "Actions"),
]
"""Values, locators, functions handed to the page, plain values, an async function, snake_case."""
REFUSED = [
    ("page.goto('file:///etc/passwd')", "goto: file: URLs are refused"),
    ("context.request", "BrowserContext.request is refused"),
    ("page.screenshot({path: '/tmp/x'})", "screenshot: the option path is refused"),
    ("process.exit()", "process is not defined"),
]
TRAFFIC = [
    "page.on('console', (line) => console.log(`heard ${line.text()}`))",
    "page.route('**/second.html', (r) => r.fulfill({contentType: 'text/html', body: '<title>Mine</title>'}))",
    "page.evaluate(() => console.log('hello'))",
    "page.goto(page.url().replace('actions', 'second')).then((response) => response.status())",
    "page.title()",
]


async def test_reading_writing_and_events(runner: BrowserJobRunner, site: str) -> None:
    """The same values and refusals; a click that navigates has arrived; handlers hear the page from its opening on."""
    refused = [f"(async () => {call})().catch((error) => error.message)" for call, _ in REFUSED]
    actions = [[action for action, _ in READING], refused, TRAFFIC]
    steps = [{"url": f"{site}/actions.html", "actions": each} for each in actions]
    reading, refusals, traffic = (await runner.run(make_jobs(steps, browser="FIREFOX"))).steps
    assert list(zip((action for action, _ in READING), reading.values, strict=True)) == READING
    assert [said for said, (_, why) in zip(refusals.values, REFUSED, strict=True) if not said.startswith(why)] == []
    assert list(traffic.values[3:]) == [200, "Mine"]
    assert {"hello", "heard hello"} <= set(traffic.console)


async def test_a_refused_answer_of_a_route_ends_the_action(runner: BrowserJobRunner, site: str) -> None:
    """At once, and the request is aborted; the answers themselves are refused before a browser sees them."""
    handler = "async (route) => { await route.continue({url: 'file:///etc/passwd'}) }"
    actions = [f"page.route('**/asked', {handler})", "page.evaluate(() => fetch('/asked').catch(() => 'given up'))"]
    async with asyncio.timeout(60):
        with pytest.raises(Forbidden, match="file: URLs are refused"):
            await runner.run(make_job(f"{site}/second.html", actions=actions, browser="FIREFOX"))


async def test_newer_calls_have_these_values(site: str, runner: BrowserJobRunner) -> None:
    """As Playwright's own have in Node."""
    await check_newer_calls(runner, site, "FIREFOX")
