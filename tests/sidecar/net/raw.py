"""A server that keeps the bytes of what it is sent, and answers as the test says."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class RawServer:
    """What it has taken, and the connections that are open."""

    answers: list[bytes]
    """One for each request in turn, the last one again and again; after an empty one the server says nothing more."""
    port: int = 0
    taken: list[bytes] = field(default_factory=list)
    """Heads and bodies of requests, with the port written PORT."""
    connections: int = 0
    open: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its URL without a path."""
        return f"http://127.0.0.1:{self.port}"

    async def until_open(self, count: int) -> None:
        """Waits until that many connections are open."""
        while self.open != count:
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), 10)

    async def until_taken(self, count: int) -> None:
        """Waits until that many requests have come."""
        while len(self.taken) < count:
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), 10)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        self.open += 1
        self.writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError), contextlib.closing(writer):
            while True:
                self.taken.append(await self._request(reader))
                self.changed.set()
                writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
                await writer.drain()
        self.open -= 1
        self.changed.set()

    async def _request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")]
        return (head + await reader.readexactly(sum(lengths))).replace(b":%d" % self.port, b":PORT")


@asynccontextmanager
async def raw_server(*answers: bytes) -> AsyncIterator[RawServer]:
    """One that runs."""
    raw = RawServer(list(answers or (OK,)))
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0, limit=1 << 23)
    raw.port = server.sockets[0].getsockname()[1]
    try:
        yield raw
    finally:
        server.close()
        for writer in raw.writers:
            writer.close()
        await raw.until_open(0)
