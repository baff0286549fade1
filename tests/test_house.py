"""The house keeps its own rules: sizes, who reads the environment, what is loaded when. Imports: see pyproject.toml."""

import ast
import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for folder in ("protocol/sidecar_protocol", "sidecar") for path in (ROOT / folder).rglob("*.py"))
MAX_MODULE_LINES = 500
MAX_FUNCTION_LINES = 45

BEFORE_READY = {
    "msgspec",
    "orjson",
    "typing_extensions",
    "sidecar_protocol",
    "sidecar_protocol.wire_types",
    "sidecar_protocol.bounds",
    "sidecar_protocol.codec",
    "sidecar_protocol.cvs",
    "sidecar_protocol.errors",
    "sidecar_protocol.replies",
    "sidecar_protocol.requests",
    "sidecar_protocol.encoding",
    "sidecar",
    "sidecar.__main__",
    "sidecar.cli",
    "sidecar.cli.main",
    "sidecar.server",
    "sidecar.server.stdio_fds",
    "sidecar.settings",
}
"""The modules that may be imported before `ready`, in addition to light parts of the standard library."""
NOT_BEFORE_READY = {"argparse", "asyncio", "concurrent", "email", "http", "logging", "sqlite3", "ssl", "subprocess"}
NOT_BEFORE_PONG = {
    "aiohttp",
    "anyio",
    "argparse",
    "certifi",
    "h11",
    "httpcore",
    "httpx",
    "httpx_aiohttp",
    "multidict",
    "nacl",
    "platformdirs",
    "playwright",
    "pydantic",
    "pydantic_core",
    "redis",
    "regex",
    "rich",
    "saq",
    "sqlite3",
    "yarl",
}

SPY = """
import gc, json, os, sys
write, waiting = os.write, [b'"ready"', b'"pong"']
def spy(descriptor, data):
    if waiting and waiting[0] in bytes(data):
        waiting.pop(0)
        garbage = {"passes": passes() - before, "kept": gc.get_freeze_count(), "enabled": gc.isenabled()}
        print(json.dumps([sorted(sys.modules), garbage]), file=sys.stderr, flush=True)
    return write(descriptor, data)
def passes():
    return sum(one["collections"] for one in gc.get_stats())
before, os.write = passes(), spy
sys.argv = ["sidecar"]
from sidecar.__main__ import main
main()
"""
"""Runs the sidecar and says on stderr what is loaded when `ready` leaves, and when the first `pong` does, and what the
collector of garbage has done by then."""


@pytest.fixture(scope="module")
def spied(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What SPY says."""
    folder = tmp_path_factory.mktemp("spied")
    ended = subprocess.run(
        [sys.executable, "-c", SPY], input=b'{"type":"ping"}\n', capture_output=True, check=True, cwd=folder, timeout=60
    )
    return [json.loads(line) for line in ended.stderr.splitlines()]


@pytest.fixture(scope="module")
def loaded(spied: list[Any]) -> tuple[set[str], set[str]]:
    """Modules that the sidecar has loaded at `ready` and at the first `pong`, without what a bare Python loads."""
    bare = "import gc, json, os, sys; print(json.dumps(sorted(sys.modules)))"
    started = json.loads(subprocess.run([sys.executable, "-c", bare], capture_output=True, check=True).stdout)
    ready, pong = (set(modules) - set(started) for modules, _ in spied)
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


def test_nothing_is_raised_out_of_an_except_star() -> None:
    """Before Python 3.11.4 `except*` wraps what is raised in it into a group that no caller expects: it is not used."""
    folders = ("protocol", "sidecar", "tests", "examples", "benchmarks")
    users = {
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.TryStar)
    }
    assert users == set()


def test_waits_are_bounded_by_one_means() -> None:
    """`sidecar.clock.within`: before Python 3.11.3 `asyncio.timeout` fails in clean-up."""
    users = {
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"timeout", "timeout_at", "wait_for"}
        if isinstance(node.value, ast.Name) and node.value.id == "asyncio" and path.name != "clock.py"
    }
    assert users == set()


def closure(name: str, extras: set[str]) -> set[str]:
    """Every distribution that this Python needs for a distribution and its extras."""
    asked, found = [(name, extra) for extra in ("", *extras)], set[tuple[str, str]]()
    while asked:
        one = asked.pop()
        if one in found:
            continue
        found.add(one)
        for line in importlib.metadata.requires(one[0]) or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": one[1]}):
                asked += [(canonicalize_name(needed.name), extra) for extra in ("", *needed.extras)]
    return {found_name for found_name, _ in found} - {name}


def test_everything_that_is_installed_is_pinned() -> None:
    """Every distribution that is needed here is pinned with its installed version."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()[1:]
    pins = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}
    needed = closure("scraper-sidecar", {"dev", "bench", "fleet"})
    installed = {name: importlib.metadata.version(name) for name in needed}
    assert {name: version for name, version in installed.items() if pins.get(canonicalize_name(name)) != version} == {}


def imported(path: Path) -> Iterator[str]:
    """The packages that a module imports, wherever it does."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_msgspec_reads_envelopes_and_nothing_else() -> None:
    """It leaves a content the bytes that came; all else is pydantic's, orjson's and dataclasses'."""
    users = {str(path.relative_to(ROOT)) for path in SOURCES if "msgspec" in imported(path)}
    assert users == {f"protocol/sidecar_protocol/{name}.py" for name in ("bounds", "codec", "cvs")}


CUTS = {
    "sidecar/browser/sandbox/action_script.py: self.source.lstrip()[:_LABEL_SOURCE]",  # cut literals are hidden whole
    "sidecar/browser/sandbox/action_script.py: line[:_MAX_LABEL - 1]",  # of what is hidden already
    "sidecar/settings.py: name[:_MAX_NAME]",  # a variable's name
    "sidecar/net/responses.py: said[:MAX_QUOTED]",  # the same
    "sidecar/truncation.py: shown[:length]",  # the same
    "sidecar/truncation.py: text[:MAX_KEPT]",  # what `truncate` is for
    "sidecar/truncation.py: text[:length + LOOKAHEAD]",  # what is looked through for them
    "sidecar/recording/reply_diff.py: before[:_KIND_LENGTH]",  # which kind of file it is
    "sidecar/recording/redaction/placeholders.py: _NO_NAME.sub('-', name.lower())[-_NAME_LENGTH:]",  # a member's name
    "sidecar/browser/sandbox/task_session.py: stack[:_MAX_STACK]",  # lines, not characters
    "sidecar/browser/playwright_errors.py: tags[:_MOST_LISTED]",  # tags, not characters
    "sidecar/tasks/script_host.py: wanted.method[:20]",  # what a script asked for, for the script
    "sidecar/tasks/task_runner.py: result[:MAX_RESULT_CHARS]",  # a script's own result, for its owner
}
"""Where a text is cut that may leave, and why no half of a secret can be left there."""
NOT_TEXTS = {
    "protocol/sidecar_protocol/codec.py",  # errors of a line, for its sender
    "protocol/sidecar_protocol/line_hints.py",  # the start of a line, which is not quoted
    "sidecar/cli/agenda.py",  # columns
    "sidecar/browser/sandbox/cdp_pipe.py",  # a message's number
    "sidecar/recording/redaction/value_search.py",  # how known values begin
    "sidecar/recording/redaction/known_values.py",
    "sidecar/recording/redaction/redactor.py",
    "sidecar/recording/redaction/encoded_values.py",
    "sidecar/storage/redis_references.py",  # a list
    "sidecar/browser/profiles/profile_store.py",  # digests
    "sidecar/queue/process_registry.py",
    "sidecar/browser/filmstrip/filmstrip.py",  # lists of lines
    "sidecar/recording/report/causes.py",  # lists
    "sidecar/recording/report/exchanges.py",
    "sidecar/recording/report/fields.py",  # of a recording, whose secrets are words
    "sidecar/recording/report/jobs.py",  # lists
    "sidecar/recording/report/report_data.py",
    "sidecar/recording/redaction/json_secrets.py",  # keys' ends
    "sidecar/recording/redaction/secret_patterns.py",
    "sidecar/deliveries/endpoint_records.py",
    "sidecar/tasks/interval.py",
}


def cuts(path: Path) -> Iterator[str]:
    """Slices of a length that looks like one of texts: a number, or a name of its own, from the start or the end."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Slice) or node.slice.step:
            continue
        lower, upper = node.slice.lower, node.slice.upper
        bound = upper if lower is None else lower.operand if upper is None and isinstance(lower, ast.UnaryOp) else None
        long = isinstance(bound, ast.Constant) and isinstance(bound.value, int) and bound.value >= 16
        named = [n.id for n in ast.walk(bound) if isinstance(n, ast.Name)] if bound else []
        cut, telling = ast.unparse(node), any(name.isupper() or name in ("size", "length", "limit") for name in named)
        if (long or telling) and "hexdigest()" not in cut:
            yield f"{path.relative_to(ROOT)}: {cut}"


def test_texts_are_cut_by_one_helper() -> None:
    """`sidecar.truncation.truncate` takes secrets out before it cuts: a bare cut would leave half of one."""
    found = {cut for path in SOURCES if str(path.relative_to(ROOT)) not in NOT_TEXTS for cut in cuts(path)}
    assert found == CUTS


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


def test_no_garbage_is_looked_for_while_a_session_starts(spied: list[Any]) -> None:
    """What is imported stays; the collector works from the first line on, and does not look through that again."""
    (_, at_ready), (_, at_pong) = spied
    assert at_ready["passes"] <= 8  # for what is loaded before our first line
    assert at_pong["passes"] - at_ready["passes"] <= 2  # what the answer itself may set off
    assert at_pong["enabled"]
    assert at_pong["kept"] > at_ready["kept"] > 0


def test_one_sentence_and_one_pattern() -> None:
    """What is said of unexpected errors, and what a template's reference looks like, stand in one module each."""
    found = {part: [p.name for p in SOURCES if part in p.read_text()] for part in ('"internal error', r"\{\{")}
    assert found == {'"internal error': ["errors.py"], r"\{\{": ["templates.py"]}
