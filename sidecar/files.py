"""Files of the state folder: never by a link that somebody else has put there, and for nobody else to read.

Others may be able to write in a state folder, by mistake or because it is shared; what they put there must not lead us
to write or read elsewhere.
"""

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import Final

_NO_FOLLOW: Final = os.O_NOFOLLOW | os.O_CLOEXEC
_OTHERS: Final = 0o077
_OTHERS_WRITE: Final = 0o022


def open_file(path: Path, flags: int) -> int:
    """A descriptor of a regular file, 0600 also where it was wider; with O_CREAT it is made where it is missing.

    Raises OSError, also for a link and for whatever else is no file.
    """
    try:
        # without waiting: a pipe would have us wait for somebody at its other end
        descriptor = os.open(path, flags | _NO_FOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as failure:
        raise _explain(failure, path) from None
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, f"{path} is not a regular file")
        if about.st_mode & _OTHERS:
            with contextlib.suppress(PermissionError):  # somebody else's: whoever looks at the folder's rights says so
                os.fchmod(descriptor, 0o600)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read(path: Path) -> bytes:
    """All that is in such a file. Raises OSError."""
    with os.fdopen(open_file(path, os.O_RDONLY), "rb") as file:
        return file.read()


def create_file(path: Path) -> int:
    """A descriptor of a new file, 0600; what was there before, a link too, makes room. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, 0o600)


def ensure_subfolder(folder: Path, name: str) -> Path:
    """A folder inside another, 0700 where it is made here; nobody but its owner may write in it. Raises OSError."""
    path = folder / name
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _NO_FOLLOW)
    except OSError as failure:
        raise _explain(failure, path) from None
    try:
        mode = os.fstat(descriptor).st_mode
        if mode & _OTHERS_WRITE:
            with contextlib.suppress(PermissionError):
                os.fchmod(descriptor, stat.S_IMODE(mode) & ~_OTHERS_WRITE)
    finally:
        os.close(descriptor)
    return path


def create_if_missing(path: Path) -> None:
    """Makes an empty file, 0600, where there is nothing. Raises OSError."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, 0o600))


def restrict_permissions(path: Path) -> None:
    """Checks a file as `open_file` does without opening it: closing it would release this process's locks on it.

    Nothing happens where there is none. Raises OSError.
    """
    reject_symlink(path)
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"{path} is not a regular file")
    if mode & _OTHERS:
        with contextlib.suppress(PermissionError):
            path.chmod(0o600)


def reject_symlink(path: Path) -> None:
    """For those who open a file by themselves. Raises OSError where it is a link."""
    if path.is_symlink():
        raise _explain(OSError(errno.ELOOP, ""), path)


def permission_warning(folder: Path) -> str | None:
    """What is wrong with a folder in which others may write, as a sentence; None where they may not."""
    try:
        mode = stat.S_IMODE(folder.stat().st_mode)
    except OSError:
        return None
    if not mode & _OTHERS_WRITE:
        return None
    return f"the state folder {folder} is writable by others (mode {mode:04o}): run `chmod go-w {folder}`"


def _explain(failure: OSError, path: Path) -> OSError:
    """Says of a link that it is one."""
    if path.is_symlink() and failure.errno in (errno.ELOOP, errno.ENOTDIR):
        return OSError(errno.ELOOP, f"{path} is a symbolic link, which is not followed")
    return failure
