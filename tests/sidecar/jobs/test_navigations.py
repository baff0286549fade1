"""Where jobs come to: the status of a step, what comes to nothing, what leads on, and what breaks off.

What succeeds is tried in the steps of one job: a page of its own costs Firefox two seconds of a processor. What has a
`browser` is tried in Firefox by `test_in_firefox`.
"""

import time
from typing import Any
from urllib.parse import urlencode

import pytest
from sidecar_protocol.jobs import StepResult

from sidecar.errors import ActionFailed, NavigationFailed, TimedOut
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from tests.fakes import nobody_listens
from tests.sidecar.browser.parts import make_job, make_jobs

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def visit(runner: BrowserJobRunner, url: str, *actions: Any, **content: Any) -> StepResult:
    """The only step of a job."""
    return (await runner.run(make_job(url, actions=list(actions), **content))).steps[0]


async def visits(runner: BrowserJobRunner, url: str, tries: list[list[Any]], **content: Any) -> tuple[StepResult, ...]:
    """The steps of one job, each with other actions on a new document of one URL."""
    steps = [{"url": url, "actions": actions} for actions in tries]
    return (await runner.run(make_jobs(steps, timeout_ms=120_000, **content))).steps


GOING: list[Any] = [
    {"click": "#to"},
    {"dblclick": "#to"},
    {"click": "#by-script"},
    {"click": "#submit"},
    {"press": {"selector": "#field", "key": "Enter"}},
    {"press": {"selector": "#to", "key": "Enter"}},
    {"check": "#box"},
    {"set_checked": {"selector": "#box", "checked": True}},
    {"select_option": {"selector": "#choice", "value": "b"}},
    {"dispatch_event": {"selector": "#to", "type": "click"}},
    {"evaluate": "document.querySelector('#submit').click()"},
    "page.click('#to')",
    "page.locator('#field').press('Enter')",
]
IN_FIREFOX = {"CHROMIUM": GOING, "FIREFOX": GOING[::2]}
"""Every page costs Firefox a second of a processor: it goes every second way, and some others where nothing comes."""
OTHERS_IN_FIREFOX = {"CHROMIUM": GOING, "FIREFOX": GOING[3::4]}
GOING_BY_URL = "page.goto(page.url().replace(/.moves.*/, '/answers/500'))"


async def test_the_status_is_that_of_the_last_document(site: str, runner: BrowserJobRunner, browser: str) -> None:
    """The status is the last document's, by link, form, key or script."""
    going = IN_FIREFOX[browser]
    steps = await visits(runner, f"{site}/moves?to=/answers/404", [[action] for action in going], browser=browser)
    for action, step in zip(going, steps, strict=True):
        assert (step.url, step.status, step.title) == (f"{site}/answers/404", 404, "Status 404"), action


async def test_what_is_answered_with_204_leaves_the_page_at_once(
    site: str, runner: BrowserJobRunner, browser: str
) -> None:
    """The action has succeeded, and what follows it finds the page that is there still."""
    follows = [{"fill": {"selector": "#field", "value": "x"}}, {"title": None}, {"click": "#submit"}, "page.title()"]
    going = OTHERS_IN_FIREFOX[browser]
    tries = [[action, *follows, {"input_value": "#field"}] for action in going]
    steps = await visits(runner, f"{site}/moves?to=/answers/204", tries, browser=browser)
    for action, step in zip(going, steps, strict=True):
        assert (step.status, step.title, step.values[2], step.values[4]) == (200, "Moves", "Moves", "Moves"), action
        assert step.values[5] == "x", action
        assert step.duration_ms < 25_000, action


async def test_other_answers_that_bring_no_document(site: str, runner: BrowserJobRunner, browser: str) -> None:
    """They leave the page with its status, too."""
    actions = [{"click": "#to"}, {"inner_text": "h1"}]
    steps = [{"url": f"{site}/moves?to={to}", "actions": actions} for to in ("/answers/205", "/download")]
    for step in (await runner.run(make_jobs(steps, browser=browser))).steps:
        assert (step.status, step.title, step.values) == (200, "Moves", (None, "Moves")), step.url


@pytest.mark.parametrize(
    "action",
    [
        {"click": "#to"},
        {"press": {"selector": "#field", "key": "Enter"}},
        {"check": "#box"},
        {"keyboard_press": "Enter"},
        {"evaluate": "location = '/late'"},
    ],
    ids=str,
)
async def test_an_answer_that_comes_too_late(site: str, runner: BrowserJobRunner, action: Any, browser: str) -> None:
    """It is a timeout, and says that the action was done."""
    actions, milliseconds = [{"focus": "#to"}, action], 5000 if browser == "CHROMIUM" else 9000
    with pytest.raises(TimedOut, match=r"the action is done, but \S+ .*has not responded") as failed:
        await visit(runner, f"{site}/moves?to=/late", *actions, step_timeout_ms=milliseconds, browser=browser)
    assert failed.value.retryable


async def test_an_element_that_comes_too_late(site: str, runner: BrowserJobRunner, browser: str) -> None:
    """Its action was not done, which is no timeout."""
    with pytest.raises(ActionFailed, match="was not ready"):
        await visit(runner, f"{site}/moves?to=/late", {"click": "#never"}, step_timeout_ms=5000, browser=browser)


async def test_the_time_of_an_action_covers_only_the_action(site: str, runner: BrowserJobRunner) -> None:
    """What it leads to has the step's."""
    url = f"{site}/moves?to=/late?ms=4000"
    step = await visit(runner, url, {"click": {"selector": "#to", "timeout": 2000}}, {"inner_text": "h1"})
    assert (step.title, step.values) == ("Late", (None, "Late"))


async def test_a_scripts_click_that_is_answered_too_late(site: str, runner: BrowserJobRunner) -> None:
    """A JavaScript action says so as well."""
    with pytest.raises(TimedOut, match="the action is done, but the page"):
        await visit(runner, f"{site}/moves?to=/late", "page.click('#to', {timeout: 2000})", step_timeout_ms=20_000)


@pytest.mark.parametrize("action", [*GOING, GOING_BY_URL], ids=str)
async def test_fail_on_status_looks_at_the_last_document(
    site: str, runner: BrowserJobRunner, action: Any, browser: str
) -> None:
    """A failing status names the action that led to the document."""
    follows = [{"inner_text": "h1"}]
    with pytest.raises(NavigationFailed, match="answered with status 500") as failed:
        await visit(runner, f"{site}/moves?to=/answers/500", action, *follows, fail_on_status=True, browser=browser)
    assert failed.value.details["status"] == 500
    assert failed.value.details["url"] == f"{site}/answers/500"


async def test_the_status_follows_the_history(site: str, runner: BrowserJobRunner, browser: str) -> None:
    """Back and forward again, and a reload."""
    tries: list[Any] = [
        [{"click": "#to"}, {"go_back": {}}],
        [{"click": "#to"}, {"go_back": {}}, {"go_forward": {}}],
        [{"click": "#to"}, {"reload": {}}],
        [{"click": "#to"}, {"evaluate": "history.back()"}, {"wait_for_selector": "#to"}],
    ]
    expected: list[Any] = [("Moves", 200), ("Status 404", 404), ("Status 404", 404), ("Moves", 200)]
    if browser == "FIREFOX":  # the other two go the same ways
        tries, expected = tries[1::2], expected[1::2]
    steps = await visits(runner, f"{site}/moves?to=/answers/404", tries, browser=browser)
    assert [(step.title, step.status) for step in steps] == expected


async def test_a_document_from_no_server_has_no_status(site: str, runner: BrowserJobRunner, browser: str) -> None:
    """Except where it is still the one that a server has sent."""
    tries: list[Any] = [
        [{"evaluate": "location = 'about:blank'"}],
        [{"goto": "data:text/html,x"}],
        [{"evaluate": "location = '/moves?to=x#place'"}],
    ]
    steps = await visits(runner, f"{site}/moves?to=x", tries, browser=browser)
    assert [step.status for step in steps] == [None, None, 200]


async def test_the_status_of_a_popup_that_the_job_goes_on_in(site: str, runner: BrowserJobRunner, browser: str) -> None:
    """It is the popup's document's, and the own page's again after it."""
    url = f"{site}/moves?to=/answers/404"
    tries: list[Any] = [[{"switch_to_popup": "#tab"}, {"close_page": None}], [{"switch_to_popup": "#tab"}]]
    steps = await visits(runner, url, tries, browser=browser)
    assert [(step.title, step.status) for step in steps] == [("Moves", 200), ("Status 404", 404)]


REFRESHES: list[dict[str, str]] = [
    {"header": "0; url=/second.html"},
    {"header": "0"},
    {"head": "<meta http-equiv=refresh content='0;url=/second.html'>"},
    {"head": "<META HTTP-EQUIV='Refresh' CONTENT=\"  0 ; URL = '/second.html' \">"},
    {"head": "<meta http-equiv=refresh content='0,url=/second.html'>", "image": "300"},
    {"head": "<meta http-equiv=refresh content='0;url=/refresh?header=0;url=/second.html'>"},
    {"head": "<script>location.replace('/second.html')</script>"},
]


@pytest.mark.parametrize("wait_until", ["load", "domcontentloaded", "networkidle"])
async def test_what_is_due_at_once_is_followed(
    site: str, runner: BrowserJobRunner, wait_until: str, browser: str
) -> None:
    """Immediate redirects are followed, by header or meta, in all spellings, and in a chain."""
    refreshes = REFRESHES[::2] if (browser, wait_until) == ("FIREFOX", "domcontentloaded") else REFRESHES
    urls = [f"{site}/refresh?{urlencode(a)}" if a != {"header": "0"} else f"{site}/refresh-once" for a in refreshes]
    asked = [{"url": url, "actions": [{"inner_text": "h1"}], "wait_until": wait_until} for url in urls]
    for url, step in zip(urls, (await runner.run(make_jobs(asked, browser=browser))).steps, strict=True):
        assert step.title in ("Second page", "Seen"), url
        assert step.status == 200, url
        assert step.values[0] != "Interim", url


@pytest.mark.parametrize(
    ("head", "came"),
    [
        ("<script>setInterval(() => fetch('/second.html'), 150)</script>", "the document has arrived"),
        ("<script>setTimeout(() => location.reload(), 200)</script>", "[0-9]+ documents have arrived"),
    ],
    ids=["polls", "refreshes"],
)
async def test_a_network_that_is_never_idle(site: str, runner: BrowserJobRunner, head: str, came: str) -> None:
    """The timeout says that the page is there, and how not to wait for that."""
    url = f"{site}/refresh?{urlencode({'head': head})}"
    with pytest.raises(TimedOut, match=f"{came}.*never idle.*wait_until: load"):
        await visit(runner, url, wait_until="networkidle", step_timeout_ms=5000)


async def test_an_action_is_followed_in_the_same_way(site: str, runner: BrowserJobRunner, browser: str) -> None:
    """The next one finds the page at the end."""
    to = "/refresh?header=0;url=/second.html"
    step = await visit(
        runner, f"{site}/moves?{urlencode({'to': to})}", {"click": "#to"}, {"title": None}, browser=browser
    )
    assert (step.url, step.values[1]) == (f"{site}/second.html", "Second page")


NOT_DUE = [
    {"header": "600; url=/second.html"},
    {"head": "<meta http-equiv=refresh content='600;url=/second.html'>"},
    {"head": "<noscript><meta http-equiv=refresh content='0;url=/second.html'></noscript>"},
    {"head": "<meta http-equiv=refresh content='0;url=/answers/204'>"},
    {"head": "<template><meta http-equiv=refresh content='0;url=/second.html'></template>"},
]


async def test_delayed_redirects_are_not_awaited(site: str, runner: BrowserJobRunner, browser: str) -> None:
    """A step does not wait for delayed redirects, for failed ones, or for those in `noscript`."""
    not_due = NOT_DUE if browser == "CHROMIUM" else NOT_DUE[::3]
    asked = [{"url": f"{site}/refresh?{urlencode(a)}", "actions": [{"inner_text": "h1"}]} for a in not_due]
    for refresh, step in zip(not_due, (await runner.run(make_jobs(asked, browser=browser))).steps, strict=True):
        assert (step.title, step.values) == ("Interim", ("Interim",)), refresh
        assert step.duration_ms < 10_000, refresh


async def test_without_scripts_noscript_counts(site: str, runner: BrowserJobRunner) -> None:
    """Its meta is followed."""
    head = "<noscript><meta http-equiv=refresh content='0;url=/second.html'></noscript>"
    url = f"{site}/refresh?{urlencode({'head': head})}"
    assert (await visit(runner, url, context={"java_script_enabled": False})).title == "Second page"


LOOP = "refresh?head=%3Cmeta%20http-equiv=refresh%20content=0%3E"


async def test_a_loop_of_refreshes_ends_in_an_error(site: str, runner: BrowserJobRunner) -> None:
    """It names the loop and the page."""
    with pytest.raises(NavigationFailed, match="is in a redirect loop") as failed:
        await visit(runner, f"{site}/{LOOP}", step_timeout_ms=100_000, timeout_ms=120_000)
    assert failed.value.details["url"] == f"{site}/{LOOP}"


@pytest.mark.parametrize("how", ["gzip", "cut", "short"])
async def test_a_document_that_breaks_off_is_a_net_error_at_once(
    site: str, runner: BrowserJobRunner, how: str, browser: str
) -> None:
    """Opened by address, or by an action."""
    by_address: tuple[str, list[Any]] = (f"{site}/broken/{how}", [])
    by_click: tuple[str, list[Any]] = (f"{site}/moves?to=/broken/{how}", [{"click": "#to"}])
    by_goto: tuple[str, list[Any]] = (f"{site}/moves?to=x", [{"goto": f"{site}/broken/{how}"}])
    ways = [by_address, by_click, by_goto]
    if browser == "FIREFOX":
        ways = [by_address if how == "gzip" else by_click]
    for url, actions in ways:
        started = time.monotonic()
        with pytest.raises(NavigationFailed, match=r"net::ERR_|NS_ERROR_|contentEncodingError"):
            await visit(runner, url, *actions, browser=browser)
        assert time.monotonic() - started < 20


async def test_a_page_that_can_not_be_opened_says_why(site: str, runner: BrowserJobRunner, browser: str) -> None:
    """A page that can't be opened is an error, also after an action."""
    with nobody_listens() as url, pytest.raises(NavigationFailed, match=r"net::ERR_|NS_ERROR_"):
        await visit(runner, f"{site}/moves?to={url}", {"click": "#to"}, browser=browser)


@pytest.mark.parametrize("action", [{"keyboard_press": "Enter"}, {"evaluate": "document.querySelector('#to').click()"}])
async def test_with_intercepted_requests_the_next_action_sees_the_new_page(
    site: str, runner: BrowserJobRunner, action: dict[str, Any]
) -> None:
    """The navigation is known before its request has been let through."""
    actions = [{"focus": "#to"}, action, {"title": None}, {"count": "h1"}]
    steps = await visits(runner, f"{site}/moves?to=/late?ms=50", [actions] * 5, context={"block": ["image"]})
    assert [step.values[2] for step in steps] == ["Late"] * 5


async def test_a_page_that_stays_is_not_awaited(site: str, runner: BrowserJobRunner, browser: str) -> None:
    """A page that asks whether it may be left stays if the answer is no."""
    stay = {"evaluate": "addEventListener('beforeunload', event => { event.preventDefault(); event.returnValue = 1 })"}
    actions = [{"on_dialog": False}, stay, {"fill": {"selector": "#field", "value": "x"}}, {"click": "#by-script"}]
    step = await visit(runner, f"{site}/moves?to=/second.html", *actions, {"title": None}, browser=browser)
    assert (step.title, step.status) == ("Moves", 200)
    assert step.duration_ms < 10_000
