"""Actions in Python's form: what becomes of them, and what is left alone."""

import time

import pytest

from sidecar.browser.sandbox.allowlist import is_method_in_javascript, signatures
from sidecar.javascript.python_calls import MAX_SOURCE, WrongKeyword, to_javascript


def written(source: str) -> str:
    """In JavaScript."""
    return to_javascript(source, signatures, is_method_in_javascript)


@pytest.mark.parametrize(
    ("source", "javascript"),
    [
        ('page.click("#x", timeout=1000)', 'page.click("#x", {timeout: 1000})'),
        ("page.locator('#x').click(timeout=1000);", 'page.locator("#x").click({timeout: 1000})'),
        ("page.click(selector='#x', no_wait_after=True)", 'page.click("#x", {noWaitAfter: true})'),
        ("page.fill(value='b', selector='#a')", 'page.fill("#a", "b")'),
        ("page.get_by_role('button', name='Send').click()", 'page.get_by_role("button", {name: "Send"}).click()'),
        ("page.wait_for_selector('#x', state='visible')", 'page.wait_for_selector("#x", {state: "visible"})'),
        ("page.wait_for_load_state(timeout=5)", "page.wait_for_load_state(undefined, {timeout: 5})"),
        ("page.wait_for_function('n > 1', arg=-2, timeout=5)", 'page.wait_for_function("n > 1", -2, {timeout: 5})'),
        (
            "page.goto('https://a.example', wait_until='commit')",
            'page.goto("https://a.example", {waitUntil: "commit"})',
        ),
        ("page.wait_for_url('**/x', timeout=5)", 'page.wait_for_url("**/x", {timeout: 5})'),
        ("page.select_option('#s', label='M')", 'page.select_option("#s", undefined, {label: "M"})'),
        ("page.locator('#s').select_option(['m'], timeout=5)", 'page.locator("#s").select_option(["m"], {timeout: 5})'),
        ("page.keyboard.press('a', delay=5)", 'page.keyboard.press("a", {delay: 5})'),
        ("page.main_frame.fill('#a', 'b', timeout=5)", 'page.main_frame().fill("#a", "b", {timeout: 5})'),
        (
            "page.on('popup', lambda one: one.click('#x', timeout=5))",
            'page.on("popup", (one) => one.click("#x", {timeout: 5}))',
        ),
        ("page.locator('td').first.inner_text()", 'page.locator("td").first().inner_text()'),
        ("page.url", "page.url()"),
        ("await page.main_frame.title()", "await page.main_frame().title()"),
        ("page.on('dialog', lambda dialog: dialog.accept('x'))", 'page.on("dialog", (dialog) => dialog.accept("x"))'),
        (
            "page.evaluate('(x) => x', [True, None, {'a': (1, 2.5)}])",
            'page.evaluate("(x) => x", [true, null, {"a": [1, 2.5]}])',
        ),
        ("page.fill('#p', secrets.user.url, force=True)", 'page.fill("#p", secrets.user.url, {force: true})'),
        ("page.locator('a', has=page.locator('b')).count()", 'page.locator("a", {has: page.locator("b")}).count()'),
        (r"page.fill('#a', 'it\'s \u00e9\n', timeout=1)", 'page.fill("#a", "it\'s \\u00e9\\n", {timeout: 1})'),
    ],
)
def test_python_becomes_javascript(source: str, javascript: str) -> None:
    """Keywords become options, or stand where their argument does."""
    assert written(source) == javascript


@pytest.mark.parametrize(
    "source",
    [
        "page.click('#x')",
        "page.wait_for_timeout(5)",
        "page.wait_for_selector('#x').then((found) => found.inner_text())",
        "page.click('#x', {timeout: 1000})",
        "page.keyboard.press('Enter')",
        "const x = page.url(); x",
        "page.evaluate((x = 1) => x)",
        "(async () => { await page.click('#x', timeout = 5) })()",
        "page.evaluate(x => x == 1, 1)",
        "page.click(`#x`, timeout=5)",
        "page.click(r'#x', timeout=5)",
        "page.click('#' 'x', timeout=5)",
        "page.click('''#x''', timeout=5)",
        "page.click(f'#x', timeout=5)",
        r"page.click('\N{BULLET}', timeout=5)",
        "page.click('#x', **{'timeout': 5})",
        "page.click(*['#x'], timeout=5)",
        "page.nothing_like_this('#x', timeout=5)",
        "page.click('#x', timeout=1 + 1)",
        "page.click('#x', timeout=5); page.click('#y')",
        "secrets.user.url",
        "pge.click('#x', timeout=5)",
        "page.click('#x', timeout=" + "[" * 11 + "]" * 11 + ")",
        "page.click('" + "x" * MAX_SOURCE + "', timeout=5)",
        "page.url ==",
    ],
)
def test_other_shapes_are_left_unchanged(source: str) -> None:
    """JavaScript, and Python that reads differently from what it types."""
    assert written(source) == source


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("page.click('#x', timout=5)", "click does not take these arguments: timout"),
        ("page.fill('#x', timeout=5, colour='red')", "fill does not take these arguments: timeout, colour"),
        ("page.goto(timeout=5)", "goto does not take these arguments: timeout"),
        ("page.goto('a', url='b')", "goto does not take these arguments: url"),
    ],
)
def test_keywords_that_no_such_method_takes(source: str, said: str) -> None:
    """Unknown keywords are named in the error."""
    with pytest.raises(WrongKeyword, match=said):
        written(source)


@pytest.mark.parametrize("letter", ["(", "[", "{", "(lambda:", "page.f(a=", "-", "~", "not ", "{1:"])
def test_a_hostile_source_costs_no_more_than_a_long_one(letter: str) -> None:
    """Python's parser is not given what it takes long for."""
    source = "page.click('#x', timeout=5, b=" + letter * (MAX_SOURCE // len(letter) - 20)
    began = time.process_time()
    for _ in range(20):
        assert written(source[:MAX_SOURCE]) == source[:MAX_SOURCE]
    assert time.process_time() - began < 2
