"""The state that the queues of one database share in this process."""

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sidecar.clock import Clock
from sidecar.errors import StoreFailed
from sidecar.queue.notifier import ChangeNotifier
from sidecar.queue.process_registry import ProcessLock
from sidecar.storage.database import Database

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(slots=True)
class SqliteContext:
    """The database, the lock that shows this process is alive, and the notifier of changes."""

    database: Database
    process_lock: ProcessLock
    clock: Clock
    notifier: ChangeNotifier
    running: set[tuple[str, int]] = field(default_factory=set)
    """Attempts that run in this process, as keys and attempt numbers."""
    closed: bool = False

    async def write(self, function: Callable[[sqlite3.Connection], T], *, durable: bool = False) -> T:
        """Changes jobs in one transaction and notifies waiters. Raises StoreFailed."""
        result = await self.database.write(function, durable=durable)
        self.notifier.notify()
        return result

    async def put(self, function: Callable[[sqlite3.Connection], T], *, durable: bool = False) -> T:
        """Changes jobs like `write`, with retries while the disk refuses."""
        result = await self.database.submit(function, durable=durable, until_stored=True)
        self.notifier.notify()
        return result


def create_context(database: Database, process_lock: ProcessLock, clock: Clock, *, alone: bool) -> SqliteContext:
    """Returns this process's context of a database; `alone`: no other process can change it."""
    return SqliteContext(database, process_lock, clock, ChangeNotifier(None if alone else lambda: _version(database)))


def _version(database: Database) -> int:
    try:
        row = database.fetch_one("PRAGMA data_version")
    except StoreFailed as failure:
        log.warning("could not check for changes by other processes: %s", failure)
        return 0
    return int(row[0]) if row else 0
