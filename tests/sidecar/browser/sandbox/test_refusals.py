"""What actions can't do: each refusal is typed, says why, and leaves the next job alone."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from sidecar.browser.pool import BrowserPool
from sidecar.browser.processes.job_page import JobPage
from sidecar.browser.sandbox.action_script import ActionScript
from sidecar.browser.sandbox.action_session import ActionSession
from sidecar.browser.sandbox.handles import HandleTable
from sidecar.browser.sandbox.rpc_calls import RpcCalls
from sidecar.browser.sandbox.sandbox import ScriptError
from sidecar.browser.sandbox.wire_values import CallRefused
from sidecar.errors import ActionFailed, Forbidden, SidecarError
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from tests.sidecar.browser.parts import make_job
from tests.sidecar.browser.sandbox.parts import open_session, stays

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize(
    ("action", "kind", "said"),
    [
        ("process.exit()", ActionFailed, "process is not defined"),
        ("eval('1')", Forbidden, "eval is refused: code can't be created from text"),
        ("page.goto('http://127.0.0.1:1/')", ActionFailed, "ERR_"),
        ("this is no JavaScript", ActionFailed, "SyntaxError"),
        ("location = 'http://127.0.0.1/'; page.waitForTimeout(9000)", ActionFailed, "its sandbox was closed"),
    ],
)
async def test_a_refused_action_says_why(
    site: str, runner: BrowserJobRunner, action: str, kind: type[Exception], said: str
) -> None:
    """The code is action_failed or forbidden, with step, action and reason."""
    with pytest.raises(kind) as failed:
        await runner.run(make_job(f"{site}/actions.html", actions=[{"title": None}, action], step_timeout_ms=10_000))
    assert isinstance(failed.value, ActionFailed | Forbidden)
    assert said in failed.value.message
    places = {name: failed.value.details.get(name) for name in ("step", "action")}
    assert places == {"step": "step 1", "action": ActionScript(action).label}
    assert "\n" not in failed.value.message


@pytest.mark.parametrize(
    ("action", "kind", "said"),
    [
        ("require('fs')", ActionFailed, "require is not defined"),
        ("import('fs')", Forbidden, "Failed to resolve module specifier"),
        ("import('data:text/javascript,1')", Forbidden, "Failed to fetch dynamically imported module"),
        ("fetch('http://127.0.0.1/')", Forbidden, "an action has no network"),
        ("new XMLHttpRequest()", Forbidden, "an action has no network"),
        ("new WebSocket('ws://127.0.0.1/')", Forbidden, "an action has no network"),
        ("(0, eval)('1')", Forbidden, "eval is refused"),
        ("new Function('return 1')()", Forbidden, "Function is refused: code can't be created from text"),
        ("Function('return 1')()", Forbidden, "Function is refused"),
        ("(async () => {}).constructor('return process')()", Forbidden, "AsyncFunction is refused"),
        ("new (function* () {}).constructor('yield 1')", Forbidden, "GeneratorFunction is refused"),
        ("(async function* () {}).constructor('yield 1')", Forbidden, "AsyncGeneratorFunction is refused"),
        ("page.constructor.constructor('return process')()", Forbidden, "Function is refused"),
        ("page.title.constructor('return this')().process.exit()", Forbidden, "Function is refused"),
        ("setTimeout('1')", Forbidden, "setTimeout with a text is refused"),
        ("setInterval('1', 5)", Forbidden, "setInterval with a text is refused"),
        ("Reflect.construct(Function, ['return 1'])", Forbidden, "Function is refused"),
        ("page.screenshot({path: '/tmp/x.png'})", Forbidden, "actions can't access files"),
        ("page.locator('h1').screenshot({path: '/tmp/x.png'})", Forbidden, "actions can't access files"),
        ("page.pdf({path: '/tmp/x.pdf'})", Forbidden, "actions can't access files"),
        ("page.addScriptTag({path: '/etc/passwd'})", Forbidden, "actions can't access files"),
        ("page.addStyleTag({path: '/etc/passwd'})", Forbidden, "actions can't access files"),
        ("page.addInitScript({path: '/etc/passwd'})", Forbidden, "actions can't access files"),
        ("context.addInitScript({path: '/etc/passwd'})", Forbidden, "actions can't access files"),
        ("context.storageState({path: '/tmp/x'})", Forbidden, "actions can't access files"),
        ("page.routeFromHAR('/tmp/x')", Forbidden, "actions can't access files"),
        ("page.video().saveAs('/tmp/x')", Forbidden, "actions can't access files"),
        ("page.setInputFiles('#file', '/etc/passwd')", Forbidden, "paths are refused"),
        ("page.setInputFiles('#file', ['/etc/passwd'])", Forbidden, "paths are refused"),
        ("page.locator('#file').setInputFiles({name: 'x', path: '/etc/passwd'})", ActionFailed, "buffer"),
        ("page.goto('file:///etc/passwd')", Forbidden, "file: URLs are refused"),
        ("page.mainFrame().goto('chrome://crash')", Forbidden, "chrome: URLs are refused"),
        ("context.newPage().then((p) => p.goto('file:///etc/passwd'))", Forbidden, "file: URLs are refused"),
        ("context.newCDPSession(page)", Forbidden, "the sidecar manages the browser"),
        ("context.request.get('http://127.0.0.1/')", Forbidden, "actions have no network"),
        ("page.request.get('http://127.0.0.1/')", Forbidden, "actions have no network"),
        ("context.browser().close()", Forbidden, "the sidecar manages the browser"),
        ("page.context().browser()", Forbidden, "the sidecar manages the browser"),
        ("context.close()", Forbidden, "the sidecar manages the browser"),
        ("page.close()", Forbidden, "closed after its last step"),
        ("page.pause()", Forbidden, "no debugger"),
        ("context.tracing.start()", Forbidden, "actions can't access files"),
        ("page.exposeFunction('f', () => 1)", Forbidden, "pages can't call actions"),
        ("page.nothingLikeThis()", ActionFailed, "not a function"),
        ("page.on('websocket', () => 1)", ActionFailed, "Page has no event websocket"),
        ("page.click('h1', {colour: 'red'})", ActionFailed, "click has no option colour"),
        ("page.click()", ActionFailed, "selector"),
        ("page.click(5)", ActionFailed, "selector"),
        ("page.click('#none', {timeout: 50})", ActionFailed, "nothing matched the selector"),
        ("throw new Error('mine')", ActionFailed, "mine"),
        ("Promise.reject('text')", ActionFailed, "text"),
        ("page.evaluate(() => { throw new RangeError('theirs') })", ActionFailed, "RangeError: theirs"),
        ("({a: null}).a.b", ActionFailed, "TypeError"),
    ],
)
async def test_what_is_refused(session: ActionSession, action: str, kind: type[SidecarError], said: str) -> None:
    """With its code and a reason; the sandbox and the page are fine for the next."""
    with pytest.raises(ScriptError) as failed:
        await session.run(action)
    assert failed.value.code == kind.code
    assert said in str(failed.value)
    assert "\n" not in str(failed.value)
    assert await session.run("1 + 1") == 2


_FRAME = """
const inside = (name) => document.body.appendChild(document.createElement("iframe")).contentWindow[name];
const settled = (begin) => new Promise((done) => { try { begin(done); } catch { done(); } });
"""
_WAYS_OUT = {
    "fetch of a frame": 'settled((done) => inside("fetch")(URL_).then(done, done))',
    "request of a frame": """settled((done) => { const x = new (inside("XMLHttpRequest"))(); x.onloadend = done;
        x.open("GET", URL_); x.send(); })""",
    "socket of a frame": """settled((done) => { const s = new (inside("WebSocket"))(URL_.replace("http", "ws"));
        s.onclose = done; s.onerror = done; })""",
    "image": "settled((done) => { const i = new Image(); i.onload = i.onerror = done; i.src = URL_; })",
    "script": """settled((done) => { const s = document.createElement("script");
        s.onload = s.onerror = done; s.src = URL_; document.head.append(s); })""",
    "beacon": "settled((done) => { navigator.sendBeacon(URL_, 'x'); setTimeout(done, 200); })",
    "peer connection of a frame": """settled((done) => { const P = inside("RTCPeerConnection");
        const p = new P({iceServers: [{urls: "stun:" + new URL(URL_).host}]}); p.createDataChannel("x");
        p.onicegatheringstatechange = () => p.iceGatheringState === "complete" && done();
        p.createOffer().then((o) => p.setLocalDescription(o)).catch(done); setTimeout(done, 2000); })""",
    "frame": """settled((done) => { const f = document.createElement("iframe"); f.onload = done; f.src = URL_;
        document.body.append(f); setTimeout(done, 500); })""",
    "form": """settled((done) => { document.body.innerHTML = '<form method="post"></form>'; const f = document.forms[0];
        f.action = URL_; f.submit(); setTimeout(done, 300); })""",
    "address": "settled((done) => { location = URL_; })",
}


class _Trap(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.caught = 0

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.caught += 1


@pytest.mark.parametrize("way", list(_WAYS_OUT))
async def test_no_way_out_of_the_sandbox(pool: BrowserPool, lent: JobPage, way: str) -> None:
    """Whatever a page can do to reach an address, nothing arrives there: not over TCP, not over UDP."""
    trap = _Trap()
    met: list[int] = []

    def meet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(1)
        writer.close()

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: trap, local_addr=("127.0.0.1", port))
    source = f"(async () => {{ const URL_ = 'http://127.0.0.1:{port}/';{_FRAME} await {_WAYS_OUT[way]}; }})()"
    session = open_session(pool.sandbox_pool, lent)
    async with server, asyncio.timeout(20):
        with contextlib.suppress(ScriptError):  # what leaves its page has lost its sandbox
            await session.run(source)
        await session.close()
    transport.close()
    assert (met, trap.caught) == ([], 0)


async def test_calls_are_checked_on_our_side(lent: JobPage) -> None:
    """Forged messages reach neither other objects, nor unlisted names, nor a chain that ends elsewhere."""
    page = lent.page
    handles = HandleTable(lambda _: None, lambda _: None)
    calls = RpcCalls(page, lent.cdp, handles, lambda: 1000.0, stays)
    number = handles.handle_of(page)
    forged: list[tuple[Any, Any, Any]] = [
        ({"h": 99, "c": []}, "title", []),
        ({"h": -1, "c": []}, "title", []),
        ({"h": True, "c": []}, "title", []),
        ({"h": str(number), "c": []}, "title", []),
        ({"h": number, "c": []}, "_impl_obj", []),
        ({"h": number, "c": []}, "__class__", []),
        ({"h": number, "c": []}, "pause", []),
        ({"h": number, "c": []}, "expose_binding", ["f"]),
        ({"h": number, "c": []}, "locator", ["a"]),
        ({"h": number, "c": [["context", []]]}, "close", []),
        ({"h": number, "c": [["title", []]]}, "click", []),
        ({"h": number, "c": [["locator", ["a"]]] * 101}, "click", []),
        ({"h": number, "c": [["locator"]]}, "click", []),
        ({"h": number}, "title", []),
        (None, "title", []),
        ({"h": number, "c": []}, ["title"], []),
        ({"h": number, "c": []}, "evaluate", [{"$": "ref", "h": 99, "c": []}]),
        ({"h": number, "c": []}, "evaluate", [{"$": "what"}]),
        ({"h": number, "c": []}, "set_content", ["x", {"path": "y"}]),
        ({"h": number, "c": []}, "goto", ["data:,", {}, {}]),
        ({"h": number, "c": []}, "title", "no list"),
    ]
    said = []
    for target, name, args in forged:
        with pytest.raises(CallRefused) as refused:
            await calls.call(target, name, args)
        said.append(str(refused.value))
    assert said[0] == "this object does not belong to the job"
    assert said[6] == "actions may not call pause on a Page"


async def test_a_job_sees_its_own_pages_only(site: str, runner: BrowserJobRunner) -> None:
    """Two jobs at once share a sandbox browser and see neither each other's pages nor each other's globals."""
    together = "(async () => { globalThis.mine = (globalThis.mine ?? 0) + 1; await page.waitForTimeout(300);"
    action = f"{together} return [mine, context.pages().length, page.url()]; }})()"
    urls = [f"{site}/second.html?job={number}" for number in (1, 2)]
    results = await asyncio.gather(*(runner.run(make_job(url, actions=[action])) for url in urls))
    assert [result.steps[0].values[0] for result in results] == [[1, 1, url] for url in urls]


async def test_no_file_is_left_where_one_was_asked_for(site: str, runner: BrowserJobRunner, tmp_path: Path) -> None:
    """A refused path is not written to."""
    action = f"page.screenshot({{path: '{tmp_path}/x.png'}}).catch(() => page.pdf({{path: '{tmp_path}/x.pdf'}}))"
    with pytest.raises(Forbidden):
        await runner.run(make_job(f"{site}/second.html", actions=[action]))
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240 - it is over


ANSWERS = [
    ("route.fulfill({path: '/etc/passwd'})", Forbidden, "the option path is refused"),
    ("route.continue({url: 'file:///etc/passwd'})", Forbidden, "file: URLs are refused"),
    ("route.fallback({url: 'file:///etc/passwd'})", Forbidden, "file: URLs are refused"),
    ("route.fulfill({har: 'x'})", Forbidden, "the option har is refused"),
    ("route.fulfill({colour: 'red'})", ActionFailed, "has no option colour"),
    ("route.continue(1, 2, 3)", ActionFailed, "takes 0 arguments and options"),
    ("route.fetch()", Forbidden, "actions have no network"),
    ("route.abort(/x/)", ActionFailed, "takes no regular expression"),
]
HANDLERS = ["(route) => {{ {} }}", "async (route) => {{ await {} }}"]


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize(("answer", "kind", "said"), ANSWERS)
async def test_a_refused_answer_of_a_route_ends_the_action(
    session: ActionSession, lent: JobPage, site: str, answer: str, kind: type[SidecarError], said: str, handler: str
) -> None:
    """A refusal fails the action at once, awaited by the handler or not, and the request is aborted."""
    await lent.page.goto(f"{site}/second.html")
    await session.run(f"page.route('**/asked', {handler.format(answer)})")
    try:
        async with asyncio.timeout(20):
            with pytest.raises(ScriptError, match=said) as failed:
                await session.run("const asked = page.evaluate(() => fetch('/asked').catch(() => 'given up')); asked")
            assert failed.value.code == kind.code
            with contextlib.suppress(ScriptError):  # an awaited refusal is also what the handler throws
                await session.run("new Promise((done) => setTimeout(done))")
            assert await session.run("asked") == "given up"
    finally:
        await session.run("page.unroute('**/asked')")


@pytest.mark.parametrize("pattern", ["**/*", "**/missing.css"])
async def test_a_refused_answer_while_a_page_opens(site: str, runner: BrowserJobRunner, pattern: str) -> None:
    """For the page itself or what is in it: the step fails with the refusal, not with its time."""
    for way, answer in (
        ("page.route", "route.fulfill({path: '/etc/passwd'})"),
        ("context.route", "route.continue({url: 'file:///etc/passwd'})"),
    ):
        job = make_job(f"{site}/with-style.html", actions=[f"{way}('{pattern}', (route) => {answer})"])
        async with asyncio.timeout(20):
            with pytest.raises(Forbidden, match=r"the handler of a route failed: (fulfill|continue): "):
                await runner.run(job)


async def test_an_answer_that_can_not_be_sent_counts_as_missing(site: str, runner: BrowserJobRunner) -> None:
    """A handler whose answer can't be encoded counts as throwing: the request continues, and the error is reported."""
    deep = "let deep = {}; for (let i = 0; i < 200; i++) deep = {deep}"
    actions = [
        f"page.route('**/second.html', (route) => {{ {deep}; return route.fulfill({{json: deep}}) }})",
        "page.evaluate(() => fetch('/second.html').then((answer) => answer.status))",
    ]
    result = await runner.run(make_job(f"{site}/actions.html", actions=actions))
    assert result.steps[0].values[1] == 200
    assert "nested over" in result.steps[0].errors[0]
