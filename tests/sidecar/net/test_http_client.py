"""The HTTP client: what it retries and when, what it follows, and what it makes of every way to fail."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest
from sidecar_protocol.errors import ErrorCode

from sidecar.errors import RemoteFailed, RemoteUnreachable, SidecarError, TimedOut
from sidecar.net.http_client import ATTEMPTS, HttpClient
from sidecar.net.http_response import HttpResponse
from tests.clocks import ManualClock
from tests.fakes import StandInRtcv, nobody_listens
from tests.faults import Kind

BODY = b'{"cv":{"referenceNumber":"a-1","text":"' + b"x" * 3_000_000 + b'"}}'
SELF_SIGNED = Path(__file__).with_name("self_signed.pem")


@pytest.fixture
def time() -> ManualClock:
    """The client's time."""
    return ManualClock()


@pytest.fixture
async def client(time: ManualClock) -> AsyncIterator[HttpClient]:
    """A client whose jitter is always half a second."""
    http = HttpClient(5.0, time.clock, jitter=lambda: 0.5)
    yield http
    await http.close()


@pytest.fixture
async def server() -> AsyncIterator[StandInRtcv]:
    """A server that knows one key; what it answers without it will do here."""
    async with StandInRtcv() as running:
        yield running


async def post(client: HttpClient, server: StandInRtcv, path: str = "/api/v1/scraper/scanCV") -> HttpResponse:
    """One request with a large body."""
    return await client.request("POST", server.url + path, {"Authorization": "Basic x"}, BODY)


async def test_refused_connections_are_retried_after_2_4_and_6_s_and_jitter(
    client: HttpClient, time: ManualClock
) -> None:
    """A closed port is tried four times, and the error says so in the system's own words."""
    with nobody_listens() as url, pytest.raises(RemoteUnreachable) as failed:
        await client.request("GET", f"{url}/secret/path", {})
    assert time.slept == [2.5, 4.5, 6.5]
    authority = url.removeprefix("http://")
    assert failed.value.message == f"{authority} can't be reached: Connection refused (4 attempts)"
    assert (failed.value.code, failed.value.retryable) == (ErrorCode.REMOTE_UNREACHABLE, True)


@pytest.mark.parametrize("kind", ["drop", "close", "truncated"])
async def test_a_broken_answer_is_retried_with_the_whole_body(
    client: HttpClient, server: StandInRtcv, time: ManualClock, kind: Kind
) -> None:
    """Each attempt carries the body from its first byte to its last."""
    server.fail("scanCV", kind, ATTEMPTS - 1)
    answer = await post(client, server)
    assert [request.body == BODY for request in server.requests] == [True] * ATTEMPTS
    assert answer.status == 401
    assert len(time.slept) == ATTEMPTS - 1


@pytest.mark.parametrize("kind", ["drop", "truncated"])
async def test_an_answer_that_stays_broken_is_an_error(
    client: HttpClient, server: StandInRtcv, time: ManualClock, kind: Kind
) -> None:
    """The error after the last attempt names the server and not the URL."""
    server.fail("scanCV", kind, None)
    with pytest.raises(RemoteUnreachable, match=r"^127\.0\.0\.1:\d+ broke off its answer \(\w+\) \(4 attempts\)$"):
        await post(client, server)
    assert len(server.requests) == ATTEMPTS


class Replies:
    """Stands in for the network: answers in turn, the last one again and again, and keeps what was asked."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = list(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """The next answer."""
        self.requests.append(request)
        one = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return httpx.Response(one.status_code, headers=one.headers.raw, content=one.content)

    async def post(self, time: ManualClock) -> HttpResponse:
        """What the client makes of them."""
        client = HttpClient(5.0, time.clock, lambda: 0.5, httpx.MockTransport(self))
        return await client.request("POST", "http://server.example/a", {"Authorization": "Basic x"}, BODY)


def refusal(status: int, retry_after: str | None = None) -> httpx.Response:
    """An answer that refuses."""
    headers = [] if retry_after is None else [(b"Retry-After", retry_after.encode())]
    return httpx.Response(status, headers=headers, content=b"no")


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "waited"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("120", 120.0),
        (formatdate(1_800_000_090, usegmt=True), 90.0),
        (formatdate(1_700_000_000, usegmt=True), 0.0),
        (None, 2.5),
        ("-5", 2.5),
        ("1.5", 2.5),
        ("soon", 2.5),
        ("\u00b2", 2.5),
        ("Sat, 01 Jan 99999 00:00:00 GMT", 2.5),
        ("1 Jan 2020 99999999999999999999:0:0", 2.5),
        ("Fri, 01 Jan 0001 00:00:00 GMT", 0.0),
    ],
)
async def test_a_busy_server_says_when_to_come_back(
    time: ManualClock, status: int, header: str | None, waited: float
) -> None:
    """`Retry-After` counts in both its forms; without a usable one the usual pauses do."""
    replies = Replies(refusal(status, header), httpx.Response(401))
    answer = await replies.post(time)
    assert time.slept == [waited]
    assert answer.status == 401
    assert [request.content == BODY for request in replies.requests] == [True, True]


async def test_a_server_that_stays_busy_has_its_answer_passed_on(time: ManualClock) -> None:
    """Four refusals in a row are an answer like another."""
    answer = await Replies(refusal(503, "1")).post(time)
    assert (answer.status, answer.headers["retry-after"], answer.body) == (503, "1", b"no")
    assert time.slept == [1.0, 1.0, 1.0]


async def test_a_server_that_is_busy_for_long_is_not_waited_for(time: ManualClock) -> None:
    """A server that asks for more than two minutes gets no retry: its refusal is final."""
    assert (await Replies(refusal(429, "121")).post(time)).status == 429
    assert time.slept == []


@pytest.mark.parametrize("status", [400, 404, 413, 500, 501, 502, 504])
async def test_other_statuses_are_final(time: ManualClock, status: int) -> None:
    """A refusal is not asked for twice."""
    replies = Replies(refusal(status))
    assert (await replies.post(time)).status == status
    assert (len(replies.requests), time.slept) == (1, [])


async def test_a_busy_server_over_a_real_connection(client: HttpClient, server: StandInRtcv, time: ManualClock) -> None:
    """Is waited for, and gets the whole body again."""
    server.fail("scanCV", "error", 1, status=503, retry_after=7)
    assert (await post(client, server)).status == 401
    assert time.slept == [7.0]
    assert [request.body == BODY for request in server.requests] == [True, True]


async def test_a_server_that_hangs_times_out_once(server: StandInRtcv, time: ManualClock) -> None:
    """What took its whole time is not given the same time again."""
    client = HttpClient(0.2, time.clock)
    server.fail("scanCV", "hang", None)
    with pytest.raises(TimedOut, match=r"^127\.0\.0\.1:\d+ did not answer within 0\.2 s$") as failed:
        await post(client, server)
    assert (failed.value.code, failed.value.retryable) == (ErrorCode.TIMEOUT, True)
    assert (len(server.requests), time.slept) == (1, [])
    await client.close()


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("location", [None, "?moved=1", "/else/where?moved=1", "{url}/else/where?moved=1"])
async def test_redirects_on_the_same_host_are_followed_with_their_body(
    client: HttpClient, server: StandInRtcv, status: int, location: str | None
) -> None:
    """307 and 308 keep the method, the headers and the body."""
    server.fail("scanCV", "redirect", 1, status=status, location=location and location.format(url=server.url))
    await post(client, server)
    first, second = server.requests
    assert second.path != first.path
    assert (second.method, second.headers["Authorization"], second.body == BODY) == ("POST", "Basic x", True)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304])
async def test_other_redirects_are_errors(client: HttpClient, server: StandInRtcv, status: int) -> None:
    """A redirect that would change the method is not followed."""
    server.fail("scanCV", "redirect", 1, status=status)
    with pytest.raises(RemoteFailed) as failed:
        await post(client, server)
    authority = server.url.removeprefix("http://")
    assert failed.value.message == f"{authority} redirected with {status}, which is not followed"
    assert (failed.value.details, failed.value.retryable) == ({"status": status}, False)
    assert len(server.requests) == 1


async def test_nothing_is_sent_to_another_host(client: HttpClient, server: StandInRtcv) -> None:
    """The key stays with the server that it belongs to: a port or a spelling more is another server."""
    async with StandInRtcv() as other:
        port = server.url.rpartition(":")[2]
        for location in (f"{other.url}/x", f"http://localhost:{port}/x", f"https://127.0.0.1:{port}/x"):
            server.fail("scanCV", "redirect", 1, status=308, location=location)
            with pytest.raises(RemoteFailed, match="redirected with 308, which is not followed"):
                await post(client, server)
        assert other.requests == []
    assert len(server.requests) == 3


@pytest.mark.parametrize("location", ["http://[", "http://h:99999/", "mailto:somebody", "javascript:x"])
async def test_a_redirect_to_nowhere_is_an_error(client: HttpClient, server: StandInRtcv, location: str) -> None:
    """A `Location` that is no place is an error of the server's."""
    server.fail("scanCV", "redirect", 1, status=308, location=location)
    with pytest.raises(RemoteFailed, match="redirected with 308, which is not followed"):
        await post(client, server)


async def test_users_in_a_redirect_are_ignored(client: HttpClient, server: StandInRtcv) -> None:
    """A server can't swap our authorization for one of its own."""
    location = server.url.replace("://", "://eve:secret@") + "/x"
    server.fail("scanCV", "redirect", 1, status=307, location=location)
    await post(client, server)
    assert server.requests[1].headers["Authorization"] == "Basic x"


async def test_an_answer_has_a_bound(client: HttpClient, server: StandInRtcv, monkeypatch: pytest.MonkeyPatch) -> None:
    """No server can fill our memory."""
    assert (await post(client, server)).status == 401
    monkeypatch.setattr("sidecar.net.http_client.MAX_BYTES", 10)
    with pytest.raises(RemoteFailed, match="answered with more than 10 bytes") as failed:
        await post(client, server)
    assert not failed.value.detail.retryable


async def test_a_redirect_loop_ends(client: HttpClient, server: StandInRtcv, time: ManualClock) -> None:
    """Five redirects are followed, the sixth is an error."""
    server.fail("scanCV", "redirect", None, status=308, location="/api/v1/scraper/scanCV")
    with pytest.raises(RemoteFailed, match=r"^127\.0\.0\.1:\d+ redirected more than 5 times$"):
        await post(client, server)
    assert (len(server.requests), time.slept) == (6, [])


async def test_an_untrusted_certificate_is_final(client: HttpClient, time: ManualClock) -> None:
    """The key is sent to no server without a valid certificate, and retries don't change that."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(SELF_SIGNED)
    asked: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read())
        writer.close()

    listening = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context)
    port = listening.sockets[0].getsockname()[1]
    try:
        with pytest.raises(RemoteUnreachable) as failed:
            await client.request("GET", f"https://127.0.0.1:{port}/x", {"Authorization": "Basic x"})
    finally:
        listening.close()
    assert failed.value.message == f"127.0.0.1:{port} has a certificate that can't be trusted"
    assert (failed.value.retryable, time.slept, asked) == (False, [], [])


async def test_a_server_without_tls_is_no_https_server(client: HttpClient, server: StandInRtcv) -> None:
    """`https` for a plain `http` server is reported as such."""
    url = server.url.replace("http://", "https://")
    with pytest.raises(RemoteUnreachable, match=r"can't be reached: .*SSL"):
        await client.request("GET", url, {})


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".nl", "1.2.3.4.5"])
async def test_an_invalid_host_is_an_error(client: HttpClient, time: ManualClock, host: str) -> None:
    """What the resolver won't even look up is not tried again."""
    with pytest.raises(RemoteUnreachable, match=r"is no usable address$"):
        await client.request("GET", f"http://{host}/x", {})
    assert time.slept == []


async def test_a_request_can_be_cancelled_in_a_pause(server: StandInRtcv) -> None:
    """Cancelling does not wait for the end of a pause between attempts."""
    paused = asyncio.Event()
    time = ManualClock()

    async def sleep(seconds: float) -> None:
        paused.set()
        await asyncio.Event().wait()

    client = HttpClient(5.0, type(time.clock)(now=time.clock.now, monotonic=time.clock.now, sleep=sleep))
    server.fail("scanCV", "drop", None)
    task = asyncio.create_task(post(client, server))
    await asyncio.wait_for(paused.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await client.close()
    assert len(server.requests) == 1


def test_every_failure_is_one_of_ours() -> None:
    """What the client raises has a code on the wire."""
    assert all(issubclass(kind, SidecarError) for kind in (RemoteFailed, RemoteUnreachable, TimedOut))
