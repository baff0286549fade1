"""What outlives a session, over one database: on disk, or in memory for a mock session."""

from typing import Self

from sidecar.clock import Clock
from sidecar.sealing import Seal
from sidecar.settings import Settings
from sidecar.store.database import Database


class Durable:
    """The parts that keep going when a session ends, opened in order and closed in reverse. Use `open`."""

    def __init__(self, database: Database, seal: Seal, settings: Settings, clock: Clock) -> None:
        self.database = database
        self.seal = seal
        self._settings = settings
        self._clock = clock

    @classmethod
    async def open(cls, settings: Settings, clock: Clock) -> Self:
        """Opens what is on disk in the state folder. Raises StoreFailed."""
        database = await Database.open(settings.state_folder() / "sidecar.db")
        return cls(database, Seal(settings.seal_key()), settings, clock)

    async def close(self) -> None:
        """Closes everything in reverse."""
        await self.database.close()
