"""A session's process: from the parent's first line to its last, with back-pressure and shutdown."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

from sidecar_protocol import codec
from sidecar_protocol.replies import Event, RequestId

from sidecar.clock import Clock, within
from sidecar.server.dispatcher import Dispatcher, Recorder
from sidecar.server.message_registry import Routes
from sidecar.server.session import Session
from sidecar.server.stdio import Commit, LineReader, LineWriter
from sidecar.server.stdio_fds import Descriptors
from sidecar.settings import Settings
from sidecar.shutdown import CLOSE_SECONDS, StopSignals, force_exit_after

PARENT_WATCH_SECONDS: Final = 0.5
RESUME_SECONDS: Final = 0.5
"""Seconds before stored work resumes, so that the parent can begin: a mock session must not resume real work."""
LAST_REPLIES_SECONDS: Final = 1.0
"""Seconds at least for a slow parent to read its last replies, even if the shutdown time is over."""


class Stoppable(Protocol):
    """Work that outlives a request. See server.storage_provider."""

    async def stop(self, seconds: float) -> None:
        """Gives running work `seconds` to finish."""

    async def drain(self, seconds: float) -> None:
        """Sends due deliveries, for at most `seconds`."""


class SessionProcess:
    """One session. Use `connect`, then `run`; `emit` works in between, too."""

    def __init__(self, settings: Settings, descriptors: Descriptors, clock: Clock, session: Session) -> None:
        self._settings = settings
        self._descriptors = descriptors
        self._clock = clock
        self._session = session
        self._ended = asyncio.Event()
        self._is_connected = True

    def connect(
        self,
        routes: Routes,
        commit: Commit,
        recorders: Sequence[Recorder],
        on_write: Callable[[bytes], None] | None = None,
    ) -> None:
        """Connects stdin and stdout to the handlers; a reply leaves once its `commit` is done.

        `recorders` get what is read, `on_write` what is written.
        """
        settings = self._settings
        self._writer = LineWriter(self._descriptors.lines_out, commit, self._on_clogged, self._on_closed, on_write)
        self._dispatcher = Dispatcher(
            routes,
            self._writer,
            self._on_full,
            max_in_flight=settings.max_in_flight,
            max_line=settings.max_line,
            recorders=recorders,
        )
        self._reader = LineReader(
            self._descriptors.lines_in, settings.max_line, self._dispatcher.accept, self._ended.set
        )

    def emit(self, request_id: RequestId | None, event: Any, content: Any) -> None:
        """Writes an event if the parent asked for events."""
        if self._session.notifications:
            self._writer.send(
                codec.encode(Event(event, content, codec.NO_CONTENT if request_id is None else request_id))
            )

    async def run(self, storage: Stoppable, resume: Callable[[], Awaitable[None]]) -> None:
        """Serves until stdin ends, a signal comes, the parent dies or stdout is closed; `resume` resumes work."""
        StopSignals(self._ended.set).watch()
        self._watch_parent()
        self._reader.start()
        resuming = asyncio.create_task(self._resume(resume))
        await self._ended.wait()
        self._reader.stop()
        resuming.cancel()
        seconds = self._settings.shutdown_timeout if self._is_connected else 0
        force_exit_after(seconds + CLOSE_SECONDS)
        deadline = self._clock.monotonic() + seconds
        await asyncio.gather(self._dispatcher.finish(seconds), storage.stop(seconds), resuming, return_exceptions=True)
        try:
            async with within(max(deadline - self._clock.monotonic(), LAST_REPLIES_SECONDS)):
                await self._writer.drain()
        except TimeoutError:
            return  # a parent that does not read
        await storage.drain(deadline - self._clock.monotonic())

    async def _resume(self, resume: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(RESUME_SECONDS)
        await resume()

    # --- what ends a session

    def _watch_parent(self) -> None:
        """Ends the session when the parent dies, even if another process keeps our pipe open."""
        # polled, because many containers lack or forbid pidfd_open
        loop = asyncio.get_running_loop()
        if os.getppid() == self._descriptors.parent:
            loop.call_later(PARENT_WATCH_SECONDS, self._watch_parent)
        else:
            self._reader.end_when_empty()
            # a process that keeps the pipes open may never read our last replies
            loop.call_later(self._settings.shutdown_timeout, self._ended.set)

    def _on_closed(self) -> None:
        self._is_connected = False
        self._ended.set()

    # --- back-pressure

    def _on_clogged(self, clogged: bool) -> None:
        (self._reader.hold if clogged else self._reader.release)("clogged")
        self._dispatcher.pause(clogged)

    def _on_full(self, full: bool) -> None:
        (self._reader.hold if full else self._reader.release)("full")
