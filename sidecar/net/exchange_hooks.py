"""Hooks around each HTTP exchange: one records it, one answers from a recording instead of the network."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import httpx
from multidict import CIMultiDict
from sidecar_protocol.errors import ErrorCode

from sidecar.errors import Forbidden, RemoteUnreachable
from sidecar.http_record import Fields, HttpFailure, HttpRecord
from sidecar.net.bodies import BodyTooLarge
from sidecar.net.exchange import FAILURES, RecordedFailure, cause_of, unreachable
from sidecar.net.http_response import HttpResponse
from sidecar.net.transport import HOLDS_SECRET, TARGET, request_body

Exchange = Callable[[httpx.Request, int, asyncio.Timeout, bool], Awaitable[HttpResponse]]
"""Sends a request; takes the bound of the response's body in bytes, the time limit, and whether the status decides."""
ExchangeHook = Callable[[Exchange], Exchange]
"""Gives an exchange to use in place of another one."""


def no_hook(send: Exchange) -> Exchange:
    """Leaves an exchange as it is."""
    return send


_TIMEOUT: Final = "timeout"
_CANCELLED: Final = "cancelled"
_TOO_LARGE: Final = "limit_exceeded"


def recording_hook(on_exchange: Callable[[HttpRecord], None], monotonic: Callable[[], float]) -> ExchangeHook:
    """Hands each exchange to `on_exchange` once it is over, a failed one too."""

    def hook(send: Exchange) -> Exchange:
        async def record(
            request: httpx.Request, max_bytes: int, limit: asyncio.Timeout, status_only: bool
        ) -> HttpResponse:
            began = monotonic()

            def done(response: HttpResponse | None, failure: HttpFailure | None = None, status: int = 0) -> None:
                on_exchange(_record(request, response, failure, status, monotonic() - began))

            try:
                response = await send(request, max_bytes, limit, status_only)
            except BodyTooLarge as failure:
                done(None, HttpFailure(_TOO_LARGE, "", False), failure.status)
                raise
            except FAILURES as failure:
                done(None, _failure(failure, request.extensions[TARGET].authority))
                raise
            except asyncio.CancelledError:
                done(None, HttpFailure(_TIMEOUT if limit.expired() else _CANCELLED, "", True))
                raise
            done(response)
            return response

        return record

    return hook


def offline_hook(find: Callable[[str, str, bytes], HttpRecord]) -> ExchangeHook:
    """Answers each exchange with what `find` gives for its method, URL and body, or raises; nothing is sent."""

    def hook(_send: Exchange) -> Exchange:
        async def answer(request: httpx.Request, max_bytes: int, _: asyncio.Timeout, status_only: bool) -> HttpResponse:
            await asyncio.sleep(0)
            found = find(request.method, str(request.extensions[TARGET]), request_body(request))
            failure = found.failure
            if failure is None:
                body = found.response_body[:max_bytes] if status_only else found.response_body
                return HttpResponse(found.status, CIMultiDict(found.response_fields), body)
            if failure.code == _CANCELLED:  # cancelled by other work, which is replayed too
                await asyncio.Event().wait()
            if failure.code == _TIMEOUT:
                raise TimeoutError
            if failure.code == _TOO_LARGE:
                raise BodyTooLarge(found.status)
            kind = Forbidden if failure.code == ErrorCode.FORBIDDEN else RemoteUnreachable
            raise RecordedFailure(kind(failure.message, retryable=failure.retryable))

        return answer

    return hook


def _record(
    request: httpx.Request, response: HttpResponse | None, failure: HttpFailure | None, status: int, seconds: float
) -> HttpRecord:
    fields: Fields = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw)
    return HttpRecord(
        method=request.method,
        url=str(request.extensions[TARGET]),
        fields=fields,
        body=request_body(request),
        status=response.status if response else status,
        response_fields=tuple(response.headers.items()) if response else (),
        response_body=response.body if response else b"",
        failure=failure,
        holds_secret=bool(request.extensions.get(HOLDS_SECRET)) and response is not None and response.status < 400,
        seconds=seconds,
    )


def _failure(failure: Exception, host: str) -> HttpFailure:
    if isinstance(cause_of(failure), TimeoutError):
        return HttpFailure(_TIMEOUT, "", True)
    error = unreachable(failure, host, retry_certificate=True)
    return HttpFailure(error.code, error.message, error.retryable)
