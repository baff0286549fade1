"""References that a fleet shares: kept on this machine as ever, and told to a Redis that all its machines ask."""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from sidecar.errors import StoreFailed
from sidecar.shutdown import best_effort, cancel_and_wait
from sidecar.storage.disk_references import DiskReferences

log = logging.getLogger(__name__)

RESPONSE_SECONDS: Final = 5.0
"""How long Redis may take for an answer, beside what a call asks it to wait."""
BLOCK_SECONDS: Final = 2.0
"""The longest that a call asks it to wait."""
REDIS_ERRORS: Final = (RedisError, OSError, TimeoutError)
RETRY_SECONDS: Final = 1.0
BATCH_SIZE: Final = 500
MAX_UNPUBLISHED: Final = 100_000
"""References that may wait for a Redis that is not there; more of them are known on this machine only."""


def connect(url: str) -> Redis:
    """A client of `redis://…` or `rediss://…`, which connects at its first call. Raises StoreFailed."""
    try:
        return Redis.from_url(
            url,
            socket_timeout=RESPONSE_SECONDS + BLOCK_SECONDS,
            socket_connect_timeout=RESPONSE_SECONDS,
            socket_keepalive=True,
            health_check_interval=30,
            # once, for a connection that was closed while it was idle; who does not answer is not asked twice
            retry=Retry(ConstantBackoff(0), 1, supported_errors=(RedisConnectionError,)),
        )
    except ValueError:  # what it says may hold the password
        raise StoreFailed("SIDECAR_QUEUE is not the address of a Redis") from None


def redis_failed(failure: BaseException) -> StoreFailed:
    """What is said where Redis does not answer."""
    return StoreFailed(f"the fleet's Redis can't be used: {failure}", retryable=True)


async def call(command: Any) -> Any:
    """One answer of Redis. Raises StoreFailed.

    Its client loses a cancellation that comes together with an answer; whoever asks is cancelled all the same.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        return await command
    except REDIS_ERRORS as failure:
        raise redis_failed(failure) from None
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError


class ReferencePublisher:
    """Tells Redis what this process remembers, soon and in batches, and again while Redis is not there."""

    def __init__(self, url: str) -> None:
        self.redis = connect(url)
        self._unpublished: dict[str, float] = {}
        self._publishing: asyncio.Task[None] | None = None

    def publish(self, name: str, ttl: float) -> None:
        """Has Redis know a name for so many seconds."""
        if len(self._unpublished) >= MAX_UNPUBLISHED:
            log.warning("the fleet's Redis is not there: a reference is known on this machine only")
            return
        self._unpublished[name] = ttl
        if self._publishing is None:
            self._publishing = asyncio.create_task(self._publish_all())

    async def knows(self, name: str) -> bool:
        """Whether Redis knows it. Raises StoreFailed."""
        return bool(await call(self.redis.exists(name)))

    async def close(self, seconds: float) -> None:
        """Gives what is left so much time."""
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
            # here, not in a callback of the task: what is remembered before that runs would wait for the next one
            self._publishing = None

    async def _publish_batches(self) -> None:
        while batch := dict(list(self._unpublished.items())[:BATCH_SIZE]):
            try:
                async with self.redis.pipeline(transaction=False) as pipe:
                    for name, ttl in batch.items():
                        pipe.set(name, b"", px=max(int(ttl * 1000), 1))
                    await pipe.execute()
            except REDIS_ERRORS as failure:
                log.warning("references can't be shared yet: %s", failure)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            for name, ttl in batch.items():
                if self._unpublished.get(name) == ttl:  # not remembered anew meanwhile
                    del self._unpublished[name]


class RedisReferences:
    """The references of one scope, in a fleet. `has` knows this machine's, `known` those of all."""

    def __init__(self, local: DiskReferences, publisher: ReferencePublisher, account_id: str) -> None:
        self._local = local
        self._publisher = publisher
        self._name: Callable[[str], str] = lambda reference: _name(account_id, reference)

    def has(self, reference: str) -> bool:
        """Whether this machine remembers it. Raises StoreFailed."""
        return self._local.has(reference)

    async def known(self, reference: str) -> bool:
        """Whether any machine of the fleet remembers it. Raises StoreFailed: not knowing is no `false`."""
        return self._local.has(reference) or await self._publisher.knows(self._name(reference))

    def remember(self, reference: str, ttl: float) -> None:
        """Remembers it for so many seconds from now: here with the next commit, elsewhere soon after."""
        self._local.remember(reference, ttl)
        self._publisher.publish(self._name(reference), ttl)


def _name(account_id: str, reference: str) -> str:
    # hashed, because a scope holds part of a key, and a reference may be long
    return "sidecar:reference:" + hashlib.sha256(f"{account_id}\0{reference}".encode()).hexdigest()
