"""The state that the queues of one Redis share in this process."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from redis.asyncio import Redis

from sidecar.clock import Clock
from sidecar.storage.redis_client import call

RETRY_SECONDS: Final = (0.1, 0.5, 1.0, 2.0)
"""Pauses while Redis is unavailable; the last one is repeated."""


@dataclass(slots=True)
class RedisContext:
    """The Redis client, this process's id in it, and the attempts that run in this process."""

    redis: Redis
    clock: Clock
    process: str
    find_alive: Callable[[Iterable[str]], Awaitable[set[str]]]
    """Returns which of these processes are alive."""
    running: set[tuple[str, int]] = field(default_factory=set)
    """Attempts that run in this process, as keys and attempt numbers."""
    closed: bool = False

    async def run(self, script: str, *arguments: str | bytes | float) -> Any:
        """Runs a script. Raises StoreFailed."""
        return await call(self.redis.eval(script, 0, *arguments))
