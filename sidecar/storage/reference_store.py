"""Opens the references of an account: on this disk, and in a fleet shared with the other machines."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sidecar.clock import Clock
from sidecar.storage.database import Database
from sidecar.storage.disk_references import DiskReferences
from sidecar.storage.memory_references import MemoryReferences

if TYPE_CHECKING:
    from sidecar.storage.redis_references import RedisReferences, ReferencePublisher


class ReferenceStore:
    """The references of every account."""

    def __init__(self, database: Database, clock: Clock, publisher: "ReferencePublisher | None") -> None:
        """`publisher` shares them with a fleet; None on a single machine."""
        self._database = database
        self._clock = clock
        self._publisher = publisher

    async def open(
        self, account_id: str, seed: Iterable[str] = (), ttl: float = 0
    ) -> "MemoryReferences | DiskReferences | RedisReferences":
        """The references of an account; `seed` is remembered for `ttl` seconds. Raises StoreFailed.

        Those of no account end with the process.
        """
        if not account_id:
            return MemoryReferences(self._clock)
        own = await DiskReferences.open(self._database, self._clock, account_id, seed, ttl)
        if self._publisher is None:
            return own
        from sidecar.storage.redis_references import RedisReferences  # late: only a fleet has redis installed

        return RedisReferences(own, self._publisher, account_id)
