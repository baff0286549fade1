"""The rules that Tourist's own documentation gives for a job, each a test of its name."""

import base64
import re
import time
from typing import Any

import pytest
from sidecar_protocol.decoding import decode_as
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import WireError
from sidecar_protocol.jobs import Cookie, PdfOptions, SendJob

from sidecar.browser.artifacts.capture import pdf_arguments
from sidecar.browser.steps.cookies import _cookie
from sidecar.jobs.browser_job_runner import BrowserJobRunner, validate
from tests.sidecar.browser.parts import make_job, make_jobs

COOKIE = {"name": "test", "value": "test", "domain": "127.0.0.1"}
A4 = (595, 842)
"""A4's size in points, rounded."""


def mistakes(content: dict[str, Any]) -> dict[str, str]:
    """What is wrong with a body, field by field."""
    with pytest.raises(WireError) as failed:
        validate(decode_as(SendJob, encode(content)))
    assert failed.value.code == "invalid_content"
    return {one.field: one.message for one in failed.value.detail.fields or ()}


def pdf_of(job: SendJob) -> PdfOptions:
    """Its options for PDFs."""
    return job.pdf


def is_sheet(pdf: str | None, points: tuple[int, int]) -> bool:
    """Whether a PDF's first page is so wide and high, to the point."""
    found = re.search(rb"/MediaBox\s*\[\s*0 0 ([0-9.]+) ([0-9.]+)\s*\]", base64.b64decode(pdf or ""))
    assert found
    return all(abs(float(side) - wanted) <= 1 for side, wanted in zip(found.groups(), points, strict=True))


# --- the body


@pytest.mark.parametrize(
    ("content", "reported"),
    [
        ({"browser": "CHROMIUM"}, {"steps": "steps: missing"}),
        ({"steps": []}, {"steps": "steps: must not be empty"}),
        ({"steps": [{}]}, {"steps[0].url": "steps[0].url: missing"}),
        ({"steps": [{"url": "about:blank"}], "browser": "MyBrowser"}, {"browser": "browser: expected 'CHROMIUM'"}),
        ({"steps": [{"url": "about:blank"}], "browser": "chromium"}, {"browser": "browser: expected 'CHROMIUM'"}),
        ({"steps": [{"url": "about:blank"}], "options": ["FILM"]}, {"options[0]": "options[0]: expected 'RECORD'"}),
        ({"steps": [{"url": "about:blank"}], "options": "PDF"}, {"options": "options: expected array"}),
        (
            {"steps": [{"url": "about:blank"}], "cookies": [{"name": "a", "value": "b", "url": "http://a.example"}]},
            {"cookies[0].domain": "cookies[0].domain: missing", "cookies[0].url": "cookies[0].url: unknown field"},
        ),
        (
            {
                "steps": [{"url": "about:blank"}],
                "cookies": [COOKIE | {"httpOnly": "x", "secure": 1, "sameSite": "none"}],
            },
            {
                "cookies[0].httpOnly": "cookies[0].httpOnly: expected bool",
                "cookies[0].secure": "cookies[0].secure: expected bool",
                "cookies[0].sameSite": "cookies[0].sameSite: expected 'None', 'Lax' or 'Strict'",
            },
        ),
    ],
)
def test_a_wrong_body_is_invalid_content_that_names_every_field(
    content: dict[str, Any], reported: dict[str, str]
) -> None:
    """`body must have required property 'steps'` and the like, typed."""
    found = mistakes(content)
    assert found.keys() == reported.keys()
    for field, message in reported.items():
        assert found[field].startswith(message)


@pytest.mark.parametrize(
    "content", [{"options": []}, {"pdf": {}}, {"cookies": []}, {"options": [], "pdf": {}, "cookies": [], "steps": None}]
)
def test_what_can_be_omitted_can_be_empty(content: dict[str, Any]) -> None:
    """Empty lists of options, cookies and actions, and an empty `pdf`."""
    step = {"url": "about:blank", "actions": []}
    whole = validate(make_jobs([step], **{name: value for name, value in content.items() if name != "steps"}))
    assert [one.url for one in whole] == ["about:blank"]


def test_browser_defaults_to_chromium() -> None:
    """Tourist's names of both browsers work."""
    assert make_job("about:blank").browser == "CHROMIUM"
    assert make_job("about:blank", browser="FIREFOX").browser == "FIREFOX"


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="module")
async def test_actions_can_be_omitted_to_visit_and_wait_for_load(site: str, runner: BrowserJobRunner) -> None:
    """The step is there, without values; no option is no file."""
    result = await runner.run(make_job(f"{site}/second.html"))
    assert (result.steps[0].title, result.steps[0].values) == ("Second page", ())
    assert (result.screenshot, result.video, result.pdf, result.messages) == (None, None, None, None)


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="module")
async def test_files_of_options_that_were_not_selected_are_omitted(site: str, runner: BrowserJobRunner) -> None:
    """Selected files are base64: PNG, WebM, PDF; others are omitted."""
    url = f"{site}/second.html"
    result = await runner.run(make_job(url, options=["RECORD", "SCREENSHOT"]))
    assert base64.b64decode(result.screenshot or "").startswith(b"\x89PNG")
    assert base64.b64decode(result.video or "").startswith(b"\x1aE\xdf\xa3")
    assert result.pdf is None
    assert base64.b64decode((await runner.run(make_job(url, options=["PDF"]))).pdf or "").startswith(b"%PDF")


# --- cookies


def test_a_cookies_defaults() -> None:
    """Path `/`, the session's duration, neither HttpOnly nor Secure, and SameSite left to the browser."""
    (cookie,) = make_job("about:blank", cookies=[COOKIE]).cookies
    assert _cookie(cookie) == {**COOKIE, "path": "/", "httpOnly": False, "secure": False}


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="module")
async def test_a_cookie_without_options_is_sent_to_its_domain(site: str, runner: BrowserJobRunner) -> None:
    """A cookie without options is sent on every path, and scripts see it."""
    job = make_job(f"{site}/cookies", cookies=[COOKIE], actions=["page.evaluate(() => document.cookie)"])
    assert (await runner.run(job)).steps[0].values == ("test=test",)


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="module")
async def test_http_only_cookies_are_hidden_from_javascript(site: str, runner: BrowserJobRunner) -> None:
    """The server gets them."""
    job = make_job(
        f"{site}/cookies",
        cookies=[COOKIE | {"httpOnly": True}],
        actions=["page.evaluate(() => document.cookie)"],
        extract={"sent": "li"},
    )
    result = await runner.run(job)
    assert (result.steps[0].values, result.extract) == (("",), {"sent": "test=test"})


def test_expires_is_in_unix_seconds() -> None:
    """`expires` is in Unix seconds, as in Playwright; larger numbers are milliseconds."""
    (seconds, milliseconds) = make_job(
        "about:blank", cookies=[COOKIE | {"expires": 1735775999}, COOKIE | {"expires": 1735775999000}]
    ).cookies
    assert (_cookie(seconds)["expires"], _cookie(milliseconds)["expires"]) == (1735775999, 1735775999)


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="module")
async def test_an_expired_cookie_is_not_sent(site: str, runner: BrowserJobRunner) -> None:
    """An expired cookie is neither sent nor kept; one that expires later is."""
    kept = COOKIE | {"name": "kept", "expires": time.time() + 3600}
    job = make_job(f"{site}/cookies", cookies=[COOKIE | {"expires": time.time() - 3600}, kept], extract={"sent": "li"})
    assert (await runner.run(job)).extract == {"sent": "kept=test"}


def test_same_site_none_requires_secure() -> None:
    """The other values don't, and with it that one may be."""
    one = {"steps": [{"url": "about:blank"}], "cookies": [COOKIE | {"sameSite": "None"}]}
    assert mistakes(one) == {"cookies[0]": "cookies[0]: sameSite None needs secure"}
    for given in ({"sameSite": "None", "secure": True}, {"sameSite": "Lax"}, {"sameSite": "Strict"}):
        (cookie,) = make_job("about:blank", cookies=[COOKIE | given]).cookies
        assert isinstance(cookie, Cookie)
        assert _cookie(cookie)["sameSite"] == given["sameSite"]


# --- PDFs


def test_a_pdfs_defaults() -> None:
    """Screen media, A4, portrait, background, no margin, scripts, no delay, scale 1."""
    options = pdf_of(make_job("about:blank", options=["PDF"]))
    assert (options.media, options.js, options.delay) == ("screen", True, 0)
    reported = pdf_arguments(options)
    assert (reported["format"], reported["landscape"], reported["print_background"], reported["scale"]) == (
        "A4",
        False,
        True,
        1.0,
    )
    assert set(reported["margin"].values()) == {"0px"}
    assert "width" not in reported


def test_pdf_delay_is_at_most_30_seconds() -> None:
    """`delay` is at most 30,000 milliseconds."""
    assert pdf_of(make_job("about:blank", pdf={"delay": 30_000})).delay == 30_000
    found = mistakes({"steps": [{"url": "about:blank"}], "pdf": {"delay": 30_001}})
    assert found.keys() == {"pdf.delay"}
    assert "expected milliseconds <= 30000 (30 s)" in found["pdf.delay"]


def test_pdf_scale_is_at_most_2() -> None:
    """`scale` may be less than 1 and at most 2."""
    assert [pdf_of(make_job("about:blank", pdf={"scale": scale})).scale for scale in (0.5, 1, 2.0)] == [0.5, 1.0, 2.0]
    assert mistakes({"steps": [{"url": "about:blank"}], "pdf": {"scale": 2.1}}).keys() == {"pdf.scale"}


@pytest.mark.parametrize("size", [{"width": "10px", "height": "10px"}, {"width": "3in", "height": "3in"}])
def test_pdf_format_takes_precedence_over_size(size: dict[str, Any]) -> None:
    """`format` takes precedence; without it `size` counts."""
    both = pdf_arguments(pdf_of(make_job("about:blank", pdf={"format": "A4", "size": size})))
    assert (both["format"], "width" in both, "height" in both) == ("A4", False, False)
    alone = pdf_arguments(pdf_of(make_job("about:blank", pdf={"size": size})))
    assert ("format" in alone, "width" in alone) == (False, True)


def test_pdf_margins_and_sizes_are_numbers_or_texts_with_units() -> None:
    """Every CSS unit is accepted; another text is an error that names its place."""
    margin = {"top": 10, "right": "10px", "bottom": "1cm", "left": "0.5in"}
    reported = pdf_arguments(pdf_of(make_job("about:blank", pdf={"margin": margin})))["margin"]
    assert reported == {"top": "10px", "right": "10px", "bottom": "37.7953px", "left": "48px"}
    wrong = {"steps": [{"url": "about:blank"}], "pdf": {"margin": {"top": "wide"}, "size": {"width": "1 foot"}}}
    assert mistakes(wrong).keys() == {"pdf.margin.top", "pdf.size.width"}


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="module")
async def test_pdf_options_are_ignored_if_pdf_is_not_selected(site: str, runner: BrowserJobRunner) -> None:
    """All options are ignored, also `delay`: the job does not wait for it."""
    began = time.monotonic()
    job = make_job(f"{site}/second.html", options=["SCREENSHOT"], pdf={"delay": 30_000, "media": "print"})
    result = await runner.run(job)
    assert (result.pdf, bool(result.screenshot)) == (None, True)
    assert time.monotonic() - began < 30


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="module")
async def test_pdf_delay_is_ignored_if_js_is_false(site: str, runner: BrowserJobRunner) -> None:
    """No script could use it."""
    began = time.monotonic()
    job = make_job(f"{site}/second.html", options=["PDF"], pdf={"js": False, "delay": 30_000})
    assert is_sheet((await runner.run(job)).pdf, A4)
    assert time.monotonic() - began < 30


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("pdf", "points"),
    [
        ({}, A4),
        ({"landscape": True}, A4[::-1]),
        ({"format": "A5"}, (420, 595)),
        ({"format": "A4", "size": {"width": "3in", "height": "3in"}}, A4),
        ({"size": {"width": "3in", "height": "5in"}}, (216, 360)),
        ({"margin": {"top": "10px", "right": "10px", "bottom": "10px", "left": "10px"}, "scale": 2.0}, A4),
    ],
)
async def test_a_pdf_has_the_size_that_its_options_say(
    site: str, runner: BrowserJobRunner, pdf: dict[str, Any], points: tuple[int, int]
) -> None:
    """Portrait A4 by default."""
    result = await runner.run(make_job(f"{site}/second.html", options=["PDF"], pdf=pdf))
    assert is_sheet(result.pdf, points)


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="module")
async def test_pdf_delay_lets_javascript_run_before_rendering(runner: BrowserJobRunner) -> None:
    """With `media: print` the page gets its print events, and its changes within the delay are printed."""
    page = (
        "data:text/html,<body><p>one</p></body><script>"
        "const grow = () => { document.body.innerHTML = '<p style=\"break-after: page\">x</p>'.repeat(4) + 'end' };"
        "matchMedia('print').onchange = () => setTimeout(grow, 50)</script>"
    )
    counts = []
    for pdf in ({"delay": 1_000}, {"delay": 1_000, "media": "print"}):
        made = base64.b64decode((await runner.run(make_job(page, options=["PDF"], pdf=pdf))).pdf or "")
        counts.append(len(re.findall(rb"/Type /Page\n", made)))
    assert counts == [1, 5]
