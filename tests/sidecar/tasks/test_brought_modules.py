"""Modules that the sandbox brings answer as axios 1 and Node do, whose answers were recorded."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from sidecar_protocol.errors import ErrorCode

from sidecar.browser.sandbox.sandbox import ScriptError
from tests.sidecar.tasks.echo import echo
from tests.sidecar.tasks.scripts import Scripts

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

DATA: Final = Path(__file__).parents[2] / "data" / "scripts"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url() -> AsyncIterator[str]:
    """A server that says what it was asked."""
    async with echo() as url:
        yield url


async def answers(scripts: Scripts, name: str, url: str) -> Any:
    """What the cases of a file give here, and what they have to."""
    given = await scripts.run("cases.js", {"cases.js": (DATA / f"{name}_cases.js").read_text()}, url=url)
    return json.loads(json.dumps(given).replace(url, "URL")), json.loads((DATA / f"{name}_answers.json").read_text())


@pytest.mark.parametrize("name", ["axios", "node"])
async def test_they_answer_as_the_real_ones(scripts: Scripts, url: str, name: str) -> None:
    """Case by case."""
    given, wanted = await answers(scripts, name, url)
    assert given.keys() == wanted.keys()
    for case, answer in wanted.items():
        assert (case, given[case]) == (case, answer)


async def test_the_answer_of_axios_is_json(scripts: Scripts, url: str) -> None:
    """Whole, as a text and as a result, with nothing circular in it."""
    text = "const axios = require('axios'); exports.main = async ({url}) => JSON.stringify(await axios.get(url))"
    answer = json.loads(await scripts.test(text, url=f"{url}/json"))
    assert sorted(answer) == ["config", "data", "headers", "status", "statusText"]
    assert (answer["data"], answer["status"], answer["statusText"]) == ({"a": 1}, 200, "OK")
    text = "import axios from 'axios'; export default {main: async ({url}) => axios.post(url, {b: 2})}"
    answer = await scripts.test(text, url=f"{url}/echo")
    assert (answer["data"]["body"], answer["config"]["data"]) == ('{"b":2}', '{"b":2}')


@pytest.mark.parametrize(
    ("call", "said", "code"),
    [
        ("axios.get('http://elsewhere.example')", "AxiosError: scripts can't reach elsewhere.example", "forbidden"),
        ("axios.get('file:///etc/passwd')", "AxiosError: ", "invalid_content"),
        ("axios.get(url, {responseType: 'stream'})", "responseType 'stream' is refused", "forbidden"),
        ("axios.get(url + '/status/500')", "AxiosError: Request failed with status code 500", ""),
    ],
)
async def test_what_axios_fails_with_fails_the_run(scripts: Scripts, url: str, call: str, said: str, code: str) -> None:
    """Under the sidecar's own code, where it is the sidecar that refuses, and at the script's own line."""
    text = f"const axios = require('axios');\nexports.main = async ({{url}}) => {{\n  await {call} }}"
    with pytest.raises(ScriptError) as failed:
        await scripts.test(text, url=url)
    assert said in str(failed.value)
    assert re.search(r" \(script_text, line 3, column \d+\)$", str(failed.value))
    assert failed.value.code == (ErrorCode(code) if code else "")


async def test_an_installed_module_uses_what_is_brought(scripts: Scripts, url: str) -> None:
    """A client that was compiled, with Node's events and url and with axios."""
    text = """const {Client} = require('influx-like');
      exports.main = async ({url}) => {
        const client = new Client(url), statuses = [];
        client.on('written', (status) => statuses.push(status));
        return [await client.write([{name: 'a', value: 1}, {name: 'b', value: 2}]), statuses] }"""
    (answer, statuses) = await scripts.test(text, url=url)
    assert (answer["path"], answer["body"], statuses) == ("/write?db=a", "a value=1\nb value=2", [200])
    assert answer["headers"]["content-type"] == "text/plain"


async def test_fetch_has_cookies_and_reasons(scripts: Scripts, url: str) -> None:
    """Which a page's own Response would leave out; also of its clone."""
    text = """exports.main = async ({url}) => { const answer = await fetch(url + '/json'), copy = answer.clone();
      return [answer.statusText, copy.headers.getSetCookie(), copy.url === answer.url, await copy.json()] }"""
    assert await scripts.test(text, url=url) == ["OK", ["a=1; Path=/"], True, {"a": 1}]
