"""`sidecar doctor`: what this machine has, what is missing, and what to run about it."""

import os
import platform
from collections.abc import Callable
from typing import TextIO

from sidecar import __version__
from sidecar.browser import discovery
from sidecar.errors import BrowserUnavailable
from sidecar.files import too_wide
from sidecar.settings import Settings


def examine(settings: Settings, out: TextIO) -> int:
    """Prints a line for each thing looked at; gives 0, or 1 where something needed is missing."""
    checks: tuple[Callable[[Settings], tuple[bool, str]], ...] = (_python, _state_folder, _chromium, _other_browsers)
    sound = True
    for check in checks:
        good, said = check(settings)
        sound = sound and good
        print(f"{'ok     ' if good else 'MISSING'}  {said}", file=out)
    return 0 if sound else 1


def _python(_: Settings) -> tuple[bool, str]:
    return True, f"sidecar {__version__} on Python {platform.python_version()}"


def _state_folder(settings: Settings) -> tuple[bool, str]:
    try:
        folder = settings.state_folder()
    except OSError as failure:
        return False, f"state folder: {failure.strerror}; set SIDECAR_HOME to a folder that can be written"
    if not os.access(folder, os.W_OK):
        return False, f"state folder {folder} can't be written; set SIDECAR_HOME to one that can"
    if wide := too_wide(folder):
        return False, wide
    return True, f"state folder {folder}"


def _chromium(settings: Settings) -> tuple[bool, str]:
    try:
        return True, f"Chromium: {discovery.find('CHROMIUM', settings).path}"
    except BrowserUnavailable as why:
        return False, why.message


def _other_browsers(settings: Settings) -> tuple[bool, str]:
    others = {name: found for name, found in discovery.available(settings).items() if name != "CHROMIUM"}
    return True, f"other browsers: {', '.join(f'{name} {found}' for name, found in others.items()) or 'none'}"
