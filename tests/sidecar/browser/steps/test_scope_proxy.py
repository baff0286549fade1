"""The proxy of jobs with strict_resources: what is asked for reaches the server that it is for, and no other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from sidecar.browser.pool import BrowserPool
from sidecar.browser.scope_proxy import ScopeProxy
from sidecar.clock import Clock, within
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from sidecar.jobs.token_scope import Scope
from tests.scopes import ScopedRunner
from tests.sidecar.browser.parts import make_job, make_jobs

pytestmark = pytest.mark.asyncio(loop_scope="module")
# Firefox's proxy: tests/sidecar/browser/test_firefox.py
SECONDS = 10.0


class Keeping:
    """A server that keeps its connections open, whatever it is asked."""

    def __init__(self, name: str, interim: bytes = b"") -> None:
        self.name = name
        self.url = ""
        self.received = b""
        self._interim = interim

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers each head with its own name."""
        try:
            while data := await reader.read(1 << 16):
                self.received += data
                body = f"<title>{self.name}</title>".encode()
                kept = b"Connection: keep-alive\r\nKeep-Alive: timeout=60\r\nProxy-Connection: keep-alive\r\n"
                head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n%bContent-Length: %d\r\n\r\n"
                if data.startswith((b"GET", b"POST")):
                    writer.write(self._interim + head % (kept, len(body)) + body)
        finally:
            writer.close()


@asynccontextmanager
async def running(server: Keeping) -> AsyncIterator[Keeping]:
    """The server, at a port of its own."""
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield server
    listening.close()


@pytest.mark.browser
async def test_each_server_is_asked_for_its_own(pool: BrowserPool, tmp_path: Path) -> None:
    """A server that keeps its connection is not asked for what another is to answer."""
    async with running(Keeping("first")) as first, running(Keeping("second")) as second:
        scope = Scope(first.url, False, True)
        runner = ScopedRunner(BrowserJobRunner(pool, lambda: tmp_path, Clock()), lambda _: scope)
        steps = [{"url": f"{first.url}/one"}, {"url": f"{second.url}/two"}, {"url": f"{first.url}/three"}]
        result = await runner.run(make_jobs(steps))
        assert [step.title for step in result.steps] == ["first", "second", "first"]
        assert b"/two" not in first.received
        assert b"GET /two " in second.received


async def said(request: web.Request) -> web.StreamResponse:
    """A socket that says `open`; the length of a form; or else a page."""
    if request.path == "/socket":
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("open")
        await socket.close()
        return socket
    text = str(len(await request.read())) if request.method == "POST" else "<title>in</title>"
    return web.Response(text=text, content_type="text/html")


@asynccontextmanager
async def hearing() -> AsyncIterator[str]:
    """The URL of a server of forms and sockets."""
    app = web.Application(client_max_size=10 << 20)
    app.router.add_route("*", "/{path:.*}", said)
    server = web.AppRunner(app, shutdown_timeout=0.1)
    await server.setup()
    await web.TCPSite(server, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{server.addresses[0][1]}"
    await server.cleanup()


TALK = """async () => {
  const sent = await (await fetch('/x', {method: 'POST', body: 'x'.repeat(3000000)})).text();
  const socket = new WebSocket(location.origin.replace('http', 'ws') + '/socket');
  return sent + await new Promise((resolve) => {
    socket.onmessage = (event) => resolve(event.data); socket.onerror = () => resolve('no') }) }"""
"""Sends a large form and opens a socket."""


@pytest.mark.browser
async def test_forms_and_sockets_work_through_it(pool: BrowserPool, tmp_path: Path) -> None:
    """A large body arrives whole, and a socket within the scope opens."""
    async with hearing() as url:
        runner = ScopedRunner(BrowserJobRunner(pool, lambda: tmp_path, Clock()), lambda _: Scope(url, False, True))
        result = await runner.run(make_job(f"{url}/", actions=[{"evaluate": TALK}]))
    assert result.steps[0].values == ("3000000open",)


async def through(gateway: ScopeProxy, request: bytes) -> bytes:
    """All that comes back for these bytes, once a second later request was put behind them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(gateway.address).port)
    writer.write(request)
    async with within(SECONDS):
        head = await reader.readuntil(b"</title>") if b"behind" not in request else b""
        writer.write(b"GET http://127.0.0.1:1/behind HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n")
        rest = await reader.read()
    writer.close()
    return head + rest


BODIES = [
    (b"", b""),
    (b"Content-Length: 5\r\n", b"hello"),
    (b"Transfer-Encoding: chunked\r\n", b"5;a=b\r\nhello\r\n0\r\nTrailer: x\r\n\r\n"),
]


@pytest.mark.parametrize(("field", "body"), BODIES)
@pytest.mark.parametrize("interim", [b"", b"HTTP/1.1 103 Early Hints\nLink: </x>\n\n"])
async def test_one_connection_is_for_one_request(field: bytes, body: bytes, interim: bytes) -> None:
    """The answer says that its connection ends, whatever the server says, and no later request is handed on."""
    async with running(Keeping("kept", interim)) as server, ScopeProxy(lambda _host, _port: True) as gateway:
        head = b"POST %b/x HTTP/1.1\r\nHost: x\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\n%b\r\n"
        answer = await through(gateway, head % (server.url.encode(), field) + body)
    assert answer.endswith(b"<title>kept</title>")
    assert answer.lower().count(b"connection:") == 1
    assert b"\r\nConnection: close\r\n" in answer
    assert b"Keep-Alive" not in answer
    assert server.received.endswith(b"Connection: close\r\n\r\n" + body)
    assert b"behind" not in server.received
    assert b"Upgrade" not in server.received


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 0\r\nContent-Length: 9\r\n",
        b"Content-Length: -1\r\n",
        b"Transfer-Encoding: chunked, gzip\r\n",
        b"Transfer-Encoding: chunked\r\n",
    ],
)
async def test_what_has_no_certain_end_is_not_handed_on(fields: bytes) -> None:
    """Nothing behind the head of such a request reaches the server, and the connection ends."""
    async with running(Keeping("kept")) as server, ScopeProxy(lambda _host, _port: True) as gateway:
        head = b"POST %b/x HTTP/1.1\r\nHost: x\r\n%b\r\n" % (server.url.encode(), fields)
        await through(gateway, head + b"z\r\nbehind\r\n0\r\n\r\n")
    assert b"behind" not in server.received
