"""A process that is spoken to over HTTP: from its first connection to its last answer."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from sidecar_protocol import codec
from sidecar_protocol.replies import Event, RequestId

from sidecar.clock import Clock
from sidecar.server.dispatcher import Dispatcher, Recorder
from sidecar.server.http.access import Access
from sidecar.server.http.bodies import Bodies
from sidecar.server.http.compat_director import DirectorRoutes
from sidecar.server.http.compat_engagelab import EngagelabRoutes
from sidecar.server.http.compat_rtcv import RtcvRoutes
from sidecar.server.http.compat_tourist import TouristRoutes
from sidecar.server.http.event_stream import EventStream
from sidecar.server.http.front import HttpFront
from sidecar.server.http.gateway import Gateway
from sidecar.server.http.listen_address import ListenAddress
from sidecar.server.http.listener import Listener
from sidecar.server.http.messages import Messages
from sidecar.server.http.openapi import Description
from sidecar.server.http.refusals import problem
from sidecar.server.http.reply_router import ReplyRouter
from sidecar.server.http.route_table import ErrorForm, RouteTable
from sidecar.server.message_registry import Routes
from sidecar.server.scraper_logins import ScraperLogins
from sidecar.server.session import Session
from sidecar.server.session_process import RESUME_SECONDS, Stoppable
from sidecar.server.stdio import Commit
from sidecar.settings import Settings
from sidecar.shutdown import CLOSE_SECONDS, force_exit_after

if TYPE_CHECKING:
    from sidecar.jobs.visit_tokens import VisitTokens

HELD_BODIES: Final = 2
"""How many bodies of the greatest length may be held at a time; shorter ones are as many more."""
Work = Callable[[Gateway, str, ScraperLogins], Awaitable[int]]
"""What goes on while the process listens, on the address that is given; its result is the exit code."""


class HttpProcess:
    """One session for every client. Use `connect`, then `run`; `emit` works in between, too."""

    def __init__(
        self,
        settings: Settings,
        address: ListenAddress,
        clock: Clock,
        session: Session,
        work: Work,
        unknown_path: ErrorForm = problem,
    ) -> None:
        """`unknown_path` is the form of errors of paths that lead nowhere."""
        self._unknown_path = unknown_path
        self._settings = settings
        self._address = address
        self._clock = clock
        self._session = session
        self._logins = ScraperLogins(session)
        self._work = work
        self._events = EventStream(secrets.token_hex(4))
        self.exit_code = 0

    def connect(
        self,
        routes: Routes,
        commit: Commit,
        recorders: Sequence[Recorder],
        on_write: Callable[[bytes], None] | None = None,
    ) -> None:
        """Connects requests to the handlers; a reply leaves once its `commit` is done.

        `recorders` get what is read, `on_write` what is answered, as lines.
        """
        settings = self._settings
        self._on_write = on_write
        replies = ReplyRouter(commit, on_write)
        self._dispatcher = Dispatcher(
            routes,
            replies,
            _ignore,
            max_in_flight=settings.max_in_flight,
            max_line=settings.max_line,
            recorders=recorders,
        )
        self._gateway = Gateway(self._dispatcher, replies)

    def emit(self, request_id: RequestId | None, event: Any, content: Any) -> None:
        """Sends an event to those who listen; it belongs to a request only if its client gave that an id."""
        if self._session.notifications:
            known = request_id if isinstance(request_id, str) else codec.NO_CONTENT
            line = codec.encode(Event(event, content, known))
            if self._on_write:
                self._on_write(line)
            self._events.add(event, line)

    async def run(self, storage: Stoppable, resume: Callable[[], Awaitable[None]]) -> None:
        """Serves until the work has ended; `resume` resumes stored work. Raises SettingsError."""
        listener = Listener(self._address, lambda request: front.handle(request))
        address = await listener.open()
        front = self._front(address)
        resuming = asyncio.create_task(self._resume(resume))
        try:
            self.exit_code = await self._work(self._gateway, address, self._logins)
        finally:
            await self._end(listener, storage, resuming)

    async def _end(self, listener: Listener, storage: Stoppable, resuming: "asyncio.Task[None]") -> None:
        """Takes nothing more in, answers what was taken, and leaves what is accepted on disk."""
        seconds = self._settings.shutdown_timeout
        force_exit_after(seconds + CLOSE_SECONDS, self.exit_code)
        deadline = self._clock.monotonic() + seconds
        self._gateway.ending = True
        resuming.cancel()
        self._events.close()
        await listener.stop()
        await asyncio.gather(self._dispatcher.finish(seconds), storage.stop(seconds), resuming, return_exceptions=True)
        await listener.close()
        await storage.drain(deadline - self._clock.monotonic())

    async def _resume(self, resume: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(RESUME_SECONDS)
        await resume()

    def _front(self, url: str) -> HttpFront:
        settings = self._settings
        access = Access(self._address, settings.http_token, settings.http_hosts, settings.http_origins)
        bodies = Bodies(settings.max_line, HELD_BODIES * settings.max_line, self._clock.monotonic)
        tables = (
            Messages(self._events, self._session, access),
            RtcvRoutes(self._logins),
            TouristRoutes(self._visit_tokens if settings.token_secret else None, _health_url(url)),
            DirectorRoutes(),
            EngagelabRoutes(),
        )
        routes = [route for one in tables for route in one.routes()]
        table = RouteTable([*routes, *Description(routes).routes()])
        return HttpFront(table, access, bodies, self._gateway, self._unknown_path)

    def _visit_tokens(self) -> "VisitTokens":
        from sidecar.jobs.token_signers import secret_signer  # late: they bring the models of jobs
        from sidecar.jobs.visit_tokens import VisitTokens

        return VisitTokens(secret_signer(self._settings.token_secret), self._clock)


def _health_url(url: str) -> str:
    """A page of ours for browsers on this machine; empty where none can reach us."""
    if not url.startswith("http"):
        return ""
    return f"{url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:')}/health"


def _ignore(full: bool) -> None:
    """The gateway asks the dispatcher itself."""
