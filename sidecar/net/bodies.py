"""Response bodies, read up to a bound."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, cast

import aiohttp
import httpx

from sidecar.clock import within

SECONDS: Final = 1.0
"""Seconds that the body is read if the status decides; its beginning comes with the status."""


class BodyTooLarge(Exception):
    """The body is longer than its bound."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


async def read_bounded(response: httpx.Response, most: int) -> bytes:
    """The whole body. Raises BodyTooLarge."""
    parts: list[bytes] = []
    size = 0
    async with _parts(response) as stream:
        async for part in stream:
            size += len(part)
            if size > most:
                raise BodyTooLarge(response.status_code)
            parts.append(part)
    return b"".join(parts)


async def read_prefix(response: httpx.Response, most: int, seconds: float = SECONDS) -> bytes:
    """The start of the body: at most `most` bytes within `seconds`, up to where it breaks off.

    A body that is too long, never ends or is malformed is no failure. Its connection is closed with the response, so
    that the rest is not taken for the next response.
    """
    body = bytearray()
    try:
        async with within(seconds), _parts(response) as stream:
            async for part in stream:
                body += part
                if len(body) > most:
                    break
    except (httpx.HTTPError, aiohttp.ClientError, OSError):  # a TimeoutError is one
        pass
    return bytes(body[:most])


def _parts(response: httpx.Response) -> aclosing[AsyncGenerator[bytes, None]]:
    # decompressed by the transport if at all; httpx would do so without a bound
    return aclosing(cast(AsyncGenerator[bytes, None], aiter(response.stream)))  # type: ignore[arg-type]
