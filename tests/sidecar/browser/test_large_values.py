"""Large values out of pages and into them are whole, and are decoded and encoded in a thread."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from playwright._impl._js_handle import parse_value, serialize_argument
from playwright.async_api import Error as PlaywrightError

from sidecar.browser import large_values
from sidecar.browser.large_values import LargeValue, evaluate
from sidecar.browser.pool import BrowserPool
from sidecar.browser.processes.job_page import JobPage
from sidecar.clock import Clock
from sidecar.errors import LimitExceeded
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from tests.sidecar.browser.parts import make_job

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

PLAIN = [
    {
        "i": index,
        "text": f"é{index}",
        "none": None,
        "not": None,
        "list": [1.5, True, str(2**70)],
    }
    for index in range(1_000)
]


def script(length: int) -> str:
    """Gives the first members of PLAIN, some 150 bytes each."""
    return f"""() => Array.from({{length: {length}}}, (_, i) => (
    {{i, text: `é${{i}}`, none: null, not: undefined, list: [1.5, true, 2n ** 70n]}}))"""


async def test_a_call_takes_large_values_if_it_says_so(pool: BrowserPool) -> None:
    """All others get Playwright's own; a small value, and an error, are as ever."""

    async def work(job_page: JobPage) -> None:
        page = job_page.page
        large = await evaluate(page.evaluate, {"expression": script(1_000)})
        assert isinstance(large, LargeValue)
        assert large.value == await page.evaluate(script(1_000))
        assert await evaluate(page.evaluate, {"expression": "[1]"}) == [1]
        with pytest.raises(PlaywrightError, match="xxx"):
            await evaluate(page.evaluate, {"expression": "() => { throw new Error('x'.repeat(70_000)) }"})

    await pool.run("CHROMIUM", work)


WAYS_OUT: list[Any] = [
    {"evaluate": script(991)},
    {"eval_on_selector": {"selector": "body", "expression": script(992)}},
    {"eval_on_selector_all": {"selector": "body", "expression": script(993)}},
    f"page.evaluate({script(994)})",
    f"page.evaluateHandle({script(995)}).then((handle) => handle.jsonValue())",
    f"page.locator('body').evaluateAll({script(996)})",
]
"""Each gives another number of members, which names its decoding."""


async def test_an_action_returns_it_whole(
    pool: BrowserPool, site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Chromium: with the actions of both kinds that return what a script returns."""
    threads: list[tuple[int, threading.Thread]] = []

    def parse(value: Any) -> Any:
        parsed = parse_value(value)
        threads.append((len(parsed), threading.current_thread()))
        return parsed

    monkeypatch.setattr(large_values, "parse_value", parse)
    runner = BrowserJobRunner(pool, lambda: tmp_path, Clock())
    values = (await runner.run(make_job(f"{site}/second.html", actions=WAYS_OUT))).steps[0].values
    wrong = [
        way for way, value, length in zip(WAYS_OUT, values, range(991, 997), strict=True) if value != PLAIN[:length]
    ]
    assert wrong == []
    in_main = [(length, thread is threading.main_thread()) for length, thread in threads]
    assert in_main == [(length, False) for length in range(991, 997)]


@pytest.mark.parametrize(
    "action", [{"evaluate": "() => Array.from({length: 1e5}, () => 1)"}, "page.evaluate(() => Array(1e5).fill(1))"]
)
async def test_one_of_too_many_parts_is_refused(pool: BrowserPool, site: str, tmp_path: Path, action: object) -> None:
    """As a small one is that has too many."""
    runner = BrowserJobRunner(pool, lambda: tmp_path, Clock())
    with pytest.raises(LimitExceeded, match="more than 100000 parts"):
        await runner.run(make_job(f"{site}/second.html", actions=[action, action]))


ARGUMENT = [
    {"i": index, "text": f"{index} \"s\": 'a large argument'", "none": None, "list": [1.5, True]}
    for index in range(900)
]
WHOLE = json.dumps(ARGUMENT)
WAYS_IN: list[Any] = [
    {"evaluate": {"expression": "(x) => x", "arg": ARGUMENT}},
    {"eval_on_selector": {"selector": "body", "expression": "(_, x) => x", "arg": ARGUMENT}},
    f"page.evaluate((x) => x, {WHOLE})",
    f"page.evaluateHandle((x) => x, {WHOLE}).then((handle) => handle.jsonValue())",
    f"page.locator('body').evaluate((_, x) => x, {WHOLE})",
    f"page.waitForFunction((x) => x, {WHOLE}).then((handle) => handle.jsonValue())",
    f"page.evaluateHandle('1').then((one) => page.evaluate(([one, x]) => one === 1 && x, [one, {WHOLE}]))",
]


async def test_an_argument_arrives_whole(
    pool: BrowserPool, site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is encoded in a thread; one with a handle is encoded again by the call itself."""
    threads: list[threading.Thread] = []

    def serialize(value: Any) -> Any:
        threads.append(threading.current_thread())
        return serialize_argument(value)

    monkeypatch.setattr(large_values, "serialize_argument", serialize)
    runner = BrowserJobRunner(pool, lambda: tmp_path, Clock())
    actions = [one for way in WAYS_IN for one in (way, "page.evaluate((x) => x, 'small')")]
    values = (await runner.run(make_job(f"{site}/second.html", actions=actions))).steps[0].values
    assert [str(way)[:40] for way, value in zip(WAYS_IN, values[::2], strict=True) if value != ARGUMENT] == []
    assert values[1::2] == ("small",) * len(WAYS_IN)
    assert [thread is threading.main_thread() for thread in threads] == [False] * len(WAYS_IN)


async def test_a_text_like_the_stand_in_is_a_text(pool: BrowserPool, site: str, tmp_path: Path) -> None:
    """Whatever a job says, only what was encoded is put in its place."""
    runner = BrowserJobRunner(pool, lambda: tmp_path, Clock())
    actions = [
        {"evaluate": {"expression": "(x) => x", "arg": "a large argument"}},
        {"evaluate": {"expression": """(x) => '{"s": "a large argument"}' + x[0]""", "arg": [7] * 2_000}},
    ]
    result = await runner.run(make_job(f"{site}/second.html", actions=actions))
    assert result.steps[0].values == ("a large argument", '{"s": "a large argument"}7')


async def test_calls_are_sent_in_their_order(pool: BrowserPool, site: str, tmp_path: Path) -> None:
    """A later one waits where an earlier one is still being encoded."""
    runner = BrowserJobRunner(pool, lambda: tmp_path, Clock())
    push = "page.evaluate(([name, _]) => { (window.seen ??= []).push(name) }, ['%s', %s])"
    calls = ", ".join(
        push % one for one in (("large", "Array(30000).fill(1)"), ("small", 1), ("last", "Array(5000).fill(2)"))
    )
    actions = [f"Promise.all([{calls}]).then(() => page.evaluate('seen'))"]
    result = await runner.run(make_job(f"{site}/second.html", actions=actions))
    assert result.steps[0].values == (["large", "small", "last"],)
