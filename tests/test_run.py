"""The suite's second chance: what fails among others must pass alone, three times."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")
RUNS_OF_A_TEST = "from pathlib import Path\nruns = Path('runs')\nruns.write_text(runs.read_text() + '.')\n"


@pytest.mark.parametrize(
    ("body", "code", "runs"),
    [
        ("assert len(runs.read_text()) > 1", 0, 4),
        ("assert len(runs.read_text()) in (2, 3)", 1, 4),
    ],
    ids=["fails once", "fails again"],
)
def test_a_failure_has_to_pass_alone(tmp_path: Path, body: str, code: int, runs: int) -> None:
    """One time of failing is forgiven if three passes alone follow, and only then."""
    lines = "".join(f"    {line}\n" for line in [*RUNS_OF_A_TEST.splitlines(), body])
    (tmp_path / "runs").write_text("")
    (tmp_path / "test_one.py").write_text(f"def test_one():\n{lines}\n\ndef test_other():\n    pass\n")
    ended = run(tmp_path)
    assert ended.returncode == code, ended.stdout
    assert (tmp_path / "runs").read_text() == "." * runs
    assert ("failed among other tests" in ended.stdout) == (not code)


def test_many_failures_are_not_tried_again(tmp_path: Path) -> None:
    """Four of them are no matter of time."""
    source = "import pytest\n\n\n@pytest.mark.parametrize('n', range(4))\ndef test_one(n):\n    raise AssertionError\n"
    (tmp_path / "test_one.py").write_text(source)
    ended = run(tmp_path)
    assert ended.returncode == 1
    assert ended.stdout.count("4 failed") == 1


def test_a_module_that_cannot_be_imported_fails(tmp_path: Path) -> None:
    """So does a run that finds no test."""
    assert run(tmp_path).returncode == 5
    (tmp_path / "test_one.py").write_text("import missing\n")
    assert run(tmp_path).returncode != 0


def run(folder: Path) -> "subprocess.CompletedProcess[str]":
    """Runs the tests of a folder."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    env |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-p xdist"}  # it starts four times as fast
    return subprocess.run([sys.executable, RUN], cwd=folder, env=env, capture_output=True, text=True, check=False)
