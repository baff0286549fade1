"""The listening socket and its connections: aiohttp's server, bounded and quiet."""

import asyncio
import logging
import os
import resource
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from sidecar_protocol.errors import ErrorCode

from sidecar.errors import INTERNAL_ERROR
from sidecar.server.http.listen_address import ListenAddress
from sidecar.server.http.refusals import Refused, problem
from sidecar.settings import SettingsError

log = logging.getLogger(__name__)

MAX_CONNECTIONS: Final = 4_096
IDLE_SECONDS: Final = 300.0
"""How long a connection may be silent: before its first request, in the head of one, or between two."""
LINGER_SECONDS: Final = 2.0
"""How long a body that was refused is still read, so that the client reads why."""
OTHER_FILES: Final = 512
"""Descriptors that are left to everything else."""
_BACKLOG: Final = 1_024
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class _Connection(RequestHandler):
    """One client's connection. What it sends is quoted in no log: it may be a token."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  it quotes what came
    ) -> web.StreamResponse:
        """The answer to what is no HTTP."""
        if request.writer.output_size > 0:
            raise ConnectionError("a response has begun already")
        if status >= 500:
            log.error("unexpected error while handling a request", exc_info=exc)
        code = ErrorCode.INTERNAL if status >= 500 else ErrorCode.INVALID_REQUEST
        said = "this is not HTTP, or its head is too long" if status < 500 else INTERNAL_ERROR
        response = problem(Refused.because(code, said, status))
        response.force_close()
        return response

    def log_exception(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        """Says what failed, not with what."""
        failure = options.get("exc_info")
        log.debug("a connection failed: %s", type(failure).__name__)


class _Server(web.Server):
    """Makes connections, up to a limit."""

    def __init__(self, handler: Handler, limit: int) -> None:
        super().__init__(handler, handler_cancellation=True)  # a client that goes away cancels its request
        self._limit = limit

    def __call__(self) -> RequestHandler:
        return _Connection(
            self,
            loop=self._loop,
            access_log=None,  # type: ignore[arg-type]
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=LINGER_SECONDS,
            auto_decompress=False,
        )

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Closes one too many at once."""
        super().connection_made(handler, transport)
        if len(self._connections) > self._limit:
            log.warning("a connection was refused: %d are open", self._limit)
            transport.abort()


class Listener:
    """Listens on one address."""

    def __init__(self, address: ListenAddress, handler: Handler) -> None:
        self._address = address
        self._runner = web.ServerRunner(_Server(handler, _connection_limit()), shutdown_timeout=1)
        self._site: web.BaseSite | None = None
        self._socket_id: tuple[int, int] | None = None

    async def open(self) -> str:
        """Begins to listen; gives the address for clients. Raises SettingsError."""
        await self._runner.setup()
        try:
            if self._address.path:
                self._site = web.SockSite(self._runner, self._unix_socket(), backlog=_BACKLOG)
            else:
                self._site = web.TCPSite(self._runner, self._address.host, self._address.port, backlog=_BACKLOG)
            await self._site.start()
        except OSError as failure:
            raise SettingsError(f"--http: can't listen there: {failure.strerror or failure}") from None
        if self._address.path:
            return self._address.url(0)
        return self._address.url(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Takes no further connection."""
        if self._site:
            await self._site.stop()
        self._remove_socket()

    async def close(self) -> None:
        """Closes every connection, once what is being answered has been."""
        await self._runner.cleanup()

    def _unix_socket(self) -> socket.socket:
        """A socket that only this user may use; one that an earlier process left is replaced. Raises OSError."""
        path = Path(self._address.path)
        _remove_stale(path)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listening.bind(str(path))
            listening.listen(_BACKLOG)  # at once: a bound socket that refuses looks as if it had been left behind
        except OSError:
            listening.close()
            raise
        finally:
            os.umask(before)
        status = path.stat()
        self._socket_id = status.st_dev, status.st_ino
        return listening

    def _remove_socket(self) -> None:
        """Removes our socket's file, and no other that has taken its place."""
        if self._socket_id is None:
            return
        path = Path(self._address.path)
        try:
            status = path.lstat()
            if (status.st_dev, status.st_ino) == self._socket_id:
                path.unlink()
        except OSError:
            return


def _remove_stale(path: Path) -> None:
    """Removes a socket that nothing listens on. Raises OSError where something does."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(0, "there is a file that is no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(0, "another process listens there")


def _connection_limit() -> int:
    """How many connections may be open; the limit of descriptors is raised for them as far as that goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else max(64, min(MAX_CONNECTIONS, soft - OTHER_FILES))
