"""Follows redirects: one loop for all clients; each hop passes its client's own checks before it is sent."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from yarl import URL

from sidecar.errors import InvalidContent, LimitExceeded, RemoteFailed, RemoteUnreachable
from sidecar.net.http_response import HttpResponse
from sidecar.net.urls import check_url

MAX_REDIRECTS: Final = 5
_FOLLOWED: Final = frozenset({301, 302, 303, 307, 308})
_KEEP_METHOD: Final = frozenset({307, 308})


@dataclass(frozen=True, slots=True)
class Hop:
    """One request of a chain of redirects."""

    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes | None = None

    @property
    def host(self) -> str:
        """The host, and its port unless it is the scheme's own, as errors name them."""
        return self.url.host_port_subcomponent or ""


class TooManyRedirects(LimitExceeded):
    """The last response that is allowed redirects again; `status` is its HTTP status."""

    def __init__(self, host: str, limit: int, status: int) -> None:
        super().__init__(f"{host} redirected more than {limit} times")
        self.status = status


Send = Callable[[Hop], Awaitable[HttpResponse]]
"""Checks one hop and sends it."""
NextHop = Callable[[Hop, HttpResponse], Hop | None]
"""The request that a response leads to; None for a response that is the final one."""


async def follow_redirects(first: Hop, send: Send, next_hop: NextHop, limit: int) -> tuple[Hop, HttpResponse]:
    """The final response and its request. Raises TooManyRedirects, and what `send` and `next_hop` raise."""
    hop = first
    for _ in range(limit + 1):
        response = await send(hop)
        following = next_hop(hop, response)
        if following is None:
            return hop, response
        hop = following
    raise TooManyRedirects(hop.host, limit, response.status)


def as_fetch(hop: Hop, response: HttpResponse) -> Hop | None:
    """The next hop by the rules of a browser's `fetch`. Raises RemoteUnreachable for a target that is no URL."""
    location = response.headers.get("Location")
    if response.status not in _FOLLOWED or location is None:
        return None
    try:
        url = hop.url.join(URL(location))
        check_url(str(url))
    except (ValueError, InvalidContent):
        raise RemoteUnreachable(f"{hop.host} redirected to an invalid URL", retryable=False) from None
    following = replace(hop, url=url)
    if url.origin() != hop.url.origin():
        following = replace(following, headers={})  # what was meant for one host does not go to another
    if response.status not in _KEEP_METHOD and hop.method not in ("GET", "HEAD"):
        following = replace(following, method="GET", body=None)
    return following


def within_origin(hop: Hop, response: HttpResponse) -> Hop | None:
    """The next hop of a request with a key: only 307 and 308 on one origin. Raises RemoteFailed for other redirects."""
    if not 300 <= response.status < 400:
        return None
    try:
        url = hop.url.join(URL(response.headers["Location"])).with_user(None)
        if response.status in _KEEP_METHOD and url.origin() == hop.url.origin():
            return replace(hop, url=url)
    except (KeyError, ValueError):  # no target, or one that is no URL
        pass
    raise RemoteFailed(
        f"{hop.host} redirected with {response.status}, which is not followed",
        status=response.status,
        retryable=False,
    )
