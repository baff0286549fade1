"""A sidecar that is started in a folder of the scraper's modules imports none of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar import isolated_launch
from tests.harness import environment

ROOT = Path(isolated_launch.__file__).resolve().parent.parent
NAMES = (
    *(
        "protocol",
        "sidecar_protocol",
        "types",
        "selectors",
        "json",
        "asyncio",
        "logging",
        "typing",
        "enum",
        "re",
        "socket",
        "site",
        "runpy",
    ),
    *("pathlib", "collections", "aiohttp", "msgspec", "playwright", "platformdirs", "queue", "signal", "tokens"),
)
SCRAPER = """
from sidecar.client import Sidecar
with Sidecar() as sidecar:
    sidecar.set_mock()
    print(sidecar.send_cv({"referenceNumber": "a"}))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder full of modules that end every process that imports them."""
    folder = tmp_path / "scraper"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.py").write_text(f"raise SystemExit('{name} of the scraper was imported')\n")
    return folder


def ran(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A Python process in that folder."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(folder.parent, variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        input='{"type":"ping"}\n',
    )


@pytest.mark.parametrize("path", [(), ("."), ("{folder}", "{root}")])
def test_no_module_of_the_scraper_is_the_sidecars(folder: Path, path: tuple[str, ...]) -> None:
    """Neither from its working folder nor from PYTHONPATH, which still finds what is found nowhere else."""
    variables = {"PYTHONPATH": os.pathsep.join(one.format(folder=folder, root=ROOT) for one in path)}
    started = subprocess.run(
        isolated_launch.command(),
        cwd=folder,
        env=environment(folder.parent, variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        input='{"type":"set_mock"}\n{"type":"send_cv","content":{"referenceNumber":"a"}}\n',
    )
    assert (started.returncode, started.stderr) == (0, "")
    assert [json.loads(line)["type"] for line in started.stdout.splitlines()] == ["ready", "ok", "ok"]


def test_a_client_in_such_a_folder(folder: Path) -> None:
    """A scraper that keeps such modules for itself, and imports none of them, spawns its sidecar all the same."""
    ended = ran(folder, "-P", "-c", SCRAPER)
    assert (ended.stdout, ended.stderr) == ("True\n", "")


def test_a_scraper_whose_modules_are_called_as_ours(tmp_path: Path) -> None:
    """Its script's folder comes first for itself: what it imports by such a name is its own, and not its sidecar's."""
    (tmp_path / "selectors_.py").write_text("")
    (tmp_path / "tokens.py").write_text("WORD = 'mine'\n")
    (tmp_path / "scraper.py").write_text(f"import tokens\n{SCRAPER}print(tokens.WORD)\n")
    (tmp_path / "publicsuffixlist.py").write_text("raise SystemExit('imported')\n")
    ended = ran(tmp_path, "scraper.py")
    assert (ended.stdout, ended.stderr) == ("True\nmine\n", "")


@pytest.mark.parametrize("variables", [{}, {"PYTHONSAFEPATH": "1"}])
def test_the_module_as_a_user_types_it(tmp_path: Path, variables: dict[str, str]) -> None:
    """`python -m sidecar` in a folder with modules of our names takes none of them once it has begun."""
    for name in ("protocol", "sidecar_protocol", "aiohttp", "selectors", "playwright"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} of the scraper was imported')\n")
    ended = ran(tmp_path, "-m", "sidecar", **variables)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [json.loads(line)["type"] for line in ended.stdout.splitlines()] == ["ready", "pong"]


def test_a_checkout_needs_no_installation(folder: Path) -> None:
    """A package found only by PYTHONPATH starts a child of the same package, with its other modules."""
    code = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "protocol")!r}]
from sidecar import client
import sidecar_protocol
assert sidecar_protocol.__file__.startswith({str(ROOT)!r})
with client.Sidecar() as sidecar:
    print(sidecar.ready["version"])
"""
    ended = ran(folder, "-P", "-c", code)
    assert ended.stderr == ""
    assert ended.stdout.strip()
