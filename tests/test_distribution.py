"""The distribution: a wheel that installs two typed packages and runs without the repository."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from sidecar.cli.client import CLIENTS

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by what `make dist` calls."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with only the wheel in it; dependencies are those of the tests."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False, symlinks=True)
    site = site_packages(folder)
    assert list(site.iterdir()) == []
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--no-deps"]
    subprocess.run([*pip, "--no-index", "--disable-pip-version-check", str(wheel)], check=True, capture_output=True)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def site_packages(folder: Path) -> Path:
    """The folder of that environment's packages."""
    return next((folder / "lib").glob("python3*")) / "site-packages"


def test_a_wheel_adds_two_packages(environment: Path) -> None:
    """A wheel adds two packages and pip's records, and no top-level name such as `protocol`."""
    added = {path.name for path in site_packages(environment).iterdir()} - {"dependencies.pth"}
    assert {name for name in added if not name.endswith(".dist-info")} == {"sidecar", "sidecar_protocol"}
    assert len(added) == 3


def test_a_wheel_is_typed(wheel: Path) -> None:
    """Both packages have a `py.typed`."""
    assert {"sidecar/py.typed", "sidecar_protocol/py.typed"} <= set(zipfile.ZipFile(wheel).namelist())


def test_what_a_wheel_installs_serves_a_session(environment: Path, tmp_path: Path) -> None:
    """The installed command serves a session with the installed modules."""
    asked = ['{"type":"set_mock"}', '{"type":"send_cv","content":{"referenceNumber":"a"}}', '{"type":"ping"}']
    ended = subprocess.run(
        [environment / "bin" / "sidecar"],
        input="".join(f"{line}\n" for line in asked),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        timeout=60,
    )
    assert [json.loads(line)["type"] for line in ended.stdout.splitlines()] == ["ready", "ok", "ok", "pong"]
    where = "import sidecar, sidecar_protocol; print(sidecar.__file__); print(sidecar_protocol.__file__)"
    found = subprocess.run(
        [environment / "bin" / "python", "-c", where], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert all(Path(line).is_relative_to(environment) for line in found.stdout.splitlines())


def test_the_clients_are_in_it(environment: Path, tmp_path: Path) -> None:
    """`sidecar client` writes them without a checkout."""
    sidecar = [str(environment / "bin" / "sidecar"), "client"]
    for language, files in CLIENTS.items():
        command = [*sidecar, language, "--example", "--out", f"{language}/"]
        subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=60)
        for name in (*files.client, *files.example):
            assert (tmp_path / language / name).read_bytes() == (ROOT / "clients" / files.folder / name).read_bytes()


def test_the_conformance_cases_are_in_it(environment: Path, tmp_path: Path) -> None:
    """Those of sidecars and of clients."""
    sidecar = [str(environment / "bin" / "sidecar"), "conformance", "--list"]
    for more in ([], ["--client"]):
        listed = subprocess.run([*sidecar, *more], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
        assert len(listed.stdout.splitlines()) > 40
