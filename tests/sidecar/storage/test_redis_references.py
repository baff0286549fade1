"""References in a fleet: which are published, to which machines, and what happens without Redis."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sidecar.clock import Clock
from sidecar.errors import StoreFailed
from sidecar.storage import redis_references
from sidecar.storage.database import Database
from sidecar.storage.disk_references import DiskReferences
from sidecar.storage.redis_client import call, connect
from sidecar.storage.redis_references import RedisReferences, ReferencePublisher
from tests.redis_server import RedisServer

SECONDS = 10.0
HOUR = 3600.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of this test's own, which it may stop."""
    with RedisServer(tmp_path, lasting=True) as running:
        yield running


class Machine:
    """One of the fleet."""

    def __init__(self, server: RedisServer) -> None:
        self.database = Database.in_memory()
        self.publisher = ReferencePublisher(server.url)

    async def references(self, scope: str = "scope") -> RedisReferences:
        """The references of a login."""
        own = await DiskReferences.open(self.database, Clock(), scope, (), 0)
        return RedisReferences(own, self.publisher, scope)

    async def close(self, seconds: float = SECONDS) -> None:
        """Ends it."""
        await self.publisher.close(seconds)
        await self.database.close()


@pytest.fixture
async def machines(server: RedisServer) -> AsyncIterator[tuple[Machine, Machine]]:
    """Two of them."""
    made = Machine(server), Machine(server)
    yield made
    for machine in made:
        await machine.close(0)


async def until_known(references: RedisReferences, reference: str) -> None:
    """Returns once it is. Raises TimeoutError."""
    async with asyncio.timeout(SECONDS):
        while not await references.known(reference):  # noqa: ASYNC110  Redis rings no event of ours
            await asyncio.sleep(0.01)


async def until_unknown(references: RedisReferences, reference: str) -> None:
    """Returns once it is known no more. Raises TimeoutError."""
    async with asyncio.timeout(SECONDS):
        while await references.known(reference):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_known_to_all_of_the_same_login(machines: tuple[Machine, Machine]) -> None:
    """References are shared within an account only; `has` covers this machine's own knowledge."""
    here, there = [await machine.references() for machine in machines]
    elsewhere = await machines[1].references("another scope")
    odd = "NUL \0, é😀 and " + "x" * 10_000
    for reference in ("a", odd):
        assert not await there.known(reference)
        here.remember(reference, HOUR)
        assert here.has(reference)
        await until_known(there, reference)
        assert not there.has(reference)
        assert not await elsewhere.known(reference)


async def test_for_as_long_as_it_was_said(machines: tuple[Machine, Machine]) -> None:
    """The last word counts, in Redis too."""
    here, there = [await machine.references() for machine in machines]
    here.remember("a", HOUR)
    await until_known(there, "a")
    here.remember("a", 0.05)
    await until_unknown(there, "a")
    assert not await here.known("a")


async def test_references_published_during_a_publication_are_not_lost(machines: tuple[Machine, Machine]) -> None:
    """A reference that is remembered just as the last batch ends is published without a further one."""
    here, there = [await machine.references() for machine in machines]
    for number in range(100):
        reference = f"r{number}"
        here.remember(reference, HOUR)
        while not await there.known(reference):
            pass
        here.remember(reference, 0.001)
        await until_unknown(there, reference)
        assert not here.has(reference)


async def test_redis_contains_no_reference_in_clear(machines: tuple[Machine, Machine]) -> None:
    """Neither the reference nor the login."""
    here, there = [await machine.references("the scope") for machine in machines]
    here.remember("the reference", HOUR)
    await until_known(there, "the reference")
    keys = await machines[0].publisher.redis.keys("*")
    assert len(keys) == 1
    assert b"the" not in keys[0]


async def test_redis_goes_and_comes(
    machines: tuple[Machine, Machine], server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """References of that time are published later; a question that this machine can't answer is an error."""
    monkeypatch.setattr(redis_references, "RETRY_SECONDS", 0.05)
    here, there = [await machine.references() for machine in machines]
    server.stop()
    for number in range(1200):
        here.remember(f"r{number}", HOUR)
    assert await here.known("r0")
    with pytest.raises(StoreFailed, match="Redis can't be used") as failed:
        await there.known("r0")
    assert failed.value.retryable
    server.start()
    for number in (0, 599, 1199):
        await until_known(there, f"r{number}")


async def test_no_more_wait_than_memory_holds(
    machines: tuple[Machine, Machine], server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is known on this machine, and so is that in the log."""
    monkeypatch.setattr(redis_references, "MAX_UNPUBLISHED", 10)
    here = await machines[0].references()
    server.stop()
    for number in range(20):
        here.remember(f"r{number}", HOUR)
    assert len(machines[0].publisher._unpublished) == 10
    assert await here.known("r19")


async def test_the_last_references_are_published_at_the_end(server: RedisServer) -> None:
    """A machine that ends gets a moment for it."""
    here, there = Machine(server), Machine(server)
    (await here.references()).remember("a", HOUR)
    await here.close()
    assert await (await there.references()).known("a")
    await there.close()


def test_an_invalid_address() -> None:
    """Is refused without a word of what it says: there may be a password in it."""
    with pytest.raises(StoreFailed, match="SIDECAR_QUEUE") as failed:
        connect("redis://:hunter2@host:hunter2/0")
    assert "hunter2" not in str(failed.value)
    assert failed.value.__cause__ is None


async def test_a_cancellation_that_the_client_loses_counts() -> None:
    """A task that is cancelled while an answer arrives is cancelled, whatever redis-py does."""

    async def loses() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "an answer"

    async def asks() -> None:
        await call(loses())
        raise AssertionError

    task = asyncio.create_task(asks())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
