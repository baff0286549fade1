"""Who is told that a job's pages change nothing more, and what the last reading saw of their storage."""

from typing import Protocol

import msgspec


class PageStorage(msgspec.Struct, frozen=True):
    """What a page's origin has stored, as far as the page itself can tell at once."""

    origin: str
    local: list[dict[str, str]]
    """localStorage: `name` and `value`."""
    databases: int
    """How many databases there are; what they hold takes further questions."""


class StorageObserver(Protocol):
    """Told of a job's last reading."""

    @property
    def wants_storage(self) -> bool:
        """Whether the reading shall look at the page's storage too."""

    def reading_started(self) -> None:
        """The reading begins; where the page goes away under it, it begins again."""

    def reading_finished(self, storage: PageStorage | None) -> None:
        """The reading has ended; None where the page could not tell."""


class _NoStorageObserver:
    wants_storage = False

    def reading_started(self) -> None:
        pass

    def reading_finished(self, storage: PageStorage | None) -> None:
        pass


NO_STORAGE_OBSERVER: StorageObserver = _NoStorageObserver()
"""For jobs that leave nothing."""
