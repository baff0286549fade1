"""Pictures of pages: no secret in them, nothing changed in the page, bounded in size."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from sidecar.browser.filmstrip.page_picture import MAX_TEXT, SMALL, PagePictures
from sidecar.browser.pool import BrowserPool
from sidecar.browser.processes.job_page import JobPage

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

SECRET = "correct-horse-9"
OTHER = "quite-different"
assert len(OTHER) == len(SECRET)
STYLE = "<style>*{margin:0;border:0;padding:0;font:30px monospace} .at{display:block;width:600px;height:60px}</style>"
PLACES = {
    "text": f"<p class=at>{SECRET}</p>",
    "field": f"<input class=at value={SECRET}>",
    "area": f"<textarea class=at>{SECRET}</textarea>",
    "choice": f"<select class=at><option>{SECRET}</select>",
    "hint": f"<input class=at placeholder={SECRET}>",
    "frame": f"<iframe class=at srcdoc='<p>{SECRET}'></iframe>",
}
PAINTED = """async (data) => {
  const image = new Image();
  image.src = "data:image/jpeg;base64," + data;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(image, 0, 0);
  const rows = [];
  for (let top = 0; top < 6; top++) {  // how many shades each of the six rows has, coarsely
    const scale = image.width / innerWidth;
    const {data} = context.getImageData(0, top * 60 * scale, 600 * scale, 58 * scale);
    const seen = [];
    for (let at = 0; at < data.length; at += 4) seen.push(data[at] < 60 ? 1 : 0);
    rows.push(seen.reduce((one, other) => one + other, 0));
  }
  return [rows, image.width, image.height];
}"""
"""How many dark pixels each row of 60 has: that is what letters are made of."""


def without(secret: str) -> Callable[[str], str]:
    """Takes one secret out of texts."""
    return lambda text: text.replace(secret, "*")


async def test_secrets_are_covered_wherever_they_are(pool: BrowserPool) -> None:
    """In texts, fields, their hints, and frames; the document does not change, and shows all again afterwards."""

    async def work(job_page: JobPage) -> None:
        page = job_page.page
        await page.set_content(STYLE + "".join(PLACES.values()))
        await page.evaluate(
            """() => { window.seen = 0; window.all = () => document.adoptedStyleSheets.length + CSS.highlights.size;
            new MutationObserver((all) => seen += all.length).observe(
                document, {subtree: true, childList: true, attributes: true, characterData: true});
            new ResizeObserver(() => seen++).observe(document.querySelector('input')) }"""
        )
        before = await page.evaluate("() => new Promise((done) => setTimeout(() => done(seen), 50))")
        plain = await PagePictures(job_page.cdp, page, without("nothing")).take(page, SMALL, 5_000)
        covered = await PagePictures(job_page.cdp, page, without(SECRET)).take(page, SMALL, 5_000)
        assert await page.evaluate("() => [seen, all()]") == [before, 0]
        dark, width, height = await page.evaluate(PAINTED, base64.b64encode(plain or b"").decode())
        assert (width, height) == (560, 315)
        assert all(dark[:4]), dark  # the letters are there where no one covers them
        kept, _, _ = await page.evaluate(PAINTED, base64.b64encode(covered or b"").decode())
        assert [kept[0], kept[3], kept[4], kept[5]] == [0, 0, 0, 0], kept
        # a field shows dots: those of another secret of this length are the same
        await page.set_content((STYLE + "".join(PLACES.values())).replace(SECRET, OTHER))
        other = await PagePictures(job_page.cdp, page, without(OTHER)).take(page, SMALL, 5_000)
        assert other == covered

    await pool.run("CHROMIUM", work, {})


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(f"<p>{SECRET[:7]}<b>{SECRET[7:]}</b></p>", id="in two pieces"),
        pytest.param(
            f"<div id=host></div><script>host.attachShadow({{mode: 'open'}}).innerHTML = '<p>{SECRET}'</script>",
            id="in a shadow root",
        ),
        pytest.param(f"<p>{'x' * (MAX_TEXT + 1)}", id="too much to read"),
    ],
)
async def test_no_picture_of_what_can_not_be_covered(pool: BrowserPool, content: str) -> None:
    """There is none of a secret in several pieces, in a shadow root, or in more text than is read."""

    async def work(job_page: JobPage) -> list[Any]:
        await job_page.page.set_content(content)
        pictures = PagePictures(job_page.cdp, job_page.page, without(SECRET))
        return [await pictures.take(job_page.page, SMALL, 5_000) for _ in range(2)]

    assert await pool.run("CHROMIUM", work, {}) == [None, None]


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("late.textContent = odd ? secret : 'soon'", id="comes and goes"),
        pytest.param("late.firstChild.data = odd ? secret : 'soon'", id="comes and goes in one text"),
        pytest.param("late.innerHTML = odd ? `correct<b>${secret.slice(7)}</b>` : 'soon'", id="in pieces"),
        pytest.param("late.textContent = secret", id="set again"),
        pytest.param("late.replaceChildren(secret)", id="replaced"),
        pytest.param("for (let i = 0; i < 9; i++) late.append(odd ? secret : 'soon')", id="ever more"),
    ],
)
async def test_a_page_that_changes_meanwhile(pool: BrowserPool, script: str) -> None:
    """A secret that comes and goes while a picture is taken is in none; often there is no picture then."""

    async def work(job_page: JobPage) -> None:
        page = job_page.page
        await page.set_content(f"{STYLE}<p class=at>soon<p class=at>{SECRET}")
        plain = await PagePictures(job_page.cdp, page, without("nothing")).take(page, SMALL, 5_000)
        (soon, dark, *_), _, _ = await page.evaluate(PAINTED, base64.b64encode(plain or b"").decode())
        assert dark > soon + 60
        await page.set_content(
            f"{STYLE}<p class=at id=late>soon</p><script>let odd = false; const secret = '{SECRET}';"
            f"(function again() {{ odd = !odd; {script}; requestAnimationFrame(again) }})()</script>"
        )
        pictures = PagePictures(job_page.cdp, page, without(SECRET))
        for _ in range(6):
            if data := await pictures.take(page, SMALL, 5_000):
                (row, *_), _, _ = await page.evaluate(PAINTED, base64.b64encode(data).decode())
                assert row <= soon + 20

    await pool.run("CHROMIUM", work, {})


async def test_a_page_that_changes_without_a_secret_has_pictures(pool: BrowserPool) -> None:
    """A clock and a spinner are no reason to have none."""

    async def work(job_page: JobPage) -> list[bool]:
        await job_page.page.set_content(
            "<p id=late></p><script>(function again() { late.textContent = performance.now(); "
            "late.style.left = late.textContent; requestAnimationFrame(again) })()</script>"
        )
        pictures = PagePictures(job_page.cdp, job_page.page, without(SECRET))
        return [await pictures.take(job_page.page, SMALL, 5_000) is not None for _ in range(5)]

    assert await pool.run("CHROMIUM", work, {}) == [True] * 5


async def popup_pictures(job_page: JobPage) -> None:
    """Playwright takes them: fields are covered; a text with a secret is not photographed."""
    page = await job_page.context.new_page()
    pictures = PagePictures(job_page.cdp, job_page.page, without(SECRET))
    await page.set_content(STYLE + PLACES["field"])
    data = await pictures.take(page, SMALL, 10_000)
    assert data
    (row, *_), _, _ = await page.evaluate(PAINTED, base64.b64encode(data).decode())
    assert row == 0
    await page.set_content(STYLE + PLACES["text"])
    assert await pictures.take(page, SMALL, 10_000) is None


async def test_other_pages(pool: BrowserPool) -> None:
    """A popup's have no secret either."""
    await pool.run("CHROMIUM", popup_pictures, {})
