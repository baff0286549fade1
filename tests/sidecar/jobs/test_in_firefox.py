"""What is tried in Firefox too, where it goes other ways than in Chromium: it speaks no CDP.

All of it shares one Firefox, each start of which costs seven seconds of a processor.
"""

import base64
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from sidecar.browser.pool import BrowserPool
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from sidecar.settings import Settings
from tests.sidecar.browser.parts import make_job, png_size
from tests.sidecar.jobs import test_bounds as bounds
from tests.sidecar.jobs import test_contexts as contexts
from tests.sidecar.jobs import test_navigations as navigations
from tests.sidecar.jobs import test_profiles as profiles
from tests.sidecar.jobs import test_reading as reading

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
Check = Callable[[str, BrowserJobRunner, str], Coroutine[Any, Any, None]]
CHECKS: list[Check] = [
    navigations.test_the_status_is_that_of_the_last_document,
    navigations.test_what_is_answered_with_204_leaves_the_page_at_once,
    navigations.test_other_answers_that_bring_no_document,
    navigations.test_an_element_that_comes_too_late,
    navigations.test_the_status_follows_the_history,
    navigations.test_a_document_from_no_server_has_no_status,
    navigations.test_the_status_of_a_popup_that_the_job_goes_on_in,
    navigations.test_an_action_is_followed_in_the_same_way,
    navigations.test_delayed_redirects_are_not_awaited,
    navigations.test_a_page_that_can_not_be_opened_says_why,
    navigations.test_a_page_that_stays_is_not_awaited,
    reading.test_a_page_can_t_falsify_what_is_read,
    reading.test_a_popup_can_t_falsify_it_either,
    reading.test_what_actions_read_can_t_be_falsified,
    reading.test_a_profile_keeps_what_is_stored,
    reading.test_a_selector_means_the_same_everywhere,
    reading.test_fields_are_searched_inside_their_row,
    reading.test_types_of_fields,
    contexts.test_cookies_that_pass_are_taken,
    bounds.test_what_is_blocked_is_not_answered_by_a_service_worker,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("test_"))
async def test_it_is_as_in_chromium(site: str, runner: BrowserJobRunner, check: Check) -> None:
    """What holds of jobs in Chromium holds of those in Firefox."""
    await check(site, runner, "FIREFOX")


@pytest.mark.parametrize("wait_until", ["load", "domcontentloaded"])
async def test_what_is_due_at_once_is_followed(site: str, runner: BrowserJobRunner, wait_until: str) -> None:
    """Immediate redirects are followed."""
    await navigations.test_what_is_due_at_once_is_followed(site, runner, wait_until, "FIREFOX")


@pytest.mark.parametrize("action", [{"click": "#to"}, {"keyboard_press": "Enter"}], ids=str)
async def test_an_answer_that_comes_too_late(site: str, runner: BrowserJobRunner, action: Any) -> None:
    """It is a timeout, and says that the action was done, whether Playwright waits for it or not."""
    await navigations.test_an_answer_that_comes_too_late(site, runner, action, "FIREFOX")


async def test_fail_on_status_looks_at_the_last_document(site: str, runner: BrowserJobRunner) -> None:
    """A failing status names the action that led to the document."""
    await navigations.test_fail_on_status_looks_at_the_last_document(site, runner, navigations.GOING_BY_URL, "FIREFOX")


@pytest.mark.parametrize("how", ["gzip", "cut"])
async def test_a_document_that_breaks_off_is_a_net_error_at_once(site: str, runner: BrowserJobRunner, how: str) -> None:
    """Opened by address, or by an action."""
    await navigations.test_a_document_that_breaks_off_is_a_net_error_at_once(site, runner, how, "FIREFOX")


async def test_an_invalid_selector_names_its_field(site: str, runner: BrowserJobRunner) -> None:
    """It names the field within another one."""
    await reading.test_an_invalid_selector_names_its_field(site, runner, *reading.INVALID[1], "FIREFOX")


async def test_links_lead_on_without_scripts(site: str, runner: BrowserJobRunner) -> None:
    """Clicked by a JavaScript action, which has to be waited for."""
    await contexts.test_links_lead_on_without_scripts(site, runner, "#to-slow", False, "FIREFOX")


async def test_a_picture_that_is_too_large_is_refused_before_it_is_made(runner: BrowserJobRunner) -> None:
    """It says what fits, and the browser lives."""
    await bounds.test_what_is_too_large_is_refused_before_it_is_made(
        runner, {"options": ["SCREENSHOT"], "browser": "FIREFOX"}
    )


async def test_a_job_with_all_of_it(site: str, runner: BrowserJobRunner) -> None:
    """Cookies, a click that navigates, an extract and a screenshot."""
    job = make_job(
        f"{site}/",
        browser="FIREFOX",
        cookies=[{"name": "a", "value": "b", "domain": "127.0.0.1"}],
        actions=[{"click": "#to-slow"}, {"goto": f"{site}/cookies"}],
        extract={"sent": "li"},
        options=["SCREENSHOT"],
    )
    result = await runner.run(job)
    assert result.extract == {"sent": "a=b"}
    assert png_size(base64.b64decode(result.screenshot or ""))[0] == 1280


# --- profiles


@pytest.fixture
def own(pool: BrowserPool, tmp_path: Path) -> BrowserJobRunner:
    """A runner with profiles of its own."""
    return profiles.over(pool, Settings(home=str(tmp_path)))


async def test_cookies_and_storage_stay(site: str, pool: BrowserPool, tmp_path: Path) -> None:
    """A job finds what the one before left: in the living context, and in one that is made from what was saved."""
    for look in (profiles.leave, profiles.find):
        await look(profiles.over(pool, Settings(home=str(tmp_path))), f"{site}/second.html", "FIREFOX")


async def test_browsers_are_apart(site: str, own: BrowserJobRunner) -> None:
    """A profile's jobs in one browser see nothing of those in the other."""
    url, read = f"{site}/second.html", profiles.evaluate("document.cookie")
    for browser, cookie, found in (
        ("FIREFOX", "a=b", "a=b"),
        ("CHROMIUM", "c=d", "c=d"),
        ("FIREFOX", "e=f", "a=b; e=f"),
    ):
        write = profiles.evaluate(f"document.cookie = '{cookie}'")
        assert profiles.values(await own.run(profiles.job(url, write, read, browser=browser))) == [cookie, found]


async def test_a_job_gets_events_of_its_own_pages_only(site: str, own: BrowserJobRunner) -> None:
    """Console lines, errors, alerts and windows of the page that the last job left are not the next one's."""
    await profiles.check_events(own, site, "FIREFOX", 0.0)
