"""Profiles: what one job leaves in its browser, the next job of the profile finds, also in another process.

Most tests share the browser of the module: a new runner over a folder has no context open, as a new process has none.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sidecar_protocol.decoding import decode_as
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import WireError
from sidecar_protocol.jobs import JobResult, SendJob
from sidecar_protocol.wire_types import BrowserName, Secret

from sidecar.browser.limits import Limits
from sidecar.browser.pool import BrowserPool
from sidecar.browser.profiles.profile_store import FileProfileStore
from sidecar.clock import Clock
from sidecar.encryption import Encryptor
from sidecar.errors import ActionFailed, BrowserCrashed, InvalidContent, StoreFailed
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from sidecar.jobs.token_signers import secret_signer
from sidecar.jobs.visit_tokens import VisitTokens
from sidecar.settings import Settings
from tests.scopes import ScopedRunner
from tests.sidecar.browser.parts import children, is_browser, is_driver, is_renderer, make_jobs, still_alive
from tests.site.server import TestSite

pytestmark = pytest.mark.asyncio(loop_scope="module")

Rest = dict[str, Any]
_READ_DATABASE = """() => new Promise((done) => {
  const opening = indexedDB.open('shop', 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore('things');
  opening.onsuccess = () => {
    const found = opening.result.transaction('things').objectStore('things').get('a');
    found.onsuccess = () => { opening.result.close(); done(found.result ?? null) };
  };
})"""
_WRITE_DATABASE = """() => new Promise((done) => {
  const opening = indexedDB.open('shop', 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore('things');
  opening.onsuccess = () => {
    const change = opening.result.transaction('things', 'readwrite');
    change.objectStore('things').put('stored', 'a');
    change.oncomplete = () => { opening.result.close(); done() };
  };
})"""
_REMEMBERED = "() => [document.cookie, localStorage.getItem('seen')]"


def job(url: str, *actions: Any, profile: str = "shop", **content: Any) -> SendJob:
    """A job of the profile, of one step."""
    return make_jobs([{"url": url, "actions": list(actions)}], profile=profile, **content)


def evaluate(expression: str) -> Rest:
    """A typed action."""
    return {"evaluate": expression}


def values(result: JobResult) -> Any:
    """What the only step's actions returned."""
    return list(result.steps[0].values)


def over(pool: BrowserPool, settings: Settings) -> BrowserJobRunner:
    """A runner over the folder of these settings, which shares no context with any other."""
    states = FileProfileStore(settings.profiles_folder, Encryptor(settings.encryption_key()))
    return BrowserJobRunner(pool, settings.artifacts_folder, Clock(), lambda: states)


@asynccontextmanager
async def opened(folder: Path, limits: Limits | None = None, **given: Any) -> AsyncIterator[BrowserJobRunner]:
    """A sidecar's runner over this folder, as a process of its own would have it."""
    settings = Settings(home=str(folder), **given)
    pool = BrowserPool(settings, Clock(), limits)
    try:
        yield over(pool, settings)
    finally:
        await pool.close()


@pytest.fixture
def runner(pool: BrowserPool, tmp_path: Path) -> BrowserJobRunner:
    """One over the test's own folder."""
    return over(pool, Settings(home=str(tmp_path)))


def saved(folder: Path, name: str = "shop.chromium") -> Any:
    """What lies on the disk."""
    return json.loads((folder / "profiles" / f"{name}.json").read_text())


async def leave(runner: BrowserJobRunner, url: str, kind: BrowserName = "CHROMIUM") -> None:
    """A job leaves cookies and storage, and two others find the first of them in the living context."""
    write = "() => { localStorage.setItem('seen', 'yes'); document.cookie = 'a=b; max-age=1000' }"
    await runner.run(job(url, evaluate(write), evaluate(_WRITE_DATABASE), browser=kind))
    for _ in range(2):
        found = await runner.run(job(url, evaluate(_REMEMBERED), browser=kind))
        assert values(found) == [["a=b", "yes"]]


async def find(runner: BrowserJobRunner, url: str, kind: BrowserName = "CHROMIUM") -> None:
    """A job finds all of them in a new context."""
    found = await runner.run(job(url, evaluate(_REMEMBERED), evaluate(_READ_DATABASE), browser=kind))
    assert values(found) == [["a=b", "yes"], "stored"]


@pytest.mark.browser
async def test_cookies_and_storage_stay(runner: BrowserJobRunner, tmp_path: Path, site: str) -> None:
    """A job finds what the one before left: in the living context, and in a new process."""
    await leave(runner, f"{site}/second.html")
    async with opened(tmp_path) as another:
        await find(another, f"{site}/second.html")


@pytest.mark.browser
async def test_a_page_that_hides_its_storage(runner: BrowserJobRunner, tmp_path: Path, site: str) -> None:
    """If a page's scripts have removed the APIs, the browser is asked."""
    hide = "() => { localStorage.setItem('seen', 'yes'); indexedDB.databases = () => new Promise(() => {}) }"
    await runner.run(job(f"{site}/second.html", evaluate(hide), evaluate(_WRITE_DATABASE)))
    (origin,) = saved(tmp_path)["origins"]
    assert origin["localStorage"] == [{"name": "seen", "value": "yes"}]
    assert [database["name"] for database in origin["indexedDB"]] == ["shop"]


@pytest.mark.browser
async def test_one_after_the_other_in_one_context(runner: BrowserJobRunner, site: str) -> None:
    """Ten at once: each sees what the one before wrote, in the same page, and no job waits for another profile's."""
    count = "() => localStorage.setItem('n', 1 + Number(localStorage.getItem('n')))"
    report = "() => [Number(localStorage.getItem('n')), sessionStorage.tab ??= String(Math.random())]"
    jobs = [runner.run(job(f"{site}/second.html", evaluate(count), evaluate(report))) for _ in range(10)]
    reported = [values(result)[1] for result in await asyncio.gather(*jobs)]
    assert [number for number, _ in reported] == list(range(1, 11))
    assert len({tab for _, tab in reported}) == 1


@pytest.mark.browser
async def test_what_a_job_does_to_its_page_stays_with_it(runner: BrowserJobRunner, site: str) -> None:
    """Routes, scripts, headers, sizes, popups, held keys of one job: the next one meets none of them."""
    url = f"{site}/second.html"
    marks: list[Any] = [
        ["page.addInitScript(() => { window.marked = 1 })"],
        ["context.addInitScript(() => { window.marked = 1 })"],
        ["page.route('**/*', (route) => route.fulfill({body: '<h1>routed</h1>', contentType: 'text/html'}))"],
        ["context.route('**/*', (route) => route.fulfill({body: '<h1>routed</h1>', contentType: 'text/html'}))"],
        ["context.setOffline(true)"],
        [{"set_viewport_size": {"width": 333, "height": 333}}],
        [evaluate("() => { window.open('about:blank') }")],
        [{"keyboard_down": "Shift"}],
        [evaluate("() => { window.marked = 1 }")],
    ]
    look = evaluate("() => [document.querySelector('h1').innerText, innerWidth, typeof window.marked]")
    pages = "context.pages().length"
    expected = values(await runner.run(job(url, look, pages)))
    assert expected[1] == 1
    for mark in marks:
        await runner.run(job(url, *mark))
        assert values(await runner.run(job(url, look))) == expected[:1], mark  # it takes the page as it is if it may
        if "window.open" in str(mark):
            assert values(await runner.run(job(url, look, pages))) == expected, mark
    assert values(await runner.run(job(url, look, pages))) == expected


@pytest.mark.browser
async def test_options_of_a_job_are_its_own(runner: BrowserJobRunner, site: str) -> None:
    """Other context options open a new context, with what is kept; blocking, recordings and pictures leave nothing."""
    url = f"{site}/second.html"
    await runner.run(job(url, evaluate("() => { localStorage.setItem('seen', 'yes'); document.cookie = 'a=b' }")))
    reported = evaluate("() => [navigator.userAgent === 'mine', localStorage.getItem('seen'), document.cookie]")
    mine = await runner.run(job(url, reported, context={"user_agent": "mine"}))
    assert values(mine) == [[True, "yes", "a=b"]]
    made = await runner.run(
        job(url, reported, options=["SCREENSHOT", "PDF", "HAR", "TRACE"], context={"block": ["image"]})
    )
    assert made.screenshot
    assert made.pdf
    assert made.har
    assert made.trace
    assert values(await runner.run(job(url, reported))) == [[False, "yes", "a=b"]]


@pytest.mark.browser
async def test_a_failed_job_keeps_what_it_changed(runner: BrowserJobRunner, tmp_path: Path, site: str) -> None:
    """A login that worked is kept, whatever came after it; the next job has a page in order."""
    bad = {"click": {"selector": "#nowhere", "timeout": 100}}
    with pytest.raises(ActionFailed):
        await runner.run(job(f"{site}/second.html", evaluate("() => { document.cookie = 'a=b' }"), bad))
    assert [cookie["name"] for cookie in saved(tmp_path)["cookies"]] == ["a"]
    assert values(await runner.run(job(f"{site}/second.html", evaluate("document.cookie")))) == ["a=b"]


@pytest.mark.browser
async def test_few_contexts_live_and_not_for_long(tmp_path: Path, site: str) -> None:
    """The oldest makes room for another, an idle one is closed, a browser is replaced: nothing is lost by that."""
    limits = Limits(profile_idle=0.3, leave_page_after=0.1, jobs_per_browser=4)
    write = evaluate("() => localStorage.setItem('n', 1 + Number(localStorage.getItem('n')))")
    report = evaluate("() => localStorage.getItem('n')")
    before = children(is_driver)
    async with opened(tmp_path, limits, living_profiles=2) as runner:
        for turn in range(1, 3):
            for name in ("a", "b", "c"):
                found = await runner.run(job(f"{site}/second.html", write, report, profile=name))
                assert values(found)[1] == str(turn)
        drivers = [driver for driver in children(is_driver) if driver not in before]
        assert drivers
        renderers = [one for driver in drivers for one in children(is_renderer, driver.pid)]
        assert not await still_alive(renderers, 30)
        assert values(await runner.run(job(f"{site}/second.html", report, profile="a"))) == ["2"]
    async with opened(tmp_path, living_profiles=0) as runner:
        for _ in range(2):
            assert values(await runner.run(job(f"{site}/second.html", report, profile="a"))) == ["2"]


@pytest.mark.browser
async def test_two_sidecars_share_a_profile(pool: BrowserPool, tmp_path: Path, site: str) -> None:
    """Their jobs take turns, and each finds what the other has left, whichever context it has open."""
    write = evaluate("() => localStorage.setItem('n', 1 + Number(localStorage.getItem('n')))")
    report = evaluate("() => Number(localStorage.getItem('n'))")
    both = [over(pool, Settings(home=str(tmp_path))) for _ in range(2)]
    wanted = job(f"{site}/second.html", write, report)
    reported = [values(result)[1] for result in await asyncio.gather(*(one.run(wanted) for one in both * 3))]
    assert sorted(reported) == list(range(1, 7))
    for number, one in enumerate(both * 2, 7):  # now both have a context, of which one is not up to date
        assert values(await one.run(wanted))[1] == number


@pytest.mark.browser
async def test_encrypted_with_the_key(pool: BrowserPool, tmp_path: Path, site: str) -> None:
    """With a key a state is unreadable on disk, and can be loaded again."""
    settings = Settings(home=str(tmp_path), store_key=Secret("QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="))
    write = "() => { localStorage.setItem('seen', 'canary-1'); document.cookie = 'a=canary-2; max-age=99' }"
    await over(pool, settings).run(job(f"{site}/second.html", evaluate(write)))
    for file in (tmp_path / "profiles").iterdir():
        assert b"canary" not in file.read_bytes()
    found = await over(pool, settings).run(job(f"{site}/second.html", evaluate(_REMEMBERED)))
    assert values(found) == [["a=canary-2", "canary-1"]]


@pytest.mark.browser
async def test_a_token_sees_its_own_domain_only(runner: BrowserJobRunner, site: str) -> None:
    """One name is a separate profile for each token's domain, since scripts could read all cookies of a profile."""
    tokens = VisitTokens(secret_signer(Secret("s" * 32)), Clock())
    scoped, port = ScopedRunner(runner, tokens.check), site.rpartition(":")[2]
    for host, before in (("127.0.0.1", 0), ("localhost", 0), ("127.0.0.1", 1)):
        url = f"http://{host}:{port}/second.html"
        token = tokens.issue(url, 1000, strict=False)
        look = "context.cookies().then((found) => found.length)"
        found = await scoped.run(job(url, look, evaluate("() => { document.cookie = 'a=b' }"), token=token))
        assert values(found)[0] == before


@pytest.mark.browser
async def test_what_can_not_be_kept_is_said(runner: BrowserJobRunner, tmp_path: Path, site: str) -> None:
    """A damaged file and a full disk fail the job; the living context is not used again."""
    folder = tmp_path / "profiles"
    folder.mkdir(parents=True)
    (folder / "shop.chromium.json").write_text("{")
    with pytest.raises(StoreFailed, match="the profile shop is damaged; remove its file"):
        await runner.run(job(f"{site}/second.html"))
    (folder / "shop.chromium.json").unlink()
    await runner.run(job(f"{site}/second.html"))
    (folder / "shop.chromium.json.new").mkdir()
    with pytest.raises(StoreFailed, match="the profile shop can't be saved"):
        await runner.run(job(f"{site}/second.html", evaluate("() => { document.cookie = 'a=b' }")))


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".hidden", "a\n", "a b", "x" * 101, "ä", 7])
async def test_names_are_no_paths(name: Any) -> None:
    """Letters, digits, `_`, `-` and `.`, which does not come first."""
    with pytest.raises(WireError, match=r"^profile: expected"):
        decode_as(SendJob, encode({"steps": [{"url": "about:blank"}], "profile": name}))


@pytest.mark.browser
async def test_bad_options_leave_the_profile_alone(runner: BrowserJobRunner, site: str) -> None:
    """A context that the browser refuses is that job's own affair."""
    await runner.run(job(f"{site}/second.html", evaluate("() => { document.cookie = 'a=b' }")))
    with pytest.raises(InvalidContent):
        await runner.run(job(f"{site}/second.html", context={"timezone_id": "Nowhere/Here"}))
    assert values(await runner.run(job(f"{site}/second.html", evaluate("document.cookie")))) == ["a=b"]


WINDOWS_SECONDS = 0.7
"""Seconds until the restless page has opened windows."""


async def check_every_origin(runner: BrowserJobRunner, folder: Path, site: str, kind: BrowserName) -> None:
    """Origins in frames and left ones are saved too; those that no job has visited since stay unchanged."""
    other = site.replace("127.0.0.1", "localhost")
    write = "(text) => { localStorage.setItem('seen', text + '\\ud800') }"  # half a letter, which Playwright replaces
    frame = """async (url) => {
      const frame = document.body.appendChild(document.createElement('iframe'));
      await new Promise((done) => { frame.onload = done; frame.src = url });
      frame.contentWindow.localStorage.setItem('framed', 'yes');
    }"""
    for url, text in ((site, "first"), (other, "second"), (site, "third")):
        reported = {"evaluate": {"expression": write, "arg": text}}
        await runner.run(job(f"{url}/second.html", reported, profile="origins", browser=kind))
    leaving = evaluate("() => { localStorage.setItem('left', 'yes') }"), {"goto": f"{site}/second.html"}
    await runner.run(job(f"{other}/second.html", *leaving, profile="origins", browser=kind))
    framing = {"evaluate": {"expression": frame, "arg": f"{site}/form.html"}}
    await runner.run(job(f"{site}/second.html", framing, profile="origins", browser=kind))
    stored = {
        origin["origin"]: origin["localStorage"] for origin in saved(folder, f"origins.{kind.lower()}")["origins"]
    }
    items = {url: {item["name"]: item["value"] for item in stored[url]} for url in stored}
    assert items == {site: {"seen": "third\ufffd", "framed": "yes"}, other: {"seen": "second\ufffd", "left": "yes"}}


@pytest.mark.browser
async def test_every_origin_keeps_its_own(runner: BrowserJobRunner, tmp_path: Path, site: str) -> None:
    """Each saves what its pages have stored, whether a job has visited it, left it or framed it."""
    await check_every_origin(runner, tmp_path, site, "CHROMIUM")


@pytest.mark.browser
async def test_profiles_are_apart(runner: BrowserJobRunner, site: str) -> None:
    """Neither another profile nor a job without a profile sees any of it."""
    url, look = f"{site}/second.html", evaluate("document.cookie")
    await runner.run(job(url, evaluate("() => { document.cookie = 'a=b' }")))
    for other in (job(url, look, profile="other"), make_jobs([{"url": url, "actions": [look]}])):
        assert values(await runner.run(other)) == [""]


async def check_events(runner: BrowserJobRunner, site: str, kind: BrowserName, pause: float) -> None:
    """Lines, errors, alerts and windows of one job's restless page are not those of the next."""
    look, pages = evaluate("() => document.title"), "context.pages().length"
    pace = "slow" if kind == "FIREFOX" else ""
    for number, extra in enumerate(["", "windows", "alerts", "", ""]):
        mine = f"?{number}{extra}{pace}"
        asked: dict[str, Any] = {"options": ["READ_ALERTS"]} if number != 3 else {}
        actions: list[Any] = [look, pages] if number == 4 else [look]
        result = await runner.run(
            job(f"{site}/restless.html{mine}", *actions, profile=f"events-{pause}", browser=kind, **asked)
        )
        (step,) = result.steps
        others = [line for line in (*step.console, *step.errors, *(result.messages or ())) if mine not in line]
        assert others == [], number
        assert step.console[:5] == tuple(f"first {line} {mine}" for line in range(5)) or len(step.console) == 200
        if number == 4:
            assert step.values[1] == 1
        # a window that opens while the next document opens can't be distinguished from that document's
        await asyncio.sleep(max(pause, WINDOWS_SECONDS) if extra == "windows" else pause)


@pytest.mark.browser
@pytest.mark.parametrize("pause", [0.0, 0.5])
async def test_a_job_gets_events_of_its_own_pages_only(runner: BrowserJobRunner, site: str, pause: float) -> None:
    """Console lines, errors, alerts and windows of the page that the last job left are not the next one's."""
    await check_events(runner, site, "CHROMIUM", pause)


VICTIMS = pytest.mark.parametrize("victim", [is_renderer, is_browser, is_driver])
"""They come last: the browser that they kill is that of the module."""


@pytest.mark.browser
@VICTIMS
async def test_a_crash_keeps_the_last_saved_state(runner: BrowserJobRunner, victim: Callable[..., bool]) -> None:
    """What was there before the job comes back; what the job itself did until then is lost."""
    site = TestSite()
    async with site as url:
        await runner.run(job(f"{url}/second.html", evaluate("() => { localStorage.setItem('seen', 'before') }")))
        change = evaluate("() => { localStorage.setItem('seen', 'after') }")
        running = asyncio.create_task(runner.run(job(f"{url}/second.html", change, {"goto": f"{url}/hang"})))
        await asyncio.wait_for(site.hanging.wait(), 20)
        for process in children(victim):
            process.kill()
        with pytest.raises(BrowserCrashed):
            await asyncio.wait_for(running, 10)
        assert values(await runner.run(job(f"{url}/second.html", evaluate(_REMEMBERED)))) == [["", "before"]]


@pytest.mark.browser
@VICTIMS
async def test_a_death_between_jobs_is_not_noticed(
    runner: BrowserJobRunner, site: str, victim: Callable[..., bool]
) -> None:
    """The living context is gone: the next job has one with what was saved."""
    await runner.run(job(f"{site}/second.html", evaluate("() => { localStorage.setItem('seen', 'yes') }")))
    dead = children(victim)
    for process in dead:
        process.kill()
    assert not await still_alive(dead, 30)
    async with asyncio.timeout(12):  # less than a context may take to open: the job does not wait for the dead one
        assert values(await runner.run(job(f"{site}/second.html", evaluate(_REMEMBERED)))) == [["", "yes"]]
