"""Requests to URLs that somebody wrote in a message: resolved once, checked, and dialled at the checked address."""

import asyncio
import io
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from sidecar.clock import Clock, within
from sidecar.errors import Forbidden, InvalidContent, LimitExceeded, RemoteUnreachable, TimedOut
from sidecar.net.addresses import is_private
from sidecar.net.bodies import beginning
from sidecar.net.http_client import Answer, why

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port -> addresses in their text form. Raises OSError."""

IDLE_SECONDS: Final = 15.0
"""How long a connection is kept for the next request."""
_AFTER_HOST: Final = re.compile(r"[/?#]")
_AT_ONCE: Final = 64 << 10
_DIED: Final = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
"""How the death of a kept connection shows."""
_FOLLOWED: Final = frozenset({301, 302, 303, 307, 308})


class _Private(OSError):
    """The address is none that we may dial."""


class Outward:
    """Bounded requests that reach nothing private unless `allow_private`. No proxies, no cookies, http and https."""

    def __init__(self, clock: Clock, allow_private: bool, resolve: Resolve | None = None) -> None:
        self._clock = clock
        self._allow_private = allow_private
        self._session: aiohttp.ClientSession | None = None
        self._resolver = _Checked(resolve or _system, allow_private)

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
        notice: bool = False,
    ) -> Answer:
        """An answer of any status, its body at most `max_bytes`; without `redirects` 3xx is an answer like others.

        A `notice` may arrive twice: it is sent anew where a kept connection has died in the meantime. A status is all
        that answers it: of the body there is what could be had.

        Raises InvalidContent for what is no URL, Forbidden, RemoteUnreachable, TimedOut after `timeout` seconds,
        LimitExceeded for a longer body or more redirects.
        """
        check_url(url)
        here = URL(url)
        try:
            async with within(timeout) as limit:
                reading = _Reading(max_bytes, limit if notice else None)
                for _ in range(redirects + 1):
                    try:
                        answer = await self._once(method, here, headers or {}, body, reading)
                    except _DIED as failure:
                        if not notice:
                            raise _broken(here, type(failure).__name__) from None
                        answer = await self._again(method, here, headers or {}, body, reading)
                    if not redirects or answer.status not in _FOLLOWED or "Location" not in answer.headers:
                        return answer
                    here, method, headers, body = _redirected(here, method, headers or {}, body, answer)
        except TimeoutError:
            raise TimedOut(f"{here.host_port_subcomponent} did not answer within {timeout:g} s") from None
        raise LimitExceeded(f"{here.host_port_subcomponent} redirected more than {redirects} times")

    async def close(self) -> None:
        """Closes every connection."""
        if self._session is not None:
            await self._session.close()

    async def _again(
        self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None, reading: "_Reading"
    ) -> Answer:
        try:
            return await self._once(method, url, headers, body, reading)
        except _DIED as failure:
            raise _broken(url, type(failure).__name__) from None

    async def _once(
        self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None, reading: "_Reading"
    ) -> Answer:
        """Raises those of _DIED beside ours: the connection ended before any answer."""
        if not self._allow_private:
            check_literal(url)
        if self._session is None:
            self._session = self._open()
        try:
            async with self._session.request(
                method,
                url,
                data=_payload(body),
                headers=headers,
                allow_redirects=False,
                auto_decompress=reading.limit is None,
            ) as response:
                return Answer(response.status, response.headers, await reading.of(response))
        except aiohttp.ClientConnectorCertificateError:
            raise RemoteUnreachable(f"{url.host_port_subcomponent} has a certificate that can't be trusted") from None
        except aiohttp.ClientConnectorError as failure:
            if isinstance(failure.os_error, _Private):
                raise _forbidden(url) from None
            raise RemoteUnreachable(f"{url.host_port_subcomponent} can't be reached: {why(failure)}") from None
        except (aiohttp.InvalidURL, UnicodeError):
            raise RemoteUnreachable(f"{url.host_port_subcomponent} is no usable address", retryable=False) from None
        except _DIED:
            raise
        except TimeoutError:  # an OSError, and `request`'s own
            raise
        except (aiohttp.ClientError, OSError) as failure:
            raise _broken(url, type(failure).__name__) from None

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0,
            use_dns_cache=False,
            resolver=self._resolver,
            keepalive_timeout=IDLE_SECONDS,
            socket_factory=None if self._allow_private else _checked_socket,
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )


class _Checked(AbstractResolver):
    """Resolves a name once; one private address among its addresses is one too many."""

    def __init__(self, resolve: Resolve, allow_private: bool) -> None:
        self._resolve = resolve
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = [ipaddress.ip_address(one) for one in await self._resolve(host, port)]
        if not self._allow_private and any(map(is_private, addresses)):
            raise _Private(host)
        return [
            ResolveResult(
                hostname=host,
                host=str(one),
                port=port,
                family=socket.AF_INET if one.version == 4 else socket.AF_INET6,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for one in addresses
            if family in (socket.AF_UNSPEC, socket.AF_INET if one.version == 4 else socket.AF_INET6)
        ]

    async def close(self) -> None:
        """Nothing to close."""


def check_url(url: str, field: str = "url", *, allow_private: bool = True) -> None:
    """Raises InvalidContent for what is no http or https URL with a host and without a user, and Forbidden.

    Forbidden is a private address in its own form; names are checked when they are resolved.
    """
    try:
        parsed = URL(url)
        usable = parsed.scheme in ("http", "https") and bool(parsed.host) and parsed.port is not None
        has_user = "@" in _AFTER_HOST.split(url.partition("//")[2], maxsplit=1)[0]
    except ValueError:
        usable = has_user = False
    if not usable or not url.isprintable() or " " in url or "\\" in url:
        raise InvalidContent("this is not a usable http or https URL", field)
    if has_user:
        raise InvalidContent("a URL can't hold a user or a password", field)
    if not allow_private:
        check_literal(parsed, field)


def check_literal(url: URL, field: str | None = None) -> None:
    """Raises Forbidden where the host is a private address."""
    try:
        address = ipaddress.ip_address((url.host or "").partition("%")[0])
    except ValueError:
        return
    if is_private(address):
        raise _forbidden(url, field)


def _checked_socket(info: Any) -> socket.socket:
    """The last gate: whatever way an address came, it is looked at where it is dialled."""
    family, kind, protocol, _, place = info
    if is_private(ipaddress.ip_address(place[0].partition("%")[0])):
        raise _Private(place[0])
    return socket.socket(family, kind, protocol)


async def _system(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(place[0]).partition("%")[0] for *_, place in found]


def _payload(body: bytes | None) -> bytes | io.BytesIO | None:
    # aiohttp writes bytes at once, and takes long to write many
    return io.BytesIO(body) if body and len(body) > _AT_ONCE else body


@dataclass(frozen=True, slots=True)
class _Reading:
    """How the body of an answer is read."""

    max_bytes: int
    limit: asyncio.Timeout | None
    """Of a request to which the status is the whole answer: it is met with that."""

    async def of(self, response: aiohttp.ClientResponse) -> bytes:
        if self.limit:
            self.limit.reschedule(None)  # what is left has a bound of its own
            return await beginning(response, self.max_bytes)
        parts: list[bytes] = []
        size = 0
        async for part in response.content.iter_chunked(1 << 16):
            size += len(part)
            if size > self.max_bytes:
                response.close()
                host = response.url.host_port_subcomponent
                raise LimitExceeded(f"{host} answered with more than {self.max_bytes} bytes")
            parts.append(part)
        return b"".join(parts)


def _redirected(
    here: URL, method: str, headers: Mapping[str, str], body: bytes | None, answer: Answer
) -> tuple[URL, str, Mapping[str, str], bytes | None]:
    """The next request; what was meant for one host does not go to another."""
    try:
        there = here.join(URL(answer.headers["Location"]))
        check_url(str(there))
    except (ValueError, InvalidContent):
        raise RemoteUnreachable(
            f"{here.host_port_subcomponent} redirected to what is no URL", retryable=False
        ) from None
    if there.origin() != here.origin():
        headers = {}
    if answer.status not in (307, 308) and method not in ("GET", "HEAD"):
        method, body = "GET", None
    return there, method, headers, body


def _broken(url: URL, how: str) -> RemoteUnreachable:
    return RemoteUnreachable(f"{url.host_port_subcomponent} broke off its answer ({how})")


def _forbidden(url: URL, field: str | None = None) -> Forbidden:
    said = f"{url.host_port_subcomponent} is a private address, which only SIDECAR_ALLOW_PRIVATE_NETWORK=true allows"
    return Forbidden(said, field=field)
