"""Typed fields of `extract`, read from real pages."""

import re
from typing import Any

import pytest
from sidecar_protocol.jobs import SendJob

from sidecar.errors import ActionFailed, LimitExceeded
from sidecar.jobs.browser_job_runner import BrowserJobRunner

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

PAGE = """data:text/html,<base href='https://shop.example/list/'><h1>Teas</h1>
<table id=t><thead><tr><th>Name<th colspan=2>Price</thead>
<tr><td rowspan=2>Tea<td>1<td>2<tr><td>3<td><table><tr><td>inner</table></table>
<table id=plain><tr><td>a<td rowspan=0>b<tr><td>c</table>
<table id=wide><tr><td colspan=1000 rowspan=200>x</table>
<script>for (let row = 0; row < 200; row++) wide.insertRow()</script>
<p>1.234,56 €</p><time datetime=2026-01-31T12:00:00Z>yesterday</time><a href='../b?c=d'>more</a><img src=/i.png>
<form><input name=rows><input name=baseURI></form>
<script>URL = class { href = 'forged' }; HTMLTableElement.prototype.__defineGetter__('rows', () => [])</script>"""
EXTRACT: dict[str, Any] = {
    "title": {"selector": "h1", "required": True},
    "table": {"selector": "#t", "type": "table"},
    "plain": {"selector": "#plain", "type": "table"},
    "price": {"selector": "p", "type": "number"},
    "date": {"selector": "time", "type": "date"},
    "link": {"selector": "a", "type": "url"},
    "image": {"selector": "img", "type": "url"},
    "none": {"selector": "b", "type": "number", "default": 0},
}


async def test_types_of_fields(runner: BrowserJobRunner) -> None:
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
    by_engine = {name: {**one, "selector": f"css={one['selector']}"} for name, one in EXTRACT.items()}
    url = re.sub(r"\n", "%0A", PAGE)
    for browser in ("CHROMIUM", "FIREFOX"):
        for extract in (EXTRACT, by_engine):
            job = {"browser": browser, "steps": [{"url": url, "extract": extract}]}
            assert (await runner.run(SendJob.model_validate(job))).extract == expected, browser

    await a_failing_field_is_named(runner)


async def a_failing_field_is_named(runner: BrowserJobRunner) -> None:
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
        "steps": [{"url": re.sub(r"\n", "%0A", PAGE), "extract": {"w": {"selector": "#wide", "type": "table"}}}]
    }
    with pytest.raises(LimitExceeded, match="field w: the table has more than 100000 cells"):
        await runner.run(SendJob.model_validate(wide))
