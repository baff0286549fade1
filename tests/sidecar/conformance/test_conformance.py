"""The published cases: our sidecar and every client pass them, and those with faults fail the right ones."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.conformance import play_child, play_parent
from sidecar.conformance.cases import Case, CaseError, load, read
from sidecar.conformance.patterns import Names, differences, expected
from tests.e2e.test_clients import COMMANDS, command
from tests.harness import environment

HERE = Path(__file__).parent
PYTHON = {"python": "driver.py", "asyncio": "async_driver.py"}
BROKEN_SIDECAR = {"big-id-keeps-its-digits", "blank-line-is-an-error", "spaces-alone-are-an-error"}
BROKEN_CLIENT = {
    "answers-come-in-any-order",
    "a-request-is-cancelled",
    "a-line-over-the-limit-harms-no-other",
    "a-line-of-64-kib",
    "a-line-of-300-kb",
    "reads-while-it-writes",
    "several-lines-in-a-chunk",
}
DEADLOCKS = {"reads-while-it-writes", "a-line-of-300-kb"}
"""Those in which that client and the child wait for each other."""


def conformance(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end."""
    line = [sys.executable, "-m", "sidecar", "conformance", *arguments]
    env = environment(folder, {"DENO_DIR": str(folder / "deno"), "DENO_NO_UPDATE_CHECK": "1"})
    return subprocess.run(line, cwd=folder, env=env, capture_output=True, text=True, timeout=115)


@pytest.mark.browser
def test_our_sidecar_passes(tmp_path: Path) -> None:
    """All cases, those with a browser too."""
    done = conformance(tmp_path, "--quiet", "--browser", "--", sys.executable, "-m", "sidecar")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert re.fullmatch(r"(\d+) of \1 cases passed\n", done.stdout)


@pytest.mark.parametrize("language", [*PYTHON, *COMMANDS])
def test_our_clients_pass(tmp_path: Path, language: str) -> None:
    """All cases; bash those with one request at a time, and no other order of members than the sidecar's."""
    own = language in PYTHON
    program = [sys.executable, str(HERE / PYTHON[language])] if own else command(language, "driver", tmp_path)
    if language == "ruby":
        program.insert(1, "--disable-gems")  # a driver needs none, and finding them takes longer than a case
    without = ["--without", "concurrency,json"] if language == "bash" else []
    done = conformance(tmp_path, "--quiet", "--seconds", "60", "--client", *without, "--", *program)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def failed(playing: "list[tuple[Case, str]]") -> set[str]:
    """Names of the cases that something is wrong with."""
    return {case.name for case, wrong in playing if wrong}


def test_a_broken_sidecar_fails_the_right_cases(tmp_path: Path) -> None:
    """No others fail; the differences name the place."""
    cases = [case for case in load("sidecar") if case.file == "1-lines"]
    broken = [sys.executable, str(HERE / "broken_sidecar.py")]
    played = list(play_parent.play(cases, broken, environment(tmp_path), 5))
    assert failed(played) == BROKEN_SIDECAR
    told = {case.name: wrong for case, wrong in played}["big-id-keeps-its-digits"]
    assert told.endswith("\n    id: expected 9007199254740993, got 9007199254740992")


def test_a_broken_client_fails_the_right_cases(tmp_path: Path) -> None:
    """No others fail; where both sides wait for ever, the driver is given up sooner."""
    cases = [case for case in load("client") if case.file != "3-ends"]
    stuck = [case for case in cases if case.name in DEADLOCKS]
    broken = [sys.executable, str(HERE / "broken_client.py")]
    for case, wrong in play_child.play(stuck, broken, environment(tmp_path), 5):
        assert re.match(r"the driver has not ended within 5 s|the client has broken the connection", wrong), case.name
    rest = [case for case in cases if case.name not in DEADLOCKS]
    assert failed(list(play_child.play(rest, broken, environment(tmp_path), 60))) == BROKEN_CLIENT - DEADLOCKS


def test_there_are_many_cases_and_each_has_a_reason(tmp_path: Path) -> None:
    """A hundred and fifty at least; they can be listed and chosen by name."""
    assert len(load("sidecar")) + len(load("client")) >= 150
    listed = conformance(tmp_path, "--list").stdout.splitlines()
    assert len(listed) == len(load("sidecar"))
    assert all(re.fullmatch(r"\S+ +\S.+[.]", line) for line in listed)
    chosen = conformance(tmp_path, "--list", "--client", "--only", "64-kib").stdout
    assert chosen == "a-line-of-64-kib  Many readers stop here.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "nothing-like-this", "--", "true"), "no case has 'nothing-like-this' in its name"),
        ((), "name the program to check"),
        (("--", "/nothing/like/this"), "/nothing/like/this can't be started: No such file or directory"),
    ],
)
def test_what_can_not_be_checked(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """A sentence, and exit code 2."""
    done = conformance(tmp_path, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_patterns() -> None:
    """Placeholders stand for kinds and get names; every difference has its place."""
    names = Names()
    pattern = expected(r'{"id":"<id:a>","n":["<integer>",{"b":1,"<more>":"<any>"}],"t":"<time>"}')
    assert list(differences(pattern, {"id": "x", "n": [1, {"b": 1, "c": 2}], "t": "2026-01-31T12:00:00Z"}, names)) == []
    assert names.fill('{"id":"$a","x":"$(ab*3)","y":"$b"}') == '{"id":"x","x":"ababab","y":"$b"}'
    assert list(differences(pattern, {"id": 1.5, "n": [True], "z": 0}, Names())) == [
        "id: expected id, got 1.5",
        "n: expected 2 items, got 1: [true]",
        "n[0]: expected integer, got true",
        "t: missing",
        "z: not expected, got 0",
    ]
    assert list(differences(1, True, Names())) == ["the line: expected 1, got true"]
    wrong = expected('error timeout {"id":1,"error":{"field":"a"}}')
    reply = {
        "type": "error",
        "content": "no",
        "id": 1,
        "error": {"code": "timeout", "message": "no", "retryable": True},
    }
    assert list(differences(wrong, reply, Names())) == ["error.field: missing"]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("### a\n\n    > x\n", "a has no reason"),
        ("### a\nWhy.\n", "a has no steps"),
        ("### a\nWhy.\n\n    * x\n", "a.md:4: '* x' is no step"),
    ],
)
def test_a_case_file_with_a_mistake(tmp_path: Path, text: str, wrong: str) -> None:
    """It is named."""
    (tmp_path / "a.md").write_text(text)
    with pytest.raises(CaseError, match=re.escape(wrong)):
        list(read(tmp_path / "a.md"))
