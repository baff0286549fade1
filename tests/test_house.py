"""The house keeps its own rules: sizes, who reads the environment, what is loaded when. Imports: see pyproject.toml."""

import ast
import functools
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tokenize
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
NOT_BEFORE_WORK_RUNS = {"aiohttp", "httpx", "httpx_aiohttp", "playwright"}
"""Of what HTTP and browsers need: work is accepted, and the store opened, without it."""
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
write, waiting = os.write, [b'"ready"', b'"pong"', b'"jobs"']
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
"""Runs the sidecar and says on stderr what is loaded when `ready` leaves, when the first `pong` does, and when jobs are
listed, and what the collector of garbage has done by then."""


@pytest.fixture(scope="module")
def spied(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The output of SPY."""
    folder = tmp_path_factory.mktemp("spied")
    lines = b'{"type":"ping"}\n{"type":"list_jobs"}\n'
    env = {**os.environ, "XDG_STATE_HOME": str(folder)}
    ended = subprocess.run(
        [sys.executable, "-c", SPY], input=lines, capture_output=True, check=True, cwd=folder, env=env, timeout=60
    )
    return [json.loads(line) for line in ended.stderr.splitlines()]


@pytest.fixture(scope="module")
def loaded(spied: list[Any]) -> tuple[set[str], set[str], set[str]]:
    """Modules that the sidecar has loaded at `ready`, at the first `pong`, and when jobs are listed.

    Without what a bare Python loads.
    """
    bare = "import gc, json, os, sys; print(json.dumps(sorted(sys.modules)))"
    started = json.loads(subprocess.run([sys.executable, "-c", bare], capture_output=True, check=True).stdout)
    ready, pong, jobs = (set(modules) - set(started) for modules, _ in spied)
    return ready, pong, jobs


@functools.cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Every node of a Python file, which is parsed once."""
    return tuple(ast.walk(ast.parse(path.read_text())))


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and length in lines of every function of a module."""
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path.relative_to(ROOT)}: {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def names_of(node: ast.ImportFrom) -> set[str]:
    """The names of a `from ... import`."""
    return {alias.name for alias in node.names}


def test_modules_are_short() -> None:
    """No module is longer than a person can read in one sitting."""
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
        for node in nodes(path)
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
        if re.search(r"\bexcept\s*\*", path.read_text())  # few are parsed
        for node in nodes(path)
        if isinstance(node, ast.TryStar)
    }
    assert users == set()


def test_waits_are_bounded_by_one_means() -> None:
    """`sidecar.clock.within`: before Python 3.11.3 `asyncio.timeout` fails in clean-up."""
    users = {
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in SOURCES
        for node in nodes(path)
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
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_msgspec_reads_envelopes_and_nothing_else() -> None:
    """msgspec keeps a content as the bytes received; the rest is pydantic's, orjson's and dataclasses'."""
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
"""The modules that cut texts, and why no half of a secret can be left there."""
NOT_TEXTS = {
    "protocol/sidecar_protocol/codec.py",  # errors of a line, for its sender
    "protocol/sidecar_protocol/line_hints.py",  # the start of a line, which is not quoted
    "sidecar/cli/agenda.py",  # columns
    "sidecar/conformance/patterns.py",  # lines of a test
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
    for node in nodes(path):
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


def test_little_is_imported_before_ready(loaded: tuple[set[str], ...]) -> None:
    """A parent waits for `ready`: nothing is loaded before it that is not on the list."""
    ready, *_ = loaded
    own = {name for name in ready if name.startswith(("protocol", "sidecar"))}
    foreign = {name.partition(".")[0] for name in ready - own} - sys.stdlib_module_names
    assert own | foreign <= BEFORE_READY
    assert {name.partition(".")[0] for name in ready} & NOT_BEFORE_READY == set()


def test_nothing_heavy_is_imported_before_the_first_pong(loaded: tuple[set[str], ...]) -> None:
    """The libraries for browsers, HTTP, the disk and the terminal wait until they are needed."""
    _, pong, _ = loaded
    assert {name.partition(".")[0] for name in pong} & NOT_BEFORE_PONG == set()


def test_work_is_accepted_without_http_and_browsers(loaded: tuple[set[str], ...]) -> None:
    """The store and its queue are opened before anything has to be sent or visited."""
    *_, jobs = loaded
    assert "saq" in jobs
    assert jobs & NOT_BEFORE_WORK_RUNS == set()


def test_no_garbage_is_looked_for_while_a_session_starts(spied: list[Any]) -> None:
    """Garbage collection is off until the first line; imported objects are then exempt from it."""
    (_, at_ready), (_, at_pong), _ = spied
    assert at_ready["passes"] <= 8  # for what is loaded before our first line
    assert at_pong["passes"] - at_ready["passes"] <= 2  # what the answer itself may set off
    assert at_pong["enabled"]
    assert at_pong["kept"] > at_ready["kept"] > 0


def test_one_sentence_and_one_pattern() -> None:
    """The sentence for unexpected errors and the pattern of references are each in one module."""
    found = {part: [p.name for p in SOURCES if part in p.read_text()] for part in ('"internal error', r"\{\{")}
    assert found == {'"internal error': ["errors.py"], r"\{\{": ["templates.py"]}


OLD_WORDS = re.compile(
    r"\b(?:told|nobody|whoever|beside|where absent|so (?:many|much)|altogether|anew|doors?|parcels?|couriers?|desks?"
    r"|bur(?:y|ied)|bells?|tells? of|is looked (?:for|at))\b",
    re.IGNORECASE,
)
"""Words that the field does not use for these things; docs/glossary.md has the ones to use."""
NO_SUBJECT = re.compile(r"(?:The same[,.:]|The same (?:as|for|where|over|by|with|in) |Likewise\b|And |Also |Nor )")
"""Starts of a docstring without a noun."""
OLD_NAMES = re.compile(
    r"\b(?:LegacyModel|SealedByAnother|GuestWorker|WarmBrowser|TaskDesk|Surroundings|Workshop|Unattended|Courier|Parcel|NOBODY"
    r"|_bury_orphans|agenda_view|salvage_id|hold_back|put_off|not_stored|shared_(?:agenda|glance|logins|task_runs)"
    r"|sidecar[./](?:wiring|remote|work|visits|scripting)|(?:queue|storage|deliveries|jobs|tasks|browser|recording)[./](?:bell"
    r"|turns|stuck|presence|leavings|parcels|glance|courier|verdicts|audiences|endings|globs|devtools|surrogates|journal))\b"
)
"""Names that modules, classes and functions had before."""
WORDS_THAT_STAY = {
    "sidecar/storage/outbox_sql.py": {"parcel"},  # the table's name in databases that exist
    "docs/coming-from.md": {"nobody"},  # the id of a task that does not exist
}


def notes(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every docstring, also of attributes, and every comment of a Python file."""
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    for node in nodes(path):
        body = getattr(node, "body", [])
        for each in body if isinstance(body, list) else []:
            if (
                isinstance(each, ast.Expr)
                and isinstance(each.value, ast.Constant)
                and isinstance(each.value.value, str)
            ):
                yield each.lineno, each.value.value


NOT_OURS = {"build", "dist", "demo-output", "venv", "__pycache__", "node_modules"}
"""Folders that the repository ignores, and that of the README's installation."""


def own_files(*suffixes: str) -> list[Path]:
    """The repository's files of these suffixes, without this one, which has the words in its lists. Needs no git."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if name not in NOT_OURS and not name.startswith("."))
        found += [Path(folder, name) for name in sorted(names) if name.endswith(suffixes)]
    return [path for path in found if path != Path(__file__)]


def test_docs_and_docstrings_use_the_field_s_words() -> None:
    """Pages, docstrings and comments say what a thing is, subject first; see OLD_WORDS and NO_SUBJECT."""
    found = []
    for path in own_files(".py", ".md"):
        name, whole = str(path.relative_to(ROOT)), path.read_text()
        if not (OLD_WORDS.search(whole) or NO_SUBJECT.search(whole)):
            continue  # most files, which need not be parsed
        texts = enumerate(whole.splitlines(), 1) if path.suffix == ".md" else notes(path)
        for number, text in texts:
            words = {match[0].lower() for match in OLD_WORDS.finditer(text)} - WORDS_THAT_STAY.get(name, set())
            if path.suffix == ".py" and (start := NO_SUBJECT.match(text)):
                words.add(start[0])
            found += [f"{name}:{number}: {word}" for word in sorted(words)]
    assert found == []


def test_no_old_name_is_left() -> None:
    """Neither code nor pages have the old name of a module, class or function."""
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in own_files(".py", ".md", ".toml", ".js")}
    assert {name: found for name, text in texts.items() if (found := OLD_NAMES.findall(text))} == {}


ARCHITECTURES = re.compile(r"\b(x86[-_]64|amd64|x64|aarch64|arm64|i[36]86)\b", re.IGNORECASE)


def test_the_image_names_no_architecture() -> None:
    """One Dockerfile builds for amd64 and arm64: paths and packages come from the machine that builds."""
    files = [ROOT / "Dockerfile", *(path for path in (ROOT / "image").iterdir() if path.suffix in (".sh", ".py"))]
    assert len(files) >= 3
    named = [f"{path.name}: {found[0]}" for path in files if (found := ARCHITECTURES.search(path.read_text()))]
    assert named == []
    confined = json.loads((ROOT / "image" / "seccomp.json").read_text())
    assert {*confined["architectures"]} >= {"SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"}
