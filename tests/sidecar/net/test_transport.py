"""Things that no client does: keep cookies, read the environment, hold connections, log URLs and keys."""

import asyncio
import contextlib
import gzip
import logging
import ssl
import subprocess
import sys
import traceback
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from sidecar.clock import Clock
from sidecar.errors import RemoteFailed, RemoteUnreachable, SidecarError, TimedOut
from sidecar.net.http_client import HttpClient
from sidecar.net.public_http import PublicHttpClient
from tests.fakes import nobody_listens
from tests.sidecar.net.raw import OK, raw_server

SELF_SIGNED = Path(__file__).with_name("self_signed.pem")
KEY = "key-in-header"
PATH = "/key-in-path?key-in-query"
Get = Callable[[str], Awaitable[bytes]]
"""Gives the body at a URL."""


@pytest.fixture(params=["servers", "public", "status_only"])
async def get(request: pytest.FixtureRequest) -> AsyncIterator[Get]:
    """Either client."""
    http, public = HttpClient(5.0, Clock()), PublicHttpClient(Clock(), allow_private=True)

    async def servers(url: str) -> bytes:
        return (await http.request("GET", url, {"X-Key": KEY}, attempts=1)).body

    async def messages(url: str) -> bytes:
        return (
            await public.request(
                "GET",
                url,
                headers={"X-Key": KEY},
                timeout=5,
                max_bytes=1000,
                status_only=request.param == "status_only",
                redirects=2,
            )
        ).body

    yield servers if request.param == "servers" else messages
    await http.close()
    await public.close()


async def test_a_connection_is_used_again(get: Get) -> None:
    """One for many requests in a row."""
    async with raw_server() as server:
        assert [await get(server.url) for _ in range(5)] == [b"ok"] * 5
        assert (len(server.taken), server.connections) == (5, 1)


async def test_an_idle_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection is closed after a while without a request."""
    monkeypatch.setattr("sidecar.net.public_http.IDLE_SECONDS", 0.1)
    public = PublicHttpClient(Clock(), allow_private=True)
    async with raw_server() as server:
        assert (await public.request("GET", server.url, timeout=5, max_bytes=10)).body == b"ok"
        await server.until_open(0)
        assert server.connections == 1
    await public.close()


async def test_a_cancelled_request_returns_its_connection(get: Get) -> None:
    """Whether it waits for the answer or for the rest of it."""
    for answer in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nabc"):
        async with raw_server(answer) as server:
            tasks = [asyncio.create_task(_quietly(get(server.url))) for _ in range(10)]
            await server.until_taken(10)
            await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await server.until_open(0)
            assert (len(server.taken), server.connections) == (10, 10)


async def test_an_upload_that_is_called_off_ends() -> None:
    """A cancelled upload sends nothing more."""
    accepted, called_off, rest = asyncio.Event(), asyncio.Event(), asyncio.Queue[int]()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        await called_off.wait()
        size = 0
        with contextlib.suppress(ConnectionError):
            while part := await reader.read(1 << 20):
                size += len(part)
        writer.close()
        rest.put_nowait(size)

    body = b"x" * (100 << 20)
    http, public = HttpClient(60.0, Clock()), PublicHttpClient(Clock(), allow_private=True)
    async with await asyncio.start_server(stall, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for request in (
            http.request("POST", url, {}, body, attempts=1),
            public.request("POST", url, body=body, timeout=60, max_bytes=10),
        ):
            uploading = asyncio.ensure_future(request)
            await asyncio.wait_for(accepted.wait(), 10)
            await asyncio.sleep(0.05)
            uploading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await uploading
            called_off.set()
            assert await asyncio.wait_for(rest.get(), 10) < len(body)
            accepted.clear()
            called_off.clear()
    await http.close()
    await public.close()


async def _quietly(request: Awaitable[bytes]) -> None:
    with contextlib.suppress(SidecarError):
        await request


async def test_no_cookie_is_kept(get: Get) -> None:
    """Cookies are not kept, not even for the next request to the same server."""
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 2\r\n\r\nok"
    hop = b"HTTP/1.1 307 x\r\nSet-Cookie: a=b; Path=/\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"
    async with raw_server(answer, hop, answer, OK) as server:
        for _ in range(3):
            await get(server.url)
        assert len(server.taken) >= 4
        assert not any(b"cookie" in taken.lower() for taken in server.taken)


async def test_the_environment_has_no_say(get: Get, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither its proxies nor its netrc."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:1")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login eve password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with raw_server() as server:
        assert await get(server.url) == b"ok"
        assert b"authorization" not in server.taken[0].lower()


SECRETS = (KEY, "key-in-path", "key-in-query", "key-in-place")


async def test_urls_and_keys_are_not_logged(get: Get, caplog: pytest.LogCaptureFixture) -> None:
    """No log at any level, and no error in any form that we show: not of what succeeds, is refused, or breaks off."""
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    to = "/there/key-in-place?key-in-place"
    said = []
    async with raw_server(
        OK,
        b"HTTP/1.1 307 x\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % to.encode(),
        OK,
        b"HTTP/1.1 302 x\r\nLocation: http://[key-in-place\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nkey-in-place\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\nkey-in-pl",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nConnection: close\r\n\r\n" + b"x" * 5000,
    ) as server:
        with nobody_listens() as nowhere:
            for url in (*[server.url] * 6, nowhere, "http://a..b"):
                try:
                    await get(url + PATH)
                except SidecarError as failure:
                    said += [*traceback.format_exception(failure), repr(failure), str(failure.detail)]
    asyncio.get_running_loop().set_debug(False)
    assert said
    for text in ("".join(said), caplog.text):
        assert not any(secret in text for secret in SECRETS), text
    assert not any(record.name in ("httpx", "httpcore") for record in caplog.records)


@pytest.mark.parametrize("kind", ["broken", "bomb"])
async def test_a_compressed_body_is_read_to_its_bound_and_no_further(kind: str) -> None:
    """A body that is not in its encoding is an error at once, though the connection stays open."""
    body = b"abcde" if kind == "broken" else gzip.compress(b"x" * 30_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    public = PublicHttpClient(Clock(), allow_private=True)
    async with raw_server(head + body) as server:
        tracemalloc.start()
        try:
            with pytest.raises(SidecarError) as failed:
                await public.request("GET", server.url, timeout=5, max_bytes=10_000)
            assert tracemalloc.get_traced_memory()[1] < 4 << 20
        finally:
            tracemalloc.stop()
        assert not isinstance(failed.value, TimedOut)
        await public.close()


async def test_the_systems_certificates_are_trusted() -> None:
    """OpenSSL's own store and its variables: not a library's list of certificates."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(SELF_SIGNED)

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    program = """
import asyncio, sys
from sidecar.clock import Clock
from sidecar.net.http_client import HttpClient
async def main():
    client = HttpClient(5.0, Clock())
    try:
        print((await client.request("GET", sys.argv[1], {}, attempts=1)).status)
    finally:
        await client.close()
asyncio.run(main())
"""
    listening = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context)
    async with listening:
        url = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, url, env={"SSL_CERT_FILE": str(SELF_SIGNED)}, stdout=subprocess.PIPE
        )
        said, _ = await child.communicate()
    assert said == b"200\n"


async def test_no_command_line_is_loaded() -> None:
    """httpx brings one, with rich and pygments, wherever click is installed."""
    program = "import sys, sidecar.net.http_client; print(*{'click', 'rich', 'pygments'} & set(sys.modules))"
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=subprocess.PIPE)
    said, _ = await child.communicate()
    assert said == b"\n"


async def test_httpx_does_not_look_where_a_redirect_leads() -> None:
    """An invalid location is a normal response without redirects, and an error with them."""
    for place in (b"javascript:x", b"http://[", b"http://h:x/"):
        answer = b"HTTP/1.1 302 x\r\nLocation: %b\r\nContent-Length: 2\r\n\r\nno" % place
        http, public = HttpClient(5.0, Clock()), PublicHttpClient(Clock(), allow_private=True)
        async with raw_server(answer) as server:
            with pytest.raises(RemoteFailed, match="redirected with 302") as failed:
                await http.request("GET", server.url, {})
            assert failed.value.details == {"status": 302}
            for status_only in (False, True):
                reported = await public.request("POST", server.url, timeout=5, max_bytes=10, status_only=status_only)
                assert (reported.status, reported.headers["Location"], reported.body) == (302, place.decode(), b"no")
            with pytest.raises(RemoteUnreachable, match="an invalid URL"):
                await public.request("GET", server.url, timeout=5, max_bytes=10, redirects=1)
            await http.close()
            await public.close()


async def test_a_redirect_to_a_name_that_only_older_rules_know() -> None:
    """Is followed like any other."""

    async def local(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    asked: list[str] = []
    public = PublicHttpClient(Clock(), allow_private=True, resolve=local)
    hop = "HTTP/1.1 302 x\r\nLocation: http://☃.example:%d/a\r\nContent-Length: 0\r\n\r\n"
    on = b"HTTP/1.1 302 x\r\nLocation: b\r\nContent-Length: 0\r\n\r\n"
    async with raw_server(b"", on, OK) as server:
        server.answers[0] = (hop % server.port).encode()
        reported = await public.request("GET", server.url, timeout=5, max_bytes=10, redirects=2)
        assert (reported.body, asked) == (b"ok", ["xn--n3h.example"])
        assert [taken.split()[1] for taken in server.taken] == [b"/", b"/a", b"/b"]
        await public.close()
