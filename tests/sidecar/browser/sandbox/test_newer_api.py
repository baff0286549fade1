"""What Playwright has added over the years: histories, overlays, web storage, newer locators, events."""

from typing import Any

import pytest
from sidecar_protocol.jobs import StepResult

from sidecar.browser.sandbox.locator_handlers import MAX_HANDLERS
from sidecar.errors import ActionFailed, Forbidden, LimitExceeded
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from tests.sidecar.browser.parts import make_job, make_jobs

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

BROWSERS = ["CHROMIUM", "FIREFOX"]
OVERLAY = """page.evaluate(() => {
  const cover = document.createElement('div');
  cover.id = 'cover';
  cover.style = 'position: fixed; inset: 0; background: white';
  cover.innerHTML = '<button onclick="document.title += 1; this.parentNode.remove()">Accept all</button>';
  document.body.append(cover);
})"""


async def act(runner: BrowserJobRunner, url: str, browser: str, *actions: Any, **content: Any) -> StepResult:
    """One step with these actions."""
    return (await runner.run(make_job(url, actions=list(actions), browser=browser, **content))).steps[0]


def iife(body: str) -> str:
    """An async function of this body, called at once."""
    return f"(async () => {{ {body} }})()"


HISTORIES: list[tuple[str, Any]] = [
    (
        iife(
            "await page.evaluate(() => { console.log('one'); console.error('two') });"
            "const all = await page.consoleMessages();"
            "return all.map((line) => [line.type(), line.text(), typeof line.timestamp(), line.page() === page])"
        ),
        [["log", "one", "number", True], ["error", "two", "number", True]],
    ),
    (
        iife(
            "await page.evaluate(() => console.log('gone')); await page.clearConsoleMessages();"
            "return (await page.consoleMessages()).length"
        ),
        0,
    ),
    (
        iife(
            "const [failure] = await Promise.all([page.waitForEvent('pageerror'),"
            " page.evaluate(() => setTimeout(() => { throw new TypeError('broken') }))]);"
            "const before = (await page.pageErrors()).map((error) => error.message);"
            "await page.clearPageErrors(); return [before, (await page.pageErrors()).length]"
        ),
        [["broken"], 0],
    ),
    (
        iife(
            "const found = (await page.requests()).filter((one) => one.url() === page.url());"
            "return [found.length, found[0].method(), found[0].existingResponse()?.status()]"
        ),
        [1, "GET", 200],
    ),
]
"""Calls for what has happened since the job began, one after the other."""
READERS: list[tuple[str, Any]] = [
    ("page.locator('td').first().describe('the tea').innerText()", "Tea"),
    (
        "[page.locator('td').describe('cells').description(), page.locator('td').description(),"
        " page.locator('td').describe('cells').first().description()]",
        ["cells", None, None],
    ),
    ("page.locator('table').ariaSnapshot().then((text) => text.includes('cell \"Tea\"'))", True),
    ("page.ariaSnapshot().then((text) => text.includes('button \"Ask\"'))", True),
    (
        iife(
            "const text = await page.ariaSnapshot({mode: 'ai'});"
            'const [, ref] = /button "Sure" \\[ref=(\\w+)\\]/.exec(text);'
            "return [await page.getByRef(ref).innerText(), await page.getByRef(ref).getAttribute('id')]"
        ),
        ["Sure", "sure"],
    ),
    ("page.locator('button').visible().count()", 4),
    ("page.locator('td').within(page.locator('tr').nth(1)).allInnerTexts()", ["Cake", "3.00"]),
    (
        iife(
            "const found = await page.locator('#ask').normalize();"
            "return [await found.innerText(), found.page() === page, await found.first().count()]"
        ),
        ["Ask", True, 1],
    ),
    ("page.locator('h1').waitForFunction((e, tag) => e.tagName === tag, 'H1').then(() => 'yes')", "yes"),
    (
        iife(
            "await page.locator('h1').highlight(); await page.hideHighlight();"
            "await page.locator('h1').hideHighlight(); return page.requestGC().then(() => 'ok')"
        ),
        "ok",
    ),
    ("[context.isClosed(), context.pages().length]", [False, 1]),
]
"""Calls that change nothing: they are made one after the other on one page."""
CALLS: list[tuple[str, Any]] = [
    (iife("const r = await page.reload(); return typeof await r.httpVersion()"), "string"),
    (
        iife(
            "await page.localStorage.setItem('a', '1'); await page.sessionStorage.setItem('b', '2');"
            "await page.localStorage.setItem('gone', 'x'); await page.localStorage.removeItem('gone');"
            "const both = [await page.localStorage.items(), await page.sessionStorage.getItem('b'),"
            " await page.localStorage.getItem('none')];"
            "await page.localStorage.clear(); return [...both, (await page.localStorage.items()).length]"
        ),
        [[{"name": "a", "value": "1"}], "2", None, 0],
    ),
    (
        iife(
            "await page.evaluate(() => { document.body.ondrop = (event) => { event.preventDefault();"
            " document.title = event.dataTransfer.getData('text/plain') + event.dataTransfer.files[0]?.name };"
            " document.body.ondragover = (event) => event.preventDefault() });"
            "await page.locator('body').drop({files: {name: 'a.txt', mimeType: 'text/plain', buffer: 'aGk='},"
            " data: {'text/plain': 'dropped '}}); return page.title()"
        ),
        "dropped a.txt",
    ),
    (
        iife(
            "const frame = page.frames()[1];"
            "const go = () => { location.href = '/second.html' };"
            "await Promise.all([frame.waitForNavigation(), frame.evaluate(go)]);"
            "return frame.title()"
        ),
        "Second page",
    ),
    (
        iife(
            "const heard = []; page.on('load', () => heard.push('second'));"
            "page.prependListener('load', () => heard.push('first')); await page.reload(); return heard"
        ),
        ["first", "second"],
    ),
    (
        iife(
            "const heard = []; for (const name of ['pageload', 'framenavigated', 'pageclose'])"
            " context.on(name, (one) => heard.push(name));"
            "const other = await context.newPage(); await other.goto(page.url()); await other.close();"
            "return [...new Set(heard)].sort()"
        ),
        ["framenavigated", "pageclose", "pageload"],
    ),
    (
        iife(
            "page.on('dialog', (dialog) => dialog.accept());"
            "const [closed] = await Promise.all([page.waitForEvent('dialogclosed'), page.click('#sure')]);"
            "return closed.message()"
        ),
        "sure?",
    ),
]
"""Calls that need no job of their own: each is a step of one, which opens the page again."""


@pytest.mark.timeout(300)  # Firefox takes its time on a busy machine
@pytest.mark.parametrize("browser", BROWSERS)
async def test_newer_calls_have_these_values(site: str, runner: BrowserJobRunner, browser: str) -> None:
    """As Playwright's own have in Node."""
    pages = [HISTORIES, READERS, *([call] for call in CALLS)]
    steps = [{"url": f"{site}/actions.html", "actions": [action for action, _ in calls]} for calls in pages]
    done = (await runner.run(make_jobs(steps, browser=browser, timeout_ms=200_000))).steps
    for step, calls in zip(done, pages, strict=True):
        for value, (action, expected) in zip(step.values, calls, strict=True):
            assert value == expected, action


async def test_the_bytes_of_a_body(site: str, runner: BrowserJobRunner) -> None:
    """Firefox does not report them."""
    action = iife(
        "const [request] = await Promise.all([page.waitForRequest('**/second.html'), page.evaluate(() =>"
        " fetch('/second.html', {method: 'POST', body: 'h\\u00e9'}))]);"
        "return [request.postDataBuffer().length, request.postDataBuffer().toString('base64')]"
    )
    assert (await act(runner, f"{site}/actions.html", "CHROMIUM", action)).values == ([3, "aMOp"],)


@pytest.mark.parametrize("browser", BROWSERS)
async def test_a_locator_handler_clears_the_way(site: str, runner: BrowserJobRunner, browser: str) -> None:
    """For JavaScript and typed actions, each time that the overlay is there; one that was removed does not."""
    step = await act(
        runner,
        f"{site}/actions.html",
        browser,
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
        "CHROMIUM",
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
        "CHROMIUM",
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
        (
            f"Promise.all(Array.from({{length: {MAX_HANDLERS + 1}}}, () =>"
            " page.addLocatorHandler(page.locator('#a'), () => 1)))",
            LimitExceeded,
            "locator handlers",
        ),
        ("page.localStorage.nothing()", ActionFailed, "not a function"),
    ],
)
async def test_what_is_refused_of_the_newer_calls(
    site: str, runner: BrowserJobRunner, action: str, kind: type[Exception], said: str
) -> None:
    """With the reason."""
    with pytest.raises(kind, match=said):
        await act(runner, f"{site}/actions.html", "CHROMIUM", action)


async def test_a_history_begins_with_the_job(site: str, runner: BrowserJobRunner) -> None:
    """A profile's page has had other jobs before."""
    url = f"{site}/actions.html"
    await runner.run(make_job(url, actions=[{"evaluate": "console.log('of the job before')"}], profile="histories"))
    reported = iife("return [(await page.consoleMessages()).length, (await page.requests()).length]")
    assert (await act(runner, f"{site}/second.html", "CHROMIUM", reported, profile="histories")).values == ([0, 1],)
