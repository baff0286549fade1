"""The examples and the demo, run as their readers would run them."""

import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import NODE

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"
SIDECAR = [sys.executable, "-m", "sidecar"]


def run(command: list[str], folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, its state in `folder`."""
    everything = os.environ | {"SIDECAR_HOME": str(folder / "state"), "PYTHONPATH": str(ROOT)} | env
    return subprocess.run(
        command, cwd=folder, env=everything, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200
    )


@pytest.mark.parametrize(("interpreter", "script"), [(NODE, "node/scraper.mjs"), ("bash", "bash/scraper.sh")])
def test_scraper_in_another_language(tmp_path: Path, interpreter: str, script: str) -> None:
    """A scraper without any library sends two references and skips the one that it sent already."""
    done = run([interpreter, str(EXAMPLES / script), *SIDECAR], tmp_path)
    name = Path(interpreter).name
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-3:] == [
        f"{name}-1: sent, matched",
        f"{name}-2: sent, matched",
        f"{name}-1: was sent before",
    ]


@pytest.mark.parametrize(("interpreter", "script"), [(NODE, "node/scraper.mjs"), ("bash", "bash/scraper.sh")])
def test_scraper_in_another_language_reports_a_failure(tmp_path: Path, interpreter: str, script: str) -> None:
    """A sidecar that can't work is reported, and the scraper fails."""
    error = '{"code":"internal","message":"out of order","hint":"call someone"}'
    refuse = f"""print('{{"type":"error","content":"no","error":{error}}}')"""
    done = run([interpreter, str(EXAMPLES / script), sys.executable, "-c", refuse], tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["failed: out of order; call someone"] or done.stderr == (
        "failed: out of order\ncall someone\n"
    )


@pytest.mark.browser
@pytest.mark.timeout(240)
def test_demo(tmp_path: Path) -> None:
    """The demo keeps its promises, replays offline, names what it left, and ends with a command that works.

    It is run as examples/README.md says, from what a reader's checkout has after `make setup`.
    """
    (tmp_path / ".venv").symlink_to(sys.prefix)
    for name in ("examples", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    (line,) = re.findall(r"^(\S+ -m examples\.demo)$", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    done = run(["bash", "-c", line], tmp_path, PYTHONPATH=os.environ.get("PYTHONPATH", ""))
    left = tmp_path / "demo-output"
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "20 in stock: 20 sent, 0 were sent before" in done.stdout
    assert "20 in stock: 0 sent, 20 were sent before" in done.stdout
    screenshots = re.findall(r"screenshot of the last page: (.*\.png)", done.stdout)
    assert len(screenshots) == 2
    for screenshot in screenshots:
        assert (tmp_path / screenshot).read_bytes().startswith(b"\x89PNG")
    assert "the webhook received, signed: WAITING, RUNNING, RUNNING, COMPLETED" in done.stdout
    assert re.search(r"^task +front-door +running .* success ", done.stdout, re.MULTILINE)
    log = left / "scraper_client_input.log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    for secret in ("a-scraper's-key", "an-encryption-key-of-some-length", "demo-buyer"):
        assert secret not in log.read_text()
    assert "43 replies, 0 of them errors, 0 other than recorded" in done.stdout  # offline
    for path in (left / "recording").rglob("*"):
        assert path.is_dir() or b"demo-buyer" not in path.read_bytes(), path
    replayed = run(shlex.split(done.stdout.splitlines()[-1]), tmp_path)
    assert (replayed.returncode, replayed.stderr) == (0, "")
    answers = re.findall(r"IN: (\w+) +OUT: (\w+)", replayed.stdout)
    assert [kind for kind, _ in answers].count("has_cached_reference") == 2 * 20
    assert {answer for _, answer in answers} == {"ok"}


def test_demo_says_what_went_wrong(tmp_path: Path) -> None:
    """A demo that can't keep its promises says so and fails."""
    env = {"SIDECAR_CHROMIUM": str(tmp_path / "no-browser-here")}
    done = run([sys.executable, "-m", "examples.demo", "--output", str(tmp_path / "left")], tmp_path, **env)
    assert done.returncode == 1
    assert "NOT AS PROMISED: the first scrape ended with exit code 1" in done.stderr
