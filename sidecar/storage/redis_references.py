"""References of a fleet: stored on this machine, and published to a Redis that all machines query."""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from typing import Final

from sidecar.errors import StoreFailed
from sidecar.shutdown import best_effort, cancel_and_wait
from sidecar.storage.disk_references import DiskReferences
from sidecar.storage.redis_client import RETRY_SECONDS, call, connect, redis_errors

log = logging.getLogger(__name__)

BATCH_SIZE: Final = 500
MAX_UNPUBLISHED: Final = 100_000
"""References that may wait while Redis is unavailable; further ones are known on this machine only."""


class ReferencePublisher:
    """Publishes new references to Redis in batches, and retries while Redis is unavailable."""

    def __init__(self, url: str) -> None:
        self.redis = connect(url)
        self._unpublished: dict[str, float] = {}
        self._publishing: asyncio.Task[None] | None = None

    def publish(self, name: str, ttl: float) -> None:
        """Publishes a name, to expire after `ttl` seconds."""
        if len(self._unpublished) >= MAX_UNPUBLISHED:
            log.warning("Redis is unavailable: a reference is known on this machine only")
            return
        self._unpublished[name] = ttl
        if self._publishing is None:
            self._publishing = asyncio.create_task(self._publish_all())

    async def knows(self, name: str) -> bool:
        """Whether Redis has the name. Raises StoreFailed."""
        return bool(await call(self.redis.exists(name)))

    async def close(self, seconds: float) -> None:
        """Waits up to `seconds` for pending names to be published, then closes the client."""
        if self._publishing:
            await asyncio.wait([self._publishing], timeout=seconds)
        await cancel_and_wait(self._publishing)
        await best_effort(self.redis.aclose())
        if self._unpublished:
            log.warning("%d references are known on this machine only", len(self._unpublished))

    async def _publish_all(self) -> None:
        try:
            await self._publish_batches()
        finally:
            # not in a callback of the task: a name published before the callback runs would wait for the next one
            self._publishing = None

    async def _publish_batches(self) -> None:
        while batch := dict(list(self._unpublished.items())[:BATCH_SIZE]):
            try:
                with redis_errors():
                    await self._publish_batch(batch)
            except StoreFailed as failure:
                log.warning("could not publish references yet: %s", failure)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            for name, ttl in batch.items():
                if self._unpublished.get(name) == ttl:  # not remembered again meanwhile
                    del self._unpublished[name]

    async def _publish_batch(self, batch: dict[str, float]) -> None:
        async with self.redis.pipeline(transaction=False) as pipe:
            for name, ttl in batch.items():
                pipe.set(name, b"", px=max(int(ttl * 1000), 1))
            await pipe.execute()


class RedisReferences:
    """The references of one scope in a fleet. `has` checks this machine, `known` all machines."""

    def __init__(self, local: DiskReferences, publisher: ReferencePublisher, account_id: str) -> None:
        self._local = local
        self._publisher = publisher
        self._name: Callable[[str], str] = lambda reference: _name(account_id, reference)

    def has(self, reference: str) -> bool:
        """Whether this machine remembers it. Raises StoreFailed."""
        return self._local.has(reference)

    async def known(self, reference: str) -> bool:
        """Whether any machine of the fleet remembers it. Raises StoreFailed if Redis does not answer."""
        return self._local.has(reference) or await self._publisher.knows(self._name(reference))

    def remember(self, reference: str, ttl: float, *, until_stored: bool = False) -> None:
        """Remembers a reference for `ttl` seconds: here with the next commit, elsewhere soon after."""
        self._local.remember(reference, ttl, until_stored=until_stored)
        self._publisher.publish(self._name(reference), ttl)


def _name(account_id: str, reference: str) -> str:
    # hashed, because a scope holds part of a key, and a reference may be long
    return "sidecar:reference:" + hashlib.sha256(f"{account_id}\0{reference}".encode()).hexdigest()
