"""The driver's compiled code: kept for the next start, run only from a folder that is ours alone."""

import os
from pathlib import Path

import pytest

from sidecar.browser.processes import compile_cache
from sidecar.browser.processes.driver import start_driver
from sidecar.browser.processes.driver_process import DriverProcesses
from sidecar.scratch_folder import Scratch
from sidecar.settings import Settings


def test_a_folder_of_ours_is_used(tmp_path: Path) -> None:
    """It is made with its parents, for us alone."""
    folder = tmp_path / "cache" / "driver"
    assert compile_cache.variables(folder) == {"NODE_COMPILE_CACHE": str(folder)}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert compile_cache.variables(folder) == {"NODE_COMPILE_CACHE": str(folder)}


@pytest.mark.parametrize("way", ["writable by others", "another user's", "a link", "a file", "not to be made"])
def test_code_of_others_is_not_run(tmp_path: Path, way: str) -> None:
    """A driver compiles its own code then, as it would without a folder."""
    folder = tmp_path / "driver"
    if way == "a file":
        folder.touch()
    elif way == "not to be made":
        folder = Path("/proc/driver/sidecar/driver")
    else:
        (tmp_path / "other").mkdir(mode=0o700)
        (tmp_path / "other").chmod(0o770 if way == "writable by others" else 0o700)
        if way == "another user's":
            os.chown(tmp_path / "other", 12345, 12345)
        if way == "a link":
            folder.symlink_to(tmp_path / "other")
        else:
            folder = tmp_path / "other"
    assert compile_cache.variables(folder) == {}


@pytest.mark.browser
async def test_a_driver_leaves_its_code_and_starts_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were cut short or overwritten are compiled again."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    await driver_starts()
    files = sorted(one for one in (tmp_path / "sidecar" / "driver").rglob("*") if one.is_file())
    assert sum(one.stat().st_size for one in files) > 100_000
    for damage in (lambda code: code, lambda code: code[: len(code) // 2], lambda code: b"x" * len(code)):
        for one in files:
            one.write_bytes(damage(one.read_bytes()))
        await driver_starts()


async def driver_starts() -> None:
    """Checks that a driver starts, answers and ends."""
    scratch = Scratch()
    drivers = DriverProcesses(Settings(), scratch)
    driver = await start_driver(lambda: drivers.start("CHROMIUM"), 30)
    assert driver.playwright.chromium.name == "chromium"
    await driver.stop(30)
    await drivers.close()
    scratch.close()
