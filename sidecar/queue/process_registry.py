"""Which processes are alive: each locks a file of its own, and the kernel releases the locks of dead ones."""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sidecar import files

FOLDER: Final = "processes"


class ProcessLock:
    """The lock that shows other processes of the state folder that this one is alive; None is no folder."""

    def __init__(self, folder: Path | None) -> None:
        """Raises OSError."""
        self.process = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        """This process's id, which is never reused."""
        self._folder = folder / FOLDER if folder else None
        self._descriptor = -1
        if folder and self._folder:
            files.ensure_subfolder(folder, FOLDER)
            self._descriptor = self._acquire(self._folder / self.process)
            self._sweep()

    def is_alive(self, process: str) -> bool:
        """Whether the process with that id is alive."""
        if process == self.process:
            return True
        if self._folder is None:
            return False
        with _open_existing(self._folder / process) as descriptor:
            return descriptor is not None and not _try_lock(descriptor)

    def close(self) -> None:
        """Releases the lock: the process counts as dead from now on."""
        if self._folder and self._descriptor >= 0:
            (self._folder / self.process).unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1

    def _acquire(self, path: Path) -> int:
        while True:
            descriptor = files.open_file(path, os.O_CREAT | os.O_RDWR)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):  # another process may have removed the file between the two calls above
                if path.stat().st_ino == os.fstat(descriptor).st_ino:
                    return descriptor
            os.close(descriptor)

    def _sweep(self) -> None:
        """Removes the files of dead processes; their ids are never reused."""
        assert self._folder  # noqa: S101  only called with one
        for path in self._folder.iterdir():
            with _open_existing(path) as descriptor:
                if path.name != self.process and descriptor is not None and _try_lock(descriptor):
                    path.unlink(missing_ok=True)


@contextmanager
def _open_existing(path: Path) -> Iterator[int | None]:
    try:
        descriptor = files.open_file(path, os.O_RDWR)
    except OSError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
