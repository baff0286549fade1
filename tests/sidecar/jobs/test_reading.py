"""What is read of a page: whatever its scripts have changed, with one meaning of a selector, and with types.

What has a `browser` is tried in Firefox by `test_in_firefox`.
"""

import re
from typing import Any

import pytest
from sidecar_protocol.jobs import SendJob

from sidecar.errors import ActionFailed, LimitExceeded
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from tests.sidecar.browser.parts import make_job, make_jobs

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

WANTED: dict[str, Any] = {
    "rows": {"selector": ".row", "all": True, "fields": {"word": "b", "n": {"selector": "b", "attribute": "class"}}},
    "numbers": {"selector": "li", "attribute": "data-n", "all": True},
    "form": "#clobbered",
    "drawn": "svg text",
    "none": "h6",
}
TRUTH: dict[str, Any] = {
    "rows": [{"word": "one", "n": None}, {"word": "two", "n": None}],
    "numbers": ["1", "2"],
    "form": "in a form",
    "drawn": "drawn",
    "none": None,
}


async def test_a_page_can_t_falsify_what_is_read(site: str, runner: BrowserJobRunner, browser: str) -> None:
    """A page can replace every function and hide members by element names without changing what is read."""
    result = await runner.run(make_job(f"{site}/hostile.html", browser=browser, extract=WANTED))
    assert (result.extract, result.steps[0].title) == (TRUTH, "Hostile")


async def test_a_popup_can_t_falsify_it_either(site: str, runner: BrowserJobRunner, browser: str) -> None:
    """It is asked in another way than the job's own page."""
    opened = f"() => {{ window.open('{site}/hostile.html'); }}"
    actions = [{"evaluate": opened}, {"switch_to_popup": None}, {"wait_for_selector": "#clobbered"}]
    result = await runner.run(make_job(f"{site}/", browser=browser, actions=actions, extract=WANTED))
    assert (result.extract, result.steps[0].title) == (TRUTH, "Hostile")


async def test_what_actions_read_can_t_be_falsified(site: str, runner: BrowserJobRunner, browser: str) -> None:
    """Those that read several elements, or the title, by name and from JavaScript; nor does it hold anything up."""
    actions = [
        {"all_inner_texts": "b"},
        {"all_text_contents": "li >> text=two"},
        {"all_inner_texts": "h6"},
        {"count": "li"},
        {"title": None},
        {"keyboard_press": "a"},
        "page.locator('b').allInnerTexts()",
        "page.locator('b').allTextContents()",
        "page.title()",
        {"scroll_to": "bottom"},
        {"content": None},
        "page.content()",
        "page.mainFrame().content()",
    ]
    job = make_job(
        f"{site}/hostile.html", browser=browser, actions=actions, extract={"two": "text=two"}, options=["HTML"]
    )
    result = await runner.run(job)
    both = ["one", "two"]
    assert result.steps[0].values[:10] == (both, ["two"], [], 2, "Hostile", None, both, both, "Hostile", None)
    documents = {result.html, *result.steps[0].values[10:]}
    assert len(documents) == 1
    (document,) = documents
    assert str(document).startswith('<!DOCTYPE html><html lang="en"><head>')
    assert str(document).endswith("</body></html>")
    assert result.extract == {"two": "two"}


async def test_a_profile_keeps_what_is_stored(site: str, runner: BrowserJobRunner, browser: str) -> None:
    """The real value is read, not the page's fake; the cookie shows that its script has finished."""
    for _ in range(2):  # a profile's page is met again
        job = make_job(f"{site}/hostile.html", browser=browser, profile="stored", extract=WANTED)
        result = await runner.run(job)
        assert (result.extract, result.steps[0].title) == (TRUTH, "Hostile")
    fresh: dict[str, Any] = {
        "profile": "stored",
        "context": {"locale": "de-AT"},
    }  # another context, from what was saved
    look = [{"evaluate": "localStorage.getItem('kept') + document.cookie"}]
    result = await runner.run(make_job(f"{site}/second.html", browser=browser, actions=look, **fresh))
    assert result.steps[0].values == ("true valueall=replaced",)


SELECTORS = [
    (".price", "10"),
    ("my-price .price", "10"),
    ("body my-price > article > span", "10"),
    ("css=.price", "10"),
    ("text=deep 3", "deep 3"),
    ("my-stock u", "deep 3"),
    ("xpath=//b", "first"),
    (".row >> nth=1 >> .left", "0 left"),
    ("*css=.row >> text=second", "second"),
    (".row:has-text('second') .left", "0 left"),
    ("i:text-is('3 left')", "3 left"),
    (":light(.price)", None),
    ("b:visible", "first"),
    ("role=article >> span", "10"),
]


async def test_a_selector_means_the_same_everywhere(site: str, runner: BrowserJobRunner, browser: str) -> None:
    """Selectors work in `extract` and actions: open shadow roots, and Playwright's additions to CSS."""
    extract = {str(number): selector for number, (selector, _) in enumerate(SELECTORS)}
    actions = [{"count": selector} for selector, _ in SELECTORS]
    actions += [{"inner_text": selector} for selector, text in SELECTORS if text and not selector.startswith("*")]
    result = await runner.run(make_job(f"{site}/shadow.html", browser=browser, extract=extract, actions=actions))
    assert list((result.extract or {}).values())[:8] == [text for _, text in SELECTORS][:8]
    found = {number: text for number, (_, text) in enumerate(SELECTORS) if number != 8}
    assert {number: (result.extract or {})[str(number)] for number in found} == found
    counts, texts = result.steps[0].values[: len(SELECTORS)], result.steps[0].values[len(SELECTORS) :]
    assert [count > 0 for count in counts] == [text is not None for _, text in SELECTORS]
    assert list(texts) == [text for selector, text in SELECTORS if text and not selector.startswith("*")]
    assert "second" in (result.extract or {})["8"]


async def test_fields_are_searched_inside_their_row(site: str, runner: BrowserJobRunner, browser: str) -> None:
    """Whole selectors: what stands around a row does not count, as for a locator's locator."""
    fields: dict[str, Any] = {
        "word": "b",
        "own": ":scope > b",
        "around": "body b",
        "itself": ".row b",
        "lists": {"selector": "b, .left", "all": True},
        "deep": {"selector": "my-stock", "fields": {"u": "u", "n": {"selector": "my-inner u"}}},
    }
    shadow = [_row("first", ["first", "3 left"], {"u": "deep 3", "n": "deep 3"})]
    shadow += [_row("second", ["second", "0 left"], {"u": "deep 0", "n": "deep 0"})]
    hostile = [_row("one", ["one"], None), _row("two", ["two"], None)]
    steps: list[dict[str, Any]] = []
    expected: dict[str, Any] = {}
    for page, rows in (("shadow", shadow), ("hostile", hostile)):
        wanted = {
            f"{page} rows": {"selector": ".row", "all": True, "fields": fields},
            f"{page} one": {"selector": ".row", "fields": fields},
        }
        steps.append({"url": f"{site}/{page}.html", "extract": wanted})
        expected |= {f"{page} rows": rows, f"{page} one": rows[0]}
    assert (await runner.run(make_jobs(steps, browser=browser))).extract == expected


def _row(word: str, lists: list[str], deep: dict[str, Any] | None) -> dict[str, Any]:
    return {"word": word, "own": word, "around": None, "itself": None, "lists": lists, "deep": deep}


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"good": "h1", "bad": "h1["}, "bad"),
    ({"rows": {"selector": "b", "fields": {"good": "i", "bad": "i[["}}}, "rows.bad"),
    ({"bad": "no-such-engine=x"}, "bad"),
    ({"bad": "a:no-such-class"}, "bad"),
    ({"bad": "xpath=//["}, "bad"),
    ({"bad": "iframe >> internal:control=enter-frame >> b"}, "bad"),
]


@pytest.mark.parametrize(("extract", "field"), INVALID)
async def test_an_invalid_selector_names_its_field(
    site: str, runner: BrowserJobRunner, extract: dict[str, Any], field: str, browser: str
) -> None:
    """An invalid selector names its field, also within another field."""
    with pytest.raises(ActionFailed) as failed:
        await runner.run(make_job(f"{site}/shadow.html", browser=browser, extract=extract))
    assert failed.value.message.startswith(f"extract failed: field {field}: ")
    detail = failed.value.detail
    assert (detail.step, detail.action, detail.field) == ("step 1", "extract", field)
    assert (detail.url, detail.title) == (f"{site}/shadow.html", "Shadow")


TYPED_PAGE = """data:text/html,<base href='https://shop.example/list/'><h1>Teas</h1>
<table id=t><thead><tr><th>Name<th colspan=2>Price</thead>
<tr><td rowspan=2>Tea<td>1<td>2<tr><td>3<td><table><tr><td>inner</table></table>
<table id=plain><tr><td>a<td rowspan=0>b<tr><td>c</table>
<table id=wide><tr><td colspan=1000 rowspan=200>x</table>
<script>for (let row = 0; row < 200; row++) wide.insertRow()</script>
<p>1.234,56 €</p><time datetime=2026-01-31T12:00:00Z>yesterday</time><a href='../b?c=d'>more</a><img src=/i.png>
<form><input name=rows><input name=baseURI></form>
<script>URL = class { href = 'forged' }; HTMLTableElement.prototype.__defineGetter__('rows', () => [])</script>"""
TYPED: dict[str, Any] = {
    "title": {"selector": "h1", "required": True},
    "table": {"selector": "#t", "type": "table"},
    "plain": {"selector": "#plain", "type": "table"},
    "price": {"selector": "p", "type": "number"},
    "date": {"selector": "time", "type": "date"},
    "link": {"selector": "a", "type": "url"},
    "image": {"selector": "img", "type": "url"},
    "none": {"selector": "b", "type": "number", "default": 0},
}


async def test_types_of_fields(site: str, runner: BrowserJobRunner, browser: str) -> None:
    """Read in a world apart from the page's scripts, by CSS and by Playwright's selectors alike."""
    expected = {
        "title": "Teas",
        "table": [{"Name": "Tea", "Price": "1", "Price 2": "2"}, {"Name": "Tea", "Price": "3", "Price 2": "inner"}],
        "plain": [["a", "b"], ["c", "b"]],
        "price": 1234.56,
        "date": "2026-01-31T12:00:00+00:00",
        "link": "https://shop.example/b?c=d",
        "image": "https://shop.example/i.png",
        "none": 0,
    }
    by_engine = {f"{name} again": {**one, "selector": f"css={one['selector']}"} for name, one in TYPED.items()}
    url = re.sub(r"\n", "%0A", TYPED_PAGE)
    steps = [{"url": url, "extract": TYPED}, {"url": url, "extract": by_engine}]
    result = await runner.run(make_jobs(steps, browser=browser))
    assert result.extract == expected | {f"{name} again": value for name, value in expected.items()}


async def test_a_failing_field_is_named(runner: BrowserJobRunner) -> None:
    """With what was found, secrets taken out; a table that spans multiply has a bound."""
    page = "data:text/html,<b>1,234</b><i>typed secret</i><input>"
    fill = {"fill": {"selector": "input", "value": "typed secret"}}
    job: dict[str, Any] = {"steps": [{"url": page, "actions": [fill]}]}
    for selector, said in (("b", "; found '1,234'"), ("i", "; found '**********'")):
        job["steps"][0]["extract"] = {"rows": {"selector": "body", "all": True, "fields": {
            "n": {"selector": selector, "type": "number"}}}}  # fmt: skip
        with pytest.raises(ActionFailed) as failed:
            await runner.run(SendJob.model_validate(job))
        detail = failed.value.detail
        assert (detail.field, detail.action, detail.step) == ("rows[0].n", "extract", "step 1")
        assert detail.message.startswith("extract failed: field rows[0].n: expected a number, but ")
        assert detail.message.endswith(said)
    wide: Any = {
        "steps": [{"url": re.sub(r"\n", "%0A", TYPED_PAGE), "extract": {"w": {"selector": "#wide", "type": "table"}}}]
    }
    with pytest.raises(LimitExceeded, match="field w: the table has more than 100000 cells"):
        await runner.run(SendJob.model_validate(wide))
