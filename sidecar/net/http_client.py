"""One HTTP client: bounded, retrying, and with every failure as an error of ours that holds no URL and no key."""

import io
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp
from yarl import URL

from sidecar.clock import Clock
from sidecar.errors import RemoteFailed, RemoteUnreachable, TimedOut
from sidecar.net.bodies import beginning

ATTEMPTS: Final = 4
MAX_REDIRECTS: Final = 5
MAX_RETRY_AFTER: Final = 120.0
"""Seconds; a server that asks for more gets its refusal passed on."""
MAX_BYTES: Final = 64 << 20
"""What is read of an answer, unpacked; the references of a month are far less."""
MOST_SAID: Final = 1 << 16
"""What is read of an answer whose status is all that counts, for the words of a refusal."""
_BUSY: Final = frozenset({429, 503})
_KEEP_METHOD: Final = frozenset({307, 308})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered, whatever the status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Busy(Exception):
    """The server asked us to come back after `seconds`."""

    def __init__(self, answer: Answer, seconds: float | None) -> None:
        super().__init__(answer.status)
        self.answer = answer
        self.seconds = seconds


class HttpClient:
    """Requests with retries: connection failures after 2, 4 and 6 s with jitter, 429 and 503 when the server says."""

    def __init__(self, timeout: float, clock: Clock, jitter: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._jitter = jitter
        self._timeout = timeout
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
        )

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        attempts: int = ATTEMPTS,
        notice: bool = False,
    ) -> Answer:
        """One answer of any status; to a `notice` that is the whole answer, and of its body there is what could be had.

        Raises RemoteUnreachable after the last attempt, TimedOut, and RemoteFailed for a redirect that is not
        followed: only 307 and 308 on the same host are, with their body.
        """
        target = URL(url, encoded=True)
        for attempt in range(1, attempts + 1):
            pause = 2.0 * attempt + self._jitter()
            try:
                return await self._once(method, target, headers, body, notice)
            except _Busy as busy:
                if attempt == attempts:
                    return busy.answer
                pause = pause if busy.seconds is None else busy.seconds
            except RemoteUnreachable as failure:
                if not failure.retryable or attempts == 1:
                    raise
                if attempt == attempts:
                    raise RemoteUnreachable(f"{failure.message} ({attempts} attempts)") from None
            await self._clock.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    async def close(self) -> None:
        """Closes every connection."""
        await self._session.close()

    async def _once(
        self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None, notice: bool
    ) -> Answer:
        here = url
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._send(method, here, headers, body, notice)
            if answer.status in _BUSY:
                seconds = retry_after(answer.headers, self._clock.now())
                if seconds is None or seconds <= MAX_RETRY_AFTER:
                    raise _Busy(answer, seconds)
            if not 300 <= answer.status < 400:
                return answer
            here = _redirected(here, answer)
        raise RemoteFailed(f"{url.authority} redirected more than {MAX_REDIRECTS} times", status=answer.status)

    async def _send(
        self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None, notice: bool
    ) -> Answer:
        try:
            async with self._session.request(
                method, url, data=body and io.BytesIO(body), headers=headers, allow_redirects=False
            ) as response:
                content = await (beginning(response, MOST_SAID) if notice else _bounded(response))
                return Answer(response.status, response.headers, content)
        except TimeoutError:
            raise TimedOut(f"{url.authority} did not answer within {self._timeout:g} s") from None
        except aiohttp.ClientConnectorCertificateError:  # no `os_error` in this one
            said = f"{url.authority} has a certificate that can't be trusted"
            raise RemoteUnreachable(said, retryable=False) from None
        except aiohttp.ClientConnectorError as failure:
            raise RemoteUnreachable(f"{url.authority} can't be reached: {why(failure)}") from None
        except (aiohttp.InvalidURL, UnicodeError):  # what only the resolver objects to, such as a label of 64 letters
            raise RemoteUnreachable(f"{url.authority} is no usable address", retryable=False) from None
        except (aiohttp.ClientError, OSError) as failure:
            raise RemoteUnreachable(f"{url.authority} broke off its answer ({type(failure).__name__})") from None


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > MAX_BYTES:
            response.close()
            said = f"{response.url.authority} answered with more than {MAX_BYTES} bytes"
            raise RemoteFailed(said, status=response.status, retryable=False)
    return bytes(body)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait, from either form of the header; None where it says nothing usable. `now` is Unix time."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def why(failure: aiohttp.ClientConnectorError) -> str:
    """Why there is no connection, in the system's own words."""
    # asyncio puts an address in their place where a connection is refused
    error = failure.os_error
    if type(failure) is aiohttp.ClientConnectorError and error.errno:
        return os.strerror(error.errno)
    return error.strerror or type(error).__name__


def _redirected(here: URL, answer: Answer) -> URL:
    try:
        there = here.join(URL(answer.headers["Location"])).with_user(None)
        if answer.status in _KEEP_METHOD and there.origin() == here.origin():
            return there
    except (KeyError, ValueError):  # no target, or one that is no URL
        pass
    raise RemoteFailed(
        f"{here.authority} redirected with {answer.status}, which is not followed",
        status=answer.status,
        retryable=False,
    )
