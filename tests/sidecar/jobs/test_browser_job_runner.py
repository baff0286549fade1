"""Browser jobs from content to result, in a real Chromium on a real site."""

import asyncio
import base64
import os
import re
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from sidecar_protocol.errors import WireError

from sidecar.browser.artifacts.capture import pdf_arguments
from sidecar.browser.pdf import pixels
from sidecar.browser.pool import BrowserPool
from sidecar.clock import Clock
from sidecar.errors import (
    ActionFailed,
    BrowserUnavailable,
    InvalidContent,
    NavigationFailed,
    StoreFailed,
    TimedOut,
)
from sidecar.jobs.browser_job_runner import BrowserJobRunner, validate
from sidecar.settings import Settings
from tests.sidecar.browser.parts import make_job, make_jobs, png_size

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.browser
async def test_a_form_is_filled_and_what_follows_is_read(site: str, runner: BrowserJobRunner) -> None:
    """Two steps: a form sent by click, then a catalogue taken apart; values, statuses and extracts come back."""
    login = {
        "name": "login",
        "url": f"{site}/form.html",
        "actions": [
            {"fill": {"selector": "#user", "value": "ann"}},
            {"select_option": {"selector": "#size", "label": "Medium"}},
            {"click": "#submit"},
            {"inner_text": "#size"},
        ],
        "extract": {"greeting": "h1", "nothing": ".none"},
    }
    shop = {
        "url": f"{site}/shop.html",
        "extract": {
            "greeting": {"selector": "h1"},
            "prices": {"selector": ".price", "all": True, "attribute": "data-cents"},
            "items": {
                "selector": ".item",
                "all": True,
                "fields": {
                    "name": ".name",
                    "href": {"selector": "a", "attribute": "href"},
                    "tags": {"selector": ".tag", "all": True, "fields": {"text": "b"}},
                },
            },
            "first": {"selector": ".item", "fields": {"name": ".name"}},
            "no": {"selector": ".none", "fields": {"name": ".name"}},
            "none": {"selector": ".none", "all": True},
        },
    }
    result = await runner.run(make_jobs([login, shop]))
    assert result.extract == {
        "greeting": "Shop",
        "nothing": None,
        "prices": ["250", "300"],
        "items": [
            {"name": "Tea", "href": "/tea", "tags": [{"text": "hot"}, {"text": "green"}]},
            {"name": "Cake", "href": None, "tags": []},
        ],
        "first": {"name": "Tea"},
        "no": None,
        "none": [],
    }
    first, second = result.steps
    assert (first.name, first.url, first.title) == ("login", f"{site}/welcome", "Welcome")
    assert first.values == (None, ["m"], None, "m")
    assert (second.name, second.status, second.title, second.values) == ("step 2", 200, "Shop", ())
    assert 0 < first.duration_ms < 30_000


@pytest.mark.browser
@pytest.mark.parametrize(
    "action",
    [
        {"click": "#to-slow"},
        {"click": "#later"},
        {"evaluate": "location.href = '/slow'"},
        {"eval_on_selector": {"selector": "#to-slow", "expression": "link => link.click()"}},
        {"dispatch_event": {"selector": "#to-slow", "type": "click"}},
        {"goto": "{site}/slow"},
    ],
)
async def test_what_follows_a_navigation_sees_the_new_page(
    site: str, runner: BrowserJobRunner, action: dict[str, Any]
) -> None:
    """However an action leads to another page, the next one and the extract find it, however slow it is."""
    action = {name: value.format(site=site) if name == "goto" else value for name, value in action.items()}
    result = await runner.run(make_job(f"{site}/", actions=[action, {"count": "h1"}], extract={"head": "h1"}))
    assert result.extract == {"head": "slow but there"}
    assert result.steps[0].values[1] == 1
    assert result.steps[0].title == "Slow"


@pytest.mark.browser
@pytest.mark.parametrize("actions", [[], ["page.title()"], [{"title": None}]])
async def test_no_page_is_read_half(site: str, runner: BrowserJobRunner, actions: list[Any]) -> None:
    """Where a page goes on by itself, the extract is of the one or of the other, as a whole."""
    for milliseconds in (0, 2, 5, 8, 12, 20):
        job = make_job(f"{site}/goes-on?ms={milliseconds}", actions=actions, extract={"head": "h1"})
        result = await runner.run(job)
        assert result.extract in ({"head": "First"}, {"head": "Last"})
        assert result.extract == {"head": result.steps[0].title}


@pytest.mark.browser
@pytest.mark.parametrize("path", ["/empty", "/download"])
async def test_an_answer_without_a_page_leaves_the_old_one(site: str, runner: BrowserJobRunner, path: str) -> None:
    """A link to nothing, or to a download, does not hold the job up."""
    job = make_job(f"{site}/", actions=[{"evaluate": f"location.href = '{path}'; 1"}], extract={"head": "h1"})
    result = await runner.run(job)
    assert result.extract == {"head": "Test site"}


@pytest.mark.browser
@pytest.mark.parametrize(("path", "title"), [("/redirect", "Second page"), ("/moved.html", "Second page")])
async def test_redirects_are_followed(site: str, runner: BrowserJobRunner, path: str, title: str) -> None:
    """By the server or by the page's own script: the final page counts."""
    step = (await runner.run(make_job(site + path))).steps[0]
    assert (step.url, step.title) == (f"{site}/second.html", title)


@pytest.mark.browser
async def test_cookies_are_sent(site: str, runner: BrowserJobRunner) -> None:
    """The job's cookies reach the site they are for, and no other."""
    cookies = [
        {"name": "session", "value": "abc", "domain": "127.0.0.1", "httpOnly": True, "expires": time.time() + 60},
        {"name": "other", "value": "def", "domain": "example.test", "sameSite": "None", "secure": True},
    ]
    listing = {"all": {"selector": "li", "all": True}}
    assert (await runner.run(make_job(f"{site}/cookies", cookies=cookies, extract=listing))).extract == {
        "all": ["session=abc"]
    }
    assert (await runner.run(make_job(f"{site}/cookies", extract=listing))).extract == {"all": []}


@pytest.mark.browser
async def test_what_a_page_says_is_kept_within_bounds(site: str, runner: BrowserJobRunner) -> None:
    """The last 200 console lines, cut to length; uncaught errors; an alert holds nothing up."""
    quiet = {"url": f"{site}/second.html"}
    noisy, after = (await runner.run(make_jobs([{"url": f"{site}/noisy.html"}, quiet]))).steps
    assert len(noisy.console) == 200
    assert noisy.console[-2:] == ("line 299", "x" * 2000)
    assert noisy.errors == ("TypeError: broken script",)
    assert (after.console, after.errors) == ((), ())


@pytest.mark.browser
@pytest.mark.parametrize("status", [404, 500])
async def test_an_error_page_is_a_page(site: str, runner: BrowserJobRunner, status: int) -> None:
    """What the server says of itself is in the result; whether that is a failure is the scraper's affair."""
    step = (await runner.run(make_job(f"{site}/status/{status}"))).steps[0]
    assert (step.status, step.title) == (status, f"Status {status}")


@pytest.mark.browser
async def test_files_inline(site: str, runner: BrowserJobRunner) -> None:
    """A PNG of the full page, a PDF and the HTML, in the result itself."""
    job = make_job(f"{site}/long.html", options=["SCREENSHOT", "PDF", "HTML"])
    result = await runner.run(job)
    assert png_size(base64.b64decode(result.screenshot or "")) == (1280, 5020)
    assert base64.b64decode(result.pdf or "").startswith(b"%PDF-")
    assert "<title>Long</title>" in (result.html or "")


def check_file(path: Path, head: bytes) -> None:
    """Content, modes and name of an artifact."""
    assert path.read_bytes()[:4] == head
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert re.fullmatch(r"[0-9a-f]{32}-(screenshot\.png|pdf\.pdf|html\.html)", path.name)


@pytest.mark.browser
async def test_files_on_disk(site: str, runner: BrowserJobRunner, folder: Path) -> None:
    """Artifacts are paths of files that only their owner can read, under names that reveal nothing."""
    options = ["SCREENSHOT", "PDF", "HTML"]
    result = await runner.run(make_job(f"{site}/long.html?private=1", options=options, artifacts="files"))
    heads = {result.screenshot: b"\x89PNG", result.pdf: b"%PDF", result.html: b"<!DO"}
    for name, head in heads.items():
        check_file(Path(name or ""), head)
        assert Path(name or "").parent == folder


@pytest.mark.browser
async def test_a_folder_that_cannot_be_written_is_an_error(site: str, pool: BrowserPool, tmp_path: Path) -> None:
    """A full or missing disk fails the job with a typed error."""
    (tmp_path / "file").write_text("in the way")
    runner = BrowserJobRunner(pool, lambda: tmp_path / "file" / "artifacts", Clock())
    with pytest.raises(StoreFailed, match="the screenshot could not be written: Not a directory"):
        await runner.run(make_job(f"{site}/", options=["SCREENSHOT"], artifacts="files"))


@pytest.mark.browser
async def test_files_of_a_failed_job_are_removed(site: str, runner: BrowserJobRunner, folder: Path) -> None:
    """A job that fails at its PDF leaves no screenshot behind."""
    folder.mkdir(exist_ok=True, mode=0o700)  # noqa: ASYNC240
    before = {entry.name for entry in os.scandir(folder)}
    pdf = {"margin": {"left": "50in", "right": "50in"}}
    with pytest.raises(ActionFailed) as failed:
        await runner.run(make_job(f"{site}/", options=["SCREENSHOT", "PDF"], pdf=pdf, artifacts="files", on_failure=[]))
    assert failed.value.details["action"] == "pdf"
    assert {entry.name for entry in os.scandir(folder)} == before


@pytest.mark.browser
async def test_a_pdf_without_scripts(site: str, runner: BrowserJobRunner) -> None:
    """`js: false` prints the page as it is at the end, what its scripts have made included; the delay is ignored."""
    both = [
        base64.b64decode((await runner.run(make_job(f"{site}/scripted.html", options=["PDF"], pdf=pdf))).pdf or "")
        for pdf in ({"delay": 1}, {"js": False, "delay": 30_000})
    ]
    assert [pdf.count(b"/Type /Page\n") for pdf in both] == [40, 40]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"format": "A4"}),
        ({"format": "A3", "size": {"width": 5, "height": 5}}, {"format": "A3"}),
        ({"size": {"width": "10cm", "height": 96}}, {"width": "377.953px", "height": "96px"}),
        ({"landscape": True, "background": False, "scale": 2}, {"landscape": True, "print_background": False}),
        ({"margin": {"top": "1in"}}, {"margin": {"top": "96px", "right": "0px", "bottom": "0px", "left": "0px"}}),
    ],
)
async def test_pdf_options(given: dict[str, Any], expected: dict[str, Any]) -> None:
    """Format goes before size; lengths may have any of their units."""
    reported = pdf_arguments(make_job("about:blank", pdf=given).pdf)
    assert reported | expected == reported
    assert ("format" in reported) != ("width" in reported)


async def test_lengths() -> None:
    """CSS's units in CSS's pixels."""
    lengths: list[float | str] = [10, 1.5, "10", "2px", "1in", "2.54cm", "25.4mm", "72pt", "6pc"]
    assert [round(pixels(length), 6) for length in lengths] == [10, 1.5, 10, 2, 96, 96, 96, 96, 96]


PLACES = ("step", "action", "field", "url")


async def failure_of(runner: BrowserJobRunner, job: Any) -> tuple[type, dict[str, Any], str]:
    """How a job fails: class, places that are set, sentence; without its evidence."""
    with pytest.raises((NavigationFailed, ActionFailed, TimedOut)) as failed:
        await asyncio.wait_for(runner.run(job), 20)
    details = failed.value.details
    return failed.type, {name: details[name] for name in PLACES if details.get(name)}, failed.value.message


@pytest.mark.browser
async def test_pages_that_cannot_be_opened(site: str, runner: BrowserJobRunner, unused_tcp_port: int) -> None:
    """Unknown host, closed port, endless redirect: navigation_failed with the URL, without its password."""
    for url, public, reason in [
        ("http://nobody.invalid/", None, "net::ERR_NAME_NOT_RESOLVED"),
        (f"http://ann:s3cret@127.0.0.1:{unused_tcp_port}/", f"http://127.0.0.1:{unused_tcp_port}/", "_REFUSED"),
        (f"{site}/loop", None, "net::ERR_TOO_MANY_REDIRECTS"),
        (f"{site}/download", None, "Download is starting"),
    ]:
        kind, places, said = await failure_of(runner, make_job(url))
        assert (kind, places) == (NavigationFailed, {"url": public or url, "step": "step 1"})
        assert reason in said
        assert "s3cret" not in said
        assert "\n" not in said


@pytest.mark.browser
async def test_a_link_to_nowhere(site: str, runner: BrowserJobRunner) -> None:
    """A click that leads to the browser's own error page is a failure of that action."""
    kind, places, _ = await failure_of(runner, make_job(f"{site}/", actions=[{"click": "#refused"}]))
    assert (kind, places) == (NavigationFailed, {"step": "step 1", "action": "click '#refused'"})


@pytest.mark.browser
async def test_a_server_that_hangs(site: str, runner: BrowserJobRunner) -> None:
    """The step's time and the job's time both end the wait."""
    kind, places, said = await failure_of(runner, make_job(f"{site}/hang", step_timeout_ms=200))
    assert (kind, places) == (TimedOut, {"url": f"{site}/hang", "step": "step 1"})
    assert re.search("Timeout [0-9]+ms exceeded", said)
    kind, places, said = await failure_of(runner, make_job(f"{site}/hang", timeout_ms=2000))
    assert (kind, places) == (TimedOut, {"step": "step 1"})
    assert said == "the job took longer than 2000 ms at step 1"
    for limit in ({"step_timeout_ms": 30}, {"timeout_ms": 30}):
        with pytest.raises(TimedOut) as failed:
            await runner.run(make_job(f"{site}/hang", **limit))
        assert failed.value.details["hint"] == "`timeout_ms` is in milliseconds: 30 seconds are 30000"


@pytest.mark.browser
async def test_an_element_that_is_not_there(site: str, runner: BrowserJobRunner) -> None:
    """A missing selector fails its action: with its own time, or with what is left of the step."""
    kind, places, said = await failure_of(
        runner, make_job(f"{site}/", actions=[{"click": {"selector": "#none", "timeout": 100}}])
    )
    assert (kind, places) == (ActionFailed, {"step": "step 1", "action": "click '#none'", "url": f"{site}/"})
    assert said == "click '#none' failed: Timeout 100ms exceeded. (nothing matched the selector)"
    kind, _, said = await failure_of(
        runner, make_job(f"{site}/form.html", step_timeout_ms=5000, actions=[{"click": "#send"}])
    )
    assert kind is ActionFailed
    assert "is there, but was not ready" in said


@pytest.mark.browser
async def test_an_option_that_is_not_there_in_javascript(site: str, runner: BrowserJobRunner) -> None:
    """The select box is there and ready: the error says that its option is not."""
    script = "page.locator('#size').selectOption('xxl', {timeout: 300})"
    kind, _, said = await failure_of(runner, make_job(f"{site}/form.html", actions=[script]))
    assert kind is ActionFailed
    assert said.endswith("Timeout 300ms exceeded. (it has no such option)")


@pytest.mark.browser
async def test_a_script_that_never_ends(site: str, runner: BrowserJobRunner) -> None:
    """A page in a busy loop costs its job the step's time, and the next job nothing."""
    job = make_job(f"{site}/", step_timeout_ms=2000, actions=[{"evaluate": "while (true) {}"}])
    kind, places, _ = await failure_of(runner, job)
    assert (kind, places) == (TimedOut, {"step": "step 1", "action": "evaluate", "url": f"{site}/"})
    assert (await runner.run(make_job(f"{site}/"))).steps[0].status == 200


@pytest.mark.browser
async def test_errors_do_not_repeat_what_was_typed(site: str, runner: BrowserJobRunner) -> None:
    """A value that a field refuses is not in the error."""
    action = {"fill": {"selector": "#when", "value": "hunter2"}}
    kind, places, said = await failure_of(runner, make_job(f"{site}/form.html", actions=[action]))
    assert (kind, places["action"]) == (ActionFailed, "fill '#when'")
    assert "hunter2" not in said


@pytest.mark.browser
async def test_an_invalid_selector(site: str, runner: BrowserJobRunner) -> None:
    """An extract that CSS can't read names its field."""
    kind, places, said = await failure_of(runner, make_job(f"{site}/", extract={"head": "h1["}))
    assert (kind, places) == (ActionFailed, {"step": "step 1", "action": "extract", "field": "head", "url": f"{site}/"})
    assert "field head" in said


@pytest.mark.browser
async def test_a_step_fails_by_its_name(site: str, runner: BrowserJobRunner) -> None:
    """The error says which of several steps it was."""
    steps: list[dict[str, Any]] = [
        {"url": f"{site}/"},
        {"name": "second", "url": f"{site}/", "actions": [{"evaluate": "none.such"}]},
    ]
    kind, places, said = await failure_of(runner, make_jobs(steps))
    assert (kind, places) == (ActionFailed, {"step": "second", "action": "evaluate", "url": f"{site}/"})
    assert said == "evaluate failed: ReferenceError: none is not defined"


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"steps": [{"url": "about:blank"}, {"url": "file:///etc/passwd"}]}, "steps[1].url"),
        ({"steps": [{"url": "about:blank", "actions": [{"poke": "#a"}]}]}, "steps[0].actions[0].poke"),
        ({"steps": [{"url": "about:blank"}], "browser": "FIREFOX", "options": ["PDF"]}, "options"),
    ],
)
async def test_a_wrong_job_touches_no_browser(content: dict[str, Any], field: str) -> None:
    """All that can be checked without a browser is, before one is started."""
    with pytest.raises(InvalidContent) as failed:
        validate(make_jobs(**content))
    assert failed.value.details == {"field": field}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"steps": []}, "steps: must not be empty"),
        ({"steps": [{"url": "about:blank", "actions": [5]}]}, "expected str | object, got int"),
        ({"steps": [{"url": "about:blank", "actions": [""]}]}, "must not be empty"),
        ({"steps": [{"url": "about:blank", "actions": [{}]}]}, "an action has one key, its method; write"),
        ({"steps": [{"url": "about:blank"}], "options": ["FILM"]}, "options[0]: expected 'RECORD', "),
        ({"steps": [{"url": "about:blank"}], "tokens": "x"}, "unknown field `tokens`"),
        ({"steps": [{"url": "about:blank"}], "mode": "later"}, "mode: expected 'sync' or 'async'"),
        ({"steps": [{"url": "about:blank"}], "pdf": {"scale": 3}}, "pdf.scale: expected float <= 2.0"),
        ({"steps": [{"url": "about:blank"}], "pdf": {"delay": 30_001}}, "expected milliseconds <= 30000 (30 s)"),
        ({"steps": [{"url": "about:blank"}], "pdf": {"margin": {"top": "1 foot"}}}, "pdf.margin.top: "),
        (
            {
                "steps": [{"url": "about:blank"}],
                "cookies": [{"name": "a", "value": "b", "domain": "c", "sameSite": "None"}],
            },
            "cookies[0]: sameSite None needs secure",
        ),
        (
            {"steps": [{"url": "about:blank", "extract": {"a": {"selector": "b", "attribute": "c", "fields": {}}}}]},
            "attribute and fields exclude each other",
        ),
    ],
)
async def test_content_of_a_wrong_shape(content: dict[str, Any], said: str) -> None:
    """What the model does not know or allow is an error of decoding that names the place."""
    with pytest.raises(WireError) as failed:
        make_jobs(**content)
    assert said in str(failed.value)


async def test_one_error_names_the_mistakes_of_all_actions() -> None:
    """Of the context, cookies, addresses and actions of every step, in their order; the first is the sentence."""
    job = make_jobs(
        context={"user_agent": "two\nlines", "proxy": {"server": "ftp://p"}},
        cookies=[{"name": "a;", "value": "b", "domain": "c"}, {"name": "a", "value": "b", "domain": "http://c"}],
        steps=[
            {"url": "ftp://a", "actions": [{"clik": "#a"}, {"click": 5}, {"click": "#fine"}]},
            {"url": "about:blank", "actions": [{"fill": {"selector": 1, "valu": "hush"}}, {"goto": "ftp://b"}]},
        ],
    )
    with pytest.raises(InvalidContent) as failed:
        validate(job)
    fields = failed.value.detail.fields or ()
    assert [one.field for one in fields] == [
        "context.user_agent",
        "context.proxy.server",
        "cookies[0].name",
        "cookies[1].domain",
        "steps[0].url",
        "steps[0].actions[0].clik",
        "steps[0].actions[1].click.selector",
        "steps[1].actions[0].fill.valu",
        "steps[1].actions[0].fill.selector",
        "steps[1].actions[0].fill.value",
        "steps[1].actions[1].goto.url",
    ]
    assert (failed.value.message, failed.value.details["field"]) == (fields[0].message, fields[0].field)
    assert "hush" not in repr(fields)


async def test_twenty_mistakes_are_named_and_no_more_are_searched() -> None:
    """What follows them is not read: an argument that is too large there is no error any more."""
    actions: list[dict[str, Any]] = [{"clik": "#a"}] * 19 + [{"fill": {"a": 1, "b": 2}}]
    deep: Any = []
    for _ in range(150):
        deep = [deep]
    job = make_job("about:blank", actions=[*actions, {"evaluate": {"expression": "1", "arg": deep}}])
    with pytest.raises(InvalidContent) as failed:
        validate(job)
    assert len(failed.value.detail.fields or ()) == 20


async def test_a_browser_that_is_not_there(tmp_path: Path) -> None:
    """A browser that is not installed is unavailable, with the command that installs it."""
    runner = BrowserJobRunner(BrowserPool(Settings(browsers_path=str(tmp_path)), Clock()), lambda: tmp_path, Clock())
    with pytest.raises(BrowserUnavailable, match="sidecar install webkit"):
        await runner.run(make_job("about:blank", browser="WEBKIT"))
