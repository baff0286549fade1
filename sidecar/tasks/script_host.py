"""The host functions of task scripts: `fetch` to allowed hosts, and `job`."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol
from urllib.parse import urlsplit

from sidecar_protocol.wire_types import Raw

from sidecar.browser.sandbox.task_session import FetchRequest, FetchResponse
from sidecar.clock import within
from sidecar.errors import Forbidden, InvalidContent, LimitExceeded, RemoteUnreachable, TimedOut
from sidecar.net.http_response import HttpResponse
from sidecar.net.redirects import MAX_REDIRECTS, Hop, as_fetch, follow_redirects
from sidecar.net.urls import check_url, host_names, to_url
from sidecar.settings import MiB

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
MAX_JOBS: Final = 20
"""Browser jobs of one run."""
MAX_RESPONSE_BYTES: Final = 4 * MiB
MAX_TOTAL_BYTES: Final = 32 * MiB
"""Bytes of all responses of one run."""
REQUEST_SECONDS: Final = 30.0
"""Seconds for one request with its redirects and its response."""
_CONNECTION_HEADERS: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "trailers", "keep-alive"}
    | {"expect", "proxy-authenticate", "proxy-authorization", "proxy-connection"}
)
"""Connection headers: ignored, as in a browser's fetch."""
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
MAX_HEADER_BYTES: Final = 64 << 10
"""Bytes of all headers of one request."""
_ENCODING_HEADERS: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers that no longer fit the decoded body."""


class Requests(Protocol):
    """Bounded HTTP requests that reach nothing private. See net.public_http.PublicHttpClient."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float,  # noqa: ASYNC109  the whole request's
        max_bytes: int,
        redirects: int = 0,
    ) -> HttpResponse:
        """A response of any status."""


class HostAllowlist:
    """The hosts that scripts may reach: `example.com`, `*.example.com` for its subdomains, `*` for all."""

    def __init__(self, text: str) -> None:
        """`text` separates them by commas or spaces."""
        self._names = frozenset(text.lower().replace(",", " ").split())

    def allow(self, host: str) -> bool:
        """Whether this host is allowed."""
        name = host.lower().rstrip(".")
        labels = name.split(".")
        above = {f"*.{'.'.join(labels[start:])}" for start in range(1, len(labels))}
        return "*" in self._names or name in self._names or bool(above & self._names)


class ScriptHost:
    """The host functions of one run."""

    def __init__(self, requests: Requests, hosts: HostAllowlist, job: Callable[[bytes, int], Awaitable[bytes]]) -> None:
        """`job` takes the content of a `send_job` and its number within the run, and returns the reply's."""
        self._requests = requests
        self._hosts = hosts
        self._job = job
        self._jobs = 0
        self._bytes = 0
        """Bytes of received responses."""
        self._reserved = 0
        """Reserved for pending responses."""
        self._returned = asyncio.Event()

    async def fetch(self, wanted: FetchRequest) -> FetchResponse:
        """Sends a request and follows its redirects. Raises SidecarError."""
        try:
            async with within(REQUEST_SECONDS):
                return await self._fetch(wanted)
        except TimeoutError:
            raise TimedOut(f"{_host(wanted.url)} did not answer within {REQUEST_SECONDS:g} s") from None

    async def _fetch(self, wanted: FetchRequest) -> FetchResponse:
        if wanted.method not in METHODS:
            raise InvalidContent(f"fetch can't send {wanted.method[:20]}", "method")
        check_url(wanted.url)
        first = Hop(wanted.method, to_url(wanted.url), _checked_headers(wanted.headers), wanted.body)
        next_hop = _REDIRECT_MODES.get(wanted.redirect, as_fetch)
        hop, response = await follow_redirects(first, self._send, next_hop, MAX_REDIRECTS)
        return _to_fetched(str(hop.url), response)

    async def job(self, content: Raw) -> Raw:
        """Runs a browser job. Raises SidecarError."""
        self._jobs += 1
        if self._jobs > MAX_JOBS:
            raise LimitExceeded(f"the script ran more than {MAX_JOBS} jobs")
        return Raw(await self._job(bytes(content), self._jobs))

    async def _send(self, hop: Hop) -> HttpResponse:
        if not any(map(self._hosts.allow, host_names(hop.url))):
            raise Forbidden(f"scripts can't reach {hop.url.raw_host}; SIDECAR_SCRIPT_HOSTS lists the allowed hosts")
        most, taken = await self._reserve(), 0
        try:
            response = await self._requests.request(
                hop.method, str(hop.url), headers=hop.headers, body=hop.body, timeout=REQUEST_SECONDS, max_bytes=most
            )
            taken = len(response.body)
        except LimitExceeded:
            taken = most
            raise
        finally:
            self._bytes += taken
            self._reserved -= most
            self._returned.set()
        return response

    async def _reserve(self) -> int:
        """Reserves bytes for one response; waits while pending ones may need the rest. Raises LimitExceeded."""
        while self._reserved and self._left() < MAX_RESPONSE_BYTES:
            self._returned.clear()
            await self._returned.wait()
        left = self._left()
        if left <= 0:
            raise LimitExceeded(f"the script has fetched {MAX_TOTAL_BYTES >> 20} MiB already")
        most = min(MAX_RESPONSE_BYTES, left)
        self._reserved += most
        return most

    def _left(self) -> int:
        return MAX_TOTAL_BYTES - self._bytes - self._reserved


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers without those of the connection. Raises InvalidContent and LimitExceeded.

    A script can send headers that the page's own `Headers` would reject: names with spaces, values with line breaks.
    """
    if sum(len(name) + len(value) for name, value in headers.items()) > MAX_HEADER_BYTES:
        raise LimitExceeded(f"the headers of one fetch are limited to {MAX_HEADER_BYTES} bytes")
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise InvalidContent(
                f"fetch can't send a header: {len(name)} characters that are no header's name", "headers"
            )
        if not _HEADER_VALUE.fullmatch(value):
            raise InvalidContent(f"fetch can't send the header {name}: a value is one line of Latin-1", "headers")
    return {name: value for name, value in headers.items() if name.lower() not in _CONNECTION_HEADERS}


def _to_fetched(url: str, response: HttpResponse) -> FetchResponse:
    headers = [(str(name), value) for name, value in response.headers.items() if name.lower() not in _ENCODING_HEADERS]
    return FetchResponse(url, response.status, headers, response.body)


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _reject_redirect(hop: Hop, response: HttpResponse) -> None:
    if as_fetch(hop, response):
        raise RemoteUnreachable(f"{hop.host} redirected, which the script does not allow")


def _return_redirect(_hop: Hop, _response: HttpResponse) -> None:
    """The script gets the redirect itself."""


_REDIRECT_MODES: Final = {"error": _reject_redirect, "manual": _return_redirect}
"""A fetch's `redirect` mode -> its rule; other modes follow."""
