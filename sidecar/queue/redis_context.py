"""What the queues of one Redis share in this process."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from redis.asyncio import Redis

from sidecar.clock import Clock
from sidecar.errors import StoreFailed
from sidecar.storage.redis_references import REDIS_ERRORS, call, redis_failed

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = (0.1, 0.5, 1.0, 2.0)
"""Pauses while Redis is not there; the last one is repeated."""


@dataclass(slots=True)
class RedisContext:
    """The Redis, who we are in it, and what of it runs here."""

    redis: Redis
    clock: Clock
    process: str
    find_alive: Callable[[Iterable[str]], Awaitable[set[str]]]
    """Which of these processes live."""
    running: set[tuple[str, int]] = field(default_factory=set)
    """The attempts that run in this process, as keys and numbers."""
    closed: bool = False

    async def run(self, script: str, *arguments: str | bytes | float) -> Any:
        """Runs a script. Raises StoreFailed."""
        return await self.call(self.redis.eval(script, 0, *arguments))

    async def call(self, command: Any) -> Any:
        """Waits for one of the client's calls. Raises StoreFailed."""
        return await call(command)

    async def keep(self, command: Any) -> Any:
        """The same for an answer that counts also where whoever asked has been cancelled meanwhile."""
        try:
            return await command
        except REDIS_ERRORS as failure:
            raise redis_failed(failure) from None

    async def retry_until_stored(self, write: Callable[[], Awaitable[object]]) -> None:
        """Writes it however long Redis is not there: what a job came to must not be lost."""
        failures = 0
        while True:
            try:
                await write()
                return
            except StoreFailed as failure:
                log.warning("what a job came to is not stored yet: %s", failure)
                await self.clock.sleep(retry_delay(failures))
                failures += 1


def retry_delay(failures: int) -> float:
    """Seconds before Redis is asked again, after so many refusals in a row."""
    return RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
