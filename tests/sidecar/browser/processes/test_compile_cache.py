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
    cache = tmp_path / "home" / "cache"
    assert compile_cache.variables(cache) == {"NODE_COMPILE_CACHE": str(cache / "driver")}
    assert {one.stat().st_mode & 0o777 for one in (cache / "driver", cache, tmp_path / "home")} == {0o700}
    assert compile_cache.variables(cache) == {"NODE_COMPILE_CACHE": str(cache / "driver")}


@pytest.mark.parametrize(
    "way",
    [
        *("writable by others", "another user's", "a link", "a file"),
        *("below one that others may write in", "below another user's", "in a circle"),
    ],
)
def test_code_of_others_is_not_run(tmp_path: Path, way: str) -> None:
    """A driver compiles its own code then, as it would without a folder; nothing is made in another user's home."""
    cache = tmp_path / "cache"
    cache.mkdir()
    folder = cache / "driver"
    if way == "a file":
        folder.touch()
    elif way == "a link":
        (tmp_path / "other").mkdir()
        folder.symlink_to(tmp_path / "other")
    elif way == "in a circle":
        cache.rmdir()
        cache.symlink_to(cache)
    else:
        changed = cache if way.startswith("below") else folder
        changed.mkdir(exist_ok=True)
        if "user" in way:
            os.chown(changed, 12345, 12345)
        else:
            changed.chmod(0o777)
    assert compile_cache.variables(cache) == {}
    assert folder.exists() == (way in ("writable by others", "another user's", "a link", "a file"))


def test_a_folder_that_cannot_be_made_is_none() -> None:
    """A user without a home has none."""
    assert compile_cache.variables(Path("/proc/driver/sidecar")) == {}
    assert compile_cache.variables(None) == {}


def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs with any number of a user."""

    def no_home(*_: object, **__: object) -> str:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr("platformdirs.user_cache_dir", no_home)
    assert Settings().cache_path() is None


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
