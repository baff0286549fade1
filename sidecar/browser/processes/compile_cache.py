"""The folder where Node keeps the compiled code of Playwright's driver: a driver starts 0.15 s sooner with it.

What lies there is run, so it is used only where no other user can put anything in its place.
"""

import os
import stat
from pathlib import Path
from typing import Final

_OTHERS_WRITE: Final = 0o022


def variables(cache: Path | None) -> dict[str, str]:
    """The driver's environment for the folder `driver` in this one, which is made where it is missing, 0700.

    Empty where it can't be made or is not safe, and without a cache.
    """
    if cache is None:
        return {}
    try:
        folder = cache.resolve() / "driver"
        missing = [one for one in folder.parents if not one.exists()]
        if not all(_is_safe(one) for one in folder.parents if one not in missing):
            return {}
        for one in reversed(missing):
            one.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        about = folder.lstat()
    except (OSError, RuntimeError):  # RuntimeError: links that lead in a circle
        return {}
    is_ours = stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid() and not about.st_mode & _OTHERS_WRITE
    return {"NODE_COMPILE_CACHE": str(folder)} if is_ours else {}


def _is_safe(folder: Path) -> bool:
    """Whether other users can't rename what is in a folder above ours."""
    about = folder.stat()
    shared = about.st_mode & _OTHERS_WRITE and not about.st_mode & stat.S_ISVTX
    return about.st_uid in (0, os.geteuid()) and not shared
