"""Frames, files, dialogs and popups: what actions do beyond the page they begin in."""

import asyncio
import base64
import time
from collections.abc import Sequence
from typing import Any

import pytest
from sidecar_protocol.jobs import StepResult

from sidecar.browser.pool import BrowserPool
from sidecar.browser.processes.job_page import JobPage
from sidecar.browser.step_observer import NO_OBSERVER
from sidecar.browser.steps import page_actions
from sidecar.browser.steps.plan import plan_steps
from sidecar.browser.steps.popups import PopupTracker
from sidecar.browser.steps.step_runner import StepRunner
from sidecar.clock import Clock
from sidecar.errors import ActionFailed, LimitExceeded, NavigationFailed
from tests.sidecar.browser.parts import make_job

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def visited(pool: BrowserPool, url: str, actions: Sequence[dict[str, Any]], **context: Any) -> StepResult:
    """A step of these actions."""
    steps = plan_steps(make_job(url, actions=list(actions), step_timeout_ms=10_000).steps)
    result = await pool.run(
        "CHROMIUM", lambda job_page: StepRunner(job_page, Clock()).run(steps, (), NO_OBSERVER), context
    )
    return result.steps[0]


async def test_elements_in_frames(site: str, pool: BrowserPool) -> None:
    """One selector for a frame, a list of them for a frame in a frame; scripts run in it too."""
    actions: list[dict[str, Any]] = [
        {"fill": {"frame": "#form", "selector": "#user", "value": "ann"}},
        {"input_value": {"frame": "#form", "selector": "#user"}},
        {"inner_text": {"frame": ["#outer", "#deep"], "selector": "h1"}},
        {"evaluate": {"frame": "#form", "expression": "location.pathname"}},
        {"count": {"frame": "#form", "selector": "option"}},
        {"click": {"frame": "#form", "selector": "#submit"}},
        {"wait_for_selector": {"frame": "#form", "selector": "dl"}},
        {"inner_text": {"frame": "#form", "selector": "h1"}},
    ]
    step = await visited(pool, f"{site}/frames.html", actions)
    assert step.values[1:5] == ("ann", "Second", "/form.html", 2)
    assert step.values[7] == "Welcome ann"
    assert step.url == f"{site}/frames.html"


@pytest.mark.parametrize(
    ("frame", "milliseconds", "said"),
    [("#nowhere", 200, "nothing matched the selector"), ("#none", 20_000, "the element '#none' is not a frame")],
)
async def test_an_invalid_frame_is_refused(
    site: str, pool: BrowserPool, frame: str, milliseconds: int, said: str
) -> None:
    """The action fails and says why, where there is something at once."""
    action = {"click": {"frame": frame, "selector": "#a", "timeout": milliseconds}}
    with pytest.raises(ActionFailed, match="click '#a' failed") as failed:
        await visited(pool, f"{site}/frames.html", [action])
    assert said in failed.value.message


async def test_files_are_uploaded(site: str, pool: BrowserPool) -> None:
    """From the message itself, several at once; an empty list takes them out again."""
    files = [
        {"name": "a.txt", "mime_type": "text/plain", "content": base64.b64encode(b"one").decode()},
        {"name": "b.bin", "content": base64.b64encode(b"two").decode()},
    ]
    actions: list[dict[str, Any]] = [
        {"set_input_files": {"selector": "#files", "files": files}},
        {"set_input_files": {"selector": "#files", "files": []}},
        {"evaluate": "document.querySelector('#files').files.length"},
        {"set_input_files": {"selector": "#files", "files": files}},
        {"click": "#send"},
        {"all_inner_texts": "li"},
    ]
    step = await visited(pool, f"{site}/windows.html", actions)
    assert step.values[2] == 0
    assert step.values[5] == ["a.txt text/plain one", "b.bin application/octet-stream two"]


async def test_files_are_downloaded(site: str, pool: BrowserPool) -> None:
    """By a click and by address; the page stays where it was, and the visit holds what came."""
    actions = [{"download": "#download"}, {"download": {"url": f"{site}/download"}}, {"title": None}]
    steps = plan_steps(make_job(f"{site}/windows.html", actions=actions).steps)
    visits: list[StepRunner] = []

    async def work(job_page: JobPage) -> Any:
        visits.append(StepRunner(job_page, Clock()))
        return await visits[0].run(steps, (), NO_OBSERVER)

    result = await pool.run("CHROMIUM", work, {"accept_downloads": True})
    assert result.steps[0].values == ({"name": "a.bin", "size": 4}, {"name": "a.bin", "size": 4}, "Windows")
    assert [file.data for file in visits[0].downloads] == [b"data", b"data"]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({"selector": "#open", "timeout": 1_500}, "Timeout 1500ms exceeded"),
        ({"url": "http://127.0.0.1:1/", "timeout": 2_000}, "ERR_UNSAFE_PORT"),
    ],
)
async def test_a_download_that_never_starts(site: str, pool: BrowserPool, target: dict[str, Any], said: str) -> None:
    """The action fails in its time."""
    with pytest.raises((ActionFailed, NavigationFailed), match=said):
        await visited(pool, f"{site}/windows.html", [{"download": target}], accept_downloads=True)


async def test_a_download_that_starts_in_a_tab(site: str, pool: BrowserPool) -> None:
    """The click has opened it, by a link or by a script, and it closes when it has done its work."""
    actions: list[dict[str, Any]] = [
        {"download": "#download-in-tab"},
        {"download": "#download-by-script"},
        {"title": None},
    ]
    step = await visited(pool, f"{site}/windows.html", actions, accept_downloads=True)
    assert step.values == ({"name": "a.bin", "size": 4}, {"name": "a.bin", "size": 4}, "Windows")


async def test_an_option_that_is_not_there(site: str, pool: BrowserPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said soon, with the options that are there; one that comes later is waited for."""
    actions: list[dict[str, Any]] = [{"select_option": {"selector": "#size", "value": "xxl"}}]
    started = time.monotonic()
    with pytest.raises(ActionFailed, match=r"it has no such option; it has 's' \(Small\), 'm' \(Medium\)"):
        await visited(pool, f"{site}/form.html", actions)
    assert time.monotonic() - started < 9
    long = "for (const option of document.querySelectorAll('#size option')) option.value += 'x'.repeat(100)"
    with monkeypatch.context() as patch:
        patch.setattr(page_actions, "OPTION_WAIT_MS", 1_000.0)
        with pytest.raises(ActionFailed, match=r"it has \d+, too long to be named"):
            await visited(pool, f"{site}/form.html", [{"evaluate": long}, *actions])
    later = "setTimeout(() => document.querySelector('#size').add(new Option('Huge', 'xxl')), 500)"
    step = await visited(pool, f"{site}/form.html", [{"evaluate": later}, *actions])
    assert step.values[1] == ["xxl"]


async def test_a_download_that_never_ends(site: str, pool: BrowserPool) -> None:
    """It is called off once it is too large, not when it is there; the job after it has its downloads."""
    endless = [{"download": {"url": f"{site}/download/endless"}}]
    with pytest.raises(LimitExceeded, match="download failed: the file has more than 64 MiB") as failed:
        await visited(pool, f"{site}/windows.html", endless, accept_downloads=True)
    assert failed.value.details == {"step": "step 1", "action": "download"}
    step = await visited(pool, f"{site}/windows.html", [{"download": "#download"}], accept_downloads=True)
    assert step.values == ({"name": "a.bin", "size": 4},)


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        (None, "false,"),
        (True, "true,nobody"),
        ({"accept": True, "text": "ann"}, "true,ann"),
        ({"accept": False, "text": "ann"}, "false,"),
    ],
)
async def test_dialogs_get_what_was_ordered(site: str, pool: BrowserPool, orders: Any, expected: str) -> None:
    """Without orders they are dismissed."""
    actions: list[dict[str, Any]] = [{"click": "#ask"}, {"inner_text": "#asked"}]
    if orders is not None:
        actions.insert(0, {"on_dialog": orders})
    step = await visited(pool, f"{site}/windows.html", actions)
    assert step.values[-1] == expected


async def test_a_popup_is_gone_to_and_left(site: str, pool: BrowserPool) -> None:
    """By the click that opens it, or when it is there; the step's own page is where the next step begins."""
    actions: list[dict[str, Any]] = [
        {"switch_to_popup": "#open"},
        {"inner_text": "h1"},
        {"switch_to_page": 0},
        {"title": None},
        {"click": "#later"},
        {"switch_to_page": {"index": 2}},
        {"inner_text": "h1"},
        {"close_page": None},
        {"title": None},
        {"switch_to_popup": None},
        {"inner_text": "h1"},
    ]
    step = await visited(pool, f"{site}/windows.html", actions)
    assert step.values[1::2] == ("Noisy", "Windows", None, None, None)
    assert step.values[6::2] == ("Second", "Windows", "Noisy")
    assert step.url == f"{site}/noisy.html"
    assert step.console[-2:] == ("line 299", "x" * 2000)
    assert step.errors == ("TypeError: broken script",)


async def test_a_popup_that_closes_itself(site: str, pool: BrowserPool) -> None:
    """As consent windows do: the job goes on in its own page."""
    actions: list[dict[str, Any]] = [{"switch_to_popup": "#consent"}, {"click": "#yes"}, {"title": None}]
    step = await visited(pool, f"{site}/windows.html", actions)
    assert step.values == (None, None, "Agreed")
    assert step.url == f"{site}/windows.html"


async def test_the_own_page_cannot_be_closed(site: str, pool: BrowserPool) -> None:
    """That is the job's end, not an action's."""
    with pytest.raises(ActionFailed, match="close_page failed: the job's own page stays open"):
        await visited(pool, f"{site}/windows.html", [{"close_page": None}])


async def test_a_popup_that_never_opens(site: str, pool: BrowserPool) -> None:
    """It is waited for in the action's time and no longer."""
    with pytest.raises(ActionFailed, match="switch_to_popup failed: Timeout"):
        async with asyncio.timeout(10):
            await visited(pool, f"{site}/windows.html", [{"switch_to_popup": {"timeout": 200}}])


async def test_a_drag_by_hand(site: str, pool: BrowserPool) -> None:
    """Mouse and keys go down and up on their own."""
    down, up = "e => d.push('down' + e.shiftKey)", "() => d.push('up')"
    heard = f"addEventListener('mousedown', {down}), addEventListener('mouseup', {up})"
    actions: list[dict[str, Any]] = [
        {"evaluate": f"(window.d = [], {heard})"},
        {"mouse_move": {"x": 5, "y": 300}},
        {"keyboard_down": "Shift"},
        {"mouse_down": None},
        {"keyboard_up": "Shift"},
        {"mouse_move": {"x": 50, "y": 300}},
        {"mouse_up": None},
        {"evaluate": "window.d"},
    ]
    step = await visited(pool, f"{site}/windows.html", actions)
    assert step.values[-1] == ["downtrue", "up"]


async def test_a_tap_needs_a_touch_screen(site: str, pool: BrowserPool) -> None:
    """Where the context has none, the error says so."""
    with pytest.raises(ActionFailed, match=r"tap '#ask' failed: .*touch"):
        await visited(pool, f"{site}/windows.html", [{"tap": "#ask"}])


async def test_a_tab_that_names_no_opener_is_counted(site: str, pool: BrowserPool) -> None:
    """A middle click opens one in the background; before it there is nothing to count."""

    async def work(job_page: JobPage) -> tuple[int, int]:
        page = job_page.page
        targets = PopupTracker(page, job_page.cdp)
        await page.goto(f"{site}/actions.html")
        before = await targets.count()
        await page.click("#popup", button="middle")
        async with asyncio.timeout(30):
            while (after := await targets.count()) < 2:
                await page.evaluate("0")
        return before, after

    assert await pool.run("CHROMIUM", work) == (0, 2)
