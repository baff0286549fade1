"""The composition root: opens every resource, wires it, and closes in reverse. The only file that knows all rooms."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from protocol import PROTOCOL_VERSION, codec
from protocol.replies import Event
from protocol.requests import CONTENTS
from protocol.session import Credentials, HelloReply, Limits, MockOptions
from sidecar import __version__, logs
from sidecar.browser.discovery import available
from sidecar.clock import Clock
from sidecar.descriptors import Descriptors
from sidecar.dispatch import Dispatcher
from sidecar.errors import SidecarError, StoreFailed
from sidecar.handlers.table import routes
from sidecar.recording.journal import Journal
from sidecar.recording.redact import Redactor
from sidecar.remote.mock import MockServer
from sidecar.session import LONG_TTL, Login, Session
from sidecar.settings import Settings, SettingsError
from sidecar.stdio import LineReader, LineWriter
from sidecar.store.memory import MemoryReferences

if TYPE_CHECKING:
    from sidecar.store.database import Database
    from sidecar.work.jobs import JobRunner
    from sidecar.work.tokens import Tokens

PYTHON_FRAMES: Final = 200
"""Levels of recursion that we use ourselves, beside those that a nested line may use."""
PARENT_WATCH_SECONDS: Final = 0.5
LAST_WORDS_SECONDS: Final = 1.0
"""What a slow parent gets at least to take its last answers, also where the time for finishing is over."""


class App:
    """One session: from its first line to its last."""

    def __init__(self, settings: Settings, descriptors: Descriptors, clock: Clock, resources: AsyncExitStack) -> None:
        self._settings = settings
        self._clock = clock
        self._resources = resources
        self._parent = descriptors.parent
        self._database: Database | None = None
        self._runner: JobRunner | None = None
        self._ended = asyncio.Event()
        self._heard = True
        self._signalled = False
        self._redactor = Redactor()
        try:
            logs.configure(settings.log_debug, self._redactor)
        except OSError as failure:
            raise SettingsError(f"the debug log {settings.log_debug} can't be used: {failure.strerror}") from None
        self._writer = LineWriter(descriptors.lines_out, self._commit, self._on_clogged, self._on_closed)
        self._session = Session(
            before_login=MemoryReferences(clock),
            log_in=self._log_in,
            mock=self._mock,
            learn=self._redactor.learn,
        )
        self._dispatcher = Dispatcher(
            routes(self._session, self._about, self._get_runner, self._get_tokens),
            self._writer,
            self._on_full,
            max_in_flight=settings.max_in_flight,
            max_line=settings.max_line,
            journal=self._open_journal(),
        )
        self._reader = LineReader(descriptors.lines_in, settings.max_line, self._dispatcher.accept, self._ended.set)

    async def run(self) -> None:
        """Serves until stdin ends, a signal comes, the parent dies or stdout is closed."""
        self._resources.push_async_callback(self._session.close)
        self._watch_signals()
        self._watch_parent()
        self._reader.start()
        await self._ended.wait()
        self._reader.stop()
        deadline = self._clock.monotonic() + (self._settings.shutdown_timeout if self._heard else 0)
        await self._dispatcher.finish(deadline - self._clock.monotonic())
        try:
            async with asyncio.timeout(max(deadline - self._clock.monotonic(), LAST_WORDS_SECONDS)):
                await self._writer.drain()
        except TimeoutError:
            return  # a parent that does not read

    # --- what ends a session

    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal, number)

    def _on_signal(self, number: int) -> None:
        if self._signalled:
            os._exit(128 + number)
        self._signalled = True
        self._ended.set()

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
        self._dispatcher.hold_back(clogged)

    def _on_full(self, full: bool) -> None:
        (self._reader.hold if full else self._reader.release)("full")

    # --- resources that are opened at first use

    def _commit(self) -> asyncio.Future[None] | None:
        return self._database.commit() if self._database else None

    async def _get_database(self) -> "Database":
        if self._database is None:
            from sidecar.store.database import Database  # late: only a login needs the disk

            try:
                folder = self._settings.state_folder()
            except OSError as failure:
                raise StoreFailed(f"the state folder can't be used: {failure.strerror}", retryable=True) from None
            self._database = await Database.open(folder / "sidecar.db")
            self._resources.push_async_callback(self._database.close)
        return self._database

    def _get_runner(self) -> "JobRunner":
        if self._runner is None:
            from sidecar.browser.pool import BrowserPool  # late: playwright takes 200 ms to import
            from sidecar.work.jobs import JobRunner

            pool = BrowserPool(self._settings, self._clock)
            self._resources.push_async_callback(pool.close)
            folder = self._settings.artifacts_folder
            self._runner = JobRunner(pool, folder, self._clock, self._get_tokens().check)
        return self._runner

    def _get_tokens(self) -> "Tokens":
        from sidecar.work.tokens import Tokens  # late: only jobs ask

        return Tokens(self._settings.token_secret, self._clock)

    def _open_journal(self) -> Journal | None:
        if not self._settings.log_input:
            return None
        try:
            journal = Journal(Path(self._settings.log_input), self._redactor, self._clock)
        except OSError as failure:
            raise SettingsError(f"the input log {self._settings.log_input} can't be used: {failure.strerror}") from None
        self._resources.callback(journal.close)
        return journal

    # --- logins

    async def _log_in(self, credentials: Sequence[Credentials]) -> Login:
        from sidecar.remote import rtcv  # late: aiohttp takes 200 ms to import
        from sidecar.remote.http import HttpClient
        from sidecar.store.references import DiskReferences

        for one in credentials:
            rtcv.check_location(one.server_location)
        primary = next((index for index, one in enumerate(credentials) if one.primary), 0)
        http = HttpClient(self._settings.request_timeout, self._clock)
        servers = [rtcv.RtcvServer(http, one) for one in credentials]
        backend = rtcv.RtcvServers(
            http, servers, primary, self._on_delivery_failed, grace=self._settings.shutdown_timeout
        )
        try:
            scanned = await backend.check()
            database = await self._get_database()
            scope = rtcv.scope_of(credentials[primary])
            references = await DiskReferences.open(database, self._clock, scope, scanned, LONG_TTL)
        except BaseException:
            await http.close()
            raise
        return Login(backend, references)

    def _mock(self, options: MockOptions) -> Login:
        return Login(MockServer(options), MemoryReferences(self._clock))

    # --- what we say of ourselves

    def _about(self) -> HelloReply:
        return HelloReply(
            version=__version__,
            protocol=PROTOCOL_VERSION,
            message_types=tuple(CONTENTS),
            limits=Limits(
                max_line_bytes=self._settings.max_line,
                max_in_flight=self._settings.max_in_flight,
                max_nesting=codec.MAX_NESTING,
            ),
            browsers=available(self._settings),
        )

    def _on_delivery_failed(self, server: str, failure: SidecarError) -> None:
        if self._session.notifications:
            content = {"server": server, "error": failure.detail}
            self._writer.send(codec.encode(Event("delivery_failed", content)))


async def serve(settings: Settings, descriptors: Descriptors, clock: Clock) -> None:
    """Runs one session and leaves nothing behind."""
    sys.setrecursionlimit(codec.MAX_NESTING + PYTHON_FRAMES)
    async with AsyncExitStack() as resources:
        await App(settings, descriptors, clock, resources).run()
