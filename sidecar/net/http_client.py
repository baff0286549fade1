"""The HTTP client for RT-CV servers: bounded, with retries. No error holds a URL or a key."""

import logging
import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import aiohttp
import httpx
from yarl import URL

from sidecar.clock import Clock, within
from sidecar.errors import RemoteFailed, RemoteUnreachable, TimedOut
from sidecar.net.bodies import BodyTooLarge
from sidecar.net.exchange import FAILURES, cause_of, exchange, unreachable
from sidecar.net.exchange_hooks import ExchangeHook, no_hook
from sidecar.net.http_response import HttpResponse, retry_after
from sidecar.net.redirects import MAX_REDIRECTS, Hop, TooManyRedirects, follow_redirects, within_origin
from sidecar.net.transport import AiohttpConnections, new_request, open_client

log = logging.getLogger(__name__)

ATTEMPTS: Final = 4
MAX_RETRY_AFTER: Final = 120.0
"""Seconds; a server that asks for more gets its refusal passed on."""
MAX_BYTES: Final = 64 << 20
"""The bound of a decompressed response body; the references of a month are far less."""
MAX_STATUS_ONLY_BYTES: Final = 1 << 16
"""The bound of a body whose status decides; it is read for the words of a refusal."""
_BUSY: Final = frozenset({429, 503})


class _Busy(Exception):
    """The server asked us to come back after `seconds`."""

    def __init__(self, response: HttpResponse, seconds: float | None) -> None:
        super().__init__(response.status)
        self.response = response
        self.seconds = seconds


class HttpClient:
    """Requests with retries: connection failures after 2, 4 and 6 s with jitter, 429 and 503 when the server says."""

    def __init__(
        self,
        timeout: float,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
        transport: httpx.AsyncBaseTransport | None = None,
        hook: ExchangeHook = no_hook,
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._timeout = timeout
        self._client = open_client(transport or AiohttpConnections(lambda: aiohttp.TCPConnector(limit=0)))
        self._exchange = hook(partial(exchange, self._client))

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        attempts: int = ATTEMPTS,
        status_only: bool = False,
        holds_secret: bool = False,
    ) -> HttpResponse:
        """The response, whatever its status. With `status_only` the status decides, and the body is what could be read.

        `holds_secret`: everything in the response is secret.

        Raises RemoteUnreachable after the last attempt, TimedOut, and RemoteFailed for a redirect that is not
        followed: only 307 and 308 on the same host are, with their body.
        """
        first = Hop(method, URL(url, encoded=True), headers, body)
        for attempt in range(1, attempts + 1):
            pause = 2.0 * attempt + self._jitter()
            try:
                return await self._once(first, status_only, holds_secret)
            except _Busy as busy:
                if attempt == attempts:
                    return busy.response
                pause = pause if busy.seconds is None else busy.seconds
            except RemoteUnreachable as failure:
                if not failure.retryable or attempts == 1:
                    raise
                if attempt == attempts:
                    raise RemoteUnreachable(f"{failure.message} ({attempts} attempts)") from None
            await self._clock.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    async def close(self) -> None:
        """Closes every connection."""
        await self._client.aclose()

    async def _once(self, first: Hop, status_only: bool, holds_secret: bool) -> HttpResponse:
        async def send(hop: Hop) -> HttpResponse:
            response = await self._send(hop, status_only, holds_secret)
            if response.status in _BUSY:
                seconds = retry_after(response.headers, self._clock.now())
                if seconds is None or seconds <= MAX_RETRY_AFTER:
                    raise _Busy(response, seconds)
            return response

        try:
            return (await follow_redirects(first, send, within_origin, MAX_REDIRECTS))[1]
        except TooManyRedirects as failure:
            raise RemoteFailed(failure.message, status=failure.status) from None

    async def _send(self, hop: Hop, status_only: bool, holds_secret: bool) -> HttpResponse:
        most = MAX_STATUS_ONLY_BYTES if status_only else MAX_BYTES
        try:
            async with within(self._timeout) as limit:
                request = new_request(hop.method, hop.url, hop.headers, hop.body, holds_secret=holds_secret)
                response = await self._exchange(request, most, limit, status_only)
        except BodyTooLarge as failure:
            said = f"{hop.host} answered with more than {most} bytes"
            raise RemoteFailed(said, status=failure.status, retryable=False) from None
        except FAILURES as failure:
            if isinstance(cause_of(failure), TimeoutError):
                raise TimedOut(f"{hop.host} did not answer within {self._timeout:g} s") from None
            raise unreachable(failure, hop.host, retry_certificate=False) from None
        log.debug("%s %s answered %d", hop.method, hop.host, response.status)  # no path: a secret's holds its key
        return response
