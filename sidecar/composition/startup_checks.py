"""Settings that only a look at the disk can check, before `ready` says that the session can begin."""

import os
from pathlib import Path

from sidecar.settings import Settings, SettingsError


def check_settings(settings: Settings) -> None:
    """Checks files, folders and webhooks that a session will open. Raises SettingsError.

    What a session opens is imported only if it is set: a plain session pays for nothing here.
    """
    for name, path in (("log-input", settings.log_input), ("log-debug", settings.log_debug)):
        if path:
            _check_file(name, Path(path))
    if settings.record:
        _check_folder("record", Path(settings.record))
    if settings.home:
        _check_folder("home", settings.state_path())
    if settings.webhook or settings.push_url:
        from sidecar.server.session import webhooks_of

        webhooks_of(settings)
    if settings.offline:
        from sidecar.clock import Clock
        from sidecar.composition.recording import recorded_clock

        recorded_clock(settings, Clock())


def _check_file(name: str, path: Path) -> None:
    from sidecar import files

    try:
        os.close(files.open_file(path, os.O_CREAT | os.O_WRONLY))
    except OSError as failure:
        raise SettingsError(f"--{name}: {path} can't be written: {failure.strerror}") from None


def _check_folder(name: str, path: Path) -> None:
    """Looks at the nearest folder that is there: the missing ones are created when they are needed."""
    existing = path
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise SettingsError(f"--{name}: {existing} is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise SettingsError(f"--{name}: {existing} can't be written")
