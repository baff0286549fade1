"""Half characters, which JavaScript's strings may hold: no job fails of them, least of all somebody else's."""

import json

import pytest
from sidecar_protocol.codec import NotJson
from sidecar_protocol.encoding import encode

from sidecar.browser import lenient_json
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from tests.sidecar.browser.parts import make_job

LONE = "'a\\ud800b\\ud83d\\ude00'"
"""JavaScript of half a character and of a whole one."""
MENDED = "a\ufffdb\N{GRINNING FACE}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"\ud83d\ude00"', "\N{GRINNING FACE}"),
        (r'"\ud800"', "\ufffd"),
        (r'"\ude00\ud83d"', "\ufffd\ufffd"),
        (r'"\ud800\ud83d\ude00"', "\ufffd\N{GRINNING FACE}"),
        (r'"\\ud800 \" \u0041 \ud800"', '\\ud800 " A \ufffd'),
        (r'{"\uDC00": ["\n"]}', {"\ufffd": ["\n"]}),
        ('"\ud800"', "?"),
    ],
)
def test_lone_surrogates_are_replaced(text: str, value: object) -> None:
    """The result is exactly this."""
    assert lenient_json.decode(text) == value


def test_what_is_no_json_stays_wrong() -> None:
    """Only lone surrogates are replaced; other invalid JSON stays an error."""
    with pytest.raises(NotJson):
        lenient_json.decode(r'"\ud8"')


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="module")
async def test_pages_may_return_lone_surrogates(runner: BrowserJobRunner) -> None:
    """Lone surrogates in titles, extracts, values and consoles are replaced, for all actions."""
    page = "data:text/html,<p id=p></p>"
    write = f"document.title = document.querySelector('#p').textContent = {LONE}"
    actions = [
        {"evaluate": write},
        LONE,
        f"page.evaluate(() => {LONE})",
        f"page.evaluate(x => x + x.length, {LONE})",
        f"console.log({LONE})",
    ]
    result = await runner.run(make_job(page, actions=actions, extract={"p": "#p"}))
    (step,) = result.steps
    assert (step.title, result.extract, step.console) == (MENDED, {"p": MENDED}, (MENDED,))
    assert step.values == (MENDED, MENDED, MENDED, f"{MENDED}5", None)
    assert json.loads(encode(result))
