"""Bodies of requests: bounded in size, in time, and together in memory."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError
from sidecar_protocol.errors import ErrorCode

from sidecar.clock import within
from sidecar.errors import LimitExceeded, QueueFull
from sidecar.server.http.refusals import CLOSE, Refused

BODY_SECONDS: Final = 20.0
"""How long a body may take to arrive, without the time for its bytes at this rate:"""
BYTES_PER_SECOND: Final = 64 << 10


class Bodies:
    """Reads bodies; the bytes of all that are held at a time have a limit."""

    def __init__(self, max_bytes: int, max_together: int, monotonic: Callable[[], float]) -> None:
        """One body may have `max_bytes`, all that are held at a time `max_together`."""
        self._max_bytes = max_bytes
        self._max_together = max(max_bytes, max_together)
        self._monotonic = monotonic
        self.held = 0

    @contextmanager
    def hold(self) -> Iterator["HeldBody"]:
        """What one request reads counts until the block ends."""
        body = HeldBody(self)
        try:
            yield body
        finally:
            self.held -= body.size

    async def read(self, request: web.BaseRequest, body: "HeldBody") -> bytes:
        """A request's body. Raises Refused: 408, 413, 415, 429, 501, or 400 for what was cut off."""
        length = request.content_length
        if length is not None and length > self._max_bytes:
            raise self.too_long()
        encoding = request.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            message = "the body must not be encoded (Content-Encoding)"
            raise Refused.because(ErrorCode.INVALID_REQUEST, message, 415, {"Accept-Encoding": "identity", **CLOSE})
        coding = request.headers.get("Transfer-Encoding", "chunked")
        if coding.lower() != "chunked":
            message = "the body must not be encoded (Transfer-Encoding), only chunked"
            raise Refused.because(ErrorCode.INVALID_REQUEST, message, 501, CLOSE)
        if not request.can_read_body:
            return b""
        self.take(body, length or 0)
        await _continue(request)
        chunks: list[bytes] = []
        received, start = 0, self._monotonic()
        while True:
            deadline = start + BODY_SECONDS + received / BYTES_PER_SECOND
            chunk = await _next(request, deadline - self._monotonic())
            if not chunk:
                return b"".join(chunks)
            received += len(chunk)
            if received > self._max_bytes:
                raise self.too_long()
            if received > body.size:
                self.take(body, received - body.size)
            chunks.append(chunk)

    def take(self, body: "HeldBody", size: int) -> None:
        """Counts bytes that are about to be read. Raises Refused where others hold too many."""
        if self.held + size > self._max_together:
            raise Refused.of(QueueFull("too many bytes of requests are in flight; try again"), headers=CLOSE)
        self.held += size
        body.size += size

    def too_long(self) -> Refused:
        """The body is over the limit."""
        message = f"the body is longer than {self._max_bytes} bytes"
        return Refused.of(LimitExceeded(message), 413, CLOSE)


class HeldBody:
    """How many bytes one request has taken of what all may hold."""

    __slots__ = ("_bodies", "size")

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.size = 0

    async def read(self, request: web.BaseRequest) -> bytes:
        """The request's body. Raises Refused."""
        return await self._bodies.read(request, self)


async def _continue(request: web.BaseRequest) -> None:
    """Asks for a body that the client holds back until we do (RFC 9110)."""
    expect = request.headers.get("Expect")
    if expect is None or request.version < HttpVersion11:
        return
    if expect.lower() != "100-continue":
        raise Refused.because(ErrorCode.INVALID_REQUEST, "expected 100-continue in Expect", 417, CLOSE)
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # it is no part of the response


async def _next(request: web.BaseRequest, seconds: float) -> bytes:
    try:
        async with within(max(seconds, 0)):
            return await request.content.readany()
    except TimeoutError:
        raise Refused.because(ErrorCode.TIMEOUT, "the body took too long to arrive", 408, CLOSE) from None
    except (RequestPayloadError, HttpProcessingError, ConnectionError, asyncio.IncompleteReadError):
        message = "the body was cut off or is not framed as HTTP has it"
        raise Refused.because(ErrorCode.INVALID_REQUEST, message, 400, CLOSE) from None
