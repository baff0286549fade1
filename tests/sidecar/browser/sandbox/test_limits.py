"""Actions that don't end, grow or flood: they end in their time and affect no other job."""

import asyncio
import time
from collections import Counter
from typing import Any

import psutil
import pytest
from sidecar_protocol.jobs import JobResult

from sidecar.browser.pool import BrowserPool
from sidecar.browser.processes.job_page import JobPage
from sidecar.browser.sandbox.action_session import ActionSession
from sidecar.browser.sandbox.cdp_pipe import CdpError, CdpPipe, SandboxBrowser
from sidecar.browser.sandbox.sandbox import Sandbox, ScriptError
from sidecar.browser.sandbox.sandbox_pool import SandboxLimits
from sidecar.errors import (
    ActionFailed,
    BrowserFailed,
    Forbidden,
    LimitExceeded,
    SandboxCrashed,
    SidecarError,
    TimedOut,
)
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from tests.sidecar.browser.parts import children, make_job
from tests.sidecar.browser.sandbox.parts import is_sandbox, open_session
from tests.site.server import TestSite

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def fine(runner: BrowserJobRunner, site: str) -> JobResult:
    """A job with a quick action, which must work at any time."""
    result = await asyncio.wait_for(runner.run(make_job(f"{site}/second.html", actions=["page.title()"])), 40)
    assert result.steps[0].values == ("Second page",)
    return result


BUSY = [
    "for (;;);",
    "(async () => { await page.title(); for (;;); })()",
    "page.on('load', () => { for (;;); })",
    "setTimeout(() => { for (;;); }); new Promise(() => {})",
    "Promise.resolve().then(function again() { return Promise.resolve().then(again) })",
    "page.evaluate(() => { for (;;); })",
]
WAITING = [
    "new Promise(() => {})",
    "({then() {}})",
    "page.waitForEvent('popup')",
    "page.waitForFunction(() => false)",
    "page.evaluate(() => new Promise(() => {}))",
    "page.waitForTimeout(100000)",
]


@pytest.mark.parametrize("stuck", [BUSY[:3], BUSY[3:], WAITING], ids=["busy 1", "busy 2", "waiting"])
async def test_what_never_ends_is_ended_in_its_step_time(site: str, runner: BrowserJobRunner, stuck: list[str]) -> None:
    """The step's time is kept, a concurrent job is not delayed, and the next one works."""
    jobs = [make_job(f"{site}/second.html", actions=[one, "page.title()"], step_timeout_ms=1_500) for one in stuck]
    began = time.monotonic()
    tasks = asyncio.gather(*map(runner.run, jobs), return_exceptions=True)
    await fine(runner, site)
    ended = await asyncio.wait_for(tasks, 30)
    assert time.monotonic() - began < 25
    for action, failed in zip(stuck, ended, strict=True):
        assert isinstance(failed, TimedOut | ActionFailed), action
        assert failed.details["step"] == "step 1", action
    await fine(runner, site)


@pytest.mark.parametrize(
    "action",
    [
        "const a = []; for (;;) a.push(new Array(1000).fill(1.5))",
        "const a = []; for (;;) a.push(new Uint8Array(5e7).fill(1))",
        "const a = []; for (let i = 0; ; i++) a.push(String(i).repeat(1e6) + i)",
        "let a = 'x'; for (;;) a += a",
    ],
)
async def test_a_memory_eater_loses_its_own_sandbox_only(
    pool: BrowserPool, lent: JobPage, session: ActionSession, action: str
) -> None:
    """It fails or runs out of its time; the browser of the sandboxes lives on, and the sidecar has not grown."""
    assert await session.run("page.innerText('h1')") == "Actions"
    before = {process.pid for process in children(is_sandbox)}
    memory = psutil.Process().memory_info().rss
    eater = open_session(pool.sandbox_pool, lent)
    with pytest.raises((ScriptError, TimeoutError)):
        await asyncio.wait_for(eater.run(action), 8)
    await eater.close()
    assert await session.run("page.innerText('h1')") == "Actions"
    assert {process.pid for process in children(is_sandbox)} == before
    assert psutil.Process().memory_info().rss - memory < 50 << 20


async def test_every_process_of_the_sandboxes_has_the_limit(
    site: str, runner: BrowserJobRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit holds for a browser that a script starts, as Debian's does; the watched memory is the browser's."""
    seen: list[int] = []
    measure = SandboxBrowser.resident_bytes

    def watched(browser: SandboxBrowser) -> int:
        seen.append(measure(browser))
        return seen[-1]

    monkeypatch.setattr(SandboxBrowser, "resident_bytes", watched)
    await fine(runner, site)
    assert min(seen) > 20 << 20
    main = next(iter(children(is_sandbox)))
    family = [main, *main.children(recursive=True)]
    assert len(family) > 1
    limit = SandboxLimits().memory
    assert {one.rlimit(psutil.RLIMIT_DATA) for one in family} == {(limit, limit)}
    assert {one.rlimit(psutil.RLIMIT_CORE) for one in family} == {(0, 0)}


@pytest.mark.parametrize(
    ("action", "said", "kind"),
    [
        (
            "(async () => { for (;;)"
            " await Promise.all(Array.from({length: 450}, () => page.setDefaultTimeout(1000))) })()",
            "more than 10000 calls",
            ActionFailed,
        ),
        ("for (let i = 0; i < 2e4; i++) page.title(); 1", "more than 10,000 calls are waiting", ActionFailed),
        (
            "Promise.all(Array.from({length: 2000}, () => page.waitForTimeout(3000)))",
            "more than 500 calls at once",
            ActionFailed,
        ),
        ("'x'.repeat(4e7)", "larger than 32 MiB", LimitExceeded),
        ("throw new Error('x'.repeat(4e7))", "larger than 32 MiB|crashed", None),
        ("'x'.repeat(1e8)", "larger than|crashed", None),
        ("['x'.repeat(3e7)]", "larger than 16 MiB", LimitExceeded),
        ("Array(2e5).fill(0)", "a value has more than 100000 parts", LimitExceeded),
        ("page.fill('#text', 'x'.repeat(2e7))", "larger than 16 MiB", LimitExceeded),
        ("page.evaluate((x) => 1, Array(2e5).fill(0))", "a value has more than 100000 parts", LimitExceeded),
        ("page.evaluate(() => 'x'.repeat(17 * 2 ** 20))", "more than 16 MiB", LimitExceeded),
        ("page.evaluate(() => Array(1.1e5).fill(0))", "the result has more than 100000 parts", LimitExceeded),
        ("page.evaluate(() => Array(2.6e5).fill([]))", "has more than 250000 parts", LimitExceeded),
        ("page.evaluateHandle(() => 'x'.repeat(17 * 2 ** 20)).then((h) => h.jsonValue())", "16 MiB", LimitExceeded),
        (
            "page.evaluate(() => { document.title = 'x'.repeat(17 * 2 ** 20) }).then(() => page.content())",
            "16 MiB",
            LimitExceeded,
        ),
        ("const ring = {}; ring.ring = ring; ring", "contains itself", LimitExceeded),
        (
            "const r = []; r.push(r); page.evaluate((x) => x, r)",
            "contains itself",
            LimitExceeded,
        ),
    ],
)
async def test_floods_are_bounded(
    site: str,
    pool: BrowserPool,
    lent: JobPage,
    session: ActionSession,
    action: str,
    said: str,
    kind: type[SidecarError] | None,
) -> None:
    """Endless calls, a hundred megabytes and endless values each end with a reason that names the bound.

    Another sandbox and the page itself are as they were.
    """
    await lent.page.goto(f"{site}/actions.html")
    flood = open_session(pool.sandbox_pool, lent)
    with pytest.raises(ScriptError, match=said) as failed:
        await asyncio.wait_for(flood.run(action), 60)
    await flood.close()
    assert kind is None or failed.value.code == kind.code
    assert await session.run("page.innerText('h1')") == "Actions"


class Counted:
    """How often each command was sent to the sandboxes' browser."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.times: Counter[str] = Counter()
        send = CdpPipe.send

        def counted(pipe: CdpPipe, method: str, *rest: Any) -> "asyncio.Future[Any]":
            self.times[method] += 1
            return send(pipe, method, *rest)

        patch.setattr(CdpPipe, "send", counted)


async def test_calls_beyond_the_limit_fail_an_action_once(
    site: str, runner: BrowserJobRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sandbox is ended once, and what it goes on to ask is not looked at: the others are not held up."""
    sent = Counted(monkeypatch)
    action = """(async () => { for (let k = 0; k < 4; k++) {
        for (let i = 0; i < 9999; i++) page.title().catch(() => {});
        await new Promise((done) => setTimeout(done, 100)) } })()"""
    with pytest.raises(ActionFailed, match="more than 10000 calls"):
        await asyncio.wait_for(runner.run(make_job(f"{site}/actions.html", actions=[action])), 25)
    assert sent.times["Target.disposeBrowserContext"] == 1
    assert sent.times["Runtime.callFunctionOn"] < 5_000
    await fine(runner, site)


@pytest.mark.parametrize(
    ("forging", "said"),
    [
        # nothing that leaves is made with what an action can change
        ("Array.prototype.join = () => '[' + '[\"on\",0,\"x\"],'.repeat(1e6) + '[]]'; 'unheard'", None),
        ("Array.prototype.push = Array.prototype.shift = () => 'x'; String.prototype.slice = () => 1; 'unheard'", None),
        ("Promise = class {}; JSON.stringify = () => '[]'; 'unheard'", None),
        # what a value's own form may hold is bounded on our side
        (
            "Array.prototype.toJSON = function () { return this[0] === 'done' ? Array(3e6) : this }; 1",
            "exceed their limit",
        ),
    ],
)
async def test_forged_messages_are_bounded(
    pool: BrowserPool, lent: JobPage, session: ActionSession, forging: str, said: str | None
) -> None:
    """Whatever an action changes of the language, its outcome comes soon, and the next job is fine."""
    forger = open_session(pool.sandbox_pool, lent)
    async with asyncio.timeout(15):
        if said is None:
            assert await forger.run(forging) == "unheard"
        else:
            with pytest.raises(ScriptError, match=said):
                await forger.run(forging)
    await forger.close()
    assert await session.run("page.innerText('h1')") == "Actions"


@pytest.mark.parametrize("answer", ["late", "lost"])
async def test_a_killed_script_gets_the_reason_even_before_its_start(
    site: str, runner: BrowserJobRunner, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """On a slow machine its messages can be here before the answer to its start: the bound it passed is still named."""
    run = Sandbox.run

    async def slow(sandbox: Sandbox, *rest: Any) -> None:
        await run(sandbox, *rest)
        await asyncio.wait((sandbox.lost,))
        if answer == "late":
            await asyncio.sleep(60)
        raise CdpError("the sandbox was closed")

    monkeypatch.setattr(Sandbox, "run", slow)
    forging = "Array.prototype.toJSON = function () { return this[0] === 'done' ? Array(3e6) : this }; 1"
    job = make_job(f"{site}/second.html", actions=[forging], step_timeout_ms=20_000)
    with pytest.raises(ActionFailed, match="exceed their limit"):
        await asyncio.wait_for(runner.run(job), 15)


_FRAME = "const frame = document.createElement('iframe');"


HELD_FOR_ALL = [
    "for (let i = 0; i < 3000; i++) new Blob([new Uint8Array(1e6)])",
    "new File(['x'], 'x')",
    "new Response('x').blob()",
    "const form = document.createElement('form'); form.innerHTML = '<input type=file name=a>';"
    " if (!('size' in new (new FormData(form).get('a').constructor)(['x']))) throw new Error('no file')",
    "document.createElement('canvas').toBlob(() => {})",
    "document.createElement('canvas').getContext('2d')",
    "new OffscreenCanvas(1, 1)",
    "new AudioContext()",
    "new WebAssembly.Memory({initial: 1})",
    "new BroadcastChannel('x')",
    "indexedDB.open('x')",
    "caches.open('x')",
    "navigator.storage.estimate()",
    "name = 'x'.repeat(1e6); window.name.length = 1; navigator.storage.estimate()",
    "for (let i = 0; i < 300; i++) window.open('about:blank')",
    f"{_FRAME} document.appendChild(frame); frame.contentWindow.open('about:blank')",
    f"{_FRAME} document.append(frame); frame.contentWindow.Blob",
    f"{_FRAME} document.documentElement.append(frame); frame.contentWindow.Blob",
    f"{_FRAME} Node.prototype.insertBefore.call(document, frame, null)",
    f"{_FRAME} const range = document.createRange(); range.insertNode(frame)",
    "document.write('<iframe></iframe>'); frames[0].Blob",
    "document.open('about:blank', 'x', 'y').closed",
    "const a = document.createElement('a'); a.target = '_blank'; a.href = 'about:blank';"
    " for (let i = 0; i < 300; i++) a.click(); navigator.storage.estimate()",
    "alert('x')",
]
"""What a browser would hold outside the page that asks for it, or show in another one."""


async def test_what_the_browser_would_hold_for_all_is_not_there(
    site: str, runner: BrowserJobRunner, pool: BrowserPool, lent: JobPage
) -> None:
    """Files, canvases, channels, windows and frames: refused or unknown, and the sandboxes' browser is as it was."""
    await fine(runner, site)
    (browser,) = children(is_sandbox)
    before = browser.memory_info().rss
    session = open_session(pool.sandbox_pool, lent)
    for action in HELD_FOR_ALL:
        async with asyncio.timeout(40):
            with pytest.raises(ScriptError) as failed:
                await session.run(action)
        assert failed.value.code in (ActionFailed.code, Forbidden.code), action
        assert children(is_sandbox) == [browser], action
        assert browser.memory_info().rss - before < 100 << 20, action
        if not await still_runs(session):
            await session.close()
            session = open_session(pool.sandbox_pool, lent)
    await session.close()
    await fine(runner, site)


async def still_runs(session: ActionSession) -> bool:
    """Whether the last action has left its sandbox."""
    try:
        return bool(await session.run("1 + 1") == 2)
    except ScriptError:
        return False


async def test_a_frame_costs_its_job_the_sandbox(site: str, runner: BrowserJobRunner) -> None:
    """Should one be made all the same: nothing runs in it for long."""
    taken = await runner.sandboxes.acquire("({})")
    made = "document.documentElement.append(document.createElement('iframe'))"
    taken._send("Runtime.evaluate", {"expression": made})
    assert str(await asyncio.wait_for(taken.lost, 5)) == "its sandbox was closed: it can't have frames"
    runner.sandboxes.release(taken)
    await fine(runner, site)


async def test_documents_are_parsed_in_a_sandbox(site: str, runner: BrowserJobRunner) -> None:
    """What is left of the DOM reads what was fetched."""
    action = """const text = '<ul><li>a<li id=x><b>b</b></ul><img src=/y>';
        const parsed = new DOMParser().parseFromString(text, 'text/html');
        const part = document.createElement('div'); part.innerHTML = '<i>c</i>'; part.append('d');
        parsed.body.append(part);
        [Array.from(parsed.querySelectorAll('li'), (one) => one.textContent), parsed.images[0].getAttribute('src'),
         part.firstChild.textContent, parsed.body.lastChild.innerHTML, new URL('x', 'http://a').href,
         parsed.evaluate('count(//li)', parsed).numberValue]"""
    step = (await runner.run(make_job(f"{site}/second.html", actions=[action]))).steps[0]
    assert step.values == ([["a", "b"], "/y", "c", "<i>c</i>d", "http://a/x", 2],)


async def test_console_floods_are_cut(site: str, runner: BrowserJobRunner) -> None:
    """The last lines are kept, each cut to length."""
    action = "for (let i = 0; i < 1e5; i++) console.log(i, 'x'.repeat(3000)); 1"
    step = (await runner.run(make_job(f"{site}/second.html", actions=[action]))).steps[0]
    assert (len(step.console), step.console[-1][:6], len(step.console[-1])) == (200, "99999 ", 2_000)


async def test_what_handlers_do_is_the_jobs_own_affair(site: str, runner: BrowserJobRunner) -> None:
    """Throwing handlers, two answers to one dialog and uncaught rejections are in the step's errors."""
    job = make_job(
        f"{site}/actions.html",
        actions=[
            "page.on('dialog', (d) => d.accept('one'))",
            "page.on('dialog', (d) => d.accept('two'))",
            "page.on('console', () => { throw new Error('thrown in a handler') })",
            "page.route('**/fake', () => { throw new Error('thrown in a route') })",
            "page.click('#ask')",
            "page.evaluate(() => console.log('x'))",
            "page.evaluate(async () => (await fetch('/fake')).status)",
            "Promise.reject(new Error('nobody looks')); page.click('#none', {timeout: 50}); page.waitForTimeout(200)",
            "setTimeout(() => { throw new Error('later') }); page.innerText('#ask')",
            "page.waitForSelector('#never'); page.waitForEvent('popup'); 'left pending'",
        ],
    )
    step = (await runner.run(job)).steps[0]
    assert step.values[6:] == (404, None, "one", "left pending")
    reported = "\n".join(step.errors)
    for said in ("already handled", "thrown in a handler", "thrown in a route", "nobody looks", "50ms", "later"):
        assert said in reported
    await fine(runner, site)


async def test_a_flood_of_events_is_dropped_and_reported(site: str, runner: BrowserJobRunner) -> None:
    """A page that talks faster than a handler listens does not pile up in the sidecar."""
    job = make_job(
        f"{site}/second.html",
        actions=[
            "page.on('console', () => { const end = performance.now() + 2; while (performance.now() < end); })",
            "page.evaluate(() => { for (let i = 0; i < 3000; i++) console.log(i) })",
        ],
        step_timeout_ms=45_000,
    )
    step = (await asyncio.wait_for(runner.run(job), 50)).steps[0]
    assert "console events are dropped: their handlers are too slow" in step.errors
    await fine(runner, site)


async def test_the_job_time_ends_an_action(site: str, runner: BrowserJobRunner) -> None:
    """The job's time ends an action even if the step has more time."""
    with pytest.raises(TimedOut):
        await asyncio.wait_for(runner.run(make_job(f"{site}/second.html", actions=["for (;;);"], timeout_ms=1_200)), 30)


async def test_a_cancelled_job_gives_its_sandbox_back(site: str, runner: BrowserJobRunner) -> None:
    """Cancelled in an endless loop: the next job has its place and its sandbox."""
    for seconds in (0.05, 0.3, 1.0):
        task = asyncio.create_task(runner.run(make_job(f"{site}/second.html", actions=["for (;;);"])))
        await asyncio.wait((task,), timeout=seconds)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await fine(runner, site)


async def test_a_killed_sandbox_browser_fails_its_jobs_and_is_replaced(site: str, runner: BrowserJobRunner) -> None:
    """The job in it may be tried again, the page's browser stays, the next job has a new sandbox."""
    await fine(runner, site)
    held = TestSite()
    async with held as url:
        action = "await page.evaluate(() => fetch('/hang'))"
        task = asyncio.create_task(runner.run(make_job(f"{url}/second.html", actions=[action], step_timeout_ms=60_000)))
        await asyncio.wait_for(held.hanging.wait(), 30)
        for process in children(is_sandbox):
            process.kill()
        with pytest.raises(SandboxCrashed, match="the browser of the sandboxes crashed") as failed:
            await asyncio.wait_for(task, 30)
    assert (failed.value.code, failed.value.retryable, failed.value.details["step"]) == (
        "browser_crashed",
        True,
        "step 1",
    )
    await fine(runner, site)
    for process in children(is_sandbox):
        process.kill()  # and between jobs
    await fine(runner, site)


async def test_a_killed_page_is_a_crash(site: str, runner: BrowserJobRunner) -> None:
    """A page that crashes during an action is reported as crashed, and is retryable."""
    crash = (
        "page.evaluate(() => Array(6).fill(new Array(1 << 25).fill(1)).flat().length)"  # more than an array may hold
    )
    with pytest.raises(BrowserFailed) as failed:
        await runner.run(make_job(f"{site}/second.html", actions=[crash]))
    assert (failed.value.code, failed.value.retryable) == ("browser_crashed", True)
    await fine(runner, site)
