"""Bodies that come slowly, or are too many at once."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from sidecar.server.http import bodies
from sidecar.server.http.bodies import Bodies
from sidecar.server.http.refusals import Refused, problem
from tests.http_harness import parsed

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"


@asynccontextmanager
async def listening(read: Bodies) -> AsyncIterator[Callable[[bytes], "asyncio.Future[bytes]"]]:
    """A server that answers how long a body was; gives what sends bytes and gives the answer."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        with read.hold() as body:
            try:
                return web.Response(text=str(len(await body.read(request))))
            except Refused as refused:
                return problem(refused)

    runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]

    async def send(data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        answer = await reader.read()
        writer.close()
        return answer

    yield lambda data: asyncio.ensure_future(send(data))
    await runner.cleanup()


async def test_a_slow_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up, and what it held is free again."""
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.2)
    read = Bodies(1_000, 1_000, time.monotonic)
    async with listening(read) as send:
        assert parsed(await send(HEAD % 10 + b"12345")).status == 408
        assert parsed(await send(HEAD % 5 + b"12345")).body == b"5"
    assert read.held == 0


async def test_too_many_bytes_at_once() -> None:
    """One body may be as long as the limit; others have to wait until it is gone."""
    read = Bodies(1_000, 10, time.monotonic)
    async with listening(read) as send:
        with read.hold() as another:
            read.take(another, 1_000)
            refused = parsed(await send(HEAD % 1 + b"1"))
            assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        assert parsed(await send(HEAD % 1 + b"1")).body == b"1"
