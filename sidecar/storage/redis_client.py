"""The client of a fleet's Redis: how it connects, how long it waits, and what its errors become."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from sidecar.errors import StoreFailed

RESPONSE_SECONDS: Final = 5.0
"""Seconds that Redis may take to respond, in addition to a blocking command's own wait."""
BLOCK_SECONDS: Final = 2.0
"""The longest wait of a blocking command."""
RETRY_SECONDS: Final = 1.0
"""The pause before a failed command is retried."""


def connect(url: str) -> Redis:
    """Returns a client of `redis://…` or `rediss://…`, which connects at its first command. Raises StoreFailed."""
    try:
        return Redis.from_url(
            url,
            socket_timeout=RESPONSE_SECONDS + BLOCK_SECONDS,
            socket_connect_timeout=RESPONSE_SECONDS,
            socket_keepalive=True,
            health_check_interval=30,
            # one retry, for connections that were closed while idle; a Redis that does not respond is not asked twice
            retry=Retry(ConstantBackoff(0), 1, supported_errors=(RedisConnectionError,)),
        )
    except ValueError:  # its message may contain the password
        raise StoreFailed("SIDECAR_QUEUE is not the address of a Redis") from None


@contextmanager
def redis_errors() -> Iterator[None]:
    """Turns errors of Redis and of the connection into StoreFailed."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as failure:
        raise StoreFailed(f"the fleet's Redis can't be used: {failure}", retryable=True) from None


async def call(command: Any) -> Any:
    """Returns the response to a command. Raises StoreFailed.

    redis-py loses a cancellation that arrives together with a response; the caller is still cancelled.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        return await call_uncancelled(command)
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError


async def call_uncancelled(command: Any) -> Any:
    """Returns the response to a command, also if the caller was cancelled as it arrived. Raises StoreFailed."""
    with redis_errors():
        return await command
