"""The sandboxes' browser's own folders: each is locked by the process that uses it, and swept once that is dead."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

_PREFIX: Final = "sidecar-sandbox-"
_LOCK: Final = ".owner"


class Folder:
    """A new folder. Where its process ends without `remove`, the next one's `sweep` takes it away."""

    def __init__(self) -> None:
        """Raises OSError."""
        # locked before it has its name: nobody sweeps it in between
        made = Path(tempfile.mkdtemp(prefix="sidecar-new-"))
        self._lock = os.open(made / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.path = made.with_name(made.name.replace("sidecar-new-", _PREFIX))
        made.rename(self.path)

    def remove(self) -> None:
        """Takes it away, and lets go of it, once."""
        shutil.rmtree(self.path, ignore_errors=True)
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)


def sweep() -> None:
    """Takes away the folders of processes that are dead."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # in use, somebody else's, or gone already
            lock = os.open(folder / _LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
