"""`sidecar report`: a recorded session as one page, opened from disk in a real browser, and served while it runs."""

import asyncio
import http.client
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from sidecar.browser import discovery
from sidecar.recording.report.live_report import LiveReport
from sidecar.secret_encodings import encodings
from sidecar.settings import Settings
from tests.e2e.test_recorded_pages import shop, title
from tests.fakes import ENCRYPTION_KEY, KEY, default_secrets
from tests.harness import Child, environment, receiver, rtcv

pytestmark = pytest.mark.browser

IN_ONE_LOOP = pytest.mark.asyncio(loop_scope="module")
"""The event loop of the browser."""
TYPED = "typed-canary-4711"
SECRETS = [KEY, ENCRYPTION_KEY, TYPED, json.loads(default_secrets()["user"].json)["password"]]
NASTY = "</script><img src=http://127.0.0.1:1/leak onerror=alert(1)>"


def report(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command in the folder."""
    command = [sys.executable, "-m", "sidecar", "report", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a session with jobs that succeed and fail, a login, CVs and webhooks; its page in report.html."""
    folder = tmp_path_factory.mktemp("report")
    with shop() as site, rtcv() as server, receiver() as hook, Child(folder, *RECORD, env=PRIVATE) as child:
        child.ask({"type": "set_credentials", "content": server.credentials})
        child.ask({"type": "set_webhooks", "content": [{"url": f"{hook.server.url}/hook"}]})
        show = "() => { document.querySelector('h1').textContent = document.querySelector('input').value }"
        login = [
            title("ready"),
            {"fill": {"selector": "[name=user]", "value": TYPED}},
            {"evaluate": show},
            {"wait_for_timeout": 600},
        ]
        say = {"evaluate": f"() => console.log({json.dumps(NASTY)})"}
        hidden = {"wait_for_selector": {"selector": "button", "state": "hidden", "timeout": 900}}
        jobs = [
            {"name": "log in", "steps": [{"url": site, "actions": login, "extract": {"h": "h1"}}], **FILES},
            {"name": "breaks", "steps": [{"url": site, "actions": [title("ready"), say, hidden]}]},
        ]
        replies = [child.ask({"type": "send_job", "content": job})[0] for job in jobs]
        assert [reply["type"] for reply in replies] == ["ok", "error"], replies
        for kind in ("screenshot", "html"):  # as a parent does that knows where they belong
            Path(replies[0]["content"]["result"][kind]).rename(folder / kind)
        child.ask({"type": "send_cv", "content": {"referenceNumber": "a-1", "note": NASTY}})
        child.ask({"type": "ping"}, {"type": "nonsense"})
        assert child.end() == 0
    done = report(folder, "recording", "-o", "report.html")
    assert (done.returncode, done.stdout) == (0, "report.html\n"), done.stderr
    return folder


RECORD = "--record", "recording"
PRIVATE = {"SIDECAR_ALLOW_PRIVATE_NETWORK": "true"}
FILES: dict[str, Any] = {"options": ["SCREENSHOT", "HTML"], "artifacts": "files"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A Chromium for all pages, each of which has a context of its own."""
    found = discovery.find("CHROMIUM", Settings())
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=found.path)
        yield running
        await running.close()


async def opened(browser: Browser, path: Path, link: str = "", **context: Any) -> tuple[Page, list[str]]:
    """The page from disk, and what it complained about or asked the network for."""
    page = await (await browser.new_context(**context)).new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url))
    await page.goto(f"{path.as_uri()}{link}")
    return page, [one for one in complaints if not one.startswith(("file:", "data:"))]


def test_a_job_is_recorded_with_pictures_and_without_secrets(recorded: Path) -> None:
    """Folders 0700, files 0600; the failing action's element has its place; nothing known is in any file."""
    jobs = recorded / "recording" / "jobs"
    login, broken = (json.loads((jobs / name / "job.json").read_text()) for name in ("000001", "000002"))
    assert list(jobs.rglob("*.jpg"))
    assert all(path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600) for path in jobs.rglob("*"))
    assert [action["label"].split()[0] for action in login["steps"][0]["actions"]] == [
        "wait_for_function",
        "fill",
        "evaluate",
        "wait_for_timeout",
    ]
    assert login["failure"] is None
    failure = broken["failure"]
    assert failure["code"] == "action_failed"
    assert failure["target"]["found"] == 1
    assert failure["target"]["box"]["width"] > 0
    assert (jobs / "000002" / f"{failure['picture']:03}.jpg").read_bytes().startswith(b"\xff\xd8\xff")
    for path in [*(recorded / "recording").rglob("*"), recorded / "report.html"]:
        for secret in SECRETS if path.is_file() else ():
            for form in encodings(secret):
                assert form.encode() not in path.read_bytes(), (path.name, secret)


def test_a_jobs_files_are_recorded(recorded: Path) -> None:
    """The picture is the reply's own, also after the parent has moved it; the page's text has words for its secrets."""
    job = recorded / "recording" / "jobs" / "000001"
    noted = {one["kind"]: one for one in json.loads((job / "job.json").read_text())["artifacts"]}
    picture, page = (job / noted[kind]["file"] for kind in ("screenshot", "html"))
    assert picture.samefile(recorded / "screenshot")
    assert noted["screenshot"]["size"] == picture.stat().st_size
    assert TYPED in (recorded / "html").read_text()
    assert "<h1>secret_value_" in page.read_text()
    assert sorted(path.name for path in job.parent.iterdir()) == [".staged", "000001", "000002"]
    assert list((job.parent / ".staged").iterdir()) == []


@IN_ONE_LOOP
async def test_the_first_screen_says_what_failed(recorded: Path, browser: Browser) -> None:
    """At two widths, light and dark: the failure, its page and its cause; nothing is loaded, and all can be read."""
    for width in (390, 1280):
        size: dict[str, Any] = {"viewport": {"width": width, "height": 900}}
        page, complaints = await opened(browser, recorded / "report.html", **size)
        assert complaints == []
        assert await page.title() == "Failed: breaks · recording"
        heading = page.locator("#overview h1")
        assert "wait_for_selector 'button' failed" in await heading.inner_text()
        box = await page.locator(".hero .causes").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 900
        assert await page.locator(".hero .verdict").inner_text() == "1 of 2 jobs failed, 1 other request failed"
        assert "button matched one element" in await page.locator(".hero .causes").inner_text()
        mark, shot = page.locator(".hero .mark"), page.locator(".hero .shot img")
        assert await shot.evaluate("(image) => image.naturalWidth") > 300
        inner, outer = await mark.bounding_box(), await shot.bounding_box()
        assert inner is not None
        assert outer is not None
        assert outer["x"] <= inner["x"] < outer["x"] + outer["width"]
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        for one in await page.locator("summary").all():
            await one.evaluate("(summary) => summary.parentElement.open = true")
        await page.emulate_media(color_scheme="light")
        light = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert await page.evaluate(CONTRAST) == []
        await page.emulate_media(color_scheme="dark")
        assert await page.evaluate("getComputedStyle(document.body).backgroundColor") != light
        assert await page.evaluate(CONTRAST) == []
        await page.context.close()


CONTRAST = """async () => {
  await new Promise((done) => setTimeout(done, 100));
  const parse = (text) => {
    const found = text.match(/[\\d.]+/g).map(Number);
    return [found.slice(0, 3), found[3] ?? 1];
  };
  const linear = (one) => one <= .04045 ? one / 12.92 : ((one + .055) / 1.055) ** 2.4;
  const light = (color) =>
    color.reduce((sum, one, index) => sum + linear(one / 255) * [.2126, .7152, .0722][index], 0);
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const [color, alpha] = parse(getComputedStyle(one).backgroundColor);
      if (alpha === 1) return color;
    }
    return [255, 255, 255];
  };
  const poor = new Map();
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    const style = getComputedStyle(element);
    if (!own || !element.getClientRects().length || element.closest("script, .hidden, .skip")) continue;
    const svg = element.namespaceURI.endsWith("svg");
    const both = [light(parse(svg ? style.fill : style.color)[0]), light(ground(element))].sort((a, b) => b - a);
    const ratio = (both[0] + .05) / (both[1] + .05);
    if (ratio < 4.5) poor.set(`${element.tagName}.${element.className}`, ratio.toFixed(2));
  }
  return [...poor];
}"""
"""Texts whose contrast is below what WCAG AA asks for."""


@IN_ONE_LOOP
async def test_everything_can_be_reached(recorded: Path, browser: Browser) -> None:
    """By link, by search, by keyboard and by touch: jobs, requests, deliveries, moments; hostile texts stay texts."""
    page, complaints = await opened(browser, recorded / "report.html", "#job-2")
    job = page.locator("#job-2")
    assert await job.get_attribute("open") is not None
    await page.wait_for_function("document.activeElement.parentElement.id === 'job-2'")
    assert NASTY in await job.locator(".lines").first.inner_text()
    assert await page.locator("img[onerror]").count() == 0
    assert await job.locator(".waterfall tbody tr").count() >= 1
    await job.get_by_role("link", name="The request").click()
    seq = await page.evaluate("location.hash")
    assert await page.locator(seq).get_attribute("open") is not None
    assert NASTY in await page.locator("#requests").inner_text() or await page.locator("#requests .row").count() > 4
    await page.keyboard.press("/")
    await page.keyboard.type("nonsense")
    await page.locator("#requests .row").nth(1).wait_for(state="detached")
    assert await page.locator("#requests .row .kind").all_inner_texts() == ["nonsense"]
    await page.evaluate("location.hash = '#job-1'")
    await page.locator("#job-1[open]").wait_for()
    assert await page.locator("#search").input_value() == ""
    await page.locator("#job-1 .shot").first.focus()
    await page.keyboard.press("Enter")
    assert await page.locator("#viewer[open] img").is_visible()
    await page.keyboard.press("Escape")
    await page.locator("#viewer:not([open])").wait_for(state="attached")
    ticks = "() => [...document.querySelectorAll('.timeline-body text')].map((one) => one.textContent).join()"
    before = await page.evaluate(ticks)
    await page.locator("#timeline input").focus()
    await page.keyboard.press("+")
    assert await page.evaluate(ticks) != before
    await page.keyboard.press("Home")
    moment = await page.locator("#timeline .now").inner_text()
    await page.keyboard.press("End")
    assert await page.locator("#timeline .now").inner_text() != moment
    delivery = await page.locator("#webhooks .row").first.get_attribute("id")
    await page.evaluate("(id) => location.hash = id", delivery)
    await page.locator(f"[id='{delivery}'][open] .lines").wait_for()
    assert await page.locator("#job-1 a[target=_blank]").count() == 2
    for link in await page.locator("#job-1 a[target=_blank]").all():
        assert (recorded / str(await link.get_attribute("href"))).is_file()
    unreachable = (
        '() => document.querySelectorAll(\'.timeline-body ~ * [tabindex="-1"], main details [tabindex="-1"]\')'
    )
    assert await page.evaluate(f"({unreachable})().length") == 0
    assert complaints == []
    await page.context.close()


@pytest.fixture
def live(recorded: Path) -> Iterator[str]:
    """The address at which a recording is served."""
    command = [sys.executable, "-m", "sidecar", "report", "--live", "recording"]
    process = subprocess.Popen(command, cwd=recorded, env=environment(recorded), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def asked(address: str, path: str, **headers: str) -> tuple[int, str]:
    """Status and ETag of a request to a live report."""
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=20)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        response.read()
        return response.status, response.headers.get("ETag", "")
    finally:
        connection.close()


@IN_ONE_LOOP
async def test_a_running_session_is_shown_as_it_goes(recorded: Path, live: str, browser: Browser) -> None:
    """Only for who has the address, on this machine; what is recorded later appears by itself."""
    path = urlsplit(live).path
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", live)
    status, tag = asked(live, f"{path}data")
    assert status == 200
    assert asked(live, f"{path}data", If_None_Match=tag)[0] == 304
    assert asked(live, "/wrong/")[0] == asked(live, "/")[0] == 404
    assert asked(live, path, Host="evil.example")[0] == 403
    assert asked(live, path, Origin="http://evil.example")[0] == 403
    assert asked(live, path, Sec_Fetch_Site="cross-site")[0] == 403
    file = next((recorded / "recording" / "jobs" / "000001").glob("artifact-*.html")).name
    assert asked(live, f"{path}jobs/000001/{file}")[0] == 200
    assert asked(live, f"{path}jobs/000001/job.json")[0] == asked(live, f"{path}jobs/%2e%2e/{file}")[0] == 404
    page = await browser.new_page()
    await page.goto(live)
    await page.locator("#live-state").wait_for()
    count = int((await page.locator(".facts strong").nth(1).inner_text()).replace(",", ""))
    folder = recorded / "recording"
    at = json.loads((folder / "manifest.json").read_text())["ended_at"]
    with (folder / "session.jsonl").open("a") as session, (folder / "replies.jsonl").open("a") as replies:
        seq = count + 1
        session.write(json.dumps({"type": "ping", "_log": {"seq": seq, "at": at}}) + "\n")
        replies.write(json.dumps({"type": "pong", "_log": {"seq": seq, "read": seq, "at": at, "ms": 1}}) + "\n")
    await page.locator(".facts strong").nth(1).filter(has_text=str(seq)).wait_for()
    await page.context.close()


async def test_a_running_job_shows_its_pictures(tmp_path: Path) -> None:
    """While it waits, and when it was interrupted."""
    with shop() as site, Child(tmp_path, *RECORD) as child:
        child.ask({"type": "set_mock", "content": {}})
        step = {"url": site, "actions": [{"wait_for_timeout": 1_500}, title("never")]}
        child.send({"type": "send_job", "content": {"name": "long", "steps": [step]}})
        shown, deadline = LiveReport(tmp_path / "recording", 3 << 20), time.monotonic() + 20
        while not (data := json.loads(await shown.data()))["pictures"]:
            assert time.monotonic() < deadline, "no picture is shown"
            await asyncio.sleep(0.1)
        (job,) = data["jobs"]
        assert (job["ok"], job["name"], list(data["pictures"])) == (None, "long", ["1/000.jpg"])
        assert [action["picture"] for action in job["steps"][0]["actions"]] == ["1/000.jpg"]
        child.process.kill()
        child.wait()
    assert report(tmp_path, "recording").returncode == 0


def test_what_can_not_be_shown_is_said(recorded: Path) -> None:
    """No folder, no recording, no place to write to, both ways at once: a sentence, and 2."""
    for arguments, said in (
        (["nowhere"], "nowhere: no such file or directory"),
        (["state"], "state holds no recording"),
        (["recording", "-o", "no/such/folder/report.html"], "no such file or directory"),
        (["recording", "--live", "-o", "x.html"], "only one of them"),
    ):
        done = report(recorded, *arguments)
        assert done.returncode == 2, arguments
        assert said in done.stderr, (arguments, done.stderr)
