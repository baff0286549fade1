"""What the queues of one Redis share in this process."""

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
        return await call(self.redis.eval(script, 0, *arguments))
