"""The ffmpeg that RECORD needs: Playwright's own, else the system's, linked to where Playwright looks for one.

Playwright takes it from a folder with its revision in the name, below `PLAYWRIGHT_BROWSERS_PATH`, and from nowhere
else. Browsers are started by their path, so that variable can point to a folder of ours that holds the link alone.
"""

import contextlib
import shutil
import sys
from pathlib import Path
from typing import Final

from sidecar.browser import discovery
from sidecar.errors import BrowserUnavailable, StoreFailed
from sidecar.settings import Settings

_NAMES: Final = {"darwin": "ffmpeg-mac", "win32": "ffmpeg-win64.exe"}


def driver_variables(settings: Settings) -> dict[str, str]:
    """Environment for the driver: where it finds ffmpeg, now or as soon as `prepare` has made the link."""
    place = _place()
    if place is None or (discovery.downloads_folder(settings) / place).exists():
        return {}
    return {"PLAYWRIGHT_BROWSERS_PATH": str(_links(settings))}


def prepare(settings: Settings) -> None:
    """Sees to it that a job can be recorded. Raises BrowserUnavailable, which says what to run, and StoreFailed."""
    place = _place()
    if place is None or (discovery.downloads_folder(settings) / place).exists():
        return
    found = shutil.which("ffmpeg")
    if found is None:
        said = "RECORD needs ffmpeg; run `playwright install ffmpeg` or `apt-get install ffmpeg`"
        raise BrowserUnavailable(said)
    link = _links(settings) / place
    if link.exists():
        return
    try:
        settings.state_folder()
        link.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        link.unlink(missing_ok=True)  # one that leads nowhere
        with contextlib.suppress(FileExistsError):  # another job was quicker
            link.symlink_to(found)
    except OSError as error:
        said = f"RECORD needs a link to ffmpeg in the state folder: {error.strerror}"
        raise StoreFailed(said, retryable=False) from None


def _links(settings: Settings) -> Path:
    return (settings.state_path() / "playwright").absolute()


def _place() -> Path | None:
    """Where Playwright expects it, relative to its folder; None where no Playwright says."""
    revision = discovery.revision_of("ffmpeg")
    return Path(f"ffmpeg-{revision}") / _NAMES.get(sys.platform, "ffmpeg-linux") if revision else None
