"""Pictures and prints: bounded before a browser is asked for them, true below that; and what else a page's end is."""

import base64
from typing import Any

import pytest

from sidecar.browser.capture_limits import MAX_IMAGE_SIDE
from sidecar.errors import LimitExceeded
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from tests.sidecar.browser.parts import make_job, png_size

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
HIGH = "data:text/html,<body style='margin:0;height:1000000px'><p id=tall style='height:100000px'>x</p>"


@pytest.mark.parametrize(
    "asked",
    [
        {"options": ["SCREENSHOT"]},
        {"options": ["PDF"], "pdf": {"size": {"height": 20, "width": 500}}},
        {"options": ["PDF"], "pdf": {"scale": 2}},
        {"actions": ["page.screenshot({fullPage: true})"]},
        {"actions": ["page.locator('#tall').screenshot()"]},
        {"actions": ["page.$('#tall').then(tall => tall.screenshot())"]},
        {"actions": ["page.screenshot({fullPage: true, clip: {x: 0, y: 0, width: 100, height: 80000}})"]},
        {"actions": ["page.pdf({scale: 2})"]},
        {"actions": ["page.screenshot()"], "context": {"viewport": {"width": 16_000, "height": 16_000}}},
        {"actions": ["page.screenshot()"], "context": {"device_scale_factor": 10}},
    ],
)
async def test_what_is_too_large_is_refused_before_it_is_made(runner: BrowserJobRunner, asked: dict[str, Any]) -> None:
    """It says what fits, and the browser lives: the next job is done in it."""
    with pytest.raises(LimitExceeded) as failed:
        await runner.run(make_job(HIGH, **asked))
    assert not failed.value.retryable
    assert any(word in failed.value.message for word in ("the limit is", "more than 5000 pages"))
    after = make_job("data:text/html,<title>next", browser=asked.get("browser", "CHROMIUM"))
    assert (await runner.run(after)).steps[0].title == "next"


async def test_a_print_is_looked_at_as_it_is_printed(runner: BrowserJobRunner) -> None:
    """A page that grows while the print's delay goes by, or for the print's medium, is as long as it has become."""
    grows = "<script>setTimeout(() => { document.body.style.height = '9000000px' }, 300)</script>"
    prints = "<style>@media print { body { height: 9000000px } }</style>"
    for body, how in ((grows, {"js": True, "delay": 1000}), (prints, {"js": True}), (prints, {"js": False})):
        with pytest.raises(LimitExceeded, match="the limit is 1000000"):
            await runner.run(make_job(f"data:text/html,<body>{body}", options=["PDF"], pdf={**how, "media": "print"}))


async def test_the_highest_picture_is_right_to_its_last_pixel(runner: BrowserJobRunner) -> None:
    """A picture of the maximal height is right to its last pixel."""
    page = (
        f"data:text/html,<body style='margin:0;height:{MAX_IMAGE_SIDE - 10}px'><hr style='margin:0;height:10px;border:0"
    )
    page = page.replace("<hr", "<hr class=last").replace(
        "<body style='margin:0;height", "<body style='margin:0;padding-top"
    )
    result = await runner.run(make_job(f"{page};background:rgb(1,2,3)'>", options=["SCREENSHOT"]))
    image = base64.b64decode(result.screenshot or "")
    assert png_size(image) == (1280, MAX_IMAGE_SIDE)
    assert _last_row(image) == bytes((1, 2, 3)) * 1280


def _last_row(image: bytes) -> bytes:
    """The last row of an RGB or RGBA PNG that is as wide as 1,280 pixels, where it and those above are one colour."""
    import struct
    import zlib

    place, packed = 8, b""
    depth = 3 if image[25] == 2 else 4
    while place < len(image):
        length, kind = struct.unpack(">I4s", image[place : place + 8])
        packed += image[place + 8 : place + 8 + length] if kind == b"IDAT" else b""
        place += length + 12
    size = 1 + 1280 * depth
    rows = zlib.decompress(packed)
    row = b"\xff" * (size - 1)  # what is above is white
    for number in range(len(rows) // size - 10, len(rows) // size):
        row = _unfiltered(rows[number * size : (number + 1) * size], row, depth)
    return b"".join(row[at : at + 3] for at in range(0, len(row), depth))


def _unfiltered(line: bytes, above: bytes, depth: int) -> bytes:
    kind, row = line[0], bytearray(line[1:])
    for at in range(len(row)):
        left = row[at - depth] if at >= depth else 0
        corner = above[at - depth] if at >= depth else 0
        guess = (0, left, above[at], (left + above[at]) // 2, _paeth(left, above[at], corner))[kind]
        row[at] = (row[at] + guess) & 255
    return bytes(row)


def _paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((left, above, corner), key=lambda one: abs(guess - one))


async def test_a_print_without_scripts_is_of_the_page_at_the_end(site: str, runner: BrowserJobRunner) -> None:
    """Not of its address, which may be another page: the answer to a form stays the one that is printed."""
    actions = [{"fill": {"selector": "#user", "value": "ann"}}, {"click": "#submit"}]
    prints = []
    for js in (True, False):
        job = make_job(f"{site}/form.html", actions=actions, options=["PDF", "HTML"], pdf={"js": js})
        result = await runner.run(job)
        assert result.steps[0].url.endswith("/welcome")
        prints.append(len(base64.b64decode(result.pdf or "")))
    assert abs(prints[0] - prints[1]) < 100  # the same words on the same sheet; only the times differ


async def test_no_script_runs_for_a_print_without_scripts(site: str, runner: BrowserJobRunner) -> None:
    """What the page would do for a print is not done."""
    sheets = "document.body.innerHTML = '<h1 style=\"break-after:page\">x'.repeat(40)"
    write = f"addEventListener('beforeprint', () => {{ {sheets}; }})"
    sizes = []
    for js in (True, False):
        job = make_job(f"{site}/second.html", actions=[{"evaluate": write}], options=["PDF"], pdf={"js": js})
        pdf = base64.b64decode((await runner.run(job)).pdf or "")
        sizes.append(pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page "))
    assert sizes[0] > 10 * sizes[1] > 0


async def test_what_is_blocked_is_not_answered_by_a_service_worker(
    site: str, runner: BrowserJobRunner, browser: str
) -> None:
    """It would pass no route of ours."""
    actions = [{"wait_for_function": "window.tried"}, {"evaluate": "window.tried"}]
    open_to_it = await runner.run(make_job(f"{site}/worker.html", browser=browser, actions=actions))
    assert open_to_it.steps[0].values[1] == "image"
    blocked = make_job(f"{site}/worker.html", browser=browser, actions=actions, context={"block": ["image"]})
    assert (await runner.run(blocked)).steps[0].values[1] == "no image"
