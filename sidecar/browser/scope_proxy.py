"""A proxy of our own for one job's pages: it connects to the servers that its token covers, and to no other.

It makes the connections, so no page can bypass it: frames, redirects of images,
workers, WebSockets and prefetches go through it like all else, in every browser.
"""

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext

from sidecar.clock import within

AllowsServer = Callable[[str, int], bool]
"""Whether a host, at a port, may be connected to."""

NO_WEBRTC: Final = "delete globalThis.RTCPeerConnection; delete globalThis.webkitRTCPeerConnection;"
"""Runs in each document: peers are the one thing that a page reaches past its proxy."""
_MAX_HEAD_BYTES: Final = 256 << 10
_TIMEOUT_SECONDS: Final = 30.0
"""Seconds for a request's head, and for a connection."""
_UNLOAD_MS: Final = 2_000
_CHUNK: Final = 64 << 10
_HOP_BY_HOP: Final = (b"connection", b"proxy-connection", b"proxy-authorization", b"keep-alive", b"upgrade")
"""Fields of a head that are about one connection; browsers open sockets by CONNECT, and upgrade none of these."""


class ScopeProxy:
    """Open within its `async with` block; its end ends every connection."""

    def __init__(self, allows: AllowsServer) -> None:
        self._allows = allows
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_MAX_HEAD_BYTES)
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
        """The proxy address for a browser's context."""
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
            pass  # the browser reports that its page could not be loaded
        except asyncio.CancelledError:
            pass  # the job has ended; a server task has no caller
        finally:
            writer.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with within(_TIMEOUT_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        tunnel = method == "CONNECT"
        parts = urlsplit(f"//{target}" if tunnel else target)
        host, port = parts.hostname or "", parts.port or 80
        if (parts.scheme and parts.scheme != "http") or not self._allows(host, port):
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            return
        async with within(_TIMEOUT_SECONDS):
            server_reader, server_writer = await asyncio.open_connection(host, port, limit=_MAX_HEAD_BYTES)
        try:
            if tunnel:
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                await _tunnel(reader, server_writer, server_reader, writer)
            else:
                server_writer.write(_to_origin_form(head, parts.path or "/", parts.query))
                await _forward_exchange(head, reader, server_writer, server_reader, writer)
        finally:
            server_writer.close()


async def unload_pages(context: BrowserContext) -> None:
    """Ends what a context's pages run: Firefox takes the proxy from a closing context before its workers have ended."""
    leaving = [asyncio.ensure_future(page.goto("about:blank", timeout=_UNLOAD_MS)) for page in context.pages]
    await asyncio.gather(*leaving, return_exceptions=True)  # one may have closed, or no longer answer


def _to_origin_form(head: bytes, path: str, query: str) -> bytes:
    """A proxy's request made a server's: one for each connection, because the next may be for another server."""
    first, *lines = head[:-4].split(b"\r\n")
    method, _, version = first.split(b" ")
    target = f"{path}?{query}" if query else path
    return _with_connection_close(b" ".join((method, target.encode("latin-1"), version)), lines)


def _with_connection_close(first: bytes, lines: list[bytes]) -> bytes:
    """A head that says that its connection ends with it."""
    kept = [line for line in lines if _name(line) not in _HOP_BY_HOP]
    return b"\r\n".join((first, *kept, b"Connection: close")) + b"\r\n\r\n"


def _name(line: bytes) -> bytes:
    return line.partition(b":")[0].strip().lower()


async def _forward_exchange(
    head: bytes,
    client_reader: asyncio.StreamReader,
    server_writer: asyncio.StreamWriter,
    server_reader: asyncio.StreamReader,
    client_writer: asyncio.StreamWriter,
) -> None:
    """Forwards one request's body and its response until either side is done, and no second request."""
    tasks = (
        asyncio.create_task(_forward_request_body(head, client_reader, server_writer)),
        asyncio.create_task(_forward_response(server_reader, client_writer)),
    )
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _forward_request_body(
    head: bytes, client_reader: asyncio.StreamReader, server_writer: asyncio.StreamWriter
) -> None:
    """Forwards a request's body, and ends when the browser has closed or sends more than that. Raises ValueError."""
    try:
        fields = [(_name(line), line.partition(b":")[2].strip()) for line in head.split(b"\r\n")[1:]]
        lengths = [value for name, value in fields if name == b"content-length"]
        codings = [value.lower() for name, value in fields if name == b"transfer-encoding"]
        if codings == [b"chunked"] and not lengths:
            await _forward_chunks(client_reader, server_writer)
        elif codings or len(lengths) > 1:
            raise ValueError("the end of this request is ambiguous")
        elif lengths:
            await _forward_bytes(client_reader, server_writer, _parse_number(lengths[0], 10))
        await server_writer.drain()
    except OSError:  # the server reads no further, and may have said why
        while await client_reader.read(_CHUNK):
            pass
    await client_reader.read(1)


async def _forward_bytes(client_reader: asyncio.StreamReader, server_writer: asyncio.StreamWriter, length: int) -> None:
    while length:
        data = await client_reader.read(min(length, _CHUNK))
        if not data:
            raise ValueError("the request is cut")
        length -= len(data)
        server_writer.write(data)
        await server_writer.drain()


async def _forward_chunks(client_reader: asyncio.StreamReader, server_writer: asyncio.StreamWriter) -> None:
    size = 1
    while size:
        line = await client_reader.readuntil(b"\r\n")
        size = _parse_number(line.partition(b";")[0].strip(), 16)
        server_writer.write(line)
        if size:
            await _forward_bytes(client_reader, server_writer, size + 2)
    while line != b"\r\n":  # what follows the last chunk
        line = await client_reader.readuntil(b"\r\n")
        server_writer.write(line)


def _parse_number(digits: bytes, base: int) -> int:
    """Raises ValueError for what is none; signs and underscores are none here."""
    if not digits.isalnum():
        raise ValueError("no number")
    return int(digits, base)


async def _forward_response(server_reader: asyncio.StreamReader, client_writer: asyncio.StreamWriter) -> None:
    """Hands on an answer that ends its connection, whatever the server says of that. Raises ValueError.

    A browser may keep one connection to its proxy for all servers: the next request in it may be for another.
    """
    status = 100
    while status < 200:
        first, *lines = await _read_response_head(server_reader)
        status = _parse_number(first.split(b" ")[1], 10) if first.startswith(b"HTTP/1.") and b" " in first else 101
        if status == 101:
            raise ValueError("no answer to what was asked")
        client_writer.write(
            _with_connection_close(first, lines) if status >= 200 else b"\r\n".join((first, *lines, b"", b""))
        )
    await _copy(server_reader, client_writer)


async def _read_response_head(server_reader: asyncio.StreamReader) -> list[bytes]:
    """The lines of an answer's head, which some servers end with a bare line feed."""
    lines: list[bytes] = []
    size = 0
    while line := (read := await server_reader.readline()).rstrip(b"\r\n"):
        size += len(read)
        if size > _MAX_HEAD_BYTES:
            raise ValueError("an answer's head without end")
        if lines and line[:1] in (b" ", b"\t"):
            lines[-1] += b" " + line.strip()
        else:
            lines.append(line)
    if not read:
        raise ValueError("the answer is cut")
    return lines or [b""]


async def _tunnel(
    client_reader: asyncio.StreamReader,
    server_writer: asyncio.StreamWriter,
    server_reader: asyncio.StreamReader,
    client_writer: asyncio.StreamWriter,
) -> None:
    """Hands bytes on in both directions, until the server has said all."""
    sending = asyncio.create_task(_copy(client_reader, server_writer))
    try:
        await _copy(server_reader, client_writer)
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
