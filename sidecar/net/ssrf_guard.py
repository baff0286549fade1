"""The SSRF guard: checks addresses at connect time, so that DNS rebinding gains nothing.

The resolver rejects a name with one private address among its addresses; the socket factory checks the very address of
each connection again. A literal address in a URL is rejected before either (`urls.check_literal`).
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from sidecar.net import addresses
from sidecar.net.urls import PrivateAddress

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port -> addresses in their text form. Raises OSError."""


def guarded_connector(resolve: Resolve | None, allow_private: bool, idle_seconds: float) -> aiohttp.TCPConnector:
    """Connects to public addresses only, unless `allow_private`; closes idle connections after `idle_seconds`."""
    return aiohttp.TCPConnector(
        limit=0,
        use_dns_cache=False,
        resolver=_GuardedResolver(resolve or _system, allow_private),
        keepalive_timeout=idle_seconds,
        socket_factory=None if allow_private else _guarded_socket,
    )


class _GuardedResolver(AbstractResolver):
    """Resolves a name once and rejects it if one of its addresses is private."""

    def __init__(self, resolve: Resolve, allow_private: bool) -> None:
        self._resolve = resolve
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = [ipaddress.ip_address(one) for one in await self._resolve(host, port)]
        if not self._allow_private and any(map(addresses.is_private, found)):
            raise PrivateAddress(host)
        return [
            ResolveResult(
                hostname=host,
                host=str(one),
                port=port,
                family=socket.AF_INET if one.version == 4 else socket.AF_INET6,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for one in found
            if family in (socket.AF_UNSPEC, socket.AF_INET if one.version == 4 else socket.AF_INET6)
        ]

    async def close(self) -> None:
        """Does nothing: there is nothing to close."""


def _guarded_socket(info: Any) -> socket.socket:
    """Checks the address of a connection, however it was found."""
    family, kind, protocol, _, place = info
    if addresses.is_private(ipaddress.ip_address(place[0].partition("%")[0])):
        raise PrivateAddress(place[0])
    return socket.socket(family, kind, protocol)


async def _system(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(place[0]).partition("%")[0] for *_, place in found]
