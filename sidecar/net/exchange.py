"""One request and its response, with every failure as an error of ours that holds no URL and no key."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp
import httpx
from multidict import CIMultiDict

from sidecar.errors import Forbidden, RemoteUnreachable
from sidecar.net import bodies
from sidecar.net.transport import HEADERS, send
from sidecar.net.urls import PrivateAddress, private

FAILURES: Final = (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError, UnicodeError)
"""All that a request may fail with, but for a TimeoutError of ours."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered, whatever the status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def exchange(
    client: httpx.AsyncClient, request: httpx.Request, max_bytes: int, limit: asyncio.Timeout | None = None
) -> Answer:
    """The response with its body.

    `limit` bounds a request to which the status is the whole answer: it is met with that, and of the body there is what
    could be had. Raises BodyTooLarge otherwise, and FAILURES.
    """
    response = await send(client, request)
    try:
        if limit:
            limit.reschedule(None)  # what is left has a bound of its own
            body = await bodies.beginning(response, max_bytes)
        else:
            body = await bodies.whole(response, max_bytes)
    finally:
        await response.aclose()
    headers = CIMultiDict([(_text(name), _text(value)) for name, value in response.extensions[HEADERS]])
    return Answer(response.status_code, headers, body)


def cause_of(failure: BaseException) -> BaseException:
    """What aiohttp raised, where httpx raised something in its place."""
    return failure.__cause__ if isinstance(failure, httpx.HTTPError) and failure.__cause__ else failure


def unreachable(failure: Exception, host: str, *, mended: bool) -> RemoteUnreachable | Forbidden:
    """A failed request as an error of ours; `mended`: a certificate that can't be trusted may be so by the next try."""
    cause = cause_of(failure)
    if isinstance(cause, aiohttp.ClientConnectorCertificateError):  # no `os_error` in this one
        return RemoteUnreachable(f"{host} has a certificate that can't be trusted", retryable=mended)
    if isinstance(cause, aiohttp.ClientConnectorError):
        if isinstance(cause.os_error, PrivateAddress):
            return private(host)
        return RemoteUnreachable(f"{host} can't be reached: {_why(cause)}")
    if isinstance(cause, aiohttp.InvalidURL | httpx.InvalidURL | UnicodeError):
        # also what only the resolver objects to, such as a label of 64 letters
        return RemoteUnreachable(f"{host} is no usable address", retryable=False)
    return RemoteUnreachable(f"{host} broke off its answer ({type(cause).__name__})")


def died(failure: Exception) -> bool:
    """Whether the connection ended before any answer: a kept one does, where its other end has closed it."""
    cause = cause_of(failure)
    return isinstance(cause, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError) and not isinstance(
        cause, aiohttp.ClientConnectorError
    )


def _why(failure: aiohttp.ClientConnectorError) -> str:
    """Why there is no connection, in the system's own words."""
    # asyncio puts an address in their place where a connection is refused
    error = failure.os_error
    if type(failure) is aiohttp.ClientConnectorError and error.errno:
        return os.strerror(error.errno)
    return error.strerror or type(error).__name__


def _text(header: bytes) -> str:
    return header.decode("utf-8", "surrogateescape")
