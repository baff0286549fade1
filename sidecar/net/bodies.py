"""The body of an answer whose status has said all that counts."""

from typing import Final

import aiohttp

from sidecar.clock import within

SECONDS: Final = 1.0
"""How long such a body is read; its beginning comes with the status, or soon after."""


async def beginning(response: aiohttp.ClientResponse, most: int, seconds: float = SECONDS) -> bytes:
    """What can be had of the body: at most so many bytes in so many seconds, up to where it breaks off.

    One that is too long, never ends, or is not what its headers say is no failure. Its connection is closed, so that
    the rest of it is not taken for the next answer.
    """
    body = bytearray()
    try:
        async with within(seconds):
            async for part in response.content.iter_any():
                body += part
                if len(body) > most:
                    break
            else:
                return bytes(body)
    except (aiohttp.ClientError, OSError):  # a TimeoutError is one
        pass
    response.close()
    return bytes(body[:most])
