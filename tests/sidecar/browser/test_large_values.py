"""Large values out of pages come whole, and are decoded in a thread."""

import threading
from pathlib import Path
from typing import Any

import pytest
from playwright._impl._js_handle import parse_value
from playwright.async_api import Error as PlaywrightError

from sidecar.browser import large_values
from sidecar.browser.large_values import LargeValue, take
from sidecar.browser.pool import BrowserPool
from sidecar.browser.processes.job_page import JobPage
from sidecar.clock import Clock
from sidecar.errors import LimitExceeded
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from tests.sidecar.browser.parts import make_job

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

SCRIPT = """() => Array.from({length: 9_000}, (_, i) => (
    {i, text: `é${i}`, none: null, not: undefined, list: [1.5, true, 2n ** 70n]}))"""
PLAIN = [
    {
        "i": index,
        "text": f"é{index}",
        "none": None,
        "not": None,
        "list": [1.5, True, str(2**70)],
    }
    for index in range(9_000)
]


async def test_a_call_takes_large_values_if_it_says_so(pool: BrowserPool) -> None:
    """All others get Playwright's own; a small value, and an error, are as ever."""

    async def work(job_page: JobPage) -> None:
        page = job_page.page
        large = await take(lambda: page.evaluate(SCRIPT))
        assert isinstance(large, LargeValue)
        assert large.value == await page.evaluate(SCRIPT)
        assert await take(lambda: page.evaluate("[1]")) == [1]
        with pytest.raises(PlaywrightError, match="xxx"):
            await take(lambda: page.evaluate("() => { throw new Error('x'.repeat(70_000)) }"))

    await pool.run("CHROMIUM", work)


@pytest.mark.parametrize(
    "action",
    [
        {"evaluate": SCRIPT},
        {"eval_on_selector": {"selector": "body", "expression": SCRIPT}},
        {"eval_on_selector_all": {"selector": "body", "expression": SCRIPT}},
        f"page.evaluate({SCRIPT})",
        f"page.evaluateHandle({SCRIPT}).then((handle) => handle.jsonValue())",
        f"page.locator('body').evaluateAll({SCRIPT})",
    ],
)
async def test_an_action_returns_it_whole(
    pool: BrowserPool, site: str, tmp_path: Path, action: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Chromium: with the actions of both kinds that return what a script returns."""
    threads: list[threading.Thread] = []

    def parse(value: Any) -> Any:
        threads.append(threading.current_thread())
        return parse_value(value)

    monkeypatch.setattr(large_values, "parse_value", parse)
    runner = BrowserJobRunner(pool, lambda: tmp_path, Clock())
    result = await runner.run(make_job(f"{site}/second.html", actions=[action]))
    assert result.steps[0].values == (PLAIN,)
    assert [thread is threading.main_thread() for thread in threads] == [False]


@pytest.mark.parametrize(
    "action", [{"evaluate": "() => Array.from({length: 1e5}, () => 1)"}, "page.evaluate(() => Array(1e5).fill(1))"]
)
async def test_one_of_too_many_parts_is_refused(pool: BrowserPool, site: str, tmp_path: Path, action: object) -> None:
    """As a small one is that has too many."""
    runner = BrowserJobRunner(pool, lambda: tmp_path, Clock())
    with pytest.raises(LimitExceeded, match="more than 100000 parts"):
        await runner.run(make_job(f"{site}/second.html", actions=[action, action]))
