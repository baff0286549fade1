"""What a task's script can use: `fetch` to allowed hosts and `job`; and where scripts come from."""

import asyncio
import os
import re
import stat
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from sidecar_protocol.tasks import LONGEST_SCRIPT
from sidecar_protocol.wire_types import Raw

from sidecar.browser.sandbox.task_session import FetchRequest, FetchResponse
from sidecar.clock import within
from sidecar.errors import Forbidden, InvalidContent, LimitExceeded, NotFound, RemoteFailed, RemoteUnreachable, TimedOut
from sidecar.net.exchange import HttpResponse
from sidecar.net.redirects import MAX_REDIRECTS, Hop, as_fetch, follow_redirects
from sidecar.net.urls import check_url, host_names, to_url
from sidecar.settings import MiB

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
MAX_JOBS: Final = 20
"""Browser jobs of one run."""
MAX_RESPONSE_BYTES: Final = 4 * MiB
MAX_TOTAL_BYTES: Final = 32 * MiB
"""Bytes of all answers of one run."""
REQUEST_SECONDS: Final = 30.0
"""For one request, its redirects and its answer."""
SCRIPT_SECONDS: Final = 15.0
"""For the script itself."""
_CONNECTION_HEADERS: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "trailers", "keep-alive"}
    | {"expect", "proxy-authenticate", "proxy-authorization", "proxy-connection"}
)
"""Headers that belong to the connection: left out, as a browser's fetch leaves them out."""
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
MAX_HEADER_BYTES: Final = 64 << 10
"""Bytes of all headers of one request."""
_ENCODING_HEADERS: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers of the answer that are no longer true of the body as we pass it on."""


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
        """An answer of any status."""


class ScriptSources:
    """Reads scripts: anew each time, so that a change holds from the next run on."""

    def __init__(self, requests: Requests, folder: Callable[[], Path], *, allow_private: bool) -> None:
        """`folder` gives the scripts folder, which need not exist. It may raise OSError."""
        self._requests = requests
        self._folder = folder
        self._allow_private = allow_private

    def check(self, script: str) -> None:
        """Checks all that can be known before it is read. Raises InvalidContent with the field `script`, Forbidden."""
        if _is_url(script):
            check_url(script, "script", allow_private=self._allow_private)
            return
        parts = Path(script).parts
        if not parts or Path(script).is_absolute() or ".." in parts or "\\" in script or not script.isprintable():
            message = "is neither an http or https URL nor the name of a file in the scripts folder"
            raise InvalidContent(f"script: this {message}", "script")

    async def read(self, script: str) -> str:
        """The script's text. Raises InvalidContent, NotFound, Forbidden, LimitExceeded, TimedOut and RemoteFailed."""
        self.check(script)
        content = await (self._download(script) if _is_url(script) else asyncio.to_thread(self._read, script))
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise InvalidContent("the script is not UTF-8", "script") from None

    async def _download(self, url: str) -> bytes:
        response = await self._requests.request(
            "GET", url, timeout=SCRIPT_SECONDS, max_bytes=LONGEST_SCRIPT, redirects=MAX_REDIRECTS
        )
        if response.status == 404 or response.status == 410:
            raise NotFound(f"the script was not found: its server answered {response.status}", status=response.status)
        if response.status != 200:
            raise RemoteFailed(f"the script's server answered {response.status}", status=response.status)
        return response.body

    def _read(self, name: str) -> bytes:
        try:
            folder = self._folder().resolve()
            path = (folder / name).resolve()
            if not path.is_relative_to(folder):
                raise Forbidden(f"the script {name} is a link out of the scripts folder")
            # without waiting, for a pipe would have us wait for somebody to write into it
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise NotFound(f"the script {name} is not a file")
                content = file.read(LONGEST_SCRIPT + 1)
        except (OSError, ValueError) as failure:
            message = failure.strerror if isinstance(failure, OSError) else "its name can't be used"
            raise NotFound(f"the script {name} can't be read from the scripts folder: {message}") from None
        if len(content) > LONGEST_SCRIPT:
            raise LimitExceeded(f"the script {name} is larger than {LONGEST_SCRIPT >> 20} MiB")
        return content


class HostAllowlist:
    """The hosts that scripts may reach: `example.com`, `*.example.com` for what is below it, `*` for all."""

    def __init__(self, text: str) -> None:
        """`text` separates them by commas or spaces."""
        self._names = frozenset(text.lower().replace(",", " ").split())

    def allow(self, host: str) -> bool:
        """Whether this one is among them."""
        name = host.lower().rstrip(".")
        labels = name.split(".")
        above = {f"*.{'.'.join(labels[start:])}" for start in range(1, len(labels))}
        return "*" in self._names or name in self._names or bool(above & self._names)


class ScriptHost:
    """What one run of a script reaches."""

    def __init__(self, requests: Requests, hosts: HostAllowlist, job: Callable[[bytes, int], Awaitable[bytes]]) -> None:
        """`job` runs `send_job`'s content, the how-manieth of the run it is, and gives that of its reply."""
        self._requests = requests
        self._hosts = hosts
        self._job = job
        self._jobs = 0
        self._bytes = 0
        """Of the answers that have come."""
        self._reserved = 0
        """What those on their way may still bring."""
        self._returned = asyncio.Event()

    async def fetch(self, wanted: FetchRequest) -> FetchResponse:
        """One request, with its redirects. Raises SidecarError."""
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
        """One browser job. Raises SidecarError."""
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
        """What one answer may bring; waits while those on their way may need all that is left. Raises LimitExceeded."""
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
    """The headers that a script may send, without those of the connection. Raises InvalidContent and LimitExceeded.

    A script can send us what the page's own `Headers` would have refused: a name with a space around it, a line break.
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


def _is_url(script: str) -> bool:
    return "://" in script


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _reject_redirect(hop: Hop, response: HttpResponse) -> None:
    if as_fetch(hop, response):
        raise RemoteUnreachable(f"{hop.host} redirected, which the script does not allow")


def _return_redirect(_hop: Hop, _response: HttpResponse) -> None:
    """The script reads it itself."""


_REDIRECT_MODES: Final = {"error": _reject_redirect, "manual": _return_redirect}
"""A fetch's `redirect` -> what a redirect leads to; any other one is followed."""
