"""Scripts that require and import: their own files, installed modules, and where their errors are."""

import json
import os
from typing import Any

import pytest
from aiohttp import web
from sidecar_protocol.errors import WireError

from sidecar.browser.sandbox.sandbox import ScriptError
from sidecar.errors import InvalidContent, LimitExceeded
from sidecar.tasks import script_sources
from tests.sidecar.tasks.modules import put
from tests.sidecar.tasks.scripts import Scripts

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

LIB = {
    "a.js": "module.exports = 'A'",
    "b.js": "module.exports = 'B'",
    "m.mjs": "export function named() { return 'named' } export default 'M'",
}
PLAIN = {"name": "/node_modules/plain/index.js", "folder": "/node_modules/plain", "inner": 1}
CIRCLE = "const c = require('circular'); exports.main = () => [c.other.seen, c.other.missed ?? null, c.other.later()]"
BY_VARIABLE = """for (const n of ['a', 'b']) exports[n] = require('./lib/' + n); exports.main = () => exports.b;
require('./lib/b'); require('./lib/a')"""
OWN_MODULE = "exports.main = () => [typeof require.main, module.id, module.loaded, __filename]"


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("const c = require('umd'); exports.main = () => c.format(0)", "1970-01-01T00:00:00.000Z"),
        ("exports.main = () => require('umd').load('de')", "MODULE_NOT_FOUND"),
        ("require('umd/locale/de'); exports.main = () => require('umd').load('de')", True),
        ("exports.main = () => require('plain')", PLAIN),
        ("exports.main = () => [require('plain') === require('plain/index.js'), require('nested')]", [True, "nested"]),
        ("exports.main = () => require('exported').kind", "required"),
        ("exports.main = () => require('exported/feature/one').default", 1),
        ("exports.main = () => require('replaced')", [{}, "no zlib", "1.0"]),
        ("exports.main = () => require('@scope/named').inner", 1),
        ("exports.main = () => require('axios/lib/x')", "theirs"),
        ("exports.main = () => require('axios').default === require('axios')", True),
        ("exports.main = () => typeof require('events').once", "function"),
        (CIRCLE, [1, None, 2]),
        ("exports.main = () => require.resolve('./a.js')", "a.js"),
        (OWN_MODULE, ["undefined", "a.js", True, "/a.js"]),
        (BY_VARIABLE, "B"),
        ("let e; try { require('no' + 'thing') } catch (x) { e = x.code } exports.main = () => e", "MODULE_NOT_FOUND"),
        ("exports.main = async () => (await import('./lib/m.mjs')).default", "M"),
        ("exports.main = () => [require('./lib/m.mjs').named(), this === undefined]", ["named", False]),
    ],
)
async def test_require(scripts: Scripts, source: str, result: Any) -> None:
    """Installed modules in the forms that they have, and files next to the script."""
    assert await scripts.run(files={"a.js": source, "lib": LIB}) == result


MODULES = {
    "d.json": {"x": 1},
    "counter.js": "export let count = 0; export function add() { count++ } export const a = undefined",
    "even.js": "import {odd} from './odd.js'; export function even(n = 0) { return n === 0 || odd(n - 1) }",
    "odd.js": "import {even} from './even.js'; export const odd = (n) => n !== 0 && even(n - 1)",
    "all.js": "export * from './even.js'; export {add} from './counter.js'; export * as counter from './counter.js'",
    "named.js": "export default () => 'passed on'",
    "uses.js": "import {count} from './counter.js'; export const write = () => { count = 5 }",
}

WRITES = "import {write} from './uses.js'; export const main = () => { try { write() } catch (e) { return e.name } }"
TWICE = "const r = require('exported'); exports.main = async () => [r, await import('exported')].map((m) => m.kind)"


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("import c, {version} from 'umd'; export const main = () => [c.version, version]", ["1.0", "1.0"]),
        ("import named, {kind} from 'exported'; export const main = () => [named(), kind]", [1, "imported"]),
        ("import * as p from 'plain'; export const main = () => Object.keys(p)", [*PLAIN, "default"]),
        ("import data, {default as d} from './d.json'; export default {main: () => [data.x, d.x]}", [1, 1]),
        ("import axios, {isAxiosError as e} from 'axios'; export default () => axios.isAxiosError === e", True),
        ("import path, {join} from 'node:path'; export const main = () => path.join('a', join('b'))", "a/b"),
        ("import {count, add} from './counter.js'; export const main = () => { add(); return count }", 1),
        ("import {even} from './even.js'; export const main = () => [even(10), even(7)]", [True, False]),
        ("export * from './counter.js'; export {default as main} from './named.js'", "passed on"),
        ("import * as a from './all.js'; export const main = () => Object.keys(a)", ["add", "counter", "even"]),
        (TWICE, ["required", "imported"]),
        ("const main = async () => (await import('exported')).kind; export {main}", "imported"),
        ("const {even} = await import('./even.js'); export const main = () => even(2)", True),
        ("export const main = () => [import.meta.filename, typeof this]", ["/a.js", "undefined"]),
        ("import {a} from './counter.js'; export const main = () => a", None),
        ("const a = require('umd'); import b from 'umd'; export const main = () => a === b", True),
        (WRITES, "TypeError"),
    ],
)  # fmt: skip
async def test_import(scripts: Scripts, source: str, result: Any) -> None:
    """ES modules: live names, circles, names passed on, defaults of scripts, and `await` at the top level."""
    assert await scripts.run(files={"a.js": source, **MODULES}) == result


THROUGH = {
    "a.js": "const x = require('./lib/x');\nexports.main = () => x.go()",
    "lib/x.js": "exports.go = () => {\n  null.y\n}",
}
IN_MODULE = "const {run, fail} = require('throws');\nexports.main = () => {\n  run(fail) }"
NO_ASYNC = "exports.main = (config) => {\n  return JSON.stringify(await fetch('x'));\n}"
OWN_STACK = """exports.main = () => {
  const e = new Error('own'); Object.defineProperty(e, 'stack', {get() { throw 1 }}); throw e }"""


@pytest.mark.parametrize(
    ("files", "said", "stack"),
    [
        (
            "let a;\n  exports.main = () => { a.b }",
            "reading 'b') (a.js, line 2, column 28)",
            ["exports.main (a.js:2:28)"],
        ),
        (THROUGH, "(lib/x.js, line 2, column 8)", ["exports.go (lib/x.js:2:8)", "exports.main (a.js:2:24)"]),
        ({"a.js": "require('./lib/x')", "lib/x.js": "\nlet a b"}, "'b' (lib/x.js, line 2, column 7)", ["lib/x.js:2:7"]),
        ({"a.js": "require('./x.json')", "x.json": "{,}"}, "x.json is no JSON: Expected property name", None),
        ("require('broken')", "Unexpected token ';' (node_modules/broken/index.js, line 2, column 13)", None),
        (IN_MODULE, "reading 'x') (a.js, line 3, column 3)", ["exports.main (a.js:3:3)"]),
        ("import {x} from 'umd'; export const main = 1", "'umd' has no export named 'x' (a.js, line 1, ", ["a.js:1:1"]),
        ("export const y = 1;\n  import x from 'nothing'", "in the scripts folder (a.js, line 2, column 3)", None),
        ({"a.js": "import x from './b.js'", "b.js": "await 1; export default 1"}, "b.js waits at its top level", None),
        ("export const a = 1,\n b = `${1}` c", "'c' (a.js, line 2, column 13)", ["a.js:2:13"]),
        (NO_ASYNC, "around it, such as async (config) => { … } (a.js, line 2, column 25)", None),
        ("exports.main = () => {\n  const a = await fetch('x') }", "await needs an async function around it", None),
        ("require('./lib')", "no file './lib' for a.js in the scripts folder (a.js, line 1, column 1)", None),
        ({"a.js": "require('./' + 'b')", "b.js": ""}, "'./b' was not read before the run", None),
        ("require(5)", "require takes the name of a module", None),
        ("require('../x')", "'../x' is outside the scripts folder", None),
        ({"ä ü.js": "null.x"}, "(ä ü.js, line 1, column 6)", ["ä ü.js:1:6"]),
        ("#!/usr/bin/env node\nmodule.exports.main = () => { null.x }", "(a.js, line 2, column 36)", None),
        (OWN_STACK, "own", []),
    ],
)
async def test_errors_say_where(
    scripts: Scripts, files: str | dict[str, Any], said: str, stack: list[str] | None
) -> None:
    """File, line and column of the author's own source, also in what it requires; its own calls."""
    put_down = {"a.js": files} if isinstance(files, str) else files
    with pytest.raises(ScriptError) as failed:
        await scripts.run(next(iter(put_down)), put_down)
    assert said in str(failed.value)
    assert stack is None or list(failed.value.stack) == stack


async def test_a_stack_has_five_calls(scripts: Scripts) -> None:
    """The innermost."""
    source = "function deep(n) { if (!n) throw new Error('deep'); deep(n - 1) }\nexports.main = () => deep(20)"
    with pytest.raises(ScriptError) as failed:
        await scripts.run(files={"a.js": source})
    assert failed.value.stack == ("deep (a.js:1:34)", *["deep (a.js:1:53)"] * 4)


async def test_a_changed_file_is_read_again(scripts: Scripts) -> None:
    """A required file, one that comes, one that goes, and one whose package becomes one of modules."""
    source = "exports.main = () => require('./b')"
    assert await scripts.run(files={"a.js": source, "b.js": "module.exports = 1"}) == 1
    assert await scripts.run(files={"b.js": "module.exports = 'two'"}) == "two"
    (scripts.folder / "b.js").unlink()
    with pytest.raises(ScriptError, match=r"there is no file '\./b'"):
        await scripts.run()
    assert await scripts.run(files={"b/index.js": "if (typeof module === 'object') module.exports = 3"}) == 3
    assert await scripts.run(files={"b/package.json": {"type": "module"}}) == {}


async def test_a_text_has_the_folder(scripts: Scripts) -> None:
    """What `test_task` runs may require whatever the script may that it becomes."""
    text = "exports.main = () => require('./lib/a') + require('plain').inner"
    await scripts.run(files={"a.js": "exports.main = () => 1", "lib": LIB})
    assert await scripts.test(text) == "A1"


async def test_files_and_bytes_of_a_run_are_bounded(scripts: Scripts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and bytes of one run; a file that is not UTF-8."""
    many = {f"m{n}.js": "" for n in range(20)}
    source = "".join(f"require('./{name}');" for name in many) + "exports.main = () => 'all'"
    monkeypatch.setattr(script_sources, "MAX_FILES", 21)
    assert await scripts.run(files={"a.js": source, **many}) == "all"
    monkeypatch.setattr(script_sources, "MAX_FILES", 20)
    with pytest.raises(LimitExceeded, match="more than 20 files or 8 MiB"):
        await scripts.run()
    monkeypatch.setattr(script_sources, "MAX_FILES", 500)
    for name in ("big.json", "large.json"):
        (scripts.folder / name).write_text(json.dumps("x" * (5 << 20)))
    with pytest.raises(LimitExceeded, match="more than 500 files or 8 MiB"):
        await scripts.run(files={"a.js": "require('./big.json'); require('./large.json')"})
    (scripts.folder / "b.js").write_bytes(b"\xff")
    with pytest.raises(InvalidContent, match=r"the script b\.js is not UTF-8"):
        await scripts.run(files={"a.js": "require('./b')"})


async def test_links_and_pipes_are_refused(scripts: Scripts) -> None:
    """A required link out of the folder says so where it is required; a pipe is no file."""
    outside = scripts.folder.parent / f"{scripts.folder.name}.js"
    outside.write_text("module.exports = 'secret'")
    (scripts.folder / "out.js").symlink_to(outside)
    with pytest.raises(ScriptError, match=r"is a link out of the scripts folder \(a\.js, line 1, column 1\)"):
        await scripts.run(files={"a.js": "require('./out')"})
    with pytest.raises(WireError, match="link out of the scripts folder"):
        await scripts.run("out.js")
    os.mkfifo(scripts.folder / "pipe.js")
    with pytest.raises(ScriptError, match=r"there is no file '\./pipe'"):
        await scripts.run(files={"a.js": "require('./pipe')"})


async def test_a_script_from_a_url_has_modules_but_no_files(scripts: Scripts) -> None:
    """Errors call it by its file's name, without what may be secret in the rest."""
    texts = {
        "/own.js": "exports.main = () => require('plain').inner",
        "/files.js": "exports.main = () => require('./own.js')",
        "/deep/wrong.js": "\nexports.main = () => { null.x }",
    }

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=texts[request.path])

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    server = web.AppRunner(app, shutdown_timeout=0.1)
    await server.setup()
    await web.TCPSite(server, "127.0.0.1", 0).start()
    base = "http://{}:{}".format(*server.addresses[0][:2])
    put(scripts.folder, {"own.js": "module.exports = 'not this one'"})
    assert await scripts.run(f"{base}/own.js?key=s3cret") == 1
    with pytest.raises(
        ScriptError, match=r"a script from a URL has modules, but no files next to it \(files\.js, line 1,"
    ):
        await scripts.run(f"{base}/files.js")
    with pytest.raises(ScriptError) as failed:
        await scripts.run(f"{base}/deep/wrong.js?key=s3cret")
    assert failed.value.stack == ("exports.main (wrong.js:2:29)",)
    assert "s3cret" not in str(failed.value)
    await server.cleanup()
