"""Where requests lead in a scripts folder, and what is refused."""

from pathlib import Path

import pytest

from sidecar.errors import Forbidden, NotFound
from sidecar.tasks.module_resolution import Resolver
from sidecar.tasks.script_folder import ParsedFiles, ScriptFolder
from tests.sidecar.tasks.modules import INSTALLED, put


@pytest.fixture
def resolver(tmp_path: Path) -> Resolver:
    """A folder with scripts and installed modules."""
    put(
        tmp_path,
        {
            "a.js": "",
            "data.json": {},
            "both.js": "",
            "both/index.js": "",
            "lib": {"x.js": "", "index.js": "", "deep/y.cjs": "", "packed/package.json": {"main": "lib/main"}},
            "lib/packed/lib/main.js": "",
            "node_modules": INSTALLED,
        },
    )
    return Resolver(ScriptFolder(tmp_path, ParsedFiles()))


@pytest.mark.parametrize(
    ("request_", "importer", "leads_to"),
    [
        ("./data.json", "a.js", "data.json"),
        ("./lib/x", "a.js", "lib/x.js"),
        ("./lib", "a.js", "lib/index.js"),
        ("./lib/", "a.js", "lib/index.js"),
        ("./both", "a.js", "both.js"),
        ("./both/", "a.js", "both/index.js"),
        ("./lib/deep/y", "a.js", "lib/deep/y.cjs"),
        ("./lib/packed", "a.js", "lib/packed/lib/main.js"),
        ("../a.js", "lib/x.js", "a.js"),
        (".", "lib/x.js", "lib/index.js"),
        ("..", "lib/deep/y.cjs", "lib/index.js"),
        ("path", "a.js", "node:path"),
        ("node:path", "a.js", "node:path"),
        ("node:nothing", "a.js", "node:nothing"),
        ("fs", "a.js", "node:fs"),
        ("events", "a.js", "node:events"),
        ("events/", "a.js", "node_modules/events/index.js"),
        ("axios", "a.js", "node:axios"),
        ("axios/lib/x", "a.js", "node_modules/axios/lib/x.js"),
        ("plain", "lib/x.js", "node_modules/plain/index.js"),
        ("plain/lib", "a.js", "node_modules/plain/lib/index.js"),
        ("umd", "a.js", "node_modules/umd/umd.js"),
        ("umd/locale/de", "a.js", "node_modules/umd/locale/de.js"),
        ("@scope/named", "a.js", "node_modules/@scope/named/browser.js"),
        ("exported", "a.js", "node_modules/exported/browser.cjs"),
        ("exported/feature/one", "a.js", "node_modules/exported/features/one.js"),
        ("exported/old/one.js", "a.js", "node_modules/exported/features/one.js"),
        ("exported/list", "a.js", "node_modules/exported/browser.cjs"),
        ("exported/package.json", "a.js", "node_modules/exported/package.json"),
        ("#own", "node_modules/exported/browser.mjs", "node_modules/exported/own.js"),
        ("#other", "node_modules/exported/browser.mjs", "node_modules/plain/index.js"),
        ("plain", "node_modules/nested/index.js", "node_modules/nested/node_modules/plain/index.js"),
        ("umd", "node_modules/nested/node_modules/plain/index.js", "node_modules/umd/umd.js"),
        ("replaced", "a.js", "node_modules/replaced/lib/browser.js"),
        ("fs", "node_modules/replaced/lib/browser.js", "empty:"),
        ("zlib", "node_modules/replaced/lib/browser.js", "node_modules/replaced/lib/zlib.js"),
        ("plain", "node_modules/replaced/lib/browser.js", "node_modules/umd/umd.js"),
        ("node:fs", "node_modules/replaced/lib/browser.js", "node:fs"),
    ],
)
def test_where_a_request_leads(resolver: Resolver, request_: str, importer: str, leads_to: str) -> None:
    """Files, folders, installed modules by each of their manifest's fields, and what the sandbox brings."""
    assert resolver.resolve(request_, importer, imports=False) == leads_to


def test_an_import_takes_what_is_for_imports(resolver: Resolver) -> None:
    """Where a package has both."""
    assert resolver.resolve("exported", "a.js", imports=True) == "node_modules/exported/browser.mjs"
    assert resolver.resolve("plain", "a.js", imports=True) == "node_modules/plain/index.js"


@pytest.mark.parametrize(
    ("request_", "kind", "said"),
    [
        ("../a", Forbidden, "'../a' is outside the scripts folder"),
        ("./lib/../../x", Forbidden, "outside the scripts folder"),
        ("/etc/passwd", Forbidden, "names of files begin with ./"),
        ("./nothing", NotFound, "there is no file './nothing' for a.js"),
        ("./lib/deep", NotFound, "there is no file"),
        ("nothing", NotFound, "there is no module 'nothing': install it with `npm install nothing`"),
        ("@a/b/c", NotFound, "`npm install @a/b`"),
        ("plain/none", NotFound, "the installed module 'plain' has no none"),
        ("exported/none", NotFound, "the installed module 'exported' does not export './none'"),
        ("exported/feature/private/two", NotFound, "does not export"),
        ("exported/feature/../../../../a", NotFound, "does not export"),
        ("plain/../../a", NotFound, "there is no module|has no"),
        ("#own", NotFound, "has '#own' among its imports"),
        ("a\\b", NotFound, "is no module's name"),
        ("a\0b", NotFound, "is no module's name"),
        ("", NotFound, "is no module's name"),
        ("./" + "x" * 300, NotFound, "there is no file"),
    ],
)
def test_what_leads_nowhere_says_why(resolver: Resolver, request_: str, kind: type[Exception], said: str) -> None:
    """With the way out where there is one."""
    with pytest.raises(kind, match=said):
        resolver.resolve(request_, "a.js", imports=False)


def test_links_are_followed_within_the_folder_only(resolver: Resolver, tmp_path: Path) -> None:
    """A file, a folder and a module that is a link; as a package manager for several packages makes them."""
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    put(outside, {"x.js": "", "package/index.js": ""})
    (tmp_path / "out.js").symlink_to(outside / "x.js")
    (tmp_path / "folder").symlink_to(outside)
    (tmp_path / "node_modules" / "away").symlink_to(outside / "package")
    (tmp_path / "node_modules" / "near").symlink_to(tmp_path / "lib")
    for request in ("./out", "./out.js", "./folder/x"):
        with pytest.raises(Forbidden, match="is a link out of the scripts folder"):
            resolver.resolve(request, "a.js", imports=False)
    for request in ("./folder", "away"):
        with pytest.raises((Forbidden, NotFound)):
            resolver.resolve(request, "a.js", imports=False)
    assert resolver.resolve("near", "a.js", imports=False) == "lib/index.js"


def test_a_script_from_elsewhere_has_modules_but_no_files(resolver: Resolver) -> None:
    """It does not lie in the folder."""
    assert resolver.resolve("plain", "a.js", imports=False, has_files=False) == "node_modules/plain/index.js"
    with pytest.raises(NotFound, match="a script from a URL has modules, but no files next to it"):
        resolver.resolve("./data.json", "a.js", imports=False, has_files=False)


def test_names_that_go_round_lead_somewhere(resolver: Resolver, tmp_path: Path) -> None:
    """A package that replaces itself, two that replace each other, and a name for itself."""
    put(
        tmp_path / "node_modules",
        {
            "own": {"package.json": {"browser": {"./index.js": "own"}}, "index.js": ""},
            "one": {"package.json": {"browser": {"./index.js": "two"}}, "index.js": ""},
            "two": {"package.json": {"browser": {"./index.js": "one"}}, "index.js": ""},
            "named": {"package.json": {"imports": {"#a": "#a", "#b": {"browser": ["#a", "plain"]}}}, "index.js": ""},
        },
    )
    assert resolver.resolve("own", "a.js", imports=False) == "node_modules/own/index.js"
    assert resolver.resolve("one", "a.js", imports=False) == "node_modules/two/index.js"
    assert resolver.resolve("#b", "node_modules/named/index.js", imports=False) == "node_modules/plain/index.js"
    with pytest.raises(NotFound):
        resolver.resolve("#a", "node_modules/named/index.js", imports=False)


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"main": 5}', '{"main": "../../a"}', "[" * 10_000])
def test_an_invalid_manifest_is_skipped(resolver: Resolver, tmp_path: Path, text: str) -> None:
    """Whatever it holds."""
    put(tmp_path, {"node_modules/odd/index.js": ""})
    (tmp_path / "node_modules/odd/package.json").write_text(text)
    assert resolver.resolve("odd", "a.js", imports=False) == "node_modules/odd/index.js"
