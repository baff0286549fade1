"""Messages between processes, on a real database."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidecar.queue.message_store import MESSAGE_TTL, MessageStore
from sidecar.storage.database import Database
from tests.clocks import ManualClock


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """An empty one."""
    opened = await Database.open(tmp_path / "sidecar.db")
    yield opened
    await opened.close()


async def test_messages_reach_their_process_alone_in_order_and_once(database: Database) -> None:
    """Messages that are not fetched expire."""
    time = ManualClock()
    mine, others = (MessageStore(database, time.clock, process) for process in ("me", "other"))
    await others.publish("nobody", b"lost")
    time.advance(MESSAGE_TTL)
    for line in (b"1", b"2"):
        await others.publish("me", line)
    heard: list[bytes] = []
    mine.subscribe(heard.append)
    for _ in range(1000):
        if len(heard) == 2:
            break
        await asyncio.sleep(0.01)
    assert heard == [b"1", b"2"]
    assert database.fetch_all("SELECT line FROM message") == []
    mine.subscribe(None)
