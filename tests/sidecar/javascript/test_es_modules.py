"""ES modules as the bodies of functions: what is taken out, what stays where it was, and what is no module."""

import contextlib
import time
from typing import Any

import pytest

from sidecar.javascript.es_modules import translate
from sidecar.javascript.lexer import SourceError, tokens
from sidecar.javascript.requests import find_requests


@pytest.mark.parametrize(
    ("source", "imports"),
    [
        ("import a from 'x'", [("a", "x", "default")]),
        ('import a, {b, c as d} from "x";', [("a", "x", "default"), ("b", "x", "b"), ("d", "x", "c")]),
        ("import a, * as all from 'x'", [("a", "x", "default"), ("all", "x", "*")]),
        ("import {default as a, 'a-b' as c,} from 'x'", [("a", "x", "default"), ("c", "x", "a-b")]),
        ("import {\n  a,\n  b,\n} from 'x';", [("a", "x", "a"), ("b", "x", "b")]),
        ("import{a}from'x'", [("a", "x", "a")]),
        ("import a from './d.json' with {type: 'json'}", [("a", "./d.json", "default")]),
        ("import 'x'", []),
        ("import {} from 'x'", []),
        ("import from from 'x'", [("from", "x", "default")]),
        ("'use strict'\nimport a from 'x'", [("a", "x", "default")]),
    ],
)
def test_imports_are_read_and_taken_out(source: str, imports: list[Any]) -> None:
    """Whatever form they have; only blanks are left, on as many lines."""
    found = translate(source)
    assert (found.is_module, found.imports) == (True, imports)
    assert found.source.replace("'use strict'", "").strip() == ""
    assert (len(found.source), found.source.count("\n")) == (len(source), source.count("\n"))
    assert found.requests == [
        source.split("'")[-2] if "json" not in source and '"' not in source else found.requests[0]
    ]


@pytest.mark.parametrize(
    ("source", "exports", "left"),
    [
        ("export const a = 1, b = [2, 3]", ["a", "b"], "const a = 1, b = [2, 3]"),
        ("export let {a, b: c, d: {e} = {}, ...f} = x, [g,, h = () => { y, z }] = q", list("acefgh"), None),
        ("export const a = async x => x\nexport const b = a\n(1), c = `${{d: 1}}, ${2}`", ["a", "b", "c"], None),
        ("export var a\nexport const b = 1 /* , x */ // , y\nlet z = 1, w", ["a", "b"], None),
        ("export const a = function () {}\n/x, y/.test(a)", ["a"], None),
        ("export const a = {x: 1}\n, b = /[/,]/g, c = 4 / 2, d = 2 / 1", list("abcd"), None),
        ("export const a = new Map\nfoo, bar", ["a"], None),
        ("export function main() {}", ["main"], "function main() {}"),
        ("export async function* main() {}", ["main"], "async function* main() {}"),
        ("export class A extends B {}", ["A"], "class A extends B {}"),
        ("export {a, b as c, d as 'e-f'}", ["a", "c", "e-f"], ""),
        ("export default function main() {}", ["default"], "function main() {}"),
        ("export default class {}", ["default"], "__e.default =  class {}"),
        ("export default async () => 1", ["default"], "__e.default =  async () => 1"),
        ("export\ndefault {main}", ["default"], None),
    ],
)
def test_exports_are_read_and_taken_out(source: str, exports: list[str], left: str | None) -> None:
    """Declarations stay, and each at its place."""
    found = translate(source)
    assert (found.is_module, [name for name, _ in found.exports]) == (True, exports)
    assert left is None or found.source.strip() == left
    assert found.source.count("\n") == source.count("\n")
    for word in ("const a", "function main", "class A"):
        assert found.source.find(word) == source.find(word)


def test_exports_of_other_modules() -> None:
    """By name, all together, and all as one name."""
    found = translate("export {a, default as b} from 'x'\nexport * from 'y'; export * as all from 'z'")
    assert found.reexports == [("a", "x", "a"), ("b", "x", "default"), ("all", "z", "*")]
    assert (found.stars, found.requests) == (["y"], ["x", "y", "z"])
    assert found.places == {"x": (1, 1), "y": (2, 1), "z": (2, 20)}


@pytest.mark.parametrize(
    "source",
    [
        "module.exports = 1 // import a from 'x'",
        "const text = `import a from 'x'`, other = 'export default 1'",
        "if (a) { exports.x = {import: 1, export: 2}; a.import; a.export }",
        "/* export const a = 1 */ const b = /export default/",
        "const a = {\n  export: {b}\n}, c = a.\nexport\n",
        "x = a / b; y = `${a}/${b}`; z = {}\n/1; w = (1) / 2 // export {a}",
    ],
)
def test_what_is_no_module_stays_as_it_is(source: str) -> None:
    """Words in comments, strings, templates and regular expressions, and names of members."""
    found = translate(source)
    assert (found.is_module, found.source) == (False, source)


def test_dynamic_imports_and_meta() -> None:
    """`import(…)` is a call of ours in scripts, too; `import.meta` makes a module."""
    found = translate("const a = await import('x'), b = c.import('y')")
    assert (found.is_module, found.source) == (False, "const a = await __load('x'), b = c.import('y')")
    found = translate("const a = import.meta.url")
    assert (found.is_module, found.source) == (True, "const a = __meta     .url")


@pytest.mark.parametrize("source", ["import {a from 'x'", "export {a", "export `", "import a from b", "export const ["])
def test_invalid_modules_are_errors(source: str) -> None:
    """It is an error, and the engine says more of it."""
    with pytest.raises(SourceError):
        translate(source, module=True)


@pytest.mark.parametrize(
    ("source", "kinds"),
    [
        ("a /b/ c", "word op word op word"),
        ("a = /b/g", "word op regex"),
        ("return /[/]/", "word regex"),
        ("if (a) /b/.test(c)", "word op word op regex op word op word op"),
        ("(a) / b / c", "op word op op word op word"),
        ("a++ / b / c", "word op op word op word"),
        ("x = {} / 1 / 2", "word op op op op number op number"),
        ("{} /a/", "op op regex"),
        ("a.return / b / c", "word op word op word op word"),
        ("`a${`b${c}`}d` / 2", "template template word template template op number"),
        ("1e+5 .5 0x1F 1.5.a 1 .b", "number number number number op word number op word"),
        ("a?.b ?.5:1", "word op word op number op number"),
    ],
)
def test_tokens(source: str, kinds: str) -> None:
    """A slash divides after a value, and begins a regular expression elsewhere."""
    assert " ".join(token.kind for token in tokens(source)) == kinds


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("require('a'); require(\"b\"); require( `c` ); require('a')", ("a", "b", "c")),
        ("require.resolve('a'); import('b')", ("a", "b")),
        ("x.require('a'); $require('b'); require(c); require('d' + e)", ("d",)),
        (r"require('\x61/\u0062')", ("a/b",)),
        ("require('" + "a" * 2000 + "')", ()),
    ],
)
def test_requests_are_found_by_name(source: str, names: tuple[str, ...]) -> None:
    """Those that are written as they are."""
    assert tuple(name for name, _ in find_requests(source)) == names


def test_imports_are_distinguished_from_requires() -> None:
    """A package may have another file for each."""
    assert find_requests("require('a'); import('a'); require('a')") == (("a", False), ("a", True))


@pytest.mark.parametrize(
    "piece", ["import ", "export ", "export const a=[", "${`", "/", "require('", "import{a}from", "{"]
)
def test_hostile_sources_cost_linear_time(piece: str) -> None:
    """A quarter of a megabyte of one piece takes seconds; a quadratic algorithm would take hours."""
    source = piece * (250_000 // len(piece))
    began = time.process_time()
    find_requests(source)
    with contextlib.suppress(SourceError, RecursionError):
        translate(source, module=True)
    assert time.process_time() - began < 20
