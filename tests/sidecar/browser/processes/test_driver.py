"""Our own reading of the driver: large answers come whole, and the process goes on meanwhile."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Error as PlaywrightError

from sidecar.browser.limits import Limits
from sidecar.browser.pool import BrowserPool
from sidecar.browser.processes import driver
from sidecar.browser.processes.job_page import JobPage
from sidecar.browser.steps import step_runner
from sidecar.clock import Clock
from sidecar.errors import LimitExceeded
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from sidecar.settings import Settings
from tests.sidecar.browser.parts import children, is_driver, make_job

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture
def least(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value may have 3 MiB, since 16 take seconds each time."""
    monkeypatch.setattr(driver, "MAX_VALUE_BYTES", 3 << 20)
    monkeypatch.setattr(step_runner, "MAX_VALUE_BYTES", 3 << 20)


@pytest.mark.usefixtures("least")
async def test_a_large_value_comes_whole(pool: BrowserPool) -> None:
    """A page of 8 MB, more than a value may have, and letters of every kind; others are served while it comes."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    async def read(lent: JobPage) -> tuple[str, str, int]:
        page = lent.page
        await page.evaluate("void (document.body.textContent = 'ab'.repeat(4e6))")
        large = await page.content()
        meanwhile = turns
        return large, await page.evaluate("'\\ud800\\u00e4\\0'.repeat(1e5)"), meanwhile

    counting = asyncio.create_task(count())
    large, letters, meanwhile = await pool.run("CHROMIUM", read)
    counting.cancel()
    assert large == f"<html><head></head><body>{'ab' * 4_000_000}</body></html>"
    assert json.dumps(letters) == json.dumps("\ud800ä\0" * 100_000) or letters == "\ufffdä\0" * 100_000
    assert meanwhile > 10


async def test_a_value_of_too_many_parts_fails_its_call_alone(pool: BrowserPool) -> None:
    """260,000 numbers would hold up everybody; the page and its job go on."""

    async def read(lent: JobPage) -> int:
        page = lent.page
        with pytest.raises(PlaywrightError, match="the value of the page has more than 250000 parts"):
            await page.evaluate("Array.from({length: 260000}, (_, i) => i)")
        text = await page.evaluate("('{' + String.fromCharCode(34)).repeat(260000)")  # looks like as many objects
        return str(text).count("{")

    assert await pool.run("CHROMIUM", read) == 260_000


async def test_a_value_of_too_many_bytes_fails_its_call_alone(pool: BrowserPool) -> None:
    """Decoding it would hold up everybody; what is just small enough comes."""

    async def read(lent: JobPage) -> int:
        page = lent.page
        with pytest.raises(PlaywrightError, match="the value of the page has more than 16 MiB"):
            await page.evaluate("'x'.repeat(17 << 20)")
        return len(await page.evaluate("'x'.repeat(15 << 20)"))

    assert await pool.run("CHROMIUM", read) == 15 << 20


@pytest.mark.usefixtures("least")
async def test_an_element_s_text_is_a_value_too(pool: BrowserPool) -> None:
    """As that of a script is."""

    async def read(lent: JobPage) -> str:
        page = lent.page
        await page.evaluate("void (document.body.textContent = 'x'.repeat(4 << 20))")
        with pytest.raises(PlaywrightError, match="the value of the page has more than 3 MiB"):
            await page.text_content("body")
        return await page.title()

    assert await pool.run("CHROMIUM", read) == ""


@pytest.mark.usefixtures("least")
@pytest.mark.parametrize(
    ("content", "action", "said"),
    [
        ({"actions": [{"evaluate": "Array.from({length: 260000}, () => 1)"}]}, "evaluate", "250000 parts"),
        ({"actions": [{"evaluate": "'x'.repeat(4 << 20)"}]}, "evaluate", "3 MiB"),
        ({"actions": [{"evaluate": "void (document.title = 'x'.repeat(4 << 20))"}]}, "extract", "3 MiB"),
        (
            {"actions": [{"evaluate": "void (document.body.textContent = 'x'.repeat(4 << 20))"}, {"content": None}]},
            "content",
            "3 MiB",
        ),
    ],
)
async def test_the_job_fails_with_its_driver(
    pool: BrowserPool, site: str, tmp_path: Path, content: dict[str, Any], action: str, said: str
) -> None:
    """With the step and the action."""
    runner = BrowserJobRunner(pool, lambda: tmp_path, Clock())
    with pytest.raises(LimitExceeded, match=f"{action} failed: the value .*has more than {said}") as failed:
        await runner.run(make_job(f"{site}/second.html", **content))
    assert failed.value.details.items() >= {"step": "step 1", "action": action}.items()


async def test_calls_that_are_cancelled_are_no_silence() -> None:
    """Whether the driver has just answered, will answer late, or gives up: it answers, and so it lives on."""
    pool = BrowserPool(Settings(concurrency=1), Clock(), Limits(driver_response=1.5))

    async def cancel_many(lent: JobPage) -> str:
        page = lent.page
        before = children(is_driver)
        for milliseconds in range(12):
            calls = [asyncio.ensure_future(page.evaluate("1")) for _ in range(5)]
            calls += [asyncio.ensure_future(page.wait_for_timeout(2_000)) for _ in range(5)]
            await asyncio.sleep(milliseconds / 1000)
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)
        await page.wait_for_timeout(3_000)
        assert children(is_driver) == before
        return await page.title()

    assert await pool.run("CHROMIUM", cancel_many) == ""
    await pool.close()
