"""One request and its response. Every failure becomes a SidecarError that holds no URL and no key."""

import asyncio
import os
from typing import Final

import aiohttp
import httpx
from multidict import CIMultiDict

from sidecar.errors import Forbidden, RemoteUnreachable
from sidecar.net import bodies
from sidecar.net.http_response import HttpResponse
from sidecar.net.transport import HEADERS, send
from sidecar.net.urls import PrivateAddress, private_address_error

FAILURES: Final = (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError, UnicodeError)
"""Exceptions that a request may raise. Header and method errors are ValueErrors, and faults of the caller."""


class RecordedFailure(OSError):
    """The failure of a recorded request."""

    def __init__(self, error: RemoteUnreachable | Forbidden) -> None:
        super().__init__(error.message)
        self.error = error


async def exchange(
    client: httpx.AsyncClient, request: httpx.Request, max_bytes: int, limit: asyncio.Timeout, status_only: bool
) -> HttpResponse:
    """The response with its body.

    With `status_only` the status has to come within the limit, and the body is what could be read. Without it raises
    BodyTooLarge. Raises FAILURES.
    """
    response = await send(client, request)
    try:
        if status_only:
            limit.reschedule(None)  # what is left has a bound of its own
            body = await bodies.read_prefix(response, max_bytes)
        else:
            body = await bodies.read_bounded(response, max_bytes)
    finally:
        await response.aclose()
    headers = CIMultiDict([(_text(name), _text(value)) for name, value in response.extensions[HEADERS]])
    return HttpResponse(response.status_code, headers, body)


def cause_of(failure: BaseException) -> BaseException:
    """aiohttp's exception behind one of httpx, which often names another failure; else the exception itself."""
    return failure.__cause__ if isinstance(failure, httpx.HTTPError) and failure.__cause__ else failure


def unreachable(failure: Exception, host: str, *, retry_certificate: bool) -> RemoteUnreachable | Forbidden:
    """The error of a failed request; `retry_certificate`: an untrusted certificate may be gone at the next attempt."""
    cause = cause_of(failure)
    if isinstance(cause, RecordedFailure):
        return cause.error
    if isinstance(cause, aiohttp.ClientConnectorCertificateError):  # no `os_error` in this one
        return RemoteUnreachable(f"{host} has a certificate that can't be trusted", retryable=retry_certificate)
    if isinstance(cause, aiohttp.ClientConnectorError):
        if isinstance(cause.os_error, PrivateAddress):
            return private_address_error(host)
        return RemoteUnreachable(f"{host} can't be reached: {_why(cause)}")
    if isinstance(cause, aiohttp.InvalidURL | httpx.InvalidURL | UnicodeError):
        # also what only the resolver objects to, such as a label of 64 letters
        return RemoteUnreachable(f"{host} is no usable address", retryable=False)
    return RemoteUnreachable(f"{host} broke off its answer ({type(cause).__name__})")


def connection_lost(failure: Exception) -> bool:
    """Whether the connection was closed before any response, as happens to a reused one."""
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
