"""Opens the database file: creates a missing one and moves a corrupt one aside."""

import fcntl
import logging
import os
import sqlite3
import time
from pathlib import Path
from typing import Final

from sidecar import files
from sidecar.storage.migrations import check_version, migrate

log = logging.getLogger(__name__)

CREATION_SECONDS: Final = 5.0
"""Seconds within which a sidecar that has created the file writes to it for the first time."""


def connect(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """Opens, creates or replaces the file (0600). Raises NewerSchema, sqlite3.Error, OSError."""
    try:
        return _prepare(path, busy_seconds)
    except sqlite3.OperationalError:  # locked, full, read-only: the file itself may be intact
        raise
    except sqlite3.DatabaseError:
        return _replace(path, busy_seconds)


def _replace(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """Moves a corrupt file aside and creates a new one, unless another sidecar has just done so."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        try:
            return _prepare(path, busy_seconds)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as failure:
            aside = path.with_suffix(f".broken-{os.getpid()}-{path.stat().st_mtime_ns}")
            log.warning("%s is not a usable database (%s); it is kept as %s", path.name, failure, aside.name)
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            path.rename(aside)
            return _prepare(path, busy_seconds)
    finally:
        os.close(folder)


def _prepare(path: Path, busy_seconds: float) -> sqlite3.Connection:
    if _was_emptied(path):
        log.warning("%s is empty, its content lost or never written; creating a new database", path.name)
    files.create_if_missing(path)  # before SQLite creates it with the umask's mode
    for suffix in ("", "-wal", "-shm"):
        files.restrict_permissions(path.with_name(path.name + suffix))
    connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    try:
        check_version(connection)  # before anything is written to it
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        migrate(connection)
        (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            raise sqlite3.DatabaseError(said)
    except BaseException:
        connection.close()
        raise
    return connection


def _was_emptied(path: Path) -> bool:
    """Whether the file exists and is empty, and is not just being created."""
    try:
        about = path.stat()
        return (
            not about.st_size
            and time.time() - about.st_mtime > CREATION_SECONDS
            and not path.with_name(f"{path.name}-wal").exists()
        )
    except FileNotFoundError:
        return False
