"""Questions to a page: the same answers by Chromium's own protocol as by Playwright's call."""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import CDPSession
from playwright.async_api import Error as PlaywrightError

from sidecar.browser import isolated_world, playwright_errors
from sidecar.browser.pool import BrowserPool
from sidecar.browser.processes.job_page import JobPage
from sidecar.clock import Clock
from sidecar.errors import ActionFailed
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from tests.sidecar.browser.parts import make_job

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

# Firefox, which is asked by Playwright alone: tests/sidecar/browser/test_firefox.py
_TEXT = "'\"`\\ \n\u2028 </script> ${x} ä 🦊"


async def values_of(job_page: JobPage, site: str) -> None:
    """Texts with every kind of quote, what a promise gives, and what is no value."""
    await job_page.page.goto(f"{site}/second.html")
    await job_page.page.evaluate("(text) => { document.title = text; document.body.style.height = '5000px'; }", _TEXT)
    asked = [("title", None), ("turns", None), ("scroll", [0, 120])]
    reported = [
        isolated_world.decode_result(await job_page.cdp.call(job_page.page, name, argument)) for name, argument in asked
    ]
    title = await job_page.page.title()
    assert [*reported, await job_page.page.evaluate("scrollY")] == [title, "complete", None, 120]
    assert title.startswith("'\"`\\")
    assert title.endswith("ä 🦊")


async def test_values_go_both_ways(pool: BrowserPool, site: str) -> None:
    """Into a page and out of it."""
    await pool.run("CHROMIUM", partial(values_of, site=site))


async def failing_question(job_page: JobPage) -> None:
    """An exception in a question is reported in one line, as of any other failure in a page."""
    with pytest.raises(PlaywrightError) as failed:
        await job_page.cdp.call(job_page.page, "look", None)
    assert "null" in playwright_errors.first_line(failed.value)


async def test_an_exception_in_a_question_is_reported(pool: BrowserPool) -> None:
    """The page answers on afterwards."""
    await pool.run("CHROMIUM", failing_question)


async def hidden_members(job_page: JobPage) -> None:
    """A form's elements are its members: no shadow root is seen in them, and no options."""
    named = "<form><input name=shadowRoot><input name=control><select name=options id=s><option>x</select></form>"
    await job_page.page.set_content(f"{named}<label for=s>y</label>")
    seen = isolated_world.decode_result(
        await job_page.cdp.call(job_page.page, "look", {"fields": [], "storage": False})
    )
    assert seen == {"title": "", "state": "complete", "values": {}}
    options: list[Any] = [
        await isolated_world.options(job_page.page.locator(one)) for one in ("form", "select", "label")
    ]
    assert options == [[[0, []]], [[1, [["x", "x"]]]], [[1, [["x", "x"]]]]]


async def test_no_element_s_name_hides_what_is_asked(pool: BrowserPool) -> None:
    """Neither from a question nor from the options of a select box."""
    await pool.run("CHROMIUM", hidden_members)


_MEMBERS = "".join(
    f"<input name={name}>" for name in ("innerText", "textContent", "innerHTML", "getAttribute", "namespaceURI")
)


READS: dict[str, list[Any]] = {
    "typed": [
        *({name: "form"} for name in ("inner_text", "text_content", "inner_html")),
        {"get_attribute": {"selector": "form", "name": "class"}},
        {"inner_text": "p"},
    ],
    "scripted": [
        *(f"page.{name}('form')" for name in ("innerText", "textContent", "innerHTML")),
        "page.locator('form').getAttribute('class')",
        "page.mainFrame().innerText('p')",
    ],
}
HIDING = "data:text/html," + quote(f"<form class=c>x {_MEMBERS}</form><p>ref: &lt;Node></p><svg></svg>")
"""A form whose members controls of their names hide, a text like one of Playwright's, and what is no HTML."""


def check_reads(values: Sequence[Any]) -> None:
    """What is read is the form's."""
    inner, content, html, *rest = values
    assert (inner.strip(), content.strip()) == ("x", "x")
    assert html.startswith('x <input name="innerText">')
    assert rest == ["c", "ref: <Node>"]


@pytest.mark.parametrize("kind", READS)
async def test_actions_read_elements_whose_members_are_hidden(pool: BrowserPool, kind: str) -> None:
    """By controls of their names: what is read is the form's; what is no HTML has no inner text, as before."""
    runner = BrowserJobRunner(pool, lambda: Path(), Clock())
    (step,) = (await runner.run(make_job(HIDING, actions=READS[kind]))).steps
    check_reads(step.values)
    read = {"typed": {"inner_text": "svg"}, "scripted": "page.innerText('svg')"}[kind]
    with pytest.raises(ActionFailed, match="not an HTMLElement"):
        await runner.run(make_job(HIDING, actions=[read]))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_page_that_goes_away_says_so(
    pool: BrowserPool, site: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question can be repeated: within a site the document changes, across sites its process too."""
    never = "async (key, isNew, name) => name === 'never' ? new Promise(() => {}) : ((globalThis.sidecar = key), '0')"
    monkeypatch.setattr(isolated_world, "FUNCTION", never)

    async def ask(job_page: JobPage) -> str:
        await job_page.page.goto(f"{site}/second.html")
        asked = asyncio.ensure_future(job_page.cdp.call(job_page.page, "never"))
        for _ in range(2):  # its two messages are there before those of two more
            await job_page.cdp.call(job_page.page, "state")
        await job_page.page.goto(f"{site.replace('127.0.0.1', host)}/actions.html")
        with pytest.raises(PlaywrightError) as failed:
            await asked
        assert playwright_errors.is_context_destroyed(failed.value)
        await job_page.cdp.call(job_page.page, "state")
        return job_page.page.url

    assert (await pool.run("CHROMIUM", ask)).endswith(f"//{host}:{site.rpartition(':')[2]}/actions.html")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[CDPSession, str]]:
    """What is sent by Chromium's protocol, and where: the page of the next job is made ready meanwhile."""
    methods: list[tuple[CDPSession, str]] = []
    send = CDPSession.send

    async def note(session: CDPSession, method: str, params: Any = None) -> dict[str, Any]:
        methods.append((session, method))
        return await send(session, method, params)

    monkeypatch.setattr(CDPSession, "send", note)
    return methods


async def test_a_question_finds_its_world_there(
    pool: BrowserPool, site: str, sent: list[tuple[CDPSession, str]]
) -> None:
    """The world is created with the document, before the first question, which waits for one answer only."""

    async def ask(job_page: JobPage) -> list[Any]:
        await job_page.main_frame()
        own = await job_page.cdp.session(job_page.page)
        sent.clear()
        expected: list[str] = []
        for place in ("actions", "second"):
            await job_page.page.goto(f"{site}/{place}.html")
            for _ in range(2):
                title = isolated_world.decode_result(await job_page.cdp.call(job_page.page, "title"))
            expected += ["Page.createIsolatedWorld", "Runtime.callFunctionOn", "Runtime.callFunctionOn"]
            assert [method for session, method in sent if session is own] == expected
        return [title, await job_page.page.title()]

    async with asyncio.timeout(30):
        reported, title = await pool.run("CHROMIUM", ask)
    assert reported == title


@pytest.mark.parametrize(
    "action", [{"title": None}, "page.title()", "page.mainFrame().title()"], ids=["typed", "page", "frame"]
)
async def test_a_title_comes_from_the_world_that_is_there(
    pool: BrowserPool, site: str, action: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Playwright's way would have each document compile its scripts first, which takes longer than all the rest."""

    async def refuse(*_: object) -> str:
        raise PlaywrightError("asked by Playwright")

    monkeypatch.setattr(isolated_world, "call", refuse)
    runner = BrowserJobRunner(pool, lambda: Path(), Clock())
    (step,) = (await runner.run(make_job(f"{site}/second.html", actions=[action]))).steps
    assert step.title
    assert step.values == (step.title,)


async def test_a_page_that_navigates_answers_with_its_next_document(
    pool: BrowserPool, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the one that was asked goes away under the question."""
    never = "async (key, isNew, name) => name === 'title' ? new Promise(() => {}) : ((globalThis.sidecar = key), '0')"
    monkeypatch.setattr(isolated_world, "FUNCTION", never)

    async def ask(job_page: JobPage) -> tuple[str, str]:
        await job_page.page.goto(f"{site}/second.html")
        asked = asyncio.ensure_future(job_page.cdp.ask(job_page.page, "title"))
        for _ in range(2):  # its two messages are there before those of two more
            await job_page.cdp.call(job_page.page, "state")
        await job_page.page.goto(f"{site}/actions.html")
        return await asked, await job_page.page.title()

    async with asyncio.timeout(60):
        reported, title = await pool.run("CHROMIUM", ask)
    assert reported == title


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_world_of_a_document_that_is_gone_is_not_asked(pool: BrowserPool, site: str, host: str) -> None:
    """Within a site and across sites, where the number may be that of another world."""

    async def ask(job_page: JobPage) -> list[Any]:
        frame = await job_page.main_frame()
        assert frame
        await job_page.page.goto(f"{site}/second.html")
        frame.on_commit = lambda _: None  # the news of the next one is late
        await job_page.page.goto(f"{site.replace('127.0.0.1', host)}/actions.html")
        return [
            isolated_world.decode_result(await job_page.cdp.call(job_page.page, "title")),
            await job_page.page.title(),
        ]

    reported, title = await pool.run("CHROMIUM", ask)
    assert reported == title


async def test_what_goes_along_with_a_question_is_short() -> None:
    """Without what is for its readers alone."""
    for line in isolated_world.FUNCTION.splitlines()[3:-1]:
        assert line == line.strip()
        assert not line.startswith("//")


async def test_a_call_that_fails_names_no_file_of_ours(pool: BrowserPool) -> None:
    """An error's stack would reveal our installation folder to a script; and resolving it takes a while."""

    async def fail(job_page: JobPage) -> None:
        await job_page.page.goto("nonsense://")

    with pytest.raises(PlaywrightError) as failed:
        await pool.run("CHROMIUM", fail)
    assert ".py" not in (failed.value.stack or "")


async def test_a_page_has_one_session_until_it_closes(pool: BrowserPool, site: str) -> None:
    """A second page has its own session; a closed one answers no questions."""

    async def ask(job_page: JobPage) -> None:
        first = await job_page.cdp.session(job_page.page)
        await job_page.page.goto(f"{site}/second.html")
        assert await job_page.cdp.session(job_page.page) is first
        other = await job_page.page.context.new_page()
        assert await job_page.cdp.session(other) is not first
        await other.close()
        with pytest.raises(PlaywrightError) as failed:
            await job_page.cdp.call(other, "state")
        assert playwright_errors.is_closed(failed.value)

    await pool.run("CHROMIUM", ask)


async def test_a_crashed_popup_answers_no_question(pool: BrowserPool) -> None:
    """A popup's crash fails the question at once: there is no other observer."""

    async def ask(job_page: JobPage) -> None:
        other = await job_page.page.context.new_page()
        with pytest.raises(PlaywrightError):
            await other.goto("chrome://crash")
        async with asyncio.timeout(10):
            with pytest.raises(PlaywrightError) as failed:
                await job_page.cdp.call(other, "state")
        assert playwright_errors.is_closed(failed.value)

    await pool.run("CHROMIUM", ask)
