"""How browsers and ffmpeg are got: Playwright's installer, and the names of Debian's packages."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sidecar_protocol.wire_types import BrowserName

from sidecar.browser import discovery, ffmpeg
from sidecar.errors import BrowserUnavailable
from sidecar.settings import Settings


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
    "ffmpeg": Program(("ffmpeg",), "ffmpeg", "PATH", _ffmpeg),
}


def playwright_command(program: Program) -> list[str]:
    """The command line of Playwright's installer."""
    from playwright._impl._driver import compute_driver_executable  # late: playwright takes its time to import

    node, script = compute_driver_executable()
    return [str(node), str(script), "install", *program.playwright]
