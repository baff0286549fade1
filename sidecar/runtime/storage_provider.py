"""The storage in force: on disk, or a mock session's in memory; each opened at first use."""

import asyncio
from typing import TYPE_CHECKING, Final

from sidecar.errors import SidecarError

if TYPE_CHECKING:
    from sidecar.runtime.runtime_context import RuntimeContext
    from sidecar.runtime.storage_runtime import StorageRuntime

CLOSING_SECONDS: Final = 2.0
"""How long the end waits for a store that is still being opened, or closed."""


class StorageProvider:
    """Holds at most one storage on disk and one in memory."""

    def __init__(self, context: "RuntimeContext") -> None:
        self._context = context
        self._disk: StorageRuntime | None = None
        self._memory: StorageRuntime | None = None
        self._mock = False
        self._resting = False
        self._opening: asyncio.Task[StorageRuntime] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        """Mock sessions' stores that are being closed."""

    @property
    def opened(self) -> "StorageRuntime | None":
        """The storage in force; None until something has needed it."""
        return self._memory if self._mock else self._disk

    async def get(self) -> "StorageRuntime":
        """Opens the storage in force. Raises StoreFailed."""
        return await self.in_memory() if self._mock else await self.on_disk()

    async def on_disk(self) -> "StorageRuntime":
        """Opens the state folder's storage, whatever is in force. Raises StoreFailed."""
        if self._disk:
            return self._disk
        if self._opening is None:
            self._opening = asyncio.create_task(self._open_disk())
            self._opening.add_done_callback(_look_at)
        return await asyncio.shield(self._opening)  # a request that is cancelled does not take it from the others

    async def in_memory(self) -> "StorageRuntime":
        """The mock session's."""
        if self._memory is None:
            from sidecar.runtime.storage_runtime import StorageRuntime

            self._memory = self._begin(StorageRuntime.in_memory(self._context))
        return self._memory

    def mock(self) -> None:
        """Starts a mock session with empty storage. Never awaits, so no cancelled request leaves it half done."""
        self._mock = True
        self._context.browsers.forget_mock()
        memory, self._memory = self._memory, None
        if memory:
            closing = asyncio.create_task(memory.close())
            self._leaving.add(closing)
            closing.add_done_callback(self._leaving.discard)

    def log_in(self) -> None:
        """A login has come into force: the disk counts again."""
        self._mock = False

    async def resume(self) -> None:
        """Resumes what an earlier process has left, if there is anything; in a fleet there may always be."""
        if self._disk or self._mock or self._resting:
            return
        from sidecar.storage.pending_work import has_pending

        settings = self._context.settings
        if settings.queue or has_pending(settings.state_path() / "sidecar.db"):
            try:
                await self.on_disk()
            except SidecarError:  # whoever needs it is told then
                return

    def commit(self) -> asyncio.Future[None] | None:
        """What a reply has to wait for, in either store."""
        disk = self._disk.database.commit() if self._disk else None
        memory = self._memory.database.commit() if self._memory else None
        if disk and memory:
            from sidecar.storage.database import wait_all

            return asyncio.ensure_future(wait_all((disk, memory)))
        return disk or memory

    async def rest(self, seconds: float) -> None:
        """Starts nothing more, and gives running work `seconds` to finish."""
        self._resting = True
        await asyncio.gather(*(one.rest(seconds) for one in (self._disk, self._memory) if one))

    async def drain(self, seconds: float) -> None:
        """Sends what is due, for at most `seconds`."""
        await asyncio.gather(*(one.drain(seconds) for one in (self._disk, self._memory) if one))

    async def close(self) -> None:
        """Closes both."""
        if self._opening:
            self._opening.cancel()
            await asyncio.wait([self._opening], timeout=CLOSING_SECONDS)
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=CLOSING_SECONDS)
        for one in (self._memory, self._disk):
            if one:
                await one.close()

    async def _open_disk(self) -> "StorageRuntime":
        from sidecar.runtime.storage_runtime import (
            StorageRuntime,  # late: only work for later needs the disk and its queue
        )

        try:
            self._disk = self._begin(await StorageRuntime.open(self._context))
        finally:
            self._opening = None
        return self._disk

    def _begin(self, storage: "StorageRuntime") -> "StorageRuntime":
        storage.start_sending()
        if self._resting:
            storage.stop_starting()  # what is accepted now waits for the next process
        else:
            storage.start()
        return storage


def _look_at(opening: "asyncio.Task[StorageRuntime]") -> None:
    """Retrieves a failure: every request that waited for the storage has raised it."""
    if not opening.cancelled():
        opening.exception()
