"""Files of the state folder: symbolic links are not followed, and other users can't read them.

Other users may be able to write in a state folder, by mistake or because it is shared; what they put there must not
make us write or read elsewhere.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_NO_FOLLOW: Final = os.O_NOFOLLOW | os.O_CLOEXEC
_OTHERS: Final = 0o077
_OTHERS_WRITE: Final = 0o022


def open_file(path: Path, flags: int) -> int:
    """Opens a regular file and returns its descriptor; restricts it to 0600. O_CREAT creates a missing one.

    Raises OSError, also if it is a link or no regular file.
    """
    try:
        # O_NONBLOCK: opening a pipe would wait for its other end
        descriptor = os.open(path, flags | _NO_FOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as failure:
        raise _explain(failure, path) from None
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, f"{path} is not a regular file")
        if about.st_mode & _OTHERS:
            with contextlib.suppress(PermissionError):  # another user's file: `permission_warning` reports the folder
                os.fchmod(descriptor, 0o600)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_below(folder: Path, parts: Sequence[str]) -> int:
    """Opens a regular file for reading, by its way from a folder; no part of the way may be a symbolic link.

    Raises OSError: ELOOP for a link, EINVAL for what is no regular file.
    """
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for number, part in enumerate(parts, 1):
        kind = os.O_DIRECTORY if number < len(parts) else os.O_NONBLOCK
        try:
            if stat.S_ISLNK(os.stat(part, dir_fd=place, follow_symlinks=False).st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            inner = os.open(part, os.O_RDONLY | kind | _NO_FOLLOW, dir_fd=place)
        finally:
            os.close(place)
        place = inner
    if not stat.S_ISREG(os.fstat(place).st_mode):
        os.close(place)
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return place


def read(path: Path) -> bytes:
    """Reads a whole file, opened as by `open_file`. Raises OSError."""
    with os.fdopen(open_file(path, os.O_RDONLY), "rb") as file:
        return file.read()


def create_file(path: Path) -> int:
    """Creates a new file, 0600, and returns its descriptor; replaces what was there. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, 0o600)


def ensure_subfolder(folder: Path, name: str) -> Path:
    """Creates a folder inside another if missing, 0700; only its owner may write in it. Raises OSError."""
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
    """Creates an empty file, 0600, if there is none. Raises OSError."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, 0o600))


def restrict_permissions(path: Path) -> None:
    """Checks a file as `open_file` does without opening it: closing it would release this process's locks on it.

    Does nothing if there is none. Raises OSError.
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
    """Raises OSError if a path is a symbolic link; for files that others open."""
    if path.is_symlink():
        raise _explain(OSError(errno.ELOOP, ""), path)


def permission_warning(folder: Path) -> str | None:
    """Returns a warning if other users may write in a folder, else None."""
    try:
        mode = stat.S_IMODE(folder.stat().st_mode)
    except OSError:
        return None
    if not mode & _OTHERS_WRITE:
        return None
    return f"the state folder {folder} is writable by others (mode {mode:04o}): run `chmod go-w {folder}`"


def _explain(failure: OSError, path: Path) -> OSError:
    """Explains an error whose cause is a symbolic link."""
    if path.is_symlink() and failure.errno in (errno.ELOOP, errno.ENOTDIR):
        return OSError(errno.ELOOP, f"{path} is a symbolic link, which is not followed")
    return failure
