"""Messages between the processes of one SQLite database, for events whose submitter is another process."""

import asyncio
import logging
from typing import Final

from sidecar.clock import Clock
from sidecar.errors import StoreFailed
from sidecar.queue.backend import MessageHandler
from sidecar.storage.database import Database

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.25
"""Seconds between two looks of a process for its messages."""
MESSAGE_TTL: Final = 600.0
"""Seconds after which a message that was not fetched is deleted."""


class MessageStore:
    """The messages of one database, as one process sends and receives them."""

    def __init__(self, database: Database, clock: Clock, process: str) -> None:
        self._database = database
        self._now = clock.now
        self._process = process
        self._subscription: asyncio.Task[None] | None = None

    async def publish(self, process: str, message: bytes) -> None:
        """Stores a message for a process. Raises StoreFailed."""
        sql = "INSERT INTO message (process, line, expires) VALUES (?, ?, ?)"
        await self._database.execute(sql, process, message, self._now() + MESSAGE_TTL)

    def subscribe(self, handler: MessageHandler | None) -> None:
        """Passes messages for this process to `handler`; None unsubscribes."""
        if self._subscription:
            self._subscription.cancel()
        self._subscription = asyncio.create_task(self._poll(handler)) if handler else None

    async def _poll(self, handler: MessageHandler) -> None:
        while True:
            try:
                await self._fetch(handler)
            except StoreFailed as failure:
                log.warning("could not fetch messages of other sidecars: %s", failure)
            await asyncio.sleep(POLL_SECONDS)

    async def _fetch(self, handler: MessageHandler) -> None:
        rows = self._database.fetch_all("SELECT id, line FROM message WHERE process = ? ORDER BY id", self._process)
        if rows:
            sql = "DELETE FROM message WHERE (process = ? AND id <= ?) OR expires <= ?"
            await self._database.execute(sql, self._process, rows[-1][0], self._now())
        for _, message in rows:
            handler(message)
