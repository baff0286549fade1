"""Which strings of a script are secret: where they stand, what they say, and that a hostile source costs no more."""

import json
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sidecar_protocol.wire_types import REDACTED

from sidecar.javascript.calls import Sensitivity
from sidecar.javascript.tokens import Literal, redact
from sidecar.javascript.tokens import literals as literals_within

SECRET = "hunter2-ü"
QUOTED = f'"{REDACTED}"'


def literals(source: str) -> Iterator[Literal]:
    """All of them, of a source of any length."""
    return literals_within(source, lambda _: True)


def reported(source: str) -> list[str]:
    """What a source gives away."""
    return [literal.value for literal in literals(source) if literal.sensitivity >= Sensitivity.SECRET]


@pytest.mark.parametrize(
    "source",
    [
        "page.fill('#p', 'hunter2-ü')",
        "page.fill('#p', 'hunter2-ü',)",
        "page.fill('#p', 'hunter2-ü', {timeout: 5})",
        "page.fill('#p', /* 'a' */ 'hunter2-ü' // it's\n)",
        "page.fill('#p', `hunter2-ü`)",
        "page.fill('#p', 'hunter2' + '-ü')",
        'page.fill("#p", "hun" + /* and */ `ter2` +\n"-ü")',
        r"page.fill('#p', '\x68unter2-ü')",
        r"page.fill('#p', '\u0068\u{75}nter2-\u00fc')",
        r"page.fill('#p', 'h\165nter2-ü')",
        r"page.fill('#p', '\hunter2-ü')",
        "page.fill('#p', 'hunter2\\\n-ü')",
        "page.locator('#p').fill('hunter2-ü')",
        "page.fill('#p', value='hunter2-ü')",
        "page.fill(value='hunter2-ü', selector='#p')",
        "page.fill(selector='#p', value='hunter2-ü', timeout=1000)",
        "page.get_by_label('Name').press_sequentially('hunter2-ü', delay=1)",
        "page.select_option('#s', label='hunter2-ü')",
        "page.set_extra_http_headers({'x-a': 'hunter2-ü'})",
        "page.on('dialog', lambda d: d.accept('hunter2-ü'))",
        "context.set_http_credentials({'a': 'hunter2-ü'})",
        "page.locator('#p').pressSequentially('hunter2-ü', {delay: 1})",
        "page.keyboard.type('hunter2-ü')",
        "page['fill']('#p', 'hunter2-ü')",
        "page.locator('#password').fill('hunter2-ü', o)",
        "page.locator('#password').fill('hunter2-ü', options())",
        "page.locator('#p').pressSequentially('hunter2-ü', opts)",
        "page.locator('#p')?.type('hunter2-ü', opts)",
        "page.keyboard.type('hunter2-ü', opts)",
        "page.keyboard.insertText('hunter2-ü', opts)",
        "page.keyboard . /* of it */ type('hunter2-ü', opts)",
        "page.keyboard.type(['hunter2-ü', 'b'].join(''), opts)",
        "page.keyboard.type(`hunter2-ü`, opts)",
        "page.locator('#s').selectOption('hunter2-ü', {timeout: 5})",
        "page.locator('#s').selectOption(`hunter2-ü`, opts)",
        "page.locator('#s').press('hunter2-ü', opts)",
        "fields[0].fill('hunter2-ü', opts)",
        "field.fill('hunter2-ü', opts)",
        "const {keyboard} = page; keyboard.type('hunter2-ü', opts)",
        "type('hunter2-ü', opts)",
        "(await page.$('#p')).type('hunter2-ü', opts)",
        "loginPage.fill('#p', 'hunter2-ü')",
        "page.keyboard\n.insertText\n(\n'hunter2-ü'\n)",
        "const pw = 'hunter2-ü'; page.fill('#p', pw)",
        "const [u, pw] = ['ann', 'hunter2-ü'], o = {pw: 'hunter2-ü'}",
        "page.on('dialog', d => d.accept('hunter2-ü'))",
        "context.addCookies([{name: 'sid', value: 'hunter2-ü', domain: 'x.nl', path: '/'}])",
        "page.setExtraHTTPHeaders({'X-Any': 'hunter2-ü'})",
        "page.evaluate(value => { document.forms[0].p.value = value }, 'hunter2-ü')",
        "page.evaluate(\"document.querySelector('#p').value = 'hunter2-ü'\")",
        "page.evaluate(() => { document.querySelector('#p').value = 'hunter2-ü' })",
        "page.evaluate(() => localStorage.setItem('t', 'hunter2-ü'))",
        "if (x) /'/.test(y); page.fill('#p', 'hunter2-ü')",
        "a = b / 2; page.fill('#p', 'hunter2-ü') / 3",
        "a = (b) / 2; page.fill('#p', 'hunter2-ü')",
        "f = () => {} / 'x' / page.fill('#p', 'hunter2-ü')",
        "return /[/'\"]/.test(x) && page.fill('#p', 'hunter2-ü')",
        "x = `a${`b${page.fill('#p', 'hunter2-ü')}c`}d`",
        "x = a ? 'hunter2-ü' : 'b'",
        "switch (x) { case 'hunter2-ü': break }",
    ],
)
def test_what_a_script_types_is_found_however_it_is_written(source: str) -> None:
    """The secret is found decoded, joined, in a variable or argument, next to comments and regular expressions."""
    assert SECRET in reported(source)
    shown = redact(source)
    assert "hunter2" not in shown
    assert "-ü" not in shown
    assert REDACTED in shown


@pytest.mark.parametrize(
    "source",
    [
        "page.click('#send', {button: 'left', modifiers: ['Shift']})",
        "page.locator('tr', {hasText: 'tea'}).filter({hasText: 'cup'}).nth(1).click()",
        "page.getByRole('button', {name: 'Log in'}).click()",
        "page.waitForSelector('.done', {state: 'visible'})",
        "page.goto('https://shop.nl/orders', {waitUntil: 'load'})",
        "page.waitForURL('**/orders')",
        "page.get_by_role('button', name='Log in').click()",
        "page.wait_for_selector('.done', state='visible')",
        "page.goto('https://shop.nl/orders', wait_until='load')",
        "page.locator('tr', has_text='tea').filter(has_text='cup').first.click()",
        "page.query_selector('.done')",
        "page.wait_for_url('**/orders', timeout=5)",
        "page.click(selector='.done')",
        "page.route('**/*.png', (r) => r.abort())",
        "page.on('dialog', (d) => d.dismiss())",
        "page.keyboard.press('Control+a')",
        "page.press('#q', 'Enter')",
        "page.fill('#u', secrets.user.password)",
        "page.fill('#u', secrets['user'].password)",
        "page.fill('#u', '{{name}}')",
        "popup.fill('#u', secrets.user.password)",
        "this.page?.fill('#u', secrets.user.password)",
        "page2.type('#u', secrets.user.password, {delay: 5})",
        "loginFrame.selectOption('#u', {label: secrets.user.username})",
        "page.evaluate(({price}) => document.title + price, {'price': 3})",
        "page.locator('#a').getAttribute('href')",
        "page.waitForURL(/done'$/)",
        "(async () => { for (let n = 3; n-- > 0;) await page.click('#a') })()",
    ],
)
def test_what_names_something_stays(source: str) -> None:
    """Selectors, addresses, events, keys and options are no secrets: a definition can be read without them."""
    assert redact(source) == source
    assert reported(source) == []


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("page.fill('#p', 'unclosed)", f"page.fill('#p', {QUOTED}"),
        ("x = `unclosed${y", f"x = `{REDACTED}${{y"),
        ("f('#a') /* unclosed 'x'", f"f({QUOTED}) {QUOTED}"),
        ("} / 'x' / 'y'", f"}} {QUOTED}"),
        ("a\n--> 'x'", f"a\n--{QUOTED}"),
        ("// password: x\npage.click('#a')", "\npage.click('#a')"),
        ("x = y++ / 'a'", f"x = y++ {QUOTED}"),
        ("x = 1./'a'/2", f"x = 1./{QUOTED}/2"),
        ("for await (const x of y) /'/", f"for await (const x of y) {QUOTED}"),
        ("console.log('here')", f"console.log({QUOTED})"),
    ],
)
def test_uncertain_text_is_secret(source: str, shown: str) -> None:
    """From where a literal has no end, or a slash may be either, nothing is shown; comments never are."""
    assert redact(source) == shown


def test_what_the_console_says_is_not_looked_for_elsewhere() -> None:
    """It is in the output by the script's own wish; its definition does without."""
    assert reported("console.log('found the orders')") == []


HOSTILE: dict[str, Callable[[int], str]] = {
    "quotes": lambda n: "'" * n,
    "literals": lambda n: "'a'+" * (n // 4),
    "backslashes": lambda n: "'" + "\\" * n,
    "escaped quotes": lambda n: "'\\'" * (n // 3),
    "brackets": lambda n: "([{" * (n // 3),
    "comments": lambda n: "/*" * (n // 2),
    "short comments": lambda n: "'a'/**/," * (n // 8),
    "templates": lambda n: "`${" * (n // 3),
    "slashes": lambda n: "/" * n,
    "classes": lambda n: "/[" * (n // 2),
    "either": lambda n: "} /'" * (n // 4),
    "blanks": lambda n: "'a'" + " " * n + "'b'",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_source_costs_linear_time(kind: str) -> None:
    """Four times as much takes about four times as long, never sixteen times."""

    def seconds(size: int) -> float:
        source = HOSTILE[kind](size)
        began = time.process_time()
        redact(source)
        for _ in literals(source):
            pass
        return time.process_time() - began

    small = max(seconds(50_000), 0.01)
    assert seconds(400_000) < 8 * 4 * small


@given(value=st.text(max_size=30), double=st.booleans())
@example(value="{{", double=False)
@example(value="{{a}}", double=True)
def test_any_literal_says_what_json_says(value: str, double: bool) -> None:
    """JSON's strings are JavaScript's; in single quotes with those escaped."""
    quoted = json.dumps(value)
    if not double:
        quoted = "'" + quoted[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"
    found = [literal.value for literal in literals(f"f({quoted})")]
    assert found[:1] == ([value] if redact(f"f({quoted})") != f"f({quoted})" else [])


@given(source=st.text(alphabet="'\"`\\/${}()[]+,:ab \n*<>-=.", max_size=60))
def test_any_text_is_looked_through(source: str) -> None:
    """No text raises, and no literal is longer than the text."""
    assert isinstance(redact(source), str)
    assert all(len(literal.value) <= len(source) for literal in literals(source))
