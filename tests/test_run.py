"""The suite's second chance: what fails among others must pass alone, twice, with its whole file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COUNTS = "from pathlib import Path\nruns = Path('runs')\nruns.write_text(runs.read_text() + '.')\n"


@pytest.mark.parametrize(
    ("body", "code", "runs"),
    [("assert len(runs.read_text()) > 1", 0, 3), ("assert len(runs.read_text()) == 2", 1, 3)],
    ids=["fails once", "fails again"],
)
def test_a_failure_has_to_pass_alone(tmp_path: Path, body: str, code: int, runs: int) -> None:
    """One time of failing is forgiven if two passes alone follow, and only then."""
    lines = "".join(f"    {line}\n" for line in [*COUNTS.splitlines(), body])
    ended = run(tmp_path, f"def test_one():\n{lines}\n\ndef test_other():\n    pass\n")
    assert ended.returncode == code, ended.stdout
    assert (tmp_path / "runs").read_text() == "." * runs
    assert ("failed among other tests" in ended.stdout) == (not code)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("import pytest\n@pytest.mark.parametrize('n', range(6))\ndef test_one(n):\n    raise AssertionError\n", 1),
        ("left = []\ndef test_one():\n    left.append(1)\ndef test_two():\n    assert not left\n", 1),
        ("import missing\n", 2),
        ("", 5),
    ],
    ids=["many failures", "a test that fails after another", "no import", "no test"],
)
def test_what_fails_for_good(tmp_path: Path, source: str, code: int) -> None:
    """A second chance lets nothing through that fails each time."""
    assert run(tmp_path, source).returncode == code


def test_a_worker_that_dies_fails_the_run(tmp_path: Path) -> None:
    """Its tests may never have been run: here one that would fail, behind one that kills its worker the first time."""
    lines = ["import os", *COUNTS.splitlines(), "if len(runs.read_text()) == 1: os._exit(3)"]
    ended = run(tmp_path, "def test_one():\n" + "".join(f"    {line}\n" for line in lines))
    assert ended.returncode == 1, ended.stdout


def run(folder: Path, source: str) -> "subprocess.CompletedProcess[str]":
    """Runs a folder with one file of tests."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "runs").write_text("")
    (folder / "test_one.py").write_text(source)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    env |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-p xdist"}  # it starts four times as fast
    command = [sys.executable, "-m", "tests.run"]
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [env.get("PYTHONPATH")])])
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
