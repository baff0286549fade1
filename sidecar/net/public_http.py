"""The HTTP client for URLs from messages: webhooks and scripts. It reaches no private address."""

import asyncio
from collections.abc import Mapping
from typing import Final

import httpx
from yarl import URL

from sidecar.clock import Clock, within
from sidecar.errors import InvalidContent, LimitExceeded, RemoteUnreachable, TimedOut
from sidecar.net.bodies import BodyTooLarge
from sidecar.net.exchange import FAILURES, HttpResponse, cause_of, connection_lost, exchange, unreachable
from sidecar.net.ssrf_guard import Resolve, guarded_connector
from sidecar.net.transport import AiohttpConnections, new_request, open_client
from sidecar.net.urls import check_literal, check_url

IDLE_SECONDS: Final = 15.0
"""An idle connection is closed after so many seconds."""
_FOLLOWED: Final = frozenset({301, 302, 303, 307, 308})


class PublicHttpClient:
    """Bounded requests to public addresses; to private ones with `allow_private`. No proxies, no cookies."""

    def __init__(
        self,
        clock: Clock,
        allow_private: bool,
        resolve: Resolve | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._clock = clock
        self._allow_private = allow_private
        self._client = open_client(
            transport or AiohttpConnections(lambda: guarded_connector(resolve, allow_private, IDLE_SECONDS))
        )

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
        here, headers = URL(url), headers or {}
        try:
            async with within(timeout) as limit:
                for _ in range(redirects + 1):
                    response = await self._send(method, here, headers, body, max_bytes, limit if status_only else None)
                    if not redirects or response.status not in _FOLLOWED or "Location" not in response.headers:
                        return response
                    there = _redirected(here, response)
                    if there.origin() != here.origin():
                        headers = {}  # what was meant for one host does not go to another
                    if response.status not in (307, 308) and method not in ("GET", "HEAD"):
                        method, body = "GET", None
                    here = there
        except TimeoutError:
            raise TimedOut(f"{here.host_port_subcomponent} did not answer within {timeout:g} s") from None
        raise LimitExceeded(f"{here.host_port_subcomponent} redirected more than {redirects} times")

    async def close(self) -> None:
        """Closes every connection."""
        await self._client.aclose()

    async def _send(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: bytes | None,
        max_bytes: int,
        limit: asyncio.Timeout | None,
    ) -> HttpResponse:
        """One hop; `limit` is that of a request of which the status decides."""
        if not self._allow_private:
            check_literal(url)
        host = url.host_port_subcomponent or ""
        for again in (limit is not None, False):
            try:
                request = new_request(method, url, headers, body, decompress=limit is None)
                return await exchange(self._client, request, max_bytes, limit)
            except BodyTooLarge:
                raise LimitExceeded(f"{host} answered with more than {max_bytes} bytes") from None
            except FAILURES as failure:
                if isinstance(cause_of(failure), TimeoutError):  # an OSError, and `request`'s own
                    raise TimeoutError from None
                if not again or not connection_lost(failure):
                    raise unreachable(failure, host, retry_certificate=True) from None
        raise AssertionError("the last attempt returns or raises")


def _redirected(here: URL, response: HttpResponse) -> URL:
    try:
        there = here.join(URL(response.headers["Location"]))
        check_url(str(there))
    except (ValueError, InvalidContent):
        raise RemoteUnreachable(
            f"{here.host_port_subcomponent} redirected to what is no URL", retryable=False
        ) from None
    return there
