"""The HTTP client for URLs from messages: webhooks and scripts. It reaches no private address."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final

import httpx
from yarl import URL

from sidecar.clock import Clock, within
from sidecar.errors import LimitExceeded, TimedOut
from sidecar.net.bodies import BodyTooLarge
from sidecar.net.exchange import FAILURES, cause_of, connection_lost, exchange, unreachable
from sidecar.net.exchange_hooks import ExchangeHook, no_hook
from sidecar.net.http_response import HttpResponse
from sidecar.net.redirects import Hop, as_fetch, follow_redirects
from sidecar.net.ssrf_guard import Resolve, guarded_connector
from sidecar.net.transport import AiohttpConnections, new_request, open_client
from sidecar.net.urls import check_literal, check_url

IDLE_SECONDS: Final = 15.0
"""Seconds after which an idle connection is closed."""


class PublicHttpClient:
    """Bounded requests to public addresses; to private ones with `allow_private`. No proxies, no cookies."""

    def __init__(
        self,
        clock: Clock,
        allow_private: bool,
        resolve: Resolve | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        hook: ExchangeHook = no_hook,
    ) -> None:
        self._clock = clock
        self._allow_private = allow_private
        self._client = open_client(
            transport or AiohttpConnections(lambda: guarded_connector(resolve, allow_private, IDLE_SECONDS))
        )
        self._exchange = hook(partial(exchange, self._client))

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float,  # noqa: ASYNC109  one for all redirects and the body
        max_bytes: int,
        redirects: int = 0,
        status_only: bool = False,
    ) -> HttpResponse:
        """The response, whatever its status, its body at most `max_bytes`; without `redirects` 3xx is like any other.

        With `status_only` the status decides, and the body is what could be read. Such a request may arrive twice: it
        is sent again if a reused connection was closed in the meantime.

        Raises InvalidContent for what is no URL, Forbidden, RemoteUnreachable, TimedOut after `timeout` seconds,
        LimitExceeded for a longer body or more redirects.
        """
        check_url(url)
        first = Hop(method, URL(url), headers or {}, body)
        try:
            async with within(timeout) as limit:
                _, response = await follow_redirects(
                    first,
                    lambda hop: self._send(hop, max_bytes, limit, status_only),
                    as_fetch if redirects else _not_followed,
                    redirects,
                )
                return response
        except TimeoutError:
            raise TimedOut(f"{first.host} did not answer within {timeout:g} s") from None

    async def close(self) -> None:
        """Closes every connection."""
        await self._client.aclose()

    async def _send(self, hop: Hop, max_bytes: int, limit: asyncio.Timeout, status_only: bool) -> HttpResponse:
        if not self._allow_private:
            check_literal(hop.url)
        for again in (status_only, False):
            try:
                request = new_request(hop.method, hop.url, hop.headers, hop.body, decompress=not status_only)
                return await self._exchange(request, max_bytes, limit, status_only)
            except BodyTooLarge:
                raise LimitExceeded(f"{hop.host} answered with more than {max_bytes} bytes") from None
            except FAILURES as failure:
                if isinstance(cause_of(failure), TimeoutError):  # an OSError, and `request`'s own
                    raise TimeoutError from None
                if not again or not connection_lost(failure):
                    raise unreachable(failure, hop.host, retry_certificate=True) from None
        raise AssertionError("the last attempt returns or raises")


def _not_followed(_hop: Hop, _response: HttpResponse) -> None:
    """Any response is the final one."""
