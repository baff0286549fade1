"""Calls that Playwright has added over the years, each with its value; tried in both kinds of browser."""

from typing import Any

from sidecar_protocol.wire_types import BrowserName

from sidecar.jobs.browser_job_runner import BrowserJobRunner
from tests.sidecar.browser.parts import make_jobs


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
"""Calls that change the page, one after the other."""


async def check_newer_calls(runner: BrowserJobRunner, site: str, browser: BrowserName) -> None:
    """Each has the value that Playwright's own has in Node. Raises AssertionError, which names those that have not."""
    pages = [HISTORIES, READERS, CALLS]
    steps = [{"url": f"{site}/actions.html", "actions": [action for action, _ in calls]} for calls in pages]
    done = (await runner.run(make_jobs(steps, browser=browser, timeout_ms=200_000))).steps
    wrong = [
        (action, value)
        for step, calls in zip(done, pages, strict=True)
        for value, (action, expected) in zip(step.values, calls, strict=True)
        if value != expected
    ]
    assert wrong == []
