"""`sidecar`: one session with a parent. Opens every resource, wires it, and closes in reverse."""

import asyncio
import gc
import os
import sys
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sidecar_protocol import PROTOCOL_VERSION, codec
from sidecar_protocol.replies import Event, RequestId
from sidecar_protocol.requests import CONTENTS

from sidecar import __version__, logs
from sidecar.clock import Clock, within
from sidecar.errors import SidecarError
from sidecar.recording.redaction.redactor import Redactor
from sidecar.runtime.browser_services import BrowserServices
from sidecar.runtime.login_service import LoginService
from sidecar.runtime.network import Network
from sidecar.runtime.recording_runtime import open_recorded, open_recording
from sidecar.runtime.runtime_context import RuntimeContext
from sidecar.runtime.storage_provider import StorageProvider
from sidecar.server.dispatcher import Dispatcher
from sidecar.server.handlers.context import HandlerContext
from sidecar.server.message_registry import Routes, routes
from sidecar.server.session import Session
from sidecar.server.stdio import LineReader, LineWriter
from sidecar.server.stdio_fds import Descriptors
from sidecar.settings import Settings, SettingsError
from sidecar.shutdown import CLOSE_SECONDS, StopSignals, force_exit_after
from sidecar.storage.memory_references import MemoryReferences

if TYPE_CHECKING:
    from sidecar_protocol.session import HelloReply
    from sidecar_protocol.webhooks import Webhook

    from sidecar.recording.input_log import InputLog
    from sidecar.recording.session_recording import SessionRecording

PYTHON_FRAMES: Final = 200
"""Levels of recursion that we use ourselves, beside those that a nested line may use."""
PARENT_WATCH_SECONDS: Final = 0.5
RESUME_SECONDS: Final = 0.5
"""What a parent gets to begin with; a mock session must not go on with what real ones have left."""
LAST_WORDS_SECONDS: Final = 1.0
"""What a slow parent gets at least to take its last answers, also where the time for finishing is over."""


class SessionProcess:
    """One session, from its first line to its last."""

    def __init__(self, settings: Settings, descriptors: Descriptors, clock: Clock, resources: AsyncExitStack) -> None:
        self._settings = settings
        self._clock = clock
        self._resources = resources
        self._parent = descriptors.parent
        self._ended = asyncio.Event()
        self._heard = True
        self._redactor = Redactor()
        try:
            logs.configure(settings.log_debug, self._redactor.redact_text)
        except OSError as failure:
            raise SettingsError(f"the debug log {settings.log_debug} can't be used: {failure.strerror}") from None
        self._recording = self._open_recording()
        network = Network(settings, clock, self._recording, open_recorded(settings))
        on_write = self._recording.record_sent if self._recording else None
        self._writer = LineWriter(descriptors.lines_out, self._commit, self._on_clogged, self._on_closed, on_write)
        self._session = Session(before_login=MemoryReferences(clock), add_secret=self._add_secret)
        self._session.webhooks = webhooks_of(settings)
        self._browsers = BrowserServices(settings, clock, lambda: self._session.is_mock)
        self._storage = StorageProvider(
            RuntimeContext(
                settings=settings,
                clock=clock,
                session=self._session,
                browsers=self._browsers,
                network=network,
                on_event=partial(self._emit, None),
            )
        )
        self._dispatcher = Dispatcher(
            self._routes(network),
            self._writer,
            self._on_full,
            max_in_flight=settings.max_in_flight,
            max_line=settings.max_line,
            recorders=[recorder for recorder in (self._open_input_log(), self._recording) if recorder],
        )
        self._reader = LineReader(descriptors.lines_in, settings.max_line, self._dispatcher.accept, self._ended.set)

    async def run(self) -> None:
        """Serves until stdin ends, a signal comes, the parent dies or stdout is closed."""
        self._resources.push_async_callback(self._storage.close)
        self._resources.push_async_callback(self._session.close)
        self._resources.push_async_callback(self._browsers.close)
        StopSignals(self._ended.set).watch()
        self._watch_parent()
        self._reader.start()
        resuming = asyncio.create_task(self._resume())
        await self._ended.wait()
        self._reader.stop()
        resuming.cancel()
        seconds = self._settings.shutdown_timeout if self._heard else 0
        force_exit_after(seconds + CLOSE_SECONDS)
        deadline = self._clock.monotonic() + seconds
        await asyncio.gather(
            self._dispatcher.finish(seconds), self._storage.rest(seconds), resuming, return_exceptions=True
        )
        try:
            async with within(max(deadline - self._clock.monotonic(), LAST_WORDS_SECONDS)):
                await self._writer.drain()
        except TimeoutError:
            return  # a parent that does not read
        await self._storage.drain(deadline - self._clock.monotonic())

    # --- what ends a session

    def _watch_parent(self) -> None:
        """The parent's death is the end, also while somebody else holds our pipe open."""
        # asked again and again, because pidfd_open is not allowed or not there in many a container
        loop = asyncio.get_running_loop()
        if os.getppid() == self._parent:
            loop.call_later(PARENT_WATCH_SECONDS, self._watch_parent)
        else:
            self._reader.end_when_empty()
            # whoever holds the pipes now may never read what we still have to say
            loop.call_later(self._settings.shutdown_timeout, self._ended.set)

    def _on_closed(self) -> None:
        self._heard = False
        self._ended.set()

    # --- back-pressure

    def _on_clogged(self, clogged: bool) -> None:
        (self._reader.hold if clogged else self._reader.release)("clogged")
        self._dispatcher.pause(clogged)

    def _on_full(self, full: bool) -> None:
        (self._reader.hold if full else self._reader.release)("full")

    # --- resources that are opened at first use

    def _commit(self) -> asyncio.Future[None] | None:
        return self._storage.commit()

    async def _resume(self) -> None:
        """What an earlier process has left unfinished goes on once the parent has had its first word."""
        await asyncio.sleep(RESUME_SECONDS)
        await self._browsers.sweep()
        await self._storage.resume()

    def _open_input_log(self) -> "InputLog | None":
        if not self._settings.log_input:
            return None
        from sidecar.recording.input_log import InputLog

        try:
            input_log = InputLog(Path(self._settings.log_input), self._redactor, self._clock)
        except OSError as failure:
            raise SettingsError(f"the input log {self._settings.log_input} can't be used: {failure.strerror}") from None
        self._resources.callback(input_log.close)
        return input_log

    def _open_recording(self) -> "SessionRecording | None":
        recording = open_recording(self._settings, self._clock)
        if recording:
            self._resources.callback(recording.close)
        return recording

    def _add_secret(self, secret: str) -> None:
        self._redactor.add_secret(secret)
        if self._recording:
            self._recording.add_secret(secret)

    # --- what we say of ourselves

    def _describe(self) -> "HelloReply":
        from sidecar_protocol.session import HelloReply, Limits

        from sidecar.browser.discovery import (
            available_browsers,
        )  # late: few ask, and the first pong need not wait for it

        return HelloReply(
            version=__version__,
            protocol=PROTOCOL_VERSION,
            message_types=tuple(CONTENTS),
            limits=Limits(
                max_line_bytes=self._settings.max_line,
                max_in_flight=self._settings.max_in_flight,
                max_nesting=codec.MAX_NESTING,
            ),
            browsers=available_browsers(self._settings),
        )

    def _routes(self, network: Network) -> Routes:
        login_service = LoginService(self._settings, self._clock, self._storage, network)
        context = HandlerContext(
            session=self._session,
            storage=self._storage,
            log_in=login_service.log_in,
            mock=login_service.mock,
            reference_locks=self._browsers.reference_locks,
            run_service=self._browsers.run_service,
            visit_tokens=self._browsers.visit_tokens,
            describe=self._describe,
            emit=self._emit,
        )
        return routes(context, fleet=bool(self._settings.queue))

    def _emit(self, request_id: RequestId | None, event: Any, content: Any) -> None:
        if self._session.notifications:
            self._writer.send(
                codec.encode(Event(event, content, codec.NO_CONTENT if request_id is None else request_id))
            )


def webhooks_of(settings: Settings) -> "tuple[Webhook, ...]":
    """Those that every session begins with. Raises SettingsError."""
    if not settings.webhook:
        return ()
    from sidecar_protocol.webhooks import Webhook

    from sidecar.net.urls import check_url  # late: yarl takes 15 ms to import

    urls = settings.webhook.split()
    for url in urls:
        try:
            check_url(url, allow_private=settings.allow_private_network)
        except SidecarError as wrong:
            raise SettingsError(f"--webhook: {wrong.message}") from None
    return tuple(Webhook(url=url) for url in urls)


async def serve(settings: Settings, descriptors: Descriptors, clock: Clock) -> None:
    """Runs one session and leaves nothing behind."""
    sys.setrecursionlimit(codec.MAX_NESTING + PYTHON_FRAMES)
    async with AsyncExitStack() as resources:
        app = SessionProcess(settings, descriptors, clock, resources)
        gc.freeze()  # what is there by now stays to the end
        gc.enable()
        await app.run()
