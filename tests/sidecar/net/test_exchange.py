"""The errors of the two clients, whichever library raised them."""

import asyncio

import aiohttp
import httpx
import pytest
from httpx_aiohttp.transport import map_aiohttp_exceptions

from sidecar.clock import Clock
from sidecar.errors import RemoteUnreachable, SidecarError, TimedOut
from sidecar.net.http_client import HttpClient
from sidecar.net.public_http import PublicHttpClient

URL = "http://server.example/a?key=b"


class Failing:
    """A network on which each request fails as aiohttp's would, and the last one succeeds."""

    def __init__(self, *failures: Exception) -> None:
        self._failures = list(failures)
        self.asked = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Fails, or answers."""
        self.asked += 1
        if self._failures:
            with map_aiohttp_exceptions():
                raise self._failures.pop(0)
        return httpx.Response(200, content=b"ok")


async def from_both(failure: Exception) -> list[SidecarError]:
    """The errors of a request to a server and of one to a URL in a message."""
    http = HttpClient(5.0, Clock(), transport=httpx.MockTransport(Failing(failure)))
    public = PublicHttpClient(Clock(), allow_private=True, transport=httpx.MockTransport(Failing(failure)))
    failed = []
    for request in (
        http.request("GET", URL, {}, attempts=1),
        public.request("GET", URL, timeout=5, max_bytes=10),
    ):
        with pytest.raises(SidecarError) as one:
            await request
        failed.append(one.value)
    return failed


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (aiohttp.ServerDisconnectedError(), "broke off its answer (ServerDisconnectedError)"),
        (aiohttp.ClientOSError(104, "reset"), "broke off its answer (ClientOSError)"),
        (aiohttp.ClientPayloadError("key=b"), "broke off its answer (ClientPayloadError)"),
        (aiohttp.ClientConnectionError("key=b"), "broke off its answer (ClientConnectionError)"),
        (ConnectionResetError(104, "key=b"), "broke off its answer (ConnectionResetError)"),
        (httpx.ReadError("key=b"), "broke off its answer (ReadError)"),
        (aiohttp.InvalidURL("key=b"), "is no usable address"),
        (UnicodeError("key=b"), "is no usable address"),
    ],
)
async def test_the_error_names_the_cause_and_not_its_text(failure: Exception, said: str) -> None:
    """aiohttp's own exception names the failure, for httpx's is often another one."""
    for failed in await from_both(failure):
        assert isinstance(failed, RemoteUnreachable)
        assert failed.message.removeprefix("server.example").removeprefix(":80") == f" {said}"


async def test_a_certificate_may_be_mended_by_the_next_delivery() -> None:
    """A login with one that can't be trusted is not tried again; a webhook is."""
    key = aiohttp.client_reqrep.ConnectionKey("server.example", 443, True, True, None, None, None)
    failures = await from_both(aiohttp.ClientConnectorCertificateError(key, ValueError("key=b")))
    assert [failed.detail.retryable for failed in failures] == [False, True]
    assert all(failed.message.endswith("has a certificate that can't be trusted") for failed in failures)


@pytest.mark.parametrize("failure", [TimeoutError(), aiohttp.ServerTimeoutError(), aiohttp.ConnectionTimeoutError()])
async def test_a_timeout_is_a_timeout(failure: Exception) -> None:
    """A timeout is the same error, whichever layer noticed it."""
    assert all(isinstance(failed, TimedOut) for failed in await from_both(failure))


@pytest.mark.parametrize("failure", [aiohttp.ServerDisconnectedError(), aiohttp.ClientOSError(104, "reset")])
async def test_only_a_notice_is_sent_again(failure: Exception) -> None:
    """A request of which only the status counts is sent again after a broken connection, once."""
    for status_only, failures, asked in ((True, 1, 2), (True, 2, 2), (False, 1, 1)):
        network = Failing(*[failure] * failures)
        public = PublicHttpClient(Clock(), allow_private=True, transport=httpx.MockTransport(network))
        sending = public.request("POST", URL, timeout=5, max_bytes=10, status_only=status_only)
        if asked > failures:
            assert (await sending).body == b"ok"
        else:
            with pytest.raises(RemoteUnreachable):
                await sending
        assert network.asked == asked


async def test_a_whole_time_counts_for_all_of_it() -> None:
    """A time limit covers the whole response of an endless server."""

    async def hang(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    http = HttpClient(0.05, Clock(), transport=httpx.MockTransport(hang))
    with pytest.raises(TimedOut, match=r"^server\.example did not answer within 0\.05 s$"):
        await http.request("GET", URL, {})
