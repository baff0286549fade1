"""Every block of README.md works: each is run as a reader would run it, with the real sidecar."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sidecar.cli.commands import COMMANDS

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
"""Language and text of each, in their order."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that has what a reader's checkout has after `make setup`."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "examples").symlink_to(ROOT / "examples")
    return folder


def block(language: str, beginning: str) -> str:
    """The one block that begins so."""
    (text,) = (text for of, text in BLOCKS if of == language and text.startswith(beginning))
    return str(text)


def run(checkout: Path, *command: str) -> str:
    """The output of a command that must succeed without errors."""
    done = subprocess.run(
        command,
        cwd=checkout,
        env=os.environ | {"SIDECAR_HOME": str(checkout / "state")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def shell(checkout: Path, script: str) -> str:
    """The output of a block in bash, which ends at the first failing line."""
    return run(checkout, "bash", "-euo", "pipefail", "-c", script)


def answers(printed: str) -> list[dict[str, Any]]:
    """The lines of JSON among what was printed; none is an error."""
    lines = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    assert [line for line in lines if line["type"] == "error"] == []
    return lines


def test_every_block_is_run() -> None:
    """Tests run every block: those below, `make fresh-test` (set-up for a scraper) and `make image-test`."""
    assert [(language, text.split("\n")[0].split("#")[0].rstrip()) for language, text in BLOCKS] == [
        ("sh", "make demo"),
        ("sh", """$ echo '{"type":"ping","id":1}' | .venv/bin/sidecar"""),
        ("sh", ".venv/bin/python - https://example.com h1 <<'PYTHON'"),
        ("sh", ".venv/bin/sidecar get https://example.com -e found=h1"),
        ("sh", "python3 -m venv venv"),
        ("python", "from sidecar.client import Sidecar"),
        ("sh", ".venv/bin/sidecar <<'LINES'"),
        ("sh", ".venv/bin/sidecar <<'LINES'"),
        ("sh", "export SIDECAR_LOG_INPUT=session.log"),
        ("sh", "SIDECAR_RECORD=recording examples/bash/scraper.sh .venv/bin/sidecar"),
        ("dockerfile", "COPY --from=sidecar /opt/sidecar /opt/sidecar"),
    ]


def test_the_targets_are_there() -> None:
    """The make targets of the first block and the text exist."""
    named = set(re.findall(r"\bmake ([a-z-]+)", (ROOT / "README.md").read_text()))
    rules = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= named <= rules


def test_every_command_has_a_row() -> None:
    """The table has exactly these rows."""
    rows = re.findall(r"^\| `sidecar ([a-z-]+)[^`]*` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(COMMANDS)


def test_a_message_and_its_answer(checkout: Path) -> None:
    """The output equals the block's, except for the version and the process id."""
    command, *reported = block("sh", "$ ").splitlines()
    ready, pong = answers(shell(checkout, command.removeprefix("$ ")))
    assert [ready | {"pid": 0, "version": ""}, pong] == [
        line | ({"pid": 0, "version": ""} if line["type"] == "ready" else {}) for line in map(json.loads, reported)
    ]


@pytest.mark.browser
def test_an_extract_from_a_page_of_ones_own(checkout: Path) -> None:
    """With the reader's page in place of the one that stands there."""
    python, line = (block("sh", f".venv/bin/{name} https://example.com") for name in ("python -", "sidecar get"))
    script = (python + line).replace("https://example.com", "'data:text/html,<h1>Mine</h1>'")
    assert shell(checkout, script) == 'Mine\n{"found": "Mine"}\n'


def test_the_python_block(checkout: Path) -> None:
    """The Python block reads its user and sends its CV."""
    assert run(checkout, sys.executable, "-c", block("python", "from sidecar.client")) == "foo True\n"


@pytest.mark.browser
def test_the_block_of_a_browser_job(checkout: Path) -> None:
    """The job's answer has the page's content."""
    (script, _) = (text for language, text in BLOCKS if text.startswith(".venv/bin/sidecar <<"))
    *_, secret, job = answers(shell(checkout, script))
    assert secret["content"] == {"username": "foo", "password": "bar"}
    assert job["content"]["result"]["extract"] == {"title": "Hello"}


@pytest.mark.browser
def test_the_block_of_work_for_later(checkout: Path) -> None:
    """Accepted work is done after its parent has ended; the task is planned, runs, and is deleted at the end."""
    (_, script) = (text for language, text in BLOCKS if text.startswith(".venv/bin/sidecar <<"))
    printed = shell(checkout, script)
    _, job, task, _, jobs, deleted = answers(printed)
    assert (job["content"]["status"], task["content"]["id"], deleted["type"]) == ("scheduled", "front-page", "ok")
    (done,) = (one for one in jobs["content"]["jobs"] if one["id"] == job["content"]["id"])
    assert done["status"] == "success"
    assert re.search(r"^task +front-page +running .* success ", printed, re.MULTILINE)


def test_the_block_of_a_recording(checkout: Path) -> None:
    """A real scraper's session is recorded, and its replay answers the same."""
    printed = shell(checkout, block("sh", "SIDECAR_RECORD"))
    assert "8 replies, 0 of them errors, 0 other than recorded" in printed


def test_the_block_of_a_replay(checkout: Path) -> None:
    """A real scraper's session is logged and replayed as often as requested, and every command is answered."""
    printed = shell(checkout, block("sh", "export SIDECAR_LOG_INPUT"))
    reported = re.findall(r"IN: (\w+) +OUT: (\w+)", printed)
    assert {answer for _, answer in reported} == {"ok"}
    kinds = [kind for kind, _ in reported]
    assert kinds.count("set_mock") == 1 + 3 + 1
    assert kinds.count("send_cv") == 2 + 0 + 2
