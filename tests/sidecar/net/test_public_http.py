"""Requests to URLs from messages: nothing private is reached, whatever the way there; and everything has a bound."""

import asyncio
import contextlib
import gzip
import ipaddress
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from sidecar.clock import Clock
from sidecar.errors import Forbidden, InvalidContent, LimitExceeded, RemoteUnreachable, TimedOut
from sidecar.net.addresses import is_private
from sidecar.net.http_response import HttpResponse
from sidecar.net.public_http import PublicHttpClient
from sidecar.net.ssrf_guard import Resolve
from sidecar.net.urls import check_url
from tests.fakes import StandInReceiver, nobody_listens

PUBLIC = "93.184.216.34"


@pytest.fixture
def public_for_once(monkeypatch: pytest.MonkeyPatch) -> str:
    """An address of this machine that plays a public one: no test leaves the machine."""
    address = "127.0.0.2"
    monkeypatch.setattr("sidecar.net.addresses.is_private", lambda one: str(one) != address)
    return address


@asynccontextmanager
async def public_http(*, allow_private: bool = True, resolve: Resolve | None = None) -> AsyncIterator[PublicHttpClient]:
    """An open one."""
    one = PublicHttpClient(Clock(), allow_private, resolve)
    try:
        yield one
    finally:
        await one.close()


async def get(one: PublicHttpClient, url: str, *, redirects: int = 0, max_bytes: int = 1000) -> HttpResponse:
    """A request with sensible bounds."""
    return await one.request("GET", url, timeout=5, max_bytes=max_bytes, redirects=redirects)


class Names:
    """A resolver whose answers the test chooses, and that counts."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.asked: list[str] = []
        self._answers = list(answers)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The next answer; the last one again and again."""
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1",
        "192.0.0.1", "192.0.2.1", "192.168.1.1", "198.18.0.1", "203.0.113.1", "224.0.0.1", "240.0.0.1",
        "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1",
        "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:1::1", "2001:db8::1", "fc00::1", "fd12::1",
        "fe80::1", "fec0::1", "ff02::1",
    ],
)  # fmt: skip
def test_private_addresses(address: str) -> None:
    """Private, loopback, link-local, multicast, reserved, shared; and all of these within others."""
    assert is_private(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", [PUBLIC, "8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::808:808", "2606:4700::1111", "2002:808:808::1"]
)
def test_public_addresses(address: str) -> None:
    """Everybody's."""
    assert not is_private(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "127.0.1", "0", "0.0.0.0", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1",
        "00000177.0.0.1", "127.0.0.1.", "localhost", "localhost.", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]", "[::127.0.0.1]", "[::]", "[fe80::1%25lo]", "10.0.0.1", "169.254.169.254",
        "\uff11\uff12\uff17.0.0.1",
        "127\u30020\u30020\u30021",
    ],
)  # fmt: skip
async def test_no_spelling_of_a_private_address_is_dialled(host: str) -> None:
    """Refused, or no address at all; the receiver on that port is never asked."""
    async with StandInReceiver() as receiver, public_http(allow_private=False) as one:
        port = receiver.url.rpartition(":")[2]
        with pytest.raises((Forbidden, RemoteUnreachable, InvalidContent)):
            await get(one, f"http://{host}:{port}/")
        assert receiver.requests == []


@pytest.mark.parametrize("addresses", [["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["::1"], ["::ffff:127.0.0.1"]])
async def test_a_name_that_leads_to_a_private_address(addresses: list[str]) -> None:
    """One such address among its addresses is one too many."""
    async with public_http(allow_private=False, resolve=Names(addresses)) as one:
        with pytest.raises(Forbidden) as failed:
            await get(one, "http://inside.example/")
    assert failed.value.message.startswith("inside.example is a private address")


async def test_a_name_is_resolved_once_and_dialled_there() -> None:
    """An answer that changes between the look and the call changes nothing: there is one look for each connection."""
    names = Names(["127.0.0.1"], ["192.0.2.1"])
    async with StandInReceiver() as receiver, public_http(resolve=names) as one:
        port = receiver.url.rpartition(":")[2]
        await get(one, f"http://rebinding.example:{port}/")
        assert names.asked == ["rebinding.example"]
        assert receiver.requests[0].headers["Host"] == f"rebinding.example:{port}"


async def test_rebinding_is_refused_at_the_second_connection(public_for_once: str) -> None:
    """A public address first, a private one later: what is dialled is what was checked."""
    names = Names([public_for_once], ["127.0.0.1"])
    async with public_http(allow_private=False, resolve=names) as one:
        with pytest.raises(RemoteUnreachable):
            await get(one, "http://rebinding.example:1/")
        with pytest.raises(Forbidden):
            await get(one, "http://rebinding.example:1/")


async def test_a_redirect_is_checked_like_the_first_address() -> None:
    """A redirect is checked even if it leads back to this machine under another name."""
    names = Names(["127.0.0.1"], ["127.0.0.1"])
    async with StandInReceiver() as receiver, public_http(resolve=names) as one:
        port = receiver.url.rpartition(":")[2]
        receiver.fail("/a", "redirect", location=f"http://other.example:{port}/b")
        answer = await get(one, f"http://first.example:{port}/a", redirects=3)
        assert (answer.status, names.asked) == (200, ["first.example", "other.example"])
        receiver.fail("/a", "redirect", location="file:///etc/passwd")
        with pytest.raises(RemoteUnreachable, match="an invalid URL"):
            await get(one, f"{receiver.url}/a", redirects=3)
        receiver.fail("/a", "redirect", None, location="/a")
        with pytest.raises(LimitExceeded, match="more than 3 times"):
            await get(one, f"{receiver.url}/a", redirects=3)
        assert (await get(one, f"{receiver.url}/a")).status == 302


@pytest.mark.parametrize("host", ["127.0.0.1", "inside.example"])
async def test_a_redirect_to_a_private_address(public_for_once: str, host: str) -> None:
    """Refused, and never asked."""

    async def redirect(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"http://{host}:{port}/"})

    async with StandInReceiver() as receiver, _serving(redirect, public_for_once) as url:
        port = receiver.url.rpartition(":")[2]
        async with public_http(allow_private=False, resolve=Names(["127.0.0.1"])) as one:
            with pytest.raises(Forbidden):
                await get(one, url, redirects=3)
        assert receiver.requests == []


async def test_headers_do_not_follow_to_another_host() -> None:
    """Headers for one host are not sent to another; 303 and the like become GET, 307 and 308 keep the method."""
    async with StandInReceiver() as first, StandInReceiver() as second, public_http() as one:
        for status, method, body in [(302, "GET", b""), (303, "GET", b""), (307, "POST", b"x"), (308, "POST", b"x")]:
            first.fail("/", "redirect", status=status, location=second.url)
            await one.request(
                "POST", first.url, headers={"X-Key": "k"}, body=b"x", timeout=5, max_bytes=10, redirects=1
            )
            taken = second.requests[-1]
            assert (taken.method, taken.body, taken.headers.get("X-Key")) == (method, body, None)


@pytest.mark.parametrize("packed", [False, True])
async def test_a_body_has_a_bound(packed: bool) -> None:
    """A body is bounded before and after decompression."""
    body = b"x" * 1_000_000

    async def answer(request: web.Request) -> web.Response:
        if packed:
            return web.Response(body=gzip.compress(body), headers={"Content-Encoding": "gzip"})
        return web.Response(body=body)

    async with _serving(answer) as url, public_http() as one:
        with pytest.raises(LimitExceeded, match="more than 999999 bytes"):
            await get(one, url, max_bytes=999_999)
        assert len((await get(one, url, max_bytes=1_000_000)).body) == 1_000_000
        cut = await one.request("POST", url, timeout=5, max_bytes=10, status_only=True)
        assert (cut.status, len(cut.body)) == (200, 10)


async def test_time_has_a_bound() -> None:
    """The time is bounded for a silent server and for a dripping one."""

    async def drip(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b"x")
            await asyncio.sleep(0.01)

    async with _serving(drip) as url, StandInReceiver() as receiver, public_http() as one:
        receiver.fail("/", "hang")
        for place in (url, receiver.url):
            with pytest.raises(TimedOut, match=r"did not answer within 0.2 s"):
                await one.request("GET", place, timeout=0.2, max_bytes=1_000_000_000)
        receiver.release()


async def test_a_closed_port_is_unreachable() -> None:
    """The system's own words, and no URL in them."""
    with nobody_listens() as url:
        async with public_http() as one:
            with pytest.raises(RemoteUnreachable) as failed:
                await get(one, f"{url}/secret?token=1")
    assert failed.value.message == f"{url.removeprefix('http://')} can't be reached: Connection refused"


async def test_a_connection_that_died_in_the_meantime() -> None:
    """A repeatable request is sent again; another one is an error."""
    async with StandInReceiver() as receiver, public_http() as one:
        receiver.fail("/", "drop")
        answer = await one.request("POST", receiver.url, body=b"a", timeout=5, max_bytes=10, status_only=True)
        assert (answer.status, len(receiver.requests)) == (200, 2)
        receiver.fail("/", "drop")
        with pytest.raises(RemoteUnreachable, match="broke off"):
            await one.request("POST", receiver.url, body=b"a", timeout=5, max_bytes=10)


NO_ANSWERS = [
    b"",
    b"\x00\xff" * 100,
    b"HTTP/2 200\r\n\r\n",
    b"HTTP/1.1 99999 x\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000,
    b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\na\x00b: c\r\n\r\n",
    b"HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\nabcde",
]
BROKEN_BODIES = [
    [b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nabc"],
    [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nabc"],
    [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"zz\r\nabc\r\n"],
    [b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde"],
    [b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 5\r\n\r\nabcde"],
]


@pytest.mark.parametrize("answer", NO_ANSWERS)
@pytest.mark.parametrize("status_only", [False, True])
async def test_an_invalid_response_is_a_typed_error(answer: bytes, status_only: bool) -> None:
    """Every invalid response is a typed error."""
    async with answering([answer]) as url, public_http() as one:
        with pytest.raises(RemoteUnreachable, match="broke off its answer"):
            await one.request("POST", url, body=b"{}", timeout=5, max_bytes=10, status_only=status_only)


@pytest.mark.parametrize("answer", BROKEN_BODIES)
async def test_a_broken_body_fails_only_callers_that_read_it(answer: list[bytes]) -> None:
    """A caller that only needs the status ignores a broken body."""
    async with answering(answer) as url, public_http() as one:
        reported = await one.request("POST", url, body=b"{}", timeout=5, max_bytes=10, status_only=True)
        assert reported.status == 200
        with pytest.raises((RemoteUnreachable, TimedOut)):
            await one.request("GET", url, timeout=1, max_bytes=10)


async def test_a_body_without_end_fails_only_callers_that_read_it() -> None:
    """A notice has its answer with the status, though that comes just in time."""

    async def drip(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await answer.write(b"x")
                await asyncio.sleep(0.05)
        return answer

    async with _serving(drip) as url, public_http() as one:
        reported = await one.request("POST", url, timeout=0.4, max_bytes=1_000_000_000, status_only=True)
        assert (reported.status, reported.body[:1]) == (200, b"x")
        with pytest.raises(TimedOut):
            await one.request("POST", url, timeout=0.4, max_bytes=1_000_000_000)


async def test_what_is_left_of_a_body_is_not_the_next_answer() -> None:
    """Its connection is closed."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 100_000, status=500 if request.headers.get("X-Bad") else 200)

    async with _serving(answer) as url, public_http() as one:
        for headers, status in [({"X-Bad": "1"}, 500), ({}, 200), ({"X-Bad": "1"}, 500)]:
            reported = await one.request("POST", url, headers=headers, timeout=5, max_bytes=10, status_only=True)
            assert (reported.status, reported.body) == (status, b"x" * 10)


@pytest.mark.parametrize(
    "url",
    [
        "http://h",
        "https://h/a?b=c#d",
        "http://h?to=a@b",
        "http://h#a@b",
        "http://h:1/",
        "http://[2606:4700::1111]/",
        "http://ü/",
    ],
)
def test_usable_urls(url: str) -> None:
    """http and https, any port, path and query."""
    check_url(url, allow_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "", "h", "//h", "ftp://h", "file:///etc/passwd", "javascript:1", "http://", "http:///x", "http://:80",
        "http://h:99999", "http://h:x", "http://u@h", "http://u:p@h", "http://@h", "http://h/a b", "http://h\\@i",
        "http://h/\r\nX: y", "http://h\x00", "http://[", " http://h",
    ],
)  # fmt: skip
def test_unusable_urls(url: str) -> None:
    """Unusable URLs are refused, also those with a user, which would be a secret."""
    with pytest.raises(InvalidContent) as failed:
        check_url(url, "webhooks[0].url")
    assert failed.value.details == {"field": "webhooks[0].url"}


@asynccontextmanager
async def answering(parts: list[bytes]) -> AsyncIterator[str]:
    """The URL of a server that answers each request with these bytes, part by part, and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.05 if len(parts) > 1 else 0)  # so that they don't come together
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server:
        yield f"http://{host}:{port}"


@asynccontextmanager
async def _serving(handler: object, host: str = "127.0.0.1") -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/", handler)  # type: ignore[arg-type]
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, host, 0).start()
    try:
        yield f"http://{host}:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()
