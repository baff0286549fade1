"""A proxy of our own for one job's pages: it connects to the servers that its token covers, and to no other.

It stands where connections are made, so nothing that a page can do gets around it: frames, redirects of images,
workers, WebSockets and prefetches go through it like all else, in every browser.
"""

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from sidecar.clock import within

Allows = Callable[[str, int], bool]
"""Whether a host, at a port, may be connected to."""

NO_PEERS: Final = "delete globalThis.RTCPeerConnection; delete globalThis.webkitRTCPeerConnection;"
"""Runs in each document: peers are the one thing that a page reaches past its proxy."""
_LARGEST_HEAD: Final = 256 << 10
_SECONDS: Final = 30.0
"""For a request's head, and for a connection."""
_CHUNK: Final = 64 << 10
_OURS: Final = (b"connection:", b"proxy-connection:", b"proxy-authorization:", b"keep-alive:")


class Gateway:
    """Open within its `async with` block; its end ends every connection."""

    def __init__(self, allows: Allows) -> None:
        self._allows = allows
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_LARGEST_HEAD)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def address(self) -> str:
        """What a browser's context takes as its proxy."""
        if self._server is None:
            raise RuntimeError("the gateway is not open")
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            await self._connect(reader, writer)
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the browser says that its page could not be loaded, and why is told by who asked for it
        except asyncio.CancelledError:
            pass  # the job has ended; a server's own task has nobody to tell
        finally:
            writer.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with within(_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        tunnel = method == "CONNECT"
        parts = urlsplit(f"//{target}" if tunnel else target)
        host, port = parts.hostname or "", parts.port or 80
        if (parts.scheme and parts.scheme != "http") or not self._allows(host, port):
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            return
        async with within(_SECONDS):
            there, back = await asyncio.open_connection(host, port)
        try:
            if tunnel:
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                back.write(_as_the_server_reads_it(head, parts.path or "/", parts.query))
            await _splice(reader, back, there, writer)
        finally:
            back.close()


def _as_the_server_reads_it(head: bytes, path: str, query: str) -> bytes:
    """A proxy's request made a server's: one for each connection, because the next may be for another server."""
    first, *lines = head[:-4].split(b"\r\n")
    method, _, version = first.split(b" ")
    target = f"{path}?{query}" if query else path
    upgrades = any(line.lower().startswith(b"upgrade:") for line in lines)
    kept = lines if upgrades else [line for line in lines if not line.lower().startswith(_OURS)]
    closing = [] if upgrades else [b"Connection: close"]
    return b"\r\n".join((b" ".join((method, target.encode("latin-1"), version)), *kept, *closing)) + b"\r\n\r\n"


async def _splice(
    near: asyncio.StreamReader, back: asyncio.StreamWriter, far: asyncio.StreamReader, front: asyncio.StreamWriter
) -> None:
    """Hands bytes on in both directions, until the server has said all."""
    sending = asyncio.create_task(_copy(near, back))
    try:
        await _copy(far, front)
    finally:
        sending.cancel()
        await asyncio.wait((sending,))
        with contextlib.suppress(asyncio.CancelledError, OSError):
            sending.result()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(_CHUNK):
        sink.write(data)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()
