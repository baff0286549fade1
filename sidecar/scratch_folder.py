"""The folder of temporary files: recordings, downloads, profiles of running browsers.

It is one folder, `scratch/…` in the state folder, locked while the process is alive. The next process removes the
folder of a killed one, which may contain raw recordings with secrets.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sidecar import files

FOLDER: Final = "scratch"
_LOCK: Final = ".owner"
_PREFIX: Final = "sidecar-"
"""The name prefix in the system's temporary folder; there is none in the state folder."""
_UNNAMED: Final = ".new-"
MAX_PATH_BYTES: Final = 62
"""Bytes of a path in which browsers can still make their sockets: they append 45, and a socket's name may have 107."""


class _LockedFolder:
    """A folder of this process, locked before it gets its final name, so that it is not removed in between."""

    def __init__(self, parent: Path, prefix: str) -> None:
        """Raises OSError."""
        import shutil  # late, like others here: a session needs it at its first job
        import tempfile

        new = Path(tempfile.mkdtemp(prefix=_UNNAMED, dir=parent))
        try:
            self._lock = files.open_file(new / _LOCK, os.O_RDWR | os.O_CREAT)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.path = new.with_name(prefix + new.name.removeprefix(_UNNAMED))
            new.rename(self.path)
        except OSError:  # a file system without locks, say
            shutil.rmtree(new, ignore_errors=True)
            raise

    def remove(self) -> None:
        _remove(self.path)
        os.close(self._lock)


class Scratch:
    """This process's folder, created at first use."""

    def __init__(self, state: Callable[[], Path | None] = lambda: None) -> None:
        """`state` creates the state folder if missing and returns it; None if nothing may be written there.

        Without a usable state folder, the system's temporary folder is used.
        """
        self._state = state
        self._in_state_folder: _LockedFolder | None = None
        self._in_temp_folder: _LockedFolder | None = None

    def folder(self) -> Path:
        """Returns the folder's absolute path; its mode is 0700. Raises OSError."""
        state = self._state_folder()
        if state is None:
            return self._temporary().path
        if self._in_state_folder is None:
            try:
                self._in_state_folder = _LockedFolder(files.ensure_subfolder(state.absolute(), FOLDER), "")
            except OSError:
                return self._temporary().path
        return self._in_state_folder.path

    def short(self) -> Path:
        """Returns the folder by a path that is short enough for browsers' sockets. Raises OSError."""
        folder = self.folder()
        elsewhere = self._temporary().path if len(os.fsencode(folder)) > MAX_PATH_BYTES else folder
        if elsewhere == folder:
            return folder
        alias = elsewhere / "s"
        if not alias.is_symlink():
            alias.symlink_to(folder)
        return alias

    @contextmanager
    def new(self) -> Iterator[Path]:
        """Yields a new temporary folder, removed at the end. Raises OSError."""
        import tempfile

        with tempfile.TemporaryDirectory(dir=self.folder(), ignore_cleanup_errors=True) as name:
            yield Path(name)

    def close(self) -> None:
        """Removes the folders."""
        for folder in (self._in_state_folder, self._in_temp_folder):
            if folder:
                folder.remove()
        self._in_state_folder = self._in_temp_folder = None

    def _state_folder(self) -> Path | None:
        try:
            return self._state()
        except OSError:
            return None

    def _temporary(self) -> _LockedFolder:
        if self._in_temp_folder is None:
            import tempfile

            self._in_temp_folder = _LockedFolder(Path(tempfile.gettempdir()).absolute(), _PREFIX)
        return self._in_temp_folder


def remove_abandoned(state: Path) -> None:
    """Removes folders of dead processes from this state folder and the system's temporary folder."""
    import tempfile  # late, as above

    found: list[Path] = []
    with contextlib.suppress(OSError):  # there may be no temporary folder
        found += _folders(Path(tempfile.gettempdir()), f"{_PREFIX}*")
    with contextlib.suppress(OSError):  # no permission
        if not (state / FOLDER).is_symlink():
            found += _folders(state / FOLDER, "*")
    for folder in found:
        with contextlib.suppress(OSError):  # in use, another user's, or gone
            lock = files.open_file(folder / _LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)
            finally:
                os.close(lock)


def _folders(parent: Path, pattern: str) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        for path in parent.glob(pattern):
            if not path.is_symlink() and path.lstat().st_uid == os.geteuid():
                yield path


def _remove(folder: Path) -> None:
    """Removes a folder, its lock last: if a dying browser still writes here, the next process removes that."""
    import shutil

    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.name == _LOCK:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        if [path.name for path in folder.iterdir()] == [_LOCK]:
            (folder / _LOCK).unlink()
            folder.rmdir()
