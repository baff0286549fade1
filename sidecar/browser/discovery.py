"""Which browser to start: the one named in the settings, else Playwright's own download, else the system's.

Looks at files only; nothing is imported or started, so `hello` may ask before any browser is needed.
"""

import importlib.util
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args
from urllib.parse import urlsplit

import orjson
from sidecar_protocol.wire_types import BrowserName

from sidecar.errors import BrowserUnavailable
from sidecar.settings import Settings

KINDS: Final[tuple[BrowserName, ...]] = get_args(BrowserName)

_DOWNLOADS: Final[dict[BrowserName, tuple[tuple[str, str], ...]]] = {
    "CHROMIUM": (
        ("chromium-headless-shell", "*/*headless[-_]shell*"),
        ("chromium", "chrome-*/chrome"),
        ("chromium", "chrome-*/*.app/Contents/MacOS/*"),
        ("chromium", "chrome-*/chrome.exe"),
    ),
    "FIREFOX": (("firefox", "firefox/firefox"), ("firefox", "firefox/*.app/Contents/MacOS/firefox")),
    "WEBKIT": (("webkit", "pw_run.sh"), ("webkit", "Playwright.exe")),
}
"""The name in Playwright's browsers.json, and the path of the executable in the folder `name-revision`."""

_SYSTEM: Final[dict[BrowserName, tuple[str, ...]]] = {
    # the headless shell first: it does all that a job asks for, three times cheaper
    "CHROMIUM": (
        "chromium-headless-shell",
        "chrome-headless-shell",
        "chromium",
        "chromium-browser",
        "google-chrome-stable",
        "google-chrome",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ),
    "FIREFOX": ("firefox-esr", "firefox", "/Applications/Firefox.app/Contents/MacOS/firefox"),
    "WEBKIT": (),  # Playwright drives its own build only
}

_HINTS: Final[dict[BrowserName, str]] = {
    "CHROMIUM": "`sidecar install chromium` (or `apt-get install chromium-headless-shell`)",
    "FIREFOX": "`sidecar install firefox` (or `apt-get install firefox-esr`)",
    "WEBKIT": "`sidecar install webkit`",
}


@dataclass(frozen=True, slots=True)
class FoundBrowser:
    """An executable that can be started, and how Playwright must address it."""

    kind: BrowserName
    path: str
    source: str
    """`setting`, `playwright` or `system`."""
    endpoint: str | None = None
    """The address of a remote browser; may contain a password, so only `path` is shown."""
    channel: str | None = None
    """Playwright's channel; `moz-firefox` for a Firefox that Mozilla or a distribution built."""

    @property
    def name(self) -> str:
        """The executable's file name, as in `chromium-headless-shell`."""
        return Path(self.path).name


def find(kind: BrowserName, settings: Settings) -> FoundBrowser:
    """The browser to start for this kind. Raises BrowserUnavailable, which says what to run."""
    if settings.browser_endpoint:
        return _remote(kind, settings.browser_endpoint)
    configured = {"CHROMIUM": settings.chromium, "FIREFOX": settings.firefox, "WEBKIT": settings.webkit}[kind]
    if configured:
        if not shutil.which(configured):
            raise BrowserUnavailable(f"SIDECAR_{kind} does not point to an executable: {configured}")
        return _found(kind, configured, "setting")
    downloaded = _find_downloaded(kind, settings)
    if downloaded:
        return _found(kind, downloaded, "playwright")
    for candidate in _SYSTEM[kind]:
        path = shutil.which(candidate)
        if path:
            return _found(kind, path, "system")
    raise BrowserUnavailable(f"no {kind.title()} found; run {_HINTS[kind]}, or set SIDECAR_{kind}")


def _remote(kind: BrowserName, endpoint: str) -> FoundBrowser:
    try:
        parts = urlsplit(endpoint)
        host = parts.hostname
        shown = f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
    except ValueError:
        parts, host, shown = urlsplit(""), None, ""
    if not host or parts.scheme not in ("ws", "wss", "http", "https"):
        raise BrowserUnavailable("SIDECAR_BROWSER_ENDPOINT: expected ws:// of a Playwright server, or http:// for CDP")
    if kind != "CHROMIUM" and parts.scheme in ("http", "https"):
        raise BrowserUnavailable(f"{shown} speaks CDP, which only CHROMIUM does")
    return FoundBrowser(kind, shown, "endpoint", endpoint)


def available_browsers(settings: Settings) -> dict[str, str]:
    """Kind -> path of each browser that was found."""
    found: dict[str, str] = {}
    for kind in KINDS:
        try:
            found[kind] = find(kind, settings).path
        except BrowserUnavailable:
            continue
    return found


def install_hint(kind: BrowserName) -> str:
    """The command that installs a browser of this kind."""
    return _HINTS[kind]


def downloads_folder(settings: Settings) -> Path:
    """The folder of Playwright's downloaded browsers."""
    package = _playwright_package()
    return _downloads_folder(package, settings.browsers_path) if package else Path()


def revision_of(name: str) -> str | None:
    """The revision of one of Playwright's downloads that this Playwright asks for."""
    package = _playwright_package()
    return _revisions(package / "browsers.json").get(name) if package else None


def _found(kind: BrowserName, path: str, source: str) -> FoundBrowser:
    stock_firefox = kind == "FIREFOX" and not any(re.fullmatch(r"firefox-\d+", part) for part in Path(path).parts)
    return FoundBrowser(kind, path, source, channel="moz-firefox" if stock_firefox else None)


def _find_downloaded(kind: BrowserName, settings: Settings) -> str | None:
    package = _playwright_package()
    if package is None:
        return None
    folder = _downloads_folder(package, settings.browsers_path)
    if not folder.is_dir():
        return None
    revisions = _revisions(package / "browsers.json")
    for name, pattern in _DOWNLOADS[kind]:
        revision = folder / f"{name.replace('-', '_')}-{revisions.get(name)}"
        for path in sorted(revision.glob(pattern)):
            if path.is_file() and shutil.which(path):
                return str(path)
    return None


def _playwright_package() -> Path | None:
    spec = importlib.util.find_spec("playwright")  # finds the folder without importing it
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "driver" / "package"


def _downloads_folder(package: Path, configured: str) -> Path:
    if configured == "0":
        return package / ".local-browsers"
    if configured:
        return Path(configured)
    caches = {"darwin": "Library/Caches", "win32": "AppData/Local"}
    return Path.home() / caches.get(sys.platform, ".cache") / "ms-playwright"


def _revisions(file: Path) -> dict[str, str]:
    try:
        listed = orjson.loads(file.read_bytes())["browsers"]
        return {entry["name"]: entry["revision"] for entry in listed}
    except (OSError, ValueError, LookupError, TypeError):
        return {}
