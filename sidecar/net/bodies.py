"""Bodies of responses, each read to a bound."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, cast

import aiohttp
import httpx

from sidecar.clock import within

SECONDS: Final = 1.0
"""How long the body is read of a response whose status is all that counts; its beginning comes with the status."""


class BodyTooLarge(Exception):
    """A body that is longer than its bound."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


async def whole(response: httpx.Response, most: int) -> bytes:
    """All of it. Raises BodyTooLarge."""
    parts: list[bytes] = []
    size = 0
    async with _parts(response) as stream:
        async for part in stream:
            size += len(part)
            if size > most:
                raise BodyTooLarge(response.status_code)
            parts.append(part)
    return b"".join(parts)


async def beginning(response: httpx.Response, most: int, seconds: float = SECONDS) -> bytes:
    """What can be had of the body: at most so many bytes in so many seconds, up to where it breaks off.

    One that is too long, never ends, or is not what its headers say is no failure. Its connection is closed with the
    response, so that the rest of it is not taken for the next one.
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
    # the transport has unpacked it, or was told not to; httpx would do so without a bound
    return aclosing(cast(AsyncGenerator[bytes, None], aiter(response.stream)))  # type: ignore[arg-type]
