"""Which browser is found, and that nothing is started to find it."""

import subprocess
import sys
from pathlib import Path

import pytest
from sidecar_protocol.wire_types import BrowserName

from sidecar.browser import discovery
from sidecar.errors import BrowserUnavailable
from sidecar.settings import Settings


def make_executable(path: Path) -> Path:
    """A file that can be executed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_setting_goes_first(tmp_path: Path) -> None:
    """A path in the settings is taken before any other browser."""
    chosen = make_executable(tmp_path / "my-browser")
    found = discovery.find("CHROMIUM", Settings(chromium=str(chosen)))
    assert (found.path, found.source, found.name, found.channel) == (str(chosen), "setting", "my-browser", None)


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    """A setting that leads nowhere is an error, not a reason to take another browser."""
    with pytest.raises(BrowserUnavailable, match=f"SIDECAR_CHROMIUM does not point to an executable: {tmp_path}/none"):
        discovery.find("CHROMIUM", Settings(chromium=f"{tmp_path}/none"))


@pytest.mark.parametrize(
    ("kind", "name", "inside"),
    [
        ("CHROMIUM", "chromium-headless-shell", "chrome-headless-shell-linux64/chrome-headless-shell"),
        ("CHROMIUM", "chromium", "chrome-linux64/chrome"),
        ("FIREFOX", "firefox", "firefox/firefox"),
        ("WEBKIT", "webkit", "pw_run.sh"),
    ],
)
def test_playwrights_download_goes_before_the_system(tmp_path: Path, kind: BrowserName, name: str, inside: str) -> None:
    """The revision that this Playwright wants is found in its folder, and needs no channel."""
    package = discovery._playwright_package()
    assert package
    revision = discovery._revisions(package / "browsers.json")[name]
    executable = make_executable(tmp_path / f"{name.replace('-', '_')}-{revision}" / inside)
    make_executable(tmp_path / f"{name.replace('-', '_')}-1" / inside)
    found = discovery.find(kind, Settings(browsers_path=str(tmp_path)))
    assert (found.path, found.source, found.channel) == (str(executable), "playwright", None)


def test_the_systems_headless_shell_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several system browsers the cheapest is taken; a stock Firefox is addressed by its channel."""
    for name in ("chromium", "chromium-headless-shell", "firefox-esr"):
        make_executable(tmp_path / name)
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = Settings(browsers_path=str(tmp_path / "none"))
    assert discovery.find("CHROMIUM", settings).name == "chromium-headless-shell"
    assert discovery.find("FIREFOX", settings).channel == "moz-firefox"
    assert discovery.available_browsers(settings) == {
        "CHROMIUM": str(tmp_path / "chromium-headless-shell"),
        "FIREFOX": str(tmp_path / "firefox-esr"),
    }


def test_a_missing_browser_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error holds the commands that bring the browser."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrowserUnavailable) as failed:
        discovery.find("CHROMIUM", Settings(browsers_path=str(tmp_path)))
    for words in ("sidecar install chromium", "apt-get install chromium-headless-shell"):
        assert words in failed.value.message
    assert not failed.value.retryable


def test_looking_imports_no_playwright() -> None:
    """`hello` may ask for the browsers before any heavy library is loaded."""
    code = (
        "import sys; from sidecar.browser import discovery; from sidecar.settings import Settings; "
        "discovery.available_browsers(Settings()); print([name for name in sys.modules if 'playwright' in name])"
    )
    reported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert reported.stdout == "[]\n"
