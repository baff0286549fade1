"""Scripts of tasks in their sandbox: what they can do, what they are refused, and that each of them ends."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import psutil
import pytest
import pytest_asyncio
from sidecar_protocol import codec
from sidecar_protocol.errors import ErrorCode, WireError
from sidecar_protocol.wire_types import Raw

from sidecar.browser.sandbox.sandbox import ScriptError
from sidecar.browser.sandbox.sandbox_pool import SandboxPool
from sidecar.browser.sandbox.script_files import ScriptFile
from sidecar.browser.sandbox.task_session import FetchRequest, FetchResponse, TaskLimits, TaskScriptRunner
from sidecar.errors import NotFound, TimedOut
from sidecar.settings import Settings
from sidecar.tasks.script_folder import parse_source
from tests.sidecar.browser.parts import children
from tests.sidecar.browser.sandbox.parts import is_sandbox

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


class Noted:
    """What a script asked for and wrote; its requests are answered with `answer`."""

    def __init__(self) -> None:
        self.fetches: list[FetchRequest] = []
        self.jobs: list[Any] = []
        self.lines: list[str] = []
        self.errors: list[str] = []
        self.answer: FetchResponse | WireError = FetchResponse(
            "https://a.example/", 200, [("content-type", "text/plain")], b"text"
        )
        self.most_at_once = 0
        self._at_once = 0

    async def fetch(self, wanted: FetchRequest) -> FetchResponse:
        """Notes the request."""
        self.fetches.append(wanted)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(0)
        self._at_once -= 1
        if isinstance(self.answer, WireError):
            raise self.answer
        return self.answer

    async def job(self, content: Raw) -> Raw:
        """Notes the job."""
        self.jobs.append(codec.plain(content))
        return Raw(b'{"status":"success","result":{"extract":{"n":12345678901234567}}}')

    def log(self, line: str) -> None:
        """Notes a line."""
        self.lines.append(line)

    def fail(self, line: str) -> None:
        """Notes an error."""
        self.errors.append(line)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandboxes() -> AsyncIterator[SandboxPool]:
    """Warm over the module."""
    warm = SandboxPool(Settings())
    yield warm
    await warm.close()


async def run(
    sandboxes: SandboxPool, source: str, noted: Noted | None = None, *, seconds: float = 20, **config: Any
) -> Any:
    """One run to its end, which must come."""
    scripts = TaskScriptRunner(sandboxes, TaskLimits(timeout=seconds), 4)
    given, outside = Raw(orjson.dumps(config)), noted or Noted()
    return await asyncio.wait_for(scripts.run((script(source),), given, outside, outside), 40)


def script(source: str) -> ScriptFile:
    """A script that stands alone."""
    parsed = parse_source("a.js", source.encode(errors="replace"))
    links = {name: f"node:{name}" for name, _ in parsed.requests}
    return ScriptFile("a.js", parsed.kind, parsed.source, parsed.scope, links)


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("module.exports.main = (config) => config.name + config.list[1]", "x2"),
        ("exports.main = async (config) => { await null; return JSON.stringify(config) }", '{"name":"x","list":[1,2]}'),
        ("module.exports = {main: (config) => new Promise((done) => setTimeout(() => done('late'), 20))}", "late"),
        ("#!/usr/bin/env node\n'use strict';\nconst f = () => 'hashbang'; module.exports.main = f", "hashbang"),
        ("exports.main = () => typeof module + typeof require + typeof process", "objectfunctionobject"),
        ("exports.main = () => new DOMParser().parseFromString('<b>bold</b>', 'text/html').body.textContent", "bold"),
        ("exports.main = () => '' // a comment at the end", ""),
        ("exports.main = () => new URL('/x?y=1', 'https://a.example').href", "https://a.example/x?y=1"),
        ("exports.main = () => 'é\\u0000' + String.fromCodePoint(0x1F600)", "é\0\U0001f600"),
    ],
)  # fmt: skip
async def test_main_is_called_with_the_config(sandboxes: SandboxPool, source: str, result: str) -> None:
    """CommonJS in its usual forms; a string, or a promise of one."""
    assert await run(sandboxes, source, name="x", list=[1, 2]) == result


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("({a: [1, 2.5, null, true, 'é'], b: {}})", {"a": [1, 2.5, None, True, "é"], "b": {}}),
        ("[]", []),
        ("0", 0),
        ("false", False),
        ("null", None),
        ("undefined", None),
        ("NaN", None),
        ("1e20", 100000000000000000000),
        ("new Date(0)", "1970-01-01T00:00:00.000Z"),
        ("[undefined, () => 1, {a: undefined, b() {}}]", [None, None, {}]),
        ("({toJSON: () => undefined})", None),
        ("({then: (done) => done({later: 1})})", {"later": 1}),
        ("Promise.resolve([1])", [1]),
        ("['\\ud83d']", ["\ufffd"]),
    ],
)
async def test_any_json_is_a_result(sandboxes: SandboxPool, value: str, result: Any) -> None:
    """As `JSON.stringify` writes it; what it has nothing for is null."""
    assert await run(sandboxes, f"exports.main = () => {value}") == result


@pytest.mark.parametrize(
    "source",
    [
        "exports.main = ({n}) => n + 1",
        "module.exports = {main({n}) { return n + this.one }, one: 1}",
        "module.exports.default = {main: async ({n}) => n + 1}",
        "module.exports = ({n}) => n + 1",
        "module.exports.default = async ({n}) => n + 1",
        "export function main({n}) { return n + 1 }",
        "export const main = async ({n}) => n + 1",
        "const main = ({n}) => n + 1; export {main}",
        "export default {main: ({n}) => n + 1}",
        "export default async function ({n}) { return n + 1 }",
        "export default ({n}) => n + 1",
        "const one = await Promise.resolve(1); export const main = ({n}) => n + one",
        "import {format} from 'node:util'; export const main = ({n}) => Number(format('%d', n + 1))",
    ],
)
async def test_main_is_found_in_every_usual_form(sandboxes: SandboxPool, source: str) -> None:
    """CommonJS and ES modules."""
    assert await run(sandboxes, source, n=1) == 2


async def test_fetch_gives_an_ordinary_response(sandboxes: SandboxPool) -> None:
    """Method, headers and body go out as written; the answer is read as in any page."""
    noted = Noted()
    noted.answer = FetchResponse(
        "https://a.example/end", 404, [("x-a", "1"), ("content-type", "application/json")], b'{"a":[1]}'
    )
    source = """exports.main = async () => {
      const form = new URLSearchParams({q: 'ä b'});
      const headers = {Authorization: 'Bearer z', Cookie: 'c=1'};
      const r = await fetch('https://a.example/x', {method: 'post', headers, body: form});
      return JSON.stringify([r.ok, r.status, r.url, r.headers.get('x-a'), await r.json()]);
    }"""
    assert await run(sandboxes, source, noted) == '[false,404,"https://a.example/end","1",{"a":[1]}]'
    (asked,) = noted.fetches
    assert (asked.url, asked.method, asked.body, asked.redirect) == (
        "https://a.example/x",
        "POST",
        b"q=%C3%A4+b",
        "follow",
    )
    form = "application/x-www-form-urlencoded;charset=UTF-8"
    assert asked.headers == {"authorization": "Bearer z", "cookie": "c=1", "content-type": form}


async def test_fetch_takes_requests_and_carries_bytes(sandboxes: SandboxPool) -> None:
    """Bodies of any bytes, there and back; an answer without a body."""
    noted = Noted()
    noted.answer = FetchResponse("u", 200, [], bytes(range(256)))
    source = """exports.main = async () => {
      const sent = new Request('https://a.example/', {method: 'PUT', body: new Uint8Array([0, 255, 10])});
      return String((await (await fetch(sent)).bytes()).reduce((a, b) => a + b));
    }"""
    assert await run(sandboxes, source, noted) == str(sum(range(256)))
    assert noted.fetches[0].body == b"\x00\xff\x0a"
    noted.answer = FetchResponse("u", 204, [], b"")
    assert (
        await run(sandboxes, "exports.main = async () => await (await fetch('https://a.example')).text()", noted) == ""
    )


async def test_a_failed_fetch_can_be_caught(sandboxes: SandboxPool) -> None:
    """The error has the code; uncaught, it fails the run with that code."""
    noted = Noted()
    noted.answer = NotFound("nothing there")
    caught = "exports.main = () => fetch('https://a.example').catch((e) => e.code + ': ' + e.message)"
    assert await run(sandboxes, caught, noted) == "not_found: nothing there"
    with pytest.raises(ScriptError, match=r"^nothing there \(a\.js, line 1, column 22\)$") as failed:
        await run(sandboxes, "exports.main = () => fetch('https://a.example')", noted)
    assert (failed.value.code, failed.value.stack) == (ErrorCode.NOT_FOUND, ("exports.main (a.js:1:22)",))


async def test_a_job_gives_its_reply(sandboxes: SandboxPool) -> None:
    """Content goes out as JSON, the reply comes back as an object."""
    noted = Noted()
    source = """exports.main = async () => {
      const r = await job({steps: [{url: 'x'}]}); return r.status + r.result.extract.n }"""
    assert await run(sandboxes, source, noted) == "success12345678901234568"  # JavaScript's own numbers
    assert noted.jobs == [{"steps": [{"url": "x"}]}]


async def test_many_requests_at_once_are_made_a_few_at_a_time(sandboxes: SandboxPool) -> None:
    """All are answered, sixteen at most at the same time."""
    noted = Noted()
    source = "exports.main = async () => String((await Promise.all(Array.from({length: 150}, () => fetch('https://a.example')))).length)"
    assert await run(sandboxes, source, noted) == "150"
    assert 1 < noted.most_at_once <= 16


async def test_the_console_is_the_output(sandboxes: SandboxPool) -> None:
    """Lines are in order, objects are JSON, long lines are cut; uncaught errors are separate."""
    noted = Noted()
    source = """exports.main = async () => {
      console.log('a', {b: [1]}, new Error('c'), null, undefined, /x/);
      console.error('y'.repeat(5000)); console.time('t');
      setTimeout(() => { throw new TypeError('late') }); Promise.reject(new Error('left'));
      await new Promise((done) => setTimeout(done, 30)); return 'done' }"""
    assert await run(sandboxes, source, noted) == "done"
    assert noted.lines == ['a {"b":[1]} Error: c null undefined /x/', "y" * 2000]
    assert sorted(noted.errors) == [
        "Error: left (a.js, line 4, column 73)",
        "TypeError: late (a.js, line 4, column 32)",
    ]


ENDINGS = [
    ("throw new Error('mine')", "^mine", ""),
    ("exports.main = async () => { for (;;) await fetch('x') }", "more than 200 requests", "limit_exceeded"),
    ("exports.main = () => job('x'.repeat(9e6))", "the value is larger than", "limit_exceeded"),
    (
        "exports.main = async () => { location = 'about:blank'; await new Promise(Object) }",
        "navigated away",
        "action_failed",
    ),
    ("const a = []; for (;;) a.push(new Array(1000).fill(1.5))", "out of memory", "action_failed"),
]
"""Scripts that fail in each of the ways that end a run."""


@pytest.mark.parametrize(
    ("source", "said", "code"),
    [
        ("require('fs')", r"^require\('fs'\) is refused: require\('./data.json'\) reads JSON", "forbidden"),
        ("require('node:https')", "is refused: use fetch or require\\('axios'\\) for requests", "forbidden"),
        ("require('zlib')", "has these modules of Node: assert, assert/strict, buffer, crypto", "forbidden"),
        ("exports.main = () => process.exit(1)", "process.exit is refused: a run ends when main returns", "forbidden"),
        ("exports.main = () => new XMLHttpRequest()", "XMLHttpRequest is refused: .* uses fetch or", "forbidden"),
        ("exports.main = () => new WebSocket('wss://a.example')", "WebSocket is refused", "forbidden"),
        ("exports.main = () => import('fs')", "^require\\('fs'\\) is refused", "forbidden"),
        ("exports.main = () => eval('1')", "eval is refused: code can't be created from text", "forbidden"),
        ("exports.main = () => new Function('return 1')()", "Function is refused", "forbidden"),
        ("eval('1')", "eval is refused", "forbidden"),
        ("exports.main = () => setTimeout('1')", "setTimeout with a text is refused", "forbidden"),
        ("exports.main = () => localStorage.x", "ReferenceError: localStorage is not defined", ""),
        ("exports.main = (() => {}).constructor('return process')", "Function is refused", "forbidden"),
        ("const a = [; b", r"SyntaxError: Unexpected token ';' \(a\.js, line 1, column 12\)$", ""),
        ("#!/usr/bin/env node\nconst a = 1;\n  a b", r"Unexpected identifier 'b' \(a\.js, line 3, column 5\)$", ""),
        ("#! a [\n", "the script exports no function", "no_main"),
        ("'use strict'; with (a) {}", r"Strict mode.* \(a\.js, line 1, column 15\)$", ""),
        ("export const main = 1", "the script exports no function", "no_main"),
        ("exports.main = () => JSON.parse('{')", r"in JSON at position 1 .* \(a\.js, line 1, column 27\)$", ""),
        ("}); (function () {", "TypeError: the script exports no function: write module.exports.main", "no_main"),
        ("nothing", r"^ReferenceError: nothing is not defined \(a\.js, line 1, column 1\)$", ""),
        ("", "the script exports no function", "no_main"),
        ("module.exports = null", "the script exports no function", "no_main"),
        ("exports.main = 'x'", "the script exports no function", "no_main"),
        ("exports.main = () => () => 5", "^TypeError: main returned a function, which JSON can't hold$", "no_json"),
        ("exports.main = () => 5n", "main returned a BigInt", "no_json"),
        ("exports.main = async () => ({a: [5n]})", r"JSON: it holds a BigInt; use Number\(value\)", "no_json"),
        ("exports.main = () => { const a = {}; a.b = {a}; return a }", "it is circular .* property 'b'", "no_json"),
        ("exports.main = () => ({toJSON() { throw new Error('mine') }})", r"^mine \(a\.js, line 1, column 41\)$", ""),
        ("exports.main = () => ['x'.repeat(1 << 20)]", "the result is longer than 262144 characters", "limit_exceeded"),
        ("exports.main = () => JSON.parse('['.repeat(300) + ']'.repeat(300))", "over 200 levels", "limit_exceeded"),
        ("exports.main = () => 'x'.repeat(1 << 20)", "the result is longer than 262144 characters", "limit_exceeded"),
        ("exports.main = () => { throw new RangeError('bad\\nl') }", r"^RangeError: bad l \(a\.js, .* 30\)$", ""),
        ("exports.main = () => { throw 'just text' }", "^just text$", ""),
        ("exports.main = () => Promise.reject()", "^undefined$", ""),
        ("exports.main = () => { throw new Error('x'.repeat(1e6)) }", r"^x{2000} \(a\.js, line 1, column 30\)$", ""),
    ],
)  # fmt: skip
async def test_what_fails_says_why(sandboxes: SandboxPool, source: str, said: str, code: str) -> None:
    """Refusals, mistakes, and results that are none: a sentence and a code each."""
    with pytest.raises(ScriptError, match=said) as failed:
        await run(sandboxes, source)
    assert failed.value.code == code


@pytest.mark.parametrize(("source", "said", "code"), ENDINGS)
async def test_the_run_after_one_that_fails_is_fine(sandboxes: SandboxPool, source: str, said: str, code: str) -> None:
    """Each way of failing leaves the browser of the sandboxes alone."""
    await test_what_fails_says_why(sandboxes, source, said, code)
    assert await run(sandboxes, "exports.main = () => 'fine'") == "fine"


NEVER = [
    "for (;;);",
    "exports.main = () => { for (;;); }",
    "exports.main = async () => { await fetch('https://a.example'); for (;;); }",
    "exports.main = () => new Promise(() => {})",
    "exports.main = () => ({then() {}})",
    "exports.main = async () => { for (;;) await null }",
]


async def test_what_never_ends_is_ended(sandboxes: SandboxPool) -> None:
    """A script ends after its time while other scripts run."""
    stuck = asyncio.gather(*(run(sandboxes, source, seconds=1.5) for source in NEVER), return_exceptions=True)
    assert await run(sandboxes, "exports.main = () => 'beside'") == "beside"
    for source, failed in zip(NEVER, await stuck, strict=True):
        assert (source, type(failed)) == (source, TimedOut)
        assert "longer than 1.5 s" in str(failed)


async def test_lone_surrogates_are_replaced(sandboxes: SandboxPool) -> None:
    """In a result, a console line, an uncaught error and a thrown message: U+FFFD, and a whole one stays."""
    noted = Noted()
    lone, mended = "'a\\ud83d\\ude00\\ud83d'", "a\N{GRINNING FACE}\ufffd"
    source = f"""exports.main = async () => {{
      console.log({lone}, {{[{lone}]: 1}}); setTimeout(() => {{ throw new Error({lone}) }});
      await new Promise((done) => setTimeout(done, 30));
      await job({{a: {lone}}}); return {lone} }}"""
    assert await run(sandboxes, source, noted) == mended
    assert (noted.lines, noted.errors) == (
        [f'{mended} {{"a\N{GRINNING FACE}\\ud83d":1}}'],
        [f"Error: {mended} (a.js, line 2, column 98)"],
    )
    assert noted.jobs == [{"a": mended}]
    for thrown in (f"new Error({lone})", lone):
        for source in (f"throw {thrown}", f"exports.main = () => {{ throw {thrown} }}"):
            with pytest.raises(ScriptError, match=f"^{mended}( |$)"):
                await run(sandboxes, source)
    emoji = "exports.main = () => { throw new Error('x'.repeat(1999) + String.fromCodePoint(0x1F600)) }"
    with pytest.raises(ScriptError, match=rf"^x{{1999}}{chr(0xFFFD)} "):
        await run(sandboxes, emoji)


async def test_ten_million_lines_are_bounded(sandboxes: SandboxPool) -> None:
    """The sandbox drops what is too much before it leaves."""
    noted = Noted()
    source = "exports.main = () => { for (let i = 0; i < 1e6; i++) console.log('line ' + i); return 'ok' }"
    assert await run(sandboxes, source, noted) == "ok"
    assert len(noted.lines) <= 400
    assert noted.lines[-1] == "line 999999"


async def test_a_cancelled_run_takes_its_page_with_it(sandboxes: SandboxPool) -> None:
    """A loop that was given up burns nothing."""
    await run(sandboxes, "exports.main = () => 'warm'")
    task = asyncio.create_task(
        run(sandboxes, "exports.main = async () => { await fetch('https://a.example'); for (;;); }")
    )
    await asyncio.wait((task,), timeout=0.5)
    task.cancel()
    await asyncio.wait((task,), timeout=30)
    assert task.cancelled()
    (browser,) = children(is_sandbox)
    deadline = asyncio.get_running_loop().time() + 10
    while any(_burns(one) for one in browser.children(recursive=True)):
        assert asyncio.get_running_loop().time() < deadline


async def test_a_bounded_number_runs_at_once(sandboxes: SandboxPool) -> None:
    """The next waits for its turn, which is not taken from its time."""
    scripts = TaskScriptRunner(sandboxes, TaskLimits(timeout=4), 1)
    noted = Noted()
    sources = ["exports.main = () => new Promise((done) => setTimeout(() => done('a'), 2000))"] * 3
    config = Raw(b"{}")
    done = await asyncio.gather(*(scripts.run((script(source),), config, noted, noted) for source in sources))
    assert done == ["a", "a", "a"]


def _burns(process: psutil.Process) -> bool:
    try:
        return bool(process.cpu_percent(0.3) > 50)
    except psutil.NoSuchProcess:
        return False
