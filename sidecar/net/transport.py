"""httpx over aiohttp's connections: both clients send through this.

httpx's own pool looks at every connection for every request: 4 to 7 ms of CPU each with 64 under way. Over aiohttp's it
is a twentieth of that, and aiohttp's takes a resolver and a socket factory of ours.
"""

import io
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from functools import lru_cache
from typing import Final

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import AiohttpResponseStream, map_aiohttp_exceptions
from yarl import URL

TARGET: Final = "sidecar.target"
"""Request extension: the URL that is sent. httpx's own URL class would escape it again."""
DECOMPRESS: Final = "sidecar.decompress"
"""Request extension: whether the transport decompresses the body."""
HOLDS_SECRET: Final = "sidecar.holds_secret"  # noqa: S105 - the name of an extension
"""Request extension: whether everything in the response is secret."""
HEADERS: Final = "sidecar.headers"
"""Response extension: all headers, including `Location`, which is hidden from httpx."""

_AT_ONCE: Final = 64 << 10
_NO_AUTH: Final = httpx.Auth()
"""httpx would otherwise send credentials found in a URL."""

# at INFO it logs each request with its whole URL
logging.getLogger("httpx").setLevel(logging.WARNING)


class _Stream(AiohttpResponseStream):
    """A response body as an iterator that needs no closing, unlike the generator of httpx-aiohttp."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        super().__init__(response)
        self._content = response.content

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        with map_aiohttp_exceptions():
            part = await self._content.read(self.CHUNK_SIZE)
        if not part:
            raise StopAsyncIteration
        return part


class AiohttpConnections(AiohttpTransport):
    """Sends requests byte for byte as they were written.

    httpx-aiohttp itself lower-cases header names, escapes the URL again, blocks the loop with a large body, and leaves
    decompression to httpx, which has no bound for it and passes unknown encodings through.
    """

    def __init__(self, connector: Callable[[], aiohttp.BaseConnector]) -> None:
        """`connector` is called at the first request, within its event loop."""
        # this context is unused: connections have aiohttp's own, with the system's trust store instead of certifi's
        super().__init__(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False, client=self._open)
        self._connector = connector

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends one request; the response's body is unread."""
        if not isinstance(self.client, aiohttp.ClientSession):
            self.client = self.get_client()
        with map_aiohttp_exceptions():
            response = await self.client.request(
                request.method,
                request.extensions[TARGET],
                data=_payload(request.stream),
                headers=[(name.decode(), value.decode()) for name, value in request.headers.raw],
                allow_redirects=False,
                auto_decompress=request.extensions[DECOMPRESS],
            ).__aenter__()
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Stream(response))

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=self._connector(),
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )


class _Body(httpx.AsyncByteStream):
    """The body of a request."""

    def __init__(self, content: bytes | None) -> None:
        self.content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.content or b""


class _NoCookies(httpx.Cookies):
    def extract_cookies(self, response: httpx.Response) -> None:
        """Keeps nothing."""


_NO_COOKIES: Final = _NoCookies()


class _Client(httpx.AsyncClient):
    @property  # type: ignore[misc]  # httpx's can be set
    def cookies(self) -> httpx.Cookies:
        """A jar without cookies; a real one would be searched and filled at each response."""
        return _NO_COOKIES


def open_client(transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    """A client without cookies, proxies, a netrc, redirects and timeouts of its own."""
    return _Client(
        transport=transport,
        timeout=None,
        trust_env=False,
        event_hooks={"response": [_hide_redirect]},
    )


def new_request(
    method: str,
    target: URL,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    decompress: bool = True,
    holds_secret: bool = False,
) -> httpx.Request:
    """A request with exactly these headers and this body. Raises httpx.InvalidURL."""
    written = [(b"Host", (target.host_port_subcomponent or "").encode())]
    written += [(name.encode(), value.encode()) for name, value in headers.items()]
    extensions = {TARGET: target, DECOMPRESS: decompress, HOLDS_SECRET: holds_secret}
    # with `content` instead of a stream httpx would add headers of its own
    return httpx.Request(method, _parsed(target), headers=written, stream=_Body(body), extensions=extensions)


def request_body(request: httpx.Request) -> bytes:
    """The body of a request of `new_request`."""
    stream = request.stream
    return (stream.content or b"") if isinstance(stream, _Body) else b""


@lru_cache(64)
def _parsed(target: URL) -> httpx.URL:
    """The URL as httpx keeps it; `TARGET` is what is sent. Raises httpx.InvalidURL."""
    try:
        return httpx.URL(str(target))
    except httpx.InvalidURL:  # httpx takes no URL longer than 64 KiB; whether to take it is for the server to decide
        return httpx.URL(str(target.origin()))


async def send(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """The response, its body unread."""
    return await client.send(request, stream=True, auth=_NO_AUTH)


async def _hide_redirect(response: httpx.Response) -> None:
    """Leaves redirects to the clients, which check each hop.

    Even if redirects are not followed, httpx parses `Location`: it raises if it can't, takes `http://[` for a host, and
    rejects hosts such as xn--n3h.example.
    """
    response.extensions[HEADERS] = response.headers.raw
    response.headers.pop("Location", None)


def _payload(stream: object) -> bytes | io.BytesIO | None:
    content = stream.content if isinstance(stream, _Body) else None
    # aiohttp writes bytes in one piece, which blocks the loop if there are many
    return io.BytesIO(content) if content and len(content) > _AT_ONCE else content
