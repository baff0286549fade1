"""How browsers and ffmpeg are got: Playwright's installer, and the names of Debian's packages."""

import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sidecar_protocol.wire_types import BrowserName

from sidecar.browser import discovery, ffmpeg
from sidecar.errors import BrowserUnavailable
from sidecar.settings import Settings

_MISSING: Final = re.compile(r"\b(lib[\w.+-]+\.so[\w.]*): cannot open shared object file")
"""What the dynamic linker says of a program whose libraries are missing."""
_START_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Program:
    """Something that jobs need."""

    playwright: tuple[str, ...]
    """Arguments of Playwright's installer."""
    debian: str
    """A package; empty if Debian has none that can be driven."""
    setting: str
    """What names one that is elsewhere."""
    find: Callable[[Settings], str | None]
    """The path of one that is there."""
    has_libraries: bool = True
    """Whether it needs libraries of the system's, which Playwright's installer can bring."""


def _browser(kind: BrowserName) -> Callable[[Settings], str | None]:
    def find(settings: Settings) -> str | None:
        try:
            return discovery.find(kind, settings).path
        except BrowserUnavailable:
            return None

    return find


def _ffmpeg(settings: Settings) -> str | None:
    try:
        return ffmpeg.find(settings)
    except BrowserUnavailable:
        return None


PROGRAMS: Final = {
    "chromium": Program(
        ("--only-shell", "chromium"), "chromium-headless-shell", "SIDECAR_CHROMIUM", _browser("CHROMIUM")
    ),
    "firefox": Program(("firefox",), "firefox-esr", "SIDECAR_FIREFOX", _browser("FIREFOX")),
    "webkit": Program(("webkit",), "", "SIDECAR_WEBKIT", _browser("WEBKIT")),
    "ffmpeg": Program(("ffmpeg",), "ffmpeg", "PATH", _ffmpeg, has_libraries=False),
}


def playwright_command(program: Program, *, libraries: bool = False) -> list[str]:
    """The command line of Playwright's installer; `libraries`: those that the program needs are brought, too."""
    return [*_installer(), "install", *(["--with-deps"] if libraries else []), *program.playwright]


def libraries_command(program: Program) -> list[str]:
    """The command line that brings the libraries alone."""
    return [*_installer(), "install-deps", program.playwright[-1]]


def missing_library(path: str, environment: Mapping[str, str]) -> str | None:
    """The first library that the system lacks for this program; None if it starts, or fails for another reason."""
    try:
        done = subprocess.run(  # noqa: S603  a browser that jobs would start
            [path, "--version"], env=environment, capture_output=True, stdin=subprocess.DEVNULL, timeout=_START_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _MISSING.search(done.stderr.decode(errors="replace"))
    return found[1] if found else None


def _installer() -> list[str]:
    from playwright._impl._driver import compute_driver_executable  # late: playwright takes its time to import

    node, script = compute_driver_executable()
    return [str(node), str(script)]
