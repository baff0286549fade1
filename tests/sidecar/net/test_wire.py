"""What goes out, byte for byte: the URL as it was given, header names as they are written, nothing of a library's."""

import sys
from collections.abc import AsyncIterator, Sequence

import aiohttp
import pytest

from sidecar.clock import Clock
from sidecar.net.http_client import HttpClient
from sidecar.net.public_http import PublicHttpClient
from tests.sidecar.net.raw import RawServer, raw_server

PACKINGS = "gzip, deflate" + (", zstd" if sys.version_info >= (3, 14) else "")
AGENT = f"Python/{sys.version_info[0]}.{sys.version_info[1]} aiohttp/{aiohttp.__version__}"
OURS = f"Accept: */*\r\nAccept-Encoding: {PACKINGS}\r\nUser-Agent: {AGENT}\r\n"
"""What stands below the headers of a request."""
BYTES = "Content-Type: application/octet-stream\r\n"


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    """A server that takes everything."""
    async with raw_server() as running:
        yield running


@pytest.fixture
async def client(server: RawServer) -> AsyncIterator[HttpClient]:
    """A client for RT-CV servers."""
    one = HttpClient(5.0, Clock())
    yield one
    await one.close()


@pytest.fixture
async def public(server: RawServer) -> AsyncIterator[PublicHttpClient]:
    """A client for what stands in messages; every name leads to the server."""

    async def local(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    one = PublicHttpClient(Clock(), allow_private=True, resolve=local)
    yield one
    await one.close()


def head(line: str, host: str = "127.0.0.1:PORT", headers: str = "", below: str = "") -> bytes:
    """A request's head."""
    return f"{line} HTTP/1.1\r\nHost: {host}\r\n{headers}{OURS}{below}\r\n".encode()


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("", "/"),
        ("/a%2Fb%41?x=%41&y=a+b&z=%20", "/a%2Fb%41?x=%41&y=a+b&z=%20"),
        ("/a/../b/./c", "/a/../b/./c"),
        ("/a//b", "/a//b"),
        ("/a?", "/a"),
        ("/?a=b|c&d=[e]\"f'<>^`{}", "/?a=b|c&d=[e]\"f'<>^`{}"),
        ("/a#frag?x", "/a"),
        ("/é?ü=€", "/é?ü=€"),
        ("/%zz%", "/%zz%"),
        ("/a;b=c,d:e@f!$&'()*+=~-._", "/a;b=c,d:e@f!$&'()*+=~-._"),
        ("/a%e9%C3%A9%2e%7E", "/a%e9%C3%A9%2e%7E"),
        ("?q=a/b?c", "/?q=a/b?c"),
        ("/" + "x" * 70_000, "/" + "x" * 70_000),
    ],
)
async def test_a_servers_url_is_sent_as_it_is_given(
    client: HttpClient, server: RawServer, given: str, sent: str
) -> None:
    """Path and query are sent unchanged."""
    await client.request("GET", server.url + given, {})
    assert server.taken == [head(f"GET {sent}")]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("", "/"),
        ("/a%2Fb%41?x=%41&y=a+b&z=%20", "/a%2FbA?x=A&y=a+b&z=%20"),
        ("/a/../b/./c", "/b/c"),
        ("/a//b", "/a//b"),
        ("/?a=b|c&d=[e]\"f'<>^`{}", "/?a=b%7Cc&d=%5Be%5D%22f'%3C%3E%5E%60%7B%7D"),
        ("/a#frag?x", "/a"),
        ("/é?ü=€", "/%C3%A9?%C3%BC=%E2%82%AC"),
        ("/%zz%", "/%25zz%25"),
        ("/a%e9%C3%A9%2e%7E", "/a%E9%C3%A9.~"),
        ("/" + "x" * 70_000, "/" + "x" * 70_000),
    ],
)
async def test_a_messages_url_is_made_a_proper_one(
    public: PublicHttpClient, server: RawServer, given: str, sent: str
) -> None:
    """What a person wrote is escaped where it has to be, and what is escaped stays."""
    await public.request("GET", server.url + given, timeout=5, max_bytes=10)
    assert server.taken == [head(f"GET {sent}")]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("LOCALHOST", "localhost"),
        ("localhost.", "localhost"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("☃.example", "xn--n3h.example"),
        ("a_b.example", "a_b.example"),
    ],
)
async def test_names_of_hosts(public: PublicHttpClient, server: RawServer, given: str, sent: str) -> None:
    """Host names are sent in ASCII, also those that only the older rules allow."""
    await public.request("GET", f"http://{given}:{server.port}/x", timeout=5, max_bytes=10)
    assert server.taken == [head("GET /x", f"{sent}:PORT")]


@pytest.mark.parametrize(
    ("method", "body", "below"),
    [
        ("GET", None, ""),
        ("GET", b"", "Content-Length: 0\r\n" + BYTES),
        ("OPTIONS", None, ""),
        ("DELETE", None, "Content-Length: 0\r\n"),
        ("DELETE", b"", "Content-Length: 0\r\n" + BYTES),
        ("POST", None, "Content-Length: 0\r\n" + BYTES),
        ("POST", b"", "Content-Length: 0\r\n" + BYTES),
        ("PUT", b"abc", "Content-Length: 3\r\n" + BYTES),
        ("PATCH", b"x" * 65_536, "Content-Length: 65536\r\n" + BYTES),
        ("POST", b"x" * 65_537, "Content-Length: 65537\r\n" + BYTES),
        ("POST", b"x" * 3_000_000, "Content-Length: 3000000\r\n" + BYTES),
    ],
)
async def test_bodies(
    client: HttpClient, public: PublicHttpClient, server: RawServer, method: str, body: bytes | None, below: str
) -> None:
    """Bodies are sent with their length, never in chunks; no body differs from an empty one."""
    await client.request(method, f"{server.url}/x", {}, body)
    await public.request(method, f"{server.url}/x", body=body, timeout=5, max_bytes=10)
    assert server.taken == [head(f"{method} /x", below=below) + (body or b"")] * 2


async def test_headers_are_sent_as_they_are_written(
    client: HttpClient, public: PublicHttpClient, server: RawServer
) -> None:
    """Headers are sent in the given order and case, in UTF-8, and replace ours of the same name."""
    headers = {
        "authorization": "Basic x:y",
        "Content-Type": "application/json",
        "X-b": "é",
        "idempotency-KEY": "k",
        "Cookie": "a=b",
        "accept": "text/html",
        "User-Agent": "mine",
        "accept-encoding": "br",
    }
    await client.request("POST", f"{server.url}/x", headers, b"{}")
    await public.request("POST", f"{server.url}/x", headers=headers, body=b"{}", timeout=5, max_bytes=10)
    written = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    expected = f"POST /x HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n{written}Content-Length: 2\r\n\r\n{{}}"
    assert server.taken == [expected.encode()] * 2


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\x00b"])
async def test_a_header_is_one_line(public: PublicHttpClient, server: RawServer, value: str) -> None:
    """A header with a line break is refused and not sent."""
    with pytest.raises(ValueError, match="Forbidden control character"):
        await public.request("GET", server.url, headers={"X-A": value}, timeout=5, max_bytes=10)
    assert server.taken == []
