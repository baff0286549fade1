"""Retries while the store is unavailable: Redis is gone, or the disk is full."""

import logging
from collections.abc import Awaitable, Callable, Sequence

from sidecar.clock import Clock
from sidecar.errors import StoreFailed

log = logging.getLogger(__name__)


def retry_delay(delays: Sequence[float], failures: int) -> float:
    """Returns the pause after this many failures in a row, counted from 0; the last delay is repeated."""
    return delays[min(failures, len(delays) - 1)]


async def retry_until_stored(write: Callable[[], Awaitable[object]], clock: Clock, delays: Sequence[float]) -> None:
    """Repeats a write until it succeeds: the outcome of a job must not be lost."""
    failures = 0
    while True:
        try:
            await write()
            return
        except StoreFailed as failure:
            log.warning("the outcome of a job is not stored yet: %s", failure)
            await clock.sleep(retry_delay(delays, failures))
            failures += 1
