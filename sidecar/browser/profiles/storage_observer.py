"""The observer of a job's last reading, and the storage that the page reports with it."""

from typing import Protocol

from sidecar_protocol.models import Model


class PageStorage(Model):
    """The storage of a page's origin, as far as the page itself can read it synchronously."""

    origin: str
    local: list[dict[str, str]]
    """localStorage: `name` and `value`."""
    databases: int
    """The number of databases; their content has to be read separately."""


class StorageObserver(Protocol):
    """Notified of a job's last reading."""

    @property
    def wants_storage(self) -> bool:
        """Whether the reading has to include the page's storage."""

    def reading_started(self) -> None:
        """Called when the reading starts, and again if the page navigates meanwhile."""

    def reading_finished(self, storage: PageStorage | None) -> None:
        """Called when the reading has finished; None if the page could not read its storage."""


class _NoStorageObserver:
    wants_storage = False

    def reading_started(self) -> None:
        pass

    def reading_finished(self, storage: PageStorage | None) -> None:
        pass


NO_STORAGE_OBSERVER: StorageObserver = _NoStorageObserver()
"""The observer for jobs without a profile."""
