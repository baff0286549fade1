"""The house keeps its own rules: sizes, who reads the environment, what is loaded when. Imports: see pyproject.toml."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for folder in ("protocol", "sidecar") for path in (ROOT / folder).rglob("*.py"))
MAX_MODULE_LINES = 500
MAX_FUNCTION_LINES = 45

BEFORE_READY = {
    "msgspec",
    "typing_extensions",
    "protocol",
    "protocol.base",
    "protocol.codec",
    "protocol.contexts",
    "protocol.cvs",
    "protocol.errors",
    "protocol.jobs",
    "protocol.queued",
    "protocol.replies",
    "protocol.requests",
    "protocol.schedules",
    "protocol.secrets",
    "protocol.session",
    "protocol.tasks",
    "protocol.tokens",
    "protocol.webhooks",
    "sidecar",
    "sidecar.__main__",
    "sidecar.cli",
    "sidecar.descriptors",
    "sidecar.settings",
}
"""All that may be imported before `ready`, beside light parts of the standard library."""
NOT_BEFORE_READY = {"argparse", "asyncio", "concurrent", "email", "http", "logging", "sqlite3", "ssl", "subprocess"}
NOT_BEFORE_PONG = {
    "aiohttp",
    "argparse",
    "nacl",
    "platformdirs",
    "playwright",
    "redis",
    "rich",
    "saq",
    "sqlite3",
    "yarl",
}

SPY = """
import json, os, sys
write, waiting = os.write, [b'"ready"', b'"pong"']
def spy(descriptor, data):
    if waiting and waiting[0] in bytes(data):
        waiting.pop(0)
        print(json.dumps(sorted(sys.modules)), file=sys.stderr, flush=True)
    return write(descriptor, data)
os.write = spy
sys.argv = ["sidecar"]
from sidecar.__main__ import main
main()
"""
"""Runs the sidecar and says on stderr what is loaded when `ready` leaves, and when the first `pong` does."""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], set[str]]:
    """Modules that the sidecar has loaded at `ready` and at the first `pong`, without what a bare Python loads."""
    folder = tmp_path_factory.mktemp("spied")
    bare = "import json, os, sys; print(json.dumps(sorted(sys.modules)))"
    started = json.loads(subprocess.run([sys.executable, "-c", bare], capture_output=True, check=True).stdout)
    ended = subprocess.run(
        [sys.executable, "-c", SPY], input=b'{"type":"ping"}\n', capture_output=True, check=True, cwd=folder, timeout=60
    )
    ready, pong = (set(json.loads(line)) - set(started) for line in ended.stderr.splitlines())
    return ready, pong


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and length in lines of every function of a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path.relative_to(ROOT)}: {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def names_of(node: ast.ImportFrom) -> set[str]:
    """What a `from ... import` names."""
    return {alias.name for alias in node.names}


def test_modules_are_short() -> None:
    """No module is longer than one can read in a sitting."""
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: lines for name, lines in long.items() if lines > MAX_MODULE_LINES} == {}


def test_functions_are_short() -> None:
    """No function is longer than a screen."""
    long = {name: lines for path in SOURCES for name, lines in functions(path)}
    assert {name: lines for name, lines in long.items() if lines > MAX_FUNCTION_LINES} == {}


def test_only_settings_read_the_environment() -> None:
    """`os.environ` and `os.getenv` stand in one module."""
    readers = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"})
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {"environ", "getenv"} & {a.name for a in node.names}
        )
    }
    assert readers == {"sidecar/settings.py"}


def test_little_is_imported_before_ready(loaded: tuple[set[str], set[str]]) -> None:
    """A parent waits for `ready`: nothing is loaded before it that is not on the list."""
    ready, _ = loaded
    own = {name for name in ready if name.startswith(("protocol", "sidecar"))}
    foreign = {name.partition(".")[0] for name in ready - own} - sys.stdlib_module_names
    assert own | foreign <= BEFORE_READY
    assert {name.partition(".")[0] for name in ready} & NOT_BEFORE_READY == set()


def test_nothing_heavy_is_imported_before_the_first_pong(loaded: tuple[set[str], set[str]]) -> None:
    """The libraries for browsers, HTTP, the disk and the terminal wait until they are needed."""
    _, pong = loaded
    assert {name.partition(".")[0] for name in pong} & NOT_BEFORE_PONG == set()
