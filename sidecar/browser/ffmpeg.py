"""The ffmpeg that RECORD needs: Playwright's own, else the system's, linked to where Playwright looks for one.

Playwright takes it from a folder with its revision in the name, below `PLAYWRIGHT_BROWSERS_PATH`, and from nowhere
else. Browsers are started by their path, so that variable can point to a folder of ours that holds the link alone: one
of this process's own, since otherwise a link in that place could make us run another program.
"""

import shutil
import sys
from pathlib import Path
from typing import Final

from sidecar.browser import discovery
from sidecar.errors import BrowserUnavailable, StoreFailed
from sidecar.scratch_folder import Scratch
from sidecar.settings import Settings

_NAMES: Final = {"darwin": "ffmpeg-mac", "win32": "ffmpeg-win64.exe"}


def driver_variables(settings: Settings, scratch: Scratch) -> dict[str, str]:
    """Environment for the driver: where it finds ffmpeg, now or once `prepare` has made the link. Raises OSError."""
    place = _relative_path()
    if place is None or (discovery.downloads_folder(settings) / place).exists():
        return {}
    return {"PLAYWRIGHT_BROWSERS_PATH": str(_links_folder(scratch))}


def find(settings: Settings) -> str:
    """The executable that records. Raises BrowserUnavailable, which says what to run."""
    place = _relative_path()
    if place and (own := discovery.downloads_folder(settings) / place).exists():
        return str(own)
    found = shutil.which("ffmpeg")
    if found is None:
        raise BrowserUnavailable("RECORD needs ffmpeg; run `sidecar install ffmpeg` (or `apt-get install ffmpeg`)")
    return found


def prepare(settings: Settings, scratch: Scratch) -> None:
    """Sees to it that a job can be recorded. Raises BrowserUnavailable, which says what to run, and StoreFailed."""
    place = _relative_path()
    if place is None or (discovery.downloads_folder(settings) / place).exists():
        return
    found = find(settings)
    try:
        link = _links_folder(scratch) / place
        if link.exists():
            return
        link.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        link.unlink(missing_ok=True)  # one that leads nowhere
        link.symlink_to(found)
    except OSError as error:
        said = f"RECORD needs a link to ffmpeg: {error.strerror}"
        raise StoreFailed(said, retryable=False) from None


def _links_folder(scratch: Scratch) -> Path:
    return scratch.folder().absolute() / "ffmpeg"


def _relative_path() -> Path | None:
    """The path at which Playwright expects ffmpeg, relative to its folder; None if unknown."""
    revision = discovery.revision_of("ffmpeg")
    return Path(f"ffmpeg-{revision}") / _NAMES.get(sys.platform, "ffmpeg-linux") if revision else None
