"""Profiles in browsers that are shared: each keeps its own, and a job gets nothing of the one before it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sidecar_protocol.jobs import SendJob
from sidecar_protocol.wire_types import BrowserName

from sidecar.jobs.browser_job_runner import BrowserJobRunner
from tests.sidecar.browser.parts import make_jobs
from tests.sidecar.jobs.test_profiles import KINDS, evaluate, job, opened, saved, values

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
WINDOWS_SECONDS = 0.7
"""Seconds until the restless page has opened windows."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[BrowserJobRunner, Path]]:
    """One whose browsers stay warm over the module, and its folder, for tests with profiles of their own."""
    folder = tmp_path_factory.mktemp("shared")
    async with opened(folder) as runner:
        yield runner, folder


@pytest.mark.parametrize("kind", KINDS)
async def test_every_origin_keeps_its_own(shared: tuple[BrowserJobRunner, Path], site: str, kind: BrowserName) -> None:
    """Origins in frames and left ones are saved too; those that no job has visited since stay unchanged."""
    other = site.replace("127.0.0.1", "localhost")
    write = "(text) => { localStorage.setItem('seen', text + '\\ud800') }"  # half a letter, which Playwright replaces
    frame = """async (url) => {
      const frame = document.body.appendChild(document.createElement('iframe'));
      await new Promise((done) => { frame.onload = done; frame.src = url });
      frame.contentWindow.localStorage.setItem('framed', 'yes');
    }"""
    runner, folder = shared
    for url, text in ((site, "first"), (other, "second"), (site, "third")):
        reported = {"evaluate": {"expression": write, "arg": text}}
        await runner.run(job(f"{url}/second.html", reported, profile="origins", browser=kind))
    leave = evaluate("() => { localStorage.setItem('left', 'yes') }"), {"goto": f"{site}/second.html"}
    await runner.run(job(f"{other}/second.html", *leave, profile="origins", browser=kind))
    framing = {"evaluate": {"expression": frame, "arg": f"{site}/form.html"}}
    await runner.run(job(f"{site}/second.html", framing, profile="origins", browser=kind))
    stored = {
        origin["origin"]: origin["localStorage"] for origin in saved(folder, f"origins.{kind.lower()}")["origins"]
    }
    items = {url: {item["name"]: item["value"] for item in stored[url]} for url in stored}
    assert items == {site: {"seen": "third\ufffd", "framed": "yes"}, other: {"seen": "second\ufffd", "left": "yes"}}


@pytest.mark.parametrize("kind", KINDS)
async def test_profiles_and_browsers_are_apart(
    shared: tuple[BrowserJobRunner, Path], site: str, kind: BrowserName
) -> None:
    """Neither another profile, nor another browser, nor a job without a profile sees any of it."""
    (runner, _), mine, url = shared, f"apart-{kind}", f"{site}/second.html"
    await runner.run(job(url, evaluate("() => { document.cookie = 'a=b' }"), profile=mine, browser=kind))
    others: list[SendJob] = [
        job(url, evaluate("document.cookie"), profile=f"{mine}-other", browser=kind),
        job(url, evaluate("document.cookie"), profile=mine, browser=next(one for one in KINDS if one != kind)),
        make_jobs([{"url": url, "actions": [evaluate("document.cookie")]}], browser=kind),
    ]
    for other in others:
        assert values(await runner.run(other)) == [""]


@pytest.mark.parametrize(("kind", "pause"), [("CHROMIUM", 0.0), ("CHROMIUM", 0.5), ("FIREFOX", 0.0)])
async def test_a_job_gets_events_of_its_own_pages_only(
    shared: tuple[BrowserJobRunner, Path], site: str, kind: BrowserName, pause: float
) -> None:
    """Console lines, errors, alerts and windows of the page that the last job left are not the next one's."""
    look, pages = evaluate("() => document.title"), "context.pages().length"
    runner, _ = shared
    for number, extra in enumerate(["", "windows", "alerts", "", ""]):
        url, mine = f"{site}/restless.html?{number}{extra}", f"?{number}{extra}"
        asked: dict[str, Any] = {"options": ["READ_ALERTS"]} if number != 3 else {}
        actions: list[Any] = [look, pages] if number == 4 else [look]
        result = await runner.run(job(url, *actions, profile=f"events-{pause}", browser=kind, **asked))
        (step,) = result.steps
        others = [line for line in (*step.console, *step.errors, *(result.messages or ())) if mine not in line]
        assert others == [], number
        assert step.console[:5] == tuple(f"first {line} {mine}" for line in range(5)) or len(step.console) == 200
        if number == 4:
            assert step.values[1] == 1
        # a window that opens while the next document opens can't be distinguished from that document's
        await asyncio.sleep(max(pause, WINDOWS_SECONDS) if extra == "windows" else pause)
