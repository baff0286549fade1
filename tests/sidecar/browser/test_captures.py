"""Screenshots, PDFs and viewports that would crash a browser, of pages that change while they are captured."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest
import pytest_asyncio
from playwright.async_api import async_playwright

from sidecar.browser import capture_limits, discovery, isolated_world, pdf, screenshots
from sidecar.browser.pool import BrowserPool
from sidecar.clock import Clock
from sidecar.errors import ActionFailed, LimitExceeded
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from sidecar.settings import Settings
from tests.sidecar.browser.parts import children, make_job, png_size

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
# Firefox's pictures: tests/sidecar/browser/test_firefox.py
FLIP = "let on; setInterval(() => { on = !on; e.style.height = on ? '10000000px' : '500px' }, 15)"
FLIPPING = f"<body style='margin:0'><div id=e style='height:500px;background:red'></div><script>{FLIP}</script>"
TRIES = 4
"""Of each way."""
PICTURES = [
    "page.screenshot({fullPage: true})",
    "page.screenshot({fullPage: true, clip: {x: 0, y: 0, width: 9e9, height: 9e9}})",
    "page.locator('#e').screenshot({animations: 'disabled'})",
    "page.$('#e').then(e => e.screenshot({animations: 'disabled'}))",
]
"""JavaScript's ways to take one."""
NARROW = {"viewport": {"width": 50, "height": 200}}
"""A picture within the bounds is small, and one of the whole page is not."""
PRINTED = "<style>@media print { body { height: 30000px } }</style><body>"
BIG = "setViewportSize({width: 30000, height: 3001})"


def data_url(page: str) -> str:
    """Its address."""
    return f"data:text/html,{quote(page)}"


def chromiums() -> set[int]:
    """The main processes of such browsers, which are not those that they start themselves."""
    found = {process.pid: process for process in children(lambda process: "chrom" in process.name())}
    return {number for number, process in found.items() if not _ancestors(process) & found.keys()}


def _ancestors(process: psutil.Process) -> set[int]:
    with contextlib.suppress(psutil.NoSuchProcess):  # it ends just now
        return {one.pid for one in process.parents()}
    return set()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runner(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BrowserJobRunner]:
    """One job at once, in one browser of each kind."""
    folder: Path = tmp_path_factory.mktemp("state")
    pool = BrowserPool(Settings(concurrency=1), Clock())
    yield BrowserJobRunner(pool, lambda: folder, Clock())
    await pool.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page() -> AsyncIterator[Any]:
    """A page of a browser that nothing of ours stands before."""
    found = discovery.find("CHROMIUM", Settings())
    async with async_playwright() as playwright:
        await isolated_world.register_engine(playwright)
        browser = await playwright.chromium.launch(executable_path=found.path, channel=found.channel)
        yield await browser.new_page(viewport={"width": 640, "height": 480})
        await browser.close()


async def test_a_page_that_flips_its_height_kills_no_browser(runner: BrowserJobRunner) -> None:
    """Whatever each of its pictures becomes, the processes that were there stay there, and do the next job.

    Firefox itself refuses a picture that is too large.
    """
    await runner.run(make_job("data:text/html,first"))
    before = chromiums()
    assert before
    wanted: dict[str, Any] = {"context": NARROW, "timeout_ms": 200_000, "step_timeout_ms": 190_000}
    tries = [
        f"(async () => {{ let n = 0; while (n++ < {TRIES}) await {take}.catch(() => 0); return n }})()"
        for take in PICTURES
    ]
    step = (await runner.run(make_job(data_url(FLIPPING), actions=tries, **wanted))).steps[0]
    assert step.values == (TRIES + 1,) * len(tries)
    for _ in range(2):
        with contextlib.suppress(LimitExceeded, ActionFailed):
            await runner.run(make_job(data_url(FLIPPING), options=["SCREENSHOT"], **wanted))
    assert (await runner.run(make_job("data:text/html,<title>next"))).steps[0].title == "next"
    assert before <= chromiums()  # another one is that of the scripts


QUIET = "<body style='margin:3px'><p style='height:900px;background:linear-gradient(red,blue)'>x"
PAGE_PICTURES: list[dict[str, Any]] = [
    {},
    {"full_page": True},
    {"full_page": True, "scale": "css", "animations": "disabled"},
    {"clip": {"x": 10, "y": 20.5, "width": 200, "height": 9000}},
    {"full_page": True, "clip": {"x": -5, "y": 700, "width": 9000, "height": 100}},
]
BODIES = {
    "in sight": "<p id=e style='width:100px;height:50px;background:lime'>x",
    "below": (
        "<div style='height:700px'></div><p id=e style='margin:9.3px;width:99.5px;height:51.2px;background:lime'>x"
    ),
    "large": "<p id=e style='width:1300px;height:700px;background:linear-gradient(45deg,red,blue)'>x",
}
"""An element, and where it is: the last one is larger than the window."""


@pytest.mark.parametrize("given", PAGE_PICTURES, ids=str)
async def test_a_quiet_page_gives_playwrights_own_picture(page: Any, given: dict[str, Any]) -> None:
    """To the last byte."""
    await page.set_content(QUIET)
    assert await screenshots.capture(page, given) == await page.screenshot(**given)


@pytest.mark.parametrize("given", [{}, {"type": "jpeg", "quality": 60}, {"scale": "css", "animations": "disabled"}])
@pytest.mark.parametrize("body", BODIES)
async def test_a_quiet_element_gives_playwrights_own_picture(page: Any, body: str, given: dict[str, Any]) -> None:
    """To the last byte."""
    await page.set_content(f"<body style='margin:3px'>{BODIES[body]}")
    for owner in (page.locator("#e"), await page.query_selector("#e")):
        assert await screenshots.capture(owner, given) == await owner.screenshot(**given)


async def test_an_element_that_never_rests_is_taken_as_playwright_takes_it(page: Any) -> None:
    """Where animations are disabled it is where it would be without them."""
    spin = (
        "<style>@keyframes k { to { transform: translateX(300px) } } #e { animation: k 1s infinite alternate }</style>"
    )
    await page.set_content(f"{spin}<p id=e style='width:100px;height:50px;background:lime'>x")
    given = {"animations": "disabled"}
    assert await screenshots.capture(page.locator("#e"), given) == await page.locator("#e").screenshot(**given)


async def capture_growing_page(page: Any, monkeypatch: pytest.MonkeyPatch, height: int) -> None:
    """Takes a picture of a narrow page that grows to this height after the look at it."""
    seen = page.viewport_size
    await page.set_viewport_size({"width": 100, "height": 480})
    await page.set_content("<body style='margin:0;height:100px'>")
    ask = isolated_world.call

    async def grow(*asked: Any) -> str:
        reported: str = await ask(*asked)
        await page.evaluate(f"document.body.style.height = '{height}px'")
        return reported

    monkeypatch.setattr(isolated_world, "call", grow)
    image = await screenshots.capture(page, {"full_page": True})
    monkeypatch.undo()
    await page.set_viewport_size(seen)
    assert png_size(image)[1] == min(height, capture_limits.max_image_side(page))


async def test_a_page_that_grows_after_the_look_has_its_room(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the bound it is whole, beyond it is cut there."""
    for height in (900, 100_000):
        await capture_growing_page(page, monkeypatch, height)


@pytest.mark.parametrize(
    ("ranges", "bounded"),
    [("1", "1-1"), ("2-999999", "2-5000"), (" 3 , 5-", "3-3,5-5000"), ("-7", "1-7")],
)
async def test_sheets_that_are_asked_for_are_bounded(ranges: str, bounded: str) -> None:
    """Whatever the page is like."""
    await asyncio.sleep(0)
    assert pdf._bounded_ranges(ranges) == bounded


async def test_a_print_that_becomes_too_long_is_refused(
    runner: BrowserJobRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page is longer only as it is printed, after it was looked at; a sheet is 20 pixels high."""
    monkeypatch.setattr(pdf, "MAX_PDF_PAGES", 50)  # thousands take minutes
    for page in (
        "<style>@media print { body { height: 2200px } }</style><body>",
        "<body><script>addEventListener('beforeprint', () => { document.body.style.height = '2200px' })</script>",
    ):
        with pytest.raises(LimitExceeded, match="more than 5000 pages") as failed:
            await runner.run(make_job(data_url(page), actions=["page.pdf({height: 20, width: 500}).then(() => 0)"]))
        assert not failed.value.retryable


async def test_a_print_within_the_bound_is_whole(runner: BrowserJobRunner) -> None:
    """All its sheets are there, and no others."""
    page = data_url(PRINTED)
    asked = ["page.pdf({height: 1000})", "page.pdf({height: 1000, pageRanges: '2-3, 30-999999'})"]
    values = (await runner.run(make_job(page, actions=asked))).steps[0].values
    counts = [len(pdf._PDF_PAGE.findall(base64.b64decode(str(value)))) for value in values]
    assert counts[0] >= 30
    assert counts[1] == 2 + counts[0] - 29


@pytest.mark.parametrize(
    "asked",
    [
        {"actions": [f"page.{BIG}"]},
        {"actions": [f"page.context().newPage().then(popup => popup.{BIG})"]},
        {"actions": [{"set_viewport_size": {"width": 16_384, "height": 16_384}}]},
        {"context": {"viewport": {"width": 16_384, "height": 16_384}}},
    ],
)
async def test_a_window_is_no_larger_than_a_picture(runner: BrowserJobRunner, asked: dict[str, Any]) -> None:
    """Chromium's main process holds all its pixels, 2 GB of 23,000 by 23,000."""
    with pytest.raises(LimitExceeded, match=r"the viewport would have .* the limit is") as failed:
        await runner.run(make_job("data:text/html,x", **asked))
    assert not failed.value.retryable
