"""Actions in snake_case, and in Python's form, as Tourist's older users write them."""

from typing import Any

import pytest
from sidecar_protocol.jobs import StepResult

from sidecar.browser.sandbox.action_session import ActionSession
from sidecar.browser.sandbox.sandbox import ScriptError
from sidecar.errors import ActionFailed, Forbidden, SidecarError
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from tests.sidecar.browser.parts import make_job

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def act(runner: BrowserJobRunner, url: str, *actions: Any, **content: Any) -> StepResult:
    """One step with these actions."""
    return (await runner.run(make_job(url, actions=list(actions), **content))).steps[0]


async def test_snake_case_means_the_same(site: str, runner: BrowserJobRunner) -> None:
    """On every object, also for what the sandbox does itself, and within JavaScript."""
    step = await act(
        runner,
        f"{site}/actions.html",
        "page.wait_for_timeout(5)",
        "page.wait_for_load_state()",
        'page.fill("input[name=text]", "admin")',
        "page.input_value('#text')",
        "page.wait_for_selector('h1').then((found) => found.inner_text())",
        "page.get_by_role('button', {name: 'Ask'}).is_visible()",
        "page.locator('td').all_inner_texts()",
        "page.frame_locator('#inner').get_by_role('button').inner_text()",
        "page.eval_on_selector_all('td', (all) => all.length)",
        "page.query_selector('h1').then((found) => found.inner_html())",
        "page.locator('h1').or_(page.locator('h2')).count()",
        "[page.is_closed(), page.main_frame().url() === page.url()]",
        "page.wait_for_url('**/actions.html').then(() => page.content()).then((text) => text.length > 100)",
        "(async () => { const [line] = await Promise.all([page.wait_for_event('console'),"
        " page.evaluate(() => console.log('x'))]); return line.text() })()",
    )
    assert step.values[3:] == (
        "admin",
        "Actions",
        True,
        ["Tea", "2.50", "Cake", "3.00"],
        "in a frame",
        4,
        "Actions",
        1,
        [False, True],
        True,
        "x",
    )


async def test_what_is_early_in_camel_case_is_early_in_snake_case(site: str, runner: BrowserJobRunner) -> None:
    """Set up before the page is opened, wherever it stands."""
    step = await act(
        runner,
        f"{site}/actions.html",
        "page.evaluate(() => window.early)",
        "page.add_init_script('window.early = 5')",
        "page.set_extra_http_headers({'x-test': 'yes'})",
        "page.on('request', lambda request: console.log('asked for', request.url))",
        "page.set_default_timeout(5000)",
    )
    assert step.values[0] == 5
    assert f"asked for {site}/actions.html" in step.console
    assert step.errors == ()


async def test_keyword_arguments_and_the_rest_of_pythons_form(site: str, runner: BrowserJobRunner) -> None:
    """Each as it is meant in Python."""
    step = await act(
        runner,
        f"{site}/actions.html",
        "page.on('dialog', lambda dialog: dialog.accept('from Python'))",
        'page.click("#ask", timeout=5000)',
        "page.get_by_role('button', name='from Python').inner_text(timeout=5000)",
        "page.fill(value='typed', selector='#text', force=True)",
        "page.locator('#text').input_value(timeout=5000)",
        "page.select_option('#size', label='Medium')",
        "page.locator('#size').select_option(['s'], timeout=5000)",
        "page.locator('td').first.inner_text()",
        "page.locator('tr', has_text='Cake').locator('td').last.inner_text()",
        "page.evaluate('([a, b]) => [a, b]', arg=[None, True])",
        "page.wait_for_function('(n) => document.querySelectorAll(`td`).length == n', arg=4, timeout=5000)",
        "page.wait_for_selector('h1', state='visible')",
        "page.goto('" + site + "/second.html', wait_until='commit', timeout=5000)",
        "page.wait_for_url('**/second.html', timeout=5000)",
        "page.url",
    )
    read = [step.values[number] for number in (2, 4, 5, 6, 7, 8, 9, 14)]
    assert read == ["from Python", "typed", ["m"], ["s"], "Tea", "3.00", [None, True], f"{site}/second.html"]
    assert step.errors == ()


async def test_a_keyword_timeout_holds(site: str, runner: BrowserJobRunner) -> None:
    """As the option does."""
    with pytest.raises(ActionFailed, match="nothing matched the selector"):
        await act(runner, f"{site}/actions.html", "page.click('#none', timeout=50)", timeout_ms=20_000)


@pytest.mark.parametrize(
    ("action", "kind", "said"),
    [
        ("page.click('#ask', timout=5)", ActionFailed, "click does not take these arguments: timout"),
        ("page.screenshot(path='/tmp/x.png')", Forbidden, "actions can't access files"),
        ("page.set_input_files('#file', files='/etc/passwd')", Forbidden, "paths are refused"),
        ("page.expose_function('f', lambda: 1)", Forbidden, "pages can't call actions"),
        ("page.route_from_har('/tmp/x')", Forbidden, "actions can't access files"),
        ("page.goto(url='file:///etc/passwd')", Forbidden, "file: URLs are refused"),
        ("page.new_cdp_session()", ActionFailed, "not a function"),
        ("context.new_cdp_session(page)", Forbidden, "the sidecar manages the browser"),
        ("page.click('#ask', timeout=5) if True else None", ActionFailed, "SyntaxError"),
    ],
)
async def test_what_is_refused_in_pythons_form(
    session: ActionSession, action: str, kind: type[SidecarError], said: str
) -> None:
    """Python's form has the same refusals as JavaScript's."""
    with pytest.raises(ScriptError, match=said) as failed:
        await session.run(action)
    assert failed.value.code == kind.code
