"""JavaScript actions as users write them, on a real page."""

import base64
from typing import Any

import pytest
from playwright.async_api import Request
from sidecar_protocol.jobs import StepResult

from sidecar.browser.sandbox.action_session import ActionSession
from sidecar.browser.sandbox.sandbox import ScriptError
from sidecar.browser.steps import navigation
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from tests.sidecar.browser.parts import make_job, make_jobs

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def act(runner: BrowserJobRunner, url: str, *actions: Any, **content: Any) -> StepResult:
    """One step with these actions."""
    return (await runner.run(make_job(url, actions=list(actions), **content))).steps[0]


def iife(body: str) -> str:
    """An async function of this body, called at once."""
    return f"(async () => {{ {body} }})()"


VALUES: list[tuple[str, Any]] = [
    ("1 + 1", 2),
    ("undefined", None),
    ("({a: [1, null, 'x'], b: {c: NaN}})", {"a": [1, None, "x"], "b": {"c": None}}),
    ("new Map([['a', new Set([1, 2])]])", {"a": [1, 2]}),
    ("new Date(0)", "1970-01-01T00:00:00.000Z"),
    ("/a+/gi", "/a+/gi"),
    ("() => 1", None),
    ("page", None),
    ("({$: 'ref', h: 0})", {"$": "ref", "h": 0}),
    ("new TextEncoder().encode('abc')", "YWJj"),
    ("123456789012345678901234567890n", "123456789012345678901234567890"),
    ("const answer = 42; answer", 42),
    ("await page.title()", "Actions"),
    ("page.title()", "Actions"),
    ("Promise.all([page.title(), page.innerText('h1')])", ["Actions", "Actions"]),
    ("[page.isClosed(), page.viewportSize(), page.frames().length]", [False, {"width": 1280, "height": 720}, 2]),
    ("page.url().endsWith('/actions.html') && context.pages()[0] === page", True),
    ("page.mainFrame().url() === page.url() && page.mainFrame().page() === page", True),
    ("page.frame('inner').name()", "inner"),
    ("page.frame({url: /srcdoc/}).parentFrame() === page.mainFrame()", True),
    ("page.locator('td').first().innerText()", "Tea"),
    ("page.locator('tr').nth(1).locator('td').last().innerText()", "3.00"),
    ("page.locator('tr', {hasText: 'Cake'}).count()", 1),
    ("page.locator('tr').filter({has: page.locator('td', {hasText: /^tea$/i})}).count()", 1),
    ("page.locator('h1').or(page.locator('td')).allInnerTexts()", ["Actions", "Tea", "2.50", "Cake", "3.00"]),
    ("page.getByRole('button', {name: 'Ask'}).and(page.locator('#ask')).isVisible()", True),
    ("page.getByText(/^New W/i).getAttribute('href')", "/second.html"),
    ("page.locator('td').first().page() === page", True),
    ("page.frameLocator('#inner').getByRole('button').innerText()", "in a frame"),
    ("page.locator('#inner').contentFrame().locator('button').count()", 1),
    ("page.evaluate(() => document.title.length)", 7),
    ("page.evaluate(({a}, ) => a.map((x) => x * 2), {a: [1, 2]})", [2, 4]),
    ("page.evaluate('1 + 2')", 3),
    ("page.evaluate(async (x) => { await null; return [x, undefined]; }, undefined)", [None, None]),
    ("page.$eval('h1', (e, more) => e.textContent + more, '!')", "Actions!"),
    ("page.$$eval('td', (all) => all.length)", 4),
    ("page.locator('td').evaluateAll((all, n) => all.length + n, 1)", 5),
    ("page.locator('h1').evaluate((e) => e.tagName)", "H1"),
    ("page.waitForFunction((n) => document.querySelectorAll('td').length === n, 4).then(() => 'yes')", "yes"),
    ("page.$('h1').then((found) => found.innerText())", "Actions"),
    ("page.$$('td').then((found) => found.length)", 4),
    (
        "page.evaluateHandle(() => document.body).then((h) => h.asElement() === h && h.$$eval('td', (a) => a.length))",
        4,
    ),
    (iife("return page.evaluate((e) => e.id, await page.$('#ask'))"), "ask"),
    ("page.selectOption('#size', ['s', {label: 'Medium'}])", ["s", "m"]),
    ("page.locator('#size').selectOption({index: 1})", ["m"]),
    (iife("await page.focus('#text'); await page.keyboard.type('xy'); return page.inputValue('#text')"), "xy"),
    ("page.fill('#text', 'abc').then(() => page.inputValue('#text'))", "abc"),
    (iife("await page.mouse.move(1, 1); await page.mouse.wheel(0, 5); return 'ok'"), "ok"),
    ("page.screenshot().then((image) => image.toString('base64').slice(0, 8))", "iVBORw0K"),
    ("page.locator('h1').boundingBox().then((box) => box.x)", 8),
    ("typeof window.process + typeof require", "undefinedundefined"),
    ("secrets", {}),
]
"""Actions of one step, each with its value."""
NAVIGATIONS: list[tuple[str, Any]] = [
    ("page.goto('/second.html'.replace(/^/, new URL(page.url()).origin)).then((r) => r.status())", 200),
    (
        iife("const r = await page.reload(); return [r.ok(), r.request().method(), (await r.text()).length > 100]"),
        [True, "GET", True],
    ),
]
"""Actions that leave the page: each is a step of its own."""


async def test_an_action_has_this_value(site: str, runner: BrowserJobRunner) -> None:
    """Calls, chains, promises, plain values and functions for the page each give what Playwright's own would."""
    steps = [VALUES, *([one] for one in NAVIGATIONS)]
    job = make_jobs([{"url": f"{site}/actions.html", "actions": [action for action, _ in step]} for step in steps])
    done = (await runner.run(job)).steps
    given = [value for step in done for value in step.values]
    wanted = [one for step in steps for one in step]
    wrong = [(action, got) for (action, value), got in zip(wanted, given, strict=True) if got != value]
    assert wrong == []
    assert [step.errors for step in done] == [()] * len(steps)


async def test_a_loop_over_all_rows_writes_to_the_console(site: str, runner: BrowserJobRunner) -> None:
    """An async function goes over the rows one by one; what it logs is the step's console."""
    loop = "for (const row of await page.locator('tr').all()) console.log(await row.innerText(), {n: 1}, [2], null)"
    step = await act(runner, f"{site}/actions.html", iife(loop))
    assert step.console == ('Tea\t2.50 {"n":1} [2] null', 'Cake\t3.00 {"n":1} [2] null')


async def test_actions_of_one_job_share_their_world(site: str, runner: BrowserJobRunner) -> None:
    """Typed and JavaScript actions mix, values keep their order, and what one declares the next one sees."""
    first = {
        "url": f"{site}/actions.html",
        "actions": ["const n = 1", {"title": None}, "const n = 2; n", "globalThis.k = n"],
    }
    second = {"url": f"{site}/second.html", "actions": ["[k, n, page.url().slice(-12)]"]}
    one, two = (await runner.run(make_jobs([first, second]))).steps
    assert one.values == (None, "Actions", 2, 2)
    assert two.values == ([2, 2, "/second.html"],)


async def test_what_prepares_the_visit_runs_before_it(site: str, runner: BrowserJobRunner) -> None:
    """Handlers, headers, routes and init scripts are there when the page is opened, wherever they stand in the list."""
    step = await act(
        runner,
        f"{site}/actions.html?image",
        "page.evaluate(() => [window.early, window.text])",
        "page.addInitScript((x) => { window.early = x.a; }, {a: 5})",
        "context.addInitScript({content: 'window.text = 1'})",
        "page.setExtraHTTPHeaders({'x-test': 'yes'})",
        "page.on('request', (r) => { if (r.isNavigationRequest() && !r.frame().parentFrame()) "
        "console.log(r.headers()['x-test']) })",
        "page.route('**/*.png', (route) => route.abort())",
        "page.on('requestfailed', (r) => console.log(new URL(r.url()).pathname, r.failure()))",
        "page.setDefaultTimeout(5000)",
        "page.once('load', () => console.log('loaded'))",
    )
    assert step.values == ([5, 1], *[None] * 8)
    assert {"yes", "/missing.png net::ERR_FAILED", "loaded"} <= set(step.console)
    assert step.errors == ()


async def test_dialogs_are_answered_by_handlers(site: str, runner: BrowserJobRunner) -> None:
    """A prompt gets its text, a confirmation its yes; an unanswered dialog is dismissed."""
    url = f"{site}/actions.html"
    answered = await act(
        runner,
        url,
        "page.on('dialog', (d) => d.type() === 'prompt' ? d.accept(d.defaultValue() + ' but me') : d.accept())",
        "page.click('#ask')",
        "page.click('#sure')",
        "page.locator('button').allInnerTexts()",
    )
    assert answered.values[3][:2] == ["nobody but me", "true"]
    ignored = await act(
        runner,
        url,
        "page.on('dialog', (d) => console.log(d.message()))",
        "page.click('#sure')",
        {"inner_text": "#sure"},
    )
    assert (ignored.values[2], ignored.console) == ("false", ("sure?",))
    awaited = (
        "const [d] = await Promise.all([page.waitForEvent('dialog').then(async (d) => { await "
        "d.accept('x'); return d }), page.click('#ask')])"
    )
    assert (await act(runner, url, iife(f"{awaited}; return [d.message(), await page.innerText('#ask')]"))).values == (
        ["your name?", "x"],
    )


async def test_popups_are_pages_of_their_own(site: str, runner: BrowserJobRunner) -> None:
    """A new window is found by event, read, used and closed; the job's page stays."""
    step = await act(
        runner,
        f"{site}/actions.html",
        iife(
            "const [popup] = await Promise.all([page.waitForEvent('popup'), page.click('#popup')]);"
            "await popup.waitForLoadState(); globalThis.popup = popup;"
            "return [popup.url().slice(-12), await popup.title(), (await popup.opener()) === page, "
            "context.pages().length]"
        ),
        iife("await popup.close(); return [popup.isClosed(), context.pages().length, page.isClosed()]"),
        iife(
            "const [p] = await Promise.all([context.waitForEvent('page'), page.click('#popup')]); return "
            "p.waitForURL('**/second.html').then(() => p.title())"
        ),
        iife(
            "const p = await context.newPage(); await p.goto(page.url()); return [await p.title(), await "
            "p.locator('td').count()]"
        ),
    )
    assert step.values[0] == ["/second.html", "Second page", True, 2]
    assert step.values[1] == [True, 1, False]
    assert step.values[2:] == ("Second page", ["Actions", 4])


async def test_what_an_action_led_to_is_there_for_the_next(site: str, runner: BrowserJobRunner) -> None:
    """Clicks that navigate, slowly or by script or after 300 ms, need no fixed sleep."""
    steps = [
        (f"{site}/", "page.click('#to-slow')", "page.innerText('h1')", "page.url().includes('/slow')"),
        (f"{site}/", "page.evaluate(() => { location.href = '/slow?ms=200' })", "page.innerText('h1')"),
        (
            f"{site}/actions.html",
            "page.click('#later')",
            "page.waitForURL('**/second.html')",
            "[page.url().slice(-12), await page.innerText('h1')]",
        ),
    ]
    job = make_jobs([{"url": url, "actions": actions} for url, *actions in steps])
    slow, scripted, later = (await runner.run(job)).steps
    assert slow.values[1:] == ("slow but there", True)
    assert slow.status == 200
    assert scripted.values == (None, "slow but there")
    assert later.values[2] == ["/second.html", "Second"]
    assert later.title == "Second page"


MATCHERS = [
    "'**/actions.html?pushed=1'",
    "/pushed=\\d$/",
    "(url) => url.searchParams.get('pushed') === '1'",
    "'**/{a,actions}.html?pushed=*'",
]


async def test_urls_are_waited_for_by_glob_expression_and_function(site: str, runner: BrowserJobRunner) -> None:
    """A URL wait ends even if the page changes its address without a navigation."""
    steps = [
        {
            "url": f"{site}/actions.html",
            "actions": [f"Promise.all([page.waitForURL({matcher}), page.click('#pushed')])", "page.url()"],
        }
        for matcher in MATCHERS
    ]
    done = (await runner.run(make_jobs(steps))).steps
    assert [step.values[1] for step in done] == [f"{site}/actions.html?pushed=1"] * len(MATCHERS)


async def test_requests_and_responses_are_waited_for_and_changed(site: str, runner: BrowserJobRunner) -> None:
    """Traffic is matched by glob or function; a route answers itself, passes on, or falls back to another."""
    step = await act(
        runner,
        f"{site}/actions.html",
        "context.route('**/*.json', (route) => route.fulfill({json: {from: 'context'}}))",
        "page.route(/fake/, (route, request) => route.fulfill({status: 201, contentType: 'text/plain', "
        "body: request.method()}))",
        "page.route((url) => url.pathname === '/other.json', (route) => route.fallback())",
        "page.route('**/second.html', (route) => route.continue({headers: "
        "{...route.request().headers(), 'x-a': 'b'}}))",
        "page.evaluate(async () => { const r = await fetch('/fake'); return [r.status, await r.text()] })",
        "page.evaluate(async () => (await fetch('/other.json')).json())",
        iife(
            "const [a, b, c] = await Promise.all([page.waitForResponse('**/second.html'), "
            "page.waitForRequest((r) => r.url().endsWith('.html')),"
            "page.evaluate(async () => (await fetch('/second.html')).status)]); return [a.status(), "
            "b.method(), c, (await a.allHeaders())['content-type']]"
        ),
    )
    assert step.values[4:] == ([201, "GET"], {"from": "context"}, [200, "GET", 200, "text/html"])
    assert step.errors == ()


async def test_pages_are_heard(site: str, runner: BrowserJobRunner) -> None:
    """Console messages and errors of the page reach handlers, and handlers can be taken off again."""
    step = await act(
        runner,
        f"{site}/actions.html",
        "page.on('pageerror', (e) => console.log('heard', e.name, e.message))",
        "page.once('console', (m) => console.log('said', m.type(), m.text(), m.args().length))",
        "page.evaluate(() => { console.warn('more', 1); console.log('again'); })",
        "page.evaluate(() => { setTimeout(() => { throw new TypeError('broken') }) })",
        iife("const f = () => console.log('never'); page.on('console', f); page.off('console', f)"),
        "page.evaluate(() => console.log('x'))",
    )
    ours = [line for line in step.console if line.startswith(("heard", "said", "never"))]
    assert ours == ["said warning more 1 2", "heard TypeError broken"]
    assert step.errors == ("TypeError: broken",)


async def test_files_come_with_the_action(site: str, runner: BrowserJobRunner) -> None:
    """An upload is given inline, as base64 or bytes, also to a file chooser."""
    text = base64.b64encode(b"hello").decode()
    step = await act(
        runner,
        f"{site}/actions.html",
        f"page.setInputFiles('#file', {{name: 'a.txt', mimeType: 'text/plain', buffer: '{text}'}})",
        "page.waitForFunction(() => document.title === 'a.txt hello').then(() => page.title())",
        iife(
            "const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.click('#file')]);"
            "await chooser.setFiles([{name: 'b.txt', mimeType: 'text/plain', buffer: new "
            "TextEncoder().encode('bytes')}]);"
            "await page.waitForFunction(() => document.title === 'b.txt bytes'); return chooser.isMultiple()"
        ),
    )
    assert step.values[1:] == ("a.txt hello", False)


async def test_the_context_is_at_hand(site: str, runner: BrowserJobRunner) -> None:
    """Cookies, geolocation, offline mode and storage belong to the job's own context."""
    step = await act(
        runner,
        f"{site}/cookies",
        f"context.addCookies([{{name: 'a', value: 'b', url: '{site}'}}])",
        "page.reload()",
        "page.innerText('ul')",
        "context.cookies().then((all) => all.map((one) => [one.name, one.httpOnly]))",
        "context.storageState().then((state) => state.cookies.length)",
        "context.clearCookies({name: 'a'})",
        "context.cookies()",
        "context.setOffline(true).then(() => page.evaluate(() => navigator.onLine))",
    )
    assert step.values[2:] == ("a=b", [["a", False]], 1, None, [], False)


async def test_alerts_are_read_and_answered(runner: BrowserJobRunner, site: str) -> None:
    """READ_ALERTS writes down what alerts say; a handler answers, and dialogs of pages without one are dismissed."""
    ask = "page.evaluate(() => { alert('read'); return [prompt('name'), confirm('sure')] })"
    handler = "page.on('dialog', (dialog) => dialog.accept(dialog.type() === 'prompt' ? 'ann' : undefined))"
    job = make_job(f"{site}/actions.html", actions=[handler, ask], options=["READ_ALERTS"])
    result = await runner.run(job)
    assert result.steps[0].values[1] == ["ann", True]
    assert result.messages == ("read",)
    popup = (
        "(async () => { const [popup] = await Promise.all([page.waitForEvent('popup'), "
        "page.evaluate(() => { window.open('about:blank') })]); return popup.evaluate(() => confirm('sure')) })()"
    )
    job = make_job(f"{site}/actions.html", actions=[handler, popup], options=["READ_ALERTS"])
    assert (await runner.run(job)).steps[0].values[1] is False


OPENINGS = [
    "page.evaluate(() => { window.open('/slow?ms=400') })",
    "page.evaluate(() => { window.open('/slow?ms=400', '_blank', 'noopener') })",
    "page.evaluate(() => { setTimeout(() => window.open('/slow?ms=400')) })",
]


async def test_popups_of_scripts_settle(runner: BrowserJobRunner, site: str) -> None:
    """One that opens, and one that a script sends elsewhere, is there for the next action."""
    actions = [
        "context.pages().map((one) => new URL(one.url()).pathname)",
        "context.pages()[1].evaluate(() => { location.href = '/slow?ms=300&again' })",
        "context.pages()[1].url().endsWith('again') && context.pages()[1].evaluate(() => document.readyState)",
        "context.pages()[1].close()",
        "context.pages().length",
    ]
    steps = [{"url": f"{site}/actions.html", "actions": [opening, *actions]} for opening in OPENINGS]
    for opening, step in zip(OPENINGS, (await runner.run(make_jobs(steps))).steps, strict=True):
        read = [step.values[number] for number in (1, 3, 5)]
        assert (opening, read) == (opening, [["/actions.html", "/slow"], "complete", 1])


async def test_a_popup_that_never_loads(runner: BrowserJobRunner, site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for a while; then the job goes on."""
    monkeypatch.setattr(navigation, "POPUP_SECONDS", 0.3)
    step = await act(runner, f"{site}/actions.html", "page.evaluate(() => { window.open('/hang') })", "page.title()")
    assert step.values == (None, "Actions")


SENT = """(async () => { const [request] = await Promise.all([page.waitForRequest('**/welcome'), page.evaluate(
    ([type, body]) => { fetch('/welcome', {method: 'POST', headers: {'content-type': type}, body}) }, [%s, %s])]);
    return request })()"""
ANSWERED = """(async () => { await page.route('**/data', (r) => r.fulfill({body: '%s'}));
    const [response] = await Promise.all([page.waitForResponse('**/data'), page.evaluate(() => { fetch('/data') })]);
    return %s })()"""


async def test_bodies_of_requests_are_read_where_they_are_asked_for(site: str, runner: BrowserJobRunner) -> None:
    """As text and as JSON, also of a request that came before; a large one is refused by name, a form is an object."""
    form = "'application/x-www-form-urlencoded'"
    actions = [
        "const early = await " + SENT % ("'a/b'", "'early'") + "; 1",
        "early.postData()",
        SENT % ("'text/json'", "JSON.stringify({a: [1]})") + ".then((r) => [r.postDataJSON().a[0], r.postData()])",
        SENT % (form, "'a=1&b=%20'") + ".then((r) => r.postDataJSON())",
        SENT % ("'a/b'", "'x'.repeat(2 ** 20 + 1)") + ".then((r) => r.postData()).catch((error) => error.message)",
        ANSWERED % ("1", "response.request().postData()"),
    ]
    step = await act(runner, f"{site}/second.html", *actions)
    large = "the body of the request is larger than 1 MiB"
    assert step.values[1:] == ("early", [1, '{"a":[1]}'], {"a": "1", "b": " "}, large, None)


async def test_unrequested_bodies_are_not_copied(
    site: str, runner: BrowserJobRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An action that waits for a response while its page posts a lot does not pay for it."""
    read: list[Request] = []
    monkeypatch.setattr(Request, "post_data_buffer", property(read.append))
    large = SENT % ("'text/json'", "JSON.stringify(Array(9e4).fill(0))")
    step = await act(runner, f"{site}/second.html", "page.on('request', () => {})", f"{large}.then((r) => r.method())")
    assert (step.values[1], read) == ("POST", [])


async def test_an_answer_is_parsed_in_the_sandbox(session: ActionSession) -> None:
    """A response is parsed in the sandbox; one that is no JSON is an error."""
    assert await session.run(ANSWERED % ('[1,{"a":null}]', "await response.json()")) == [1, {"a": None}]
    with pytest.raises(ScriptError, match="SyntaxError"):
        await session.run(ANSWERED % ("[1", "await response.json()"))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("const a = [; b", r"SyntaxError: Unexpected token ';' \(line 1, column 12\)$"),
        ("page.title();\n\n  foo(;", r"Unexpected token ';' \(line 3, column 7\)$"),
        ("'\N{GRINNING FACE}'; b c", r"Unexpected identifier 'c' \(line 1, column 9\)$"),
    ],
)
async def test_a_syntax_error_says_where(session: ActionSession, source: str, said: str) -> None:
    """Line and column of the action's own text, as an editor for JavaScript counts them."""
    with pytest.raises(ScriptError, match=said):
        await session.run(source)
