"""The storage in force: on disk, or a mock session's in memory; each opened at first use."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from sidecar.errors import SidecarError

if TYPE_CHECKING:
    from sidecar.storage.database import Database

CLOSING_SECONDS: Final = 2.0
"""Seconds for which closing waits for a storage that is still being opened or closed."""


class ClosableStorage(Protocol):
    """Everything that outlives a session, over one database."""

    database: "Database"

    def start(self) -> None:
        """Starts deliveries and stored work."""

    def accept_only(self) -> None:
        """Leaves stored work to the next process."""

    async def stop(self, seconds: float) -> None:
        """Gives running work `seconds` to finish."""

    async def drain(self, seconds: float) -> None:
        """Sends due deliveries, for at most `seconds`."""

    async def close(self) -> None:
        """Closes everything."""


S = TypeVar("S", bound=ClosableStorage)


class StorageProvider(Generic[S]):
    """Holds at most one storage on disk and one in memory."""

    def __init__(
        self, open_disk: Callable[[], Awaitable[S]], open_memory: Callable[[], S], has_pending: Callable[[], bool]
    ) -> None:
        """`has_pending` says whether an earlier process may have left work on disk."""
        self._open_disk = open_disk
        self._open_memory = open_memory
        self._has_pending = has_pending
        self._disk: S | None = None
        self._memory: S | None = None
        self._mock = False
        self._stopping = False
        self._opening: asyncio.Task[S] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        """Storages of former mock sessions."""

    @property
    def opened(self) -> S | None:
        """The storage in force; None until something has needed it."""
        return self._memory if self._mock else self._disk

    async def get(self) -> S:
        """Opens the storage in force. Raises StoreFailed."""
        return self.in_memory() if self._mock else await self.on_disk()

    async def on_disk(self) -> S:
        """Opens the state folder's storage, whatever is in force. Raises StoreFailed."""
        if self._disk:
            return self._disk
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(_consume_exception)
        return await asyncio.shield(self._opening)  # a cancelled request does not cancel it for the others

    def in_memory(self) -> S:
        """Opens the mock session's storage."""
        if self._memory is None:
            self._memory = self._start(self._open_memory())
        return self._memory

    def mock(self) -> None:
        """Starts a mock session with empty storage. Never awaits, so no cancelled request leaves it half done."""
        self._mock = True
        memory, self._memory = self._memory, None
        if memory:
            closing = asyncio.create_task(memory.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def log_in(self) -> None:
        """Makes the storage on disk the one in force, after a login."""
        self._mock = False

    async def resume(self) -> None:
        """Resumes work that an earlier process has left."""
        if self._disk or self._mock or self._stopping or not self._has_pending():
            return
        try:
            await self.on_disk()
        except SidecarError:  # the next request that needs it gets the error
            return

    def commit(self) -> asyncio.Future[None] | None:
        """The commits, in either storage, that a reply has to wait for."""
        disk = self._disk.database.commit() if self._disk else None
        memory = self._memory.database.commit() if self._memory else None
        if disk and memory:
            from sidecar.storage.database import wait_all  # late: only a mock session after a login has both

            return asyncio.ensure_future(wait_all((disk, memory)))
        return disk or memory

    async def stop(self, seconds: float) -> None:
        """Starts nothing more, and gives running work `seconds` to finish."""
        self._stopping = True
        await asyncio.gather(*(one.stop(seconds) for one in (self._disk, self._memory) if one))

    async def drain(self, seconds: float) -> None:
        """Sends due deliveries, for at most `seconds`."""
        await asyncio.gather(*(one.drain(seconds) for one in (self._disk, self._memory) if one))

    async def close(self) -> None:
        """Closes both."""
        if self._opening:
            self._opening.cancel()
            await asyncio.wait([self._opening], timeout=CLOSING_SECONDS)
        if self._closing:
            await asyncio.wait(self._closing, timeout=CLOSING_SECONDS)
        for one in (self._memory, self._disk):
            if one:
                await one.close()

    async def _open(self) -> S:
        try:
            self._disk = self._start(await self._open_disk())
        finally:
            self._opening = None
        return self._disk

    def _start(self, storage: S) -> S:
        if self._stopping:
            storage.accept_only()
        storage.start()
        return storage


def _consume_exception(opening: "asyncio.Task[S]") -> None:
    """Retrieves a failure: every request that waited for the storage has raised it."""
    if not opening.cancelled():
        opening.exception()
