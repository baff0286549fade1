"""What is read of a page: whatever its scripts have changed, and with one meaning of a selector."""

from typing import Any

import pytest
from sidecar_protocol.wire_types import BrowserName

from sidecar.errors import ActionFailed
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from tests.sidecar.browser.parts import make_job

KINDS: tuple[BrowserName, ...] = ("CHROMIUM", "FIREFOX")
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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("more", [{}, {"profile": "hostile"}])
async def test_a_page_can_t_falsify_what_is_read(
    site: str, runner: BrowserJobRunner, kind: BrowserName, more: dict[str, Any]
) -> None:
    """A page can replace every function and hide members by element names without changing what is read."""
    for _ in range(2 if more else 1):  # a profile's page is met again
        result = await runner.run(make_job(f"{site}/hostile.html", browser=kind, extract=WANTED, **more))
        assert (result.extract, result.steps[0].title) == (TRUTH, "Hostile")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_popup_can_t_falsify_it_either(site: str, runner: BrowserJobRunner, kind: BrowserName) -> None:
    """It is asked in another way than the job's own page."""
    opened = f"() => {{ window.open('{site}/hostile.html'); }}"
    actions = [{"evaluate": opened}, {"switch_to_popup": None}, {"wait_for_selector": "#clobbered"}]
    result = await runner.run(make_job(f"{site}/", browser=kind, actions=actions, extract=WANTED))
    assert (result.extract, result.steps[0].title) == (TRUTH, "Hostile")


@pytest.mark.parametrize("kind", KINDS)
async def test_what_actions_read_can_t_be_falsified(site: str, runner: BrowserJobRunner, kind: BrowserName) -> None:
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
    job = make_job(f"{site}/hostile.html", browser=kind, actions=actions, extract={"two": "text=two"}, options=["HTML"])
    result = await runner.run(job)
    both = ["one", "two"]
    assert result.steps[0].values[:10] == (both, ["two"], [], 2, "Hostile", None, both, both, "Hostile", None)
    documents = {result.html, *result.steps[0].values[10:]}
    assert len(documents) == 1
    (document,) = documents
    assert str(document).startswith('<!DOCTYPE html><html lang="en"><head>')
    assert str(document).endswith("</body></html>")
    assert result.extract == {"two": "two"}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_profile_keeps_what_is_stored(site: str, runner: BrowserJobRunner, kind: BrowserName) -> None:
    """The real value is read, not the page's fake; the cookie shows that its script has finished."""
    await runner.run(make_job(f"{site}/hostile.html", browser=kind, profile="stored"))
    fresh: dict[str, Any] = {
        "profile": "stored",
        "context": {"locale": "de-AT"},
    }  # another context, from what was saved
    look = [{"evaluate": "localStorage.getItem('kept') + document.cookie"}]
    result = await runner.run(make_job(f"{site}/second.html", browser=kind, actions=look, **fresh))
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


@pytest.mark.parametrize("kind", KINDS)
async def test_a_selector_means_the_same_everywhere(site: str, runner: BrowserJobRunner, kind: BrowserName) -> None:
    """Selectors work in `extract` and actions: open shadow roots, and Playwright's additions to CSS."""
    extract = {str(number): selector for number, (selector, _) in enumerate(SELECTORS)}
    actions = [{"count": selector} for selector, _ in SELECTORS]
    actions += [{"inner_text": selector} for selector, text in SELECTORS if text and not selector.startswith("*")]
    result = await runner.run(make_job(f"{site}/shadow.html", browser=kind, extract=extract, actions=actions))
    assert list((result.extract or {}).values())[:8] == [text for _, text in SELECTORS][:8]
    found = {number: text for number, (_, text) in enumerate(SELECTORS) if number != 8}
    assert {number: (result.extract or {})[str(number)] for number in found} == found
    counts, texts = result.steps[0].values[: len(SELECTORS)], result.steps[0].values[len(SELECTORS) :]
    assert [count > 0 for count in counts] == [text is not None for _, text in SELECTORS]
    assert list(texts) == [text for selector, text in SELECTORS if text and not selector.startswith("*")]
    assert "second" in (result.extract or {})["8"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("page", ["shadow.html", "hostile.html"])
async def test_fields_are_searched_inside_their_row(
    site: str, runner: BrowserJobRunner, kind: BrowserName, page: str
) -> None:
    """Whole selectors: what stands around a row does not count, as for a locator's locator."""
    fields: dict[str, Any] = {
        "word": "b",
        "own": ":scope > b",
        "around": "body b",
        "itself": ".row b",
        "lists": {"selector": "b, .left", "all": True},
        "deep": {"selector": "my-stock", "fields": {"u": "u", "n": {"selector": "my-inner u"}}},
    }
    wanted = {
        "rows": {"selector": ".row", "all": True, "fields": fields},
        "one": {"selector": ".row", "fields": fields},
    }
    result = await runner.run(make_job(f"{site}/{page}", browser=kind, extract=wanted))
    if page == "shadow.html":
        rows = [_row("first", ["first", "3 left"], {"u": "deep 3", "n": "deep 3"})]
        rows += [_row("second", ["second", "0 left"], {"u": "deep 0", "n": "deep 0"})]
    else:
        rows = [_row("one", ["one"], None), _row("two", ["two"], None)]
    assert result.extract == {"rows": rows, "one": rows[0]}


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


@pytest.mark.parametrize(
    ("kind", "extract", "field"),
    [*(("CHROMIUM", *one) for one in INVALID), *(("FIREFOX", *one) for one in INVALID[1::2])],
)
async def test_an_invalid_selector_names_its_field(
    site: str, runner: BrowserJobRunner, kind: BrowserName, extract: dict[str, Any], field: str
) -> None:
    """An invalid selector names its field, also within another field."""
    with pytest.raises(ActionFailed) as failed:
        await runner.run(make_job(f"{site}/shadow.html", browser=kind, extract=extract))
    assert failed.value.message.startswith(f"extract failed: field {field}: ")
    detail = failed.value.detail
    assert (detail.step, detail.action, detail.field) == ("step 1", "extract", field)
    assert (detail.url, detail.title) == (f"{site}/shadow.html", "Shadow")
