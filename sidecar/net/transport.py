"""httpx over aiohttp's connections: the one way out for every request.

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
"""Extension of a request: its URL as aiohttp sends it. httpx's own spells a path anew."""
PACKED: Final = "sidecar.packed"
"""Extension of a request: whether the body is wanted as it came, not unpacked."""
HEADERS: Final = "sidecar.headers"
"""Extension of a response: its headers as they came, the place of a redirect among them."""

_AT_ONCE: Final = 64 << 10
_NO_AUTH: Final = httpx.Auth()
"""For httpx would make an Authorization of a user in a URL."""

# for INFO it tells of each request with its whole URL
logging.getLogger("httpx").setLevel(logging.WARNING)


class _Stream(AiohttpResponseStream):
    """The body part by part, without a generator that somebody would have to close."""

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
    """Sends a request as we wrote it.

    httpx-aiohttp's own way would write header names in lower case and the URL anew, hold up the loop with a large body,
    and leave it to httpx to unpack a response, which has no bound and takes an unknown packing for none.
    """

    def __init__(self, connector: Callable[[], aiohttp.BaseConnector]) -> None:
        """`connector` makes the connections' owner, in the loop that the first request runs in."""
        # nothing uses this context: connections have aiohttp's own, which trusts whom the system trusts, not certifi
        super().__init__(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False, client=self._open)
        self._connector = connector

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The response to one request, its body unread."""
        if not isinstance(self.client, aiohttp.ClientSession):
            self.client = self.get_client()
        with map_aiohttp_exceptions():
            response = await self.client.request(
                request.method,
                request.extensions[TARGET],
                data=_payload(request.stream),
                headers=[(name.decode(), value.decode()) for name, value in request.headers.raw],
                allow_redirects=False,
                auto_decompress=not request.extensions[PACKED],
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
        """None, and none to come: a jar would also look for some in each response."""
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
    method: str, target: URL, headers: Mapping[str, str], body: bytes | None, *, packed: bool = False
) -> httpx.Request:
    """A request that goes out byte for byte as it is told here. Raises httpx.InvalidURL."""
    written = [(b"Host", (target.host_port_subcomponent or "").encode())]
    written += [(name.encode(), value.encode()) for name, value in headers.items()]
    extensions = {TARGET: target, PACKED: packed}
    # a stream, for with `content` httpx would add headers of its own
    return httpx.Request(method, _parsed(target), headers=written, stream=_Body(body), extensions=extensions)


@lru_cache(64)
def _parsed(target: URL) -> httpx.URL:
    """What httpx needs to know of a URL: where its redirects lead from. Raises httpx.InvalidURL."""
    try:
        return httpx.URL(str(target))
    except httpx.InvalidURL:  # longer than 64 KiB, which is the server's to refuse
        return httpx.URL(str(target.origin()))


async def send(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """The response, its body unread."""
    return await client.send(request, stream=True, auth=_NO_AUTH)


async def _hide_redirect(response: httpx.Response) -> None:
    """Leaves redirects to the clients, which check each hop before it is made.

    httpx would look at the place in any case: it fails for one that it can't read, though nobody wants to go there,
    takes `http://[` for a host's name, and has no name for hosts such as xn--n3h.example.
    """
    response.extensions[HEADERS] = response.headers.raw
    response.headers.pop("Location", None)


def _payload(stream: object) -> bytes | io.BytesIO | None:
    content = stream.content if isinstance(stream, _Body) else None
    # aiohttp writes bytes at once, and takes long to write many
    return io.BytesIO(content) if content and len(content) > _AT_ONCE else content
