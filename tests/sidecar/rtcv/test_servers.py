"""One RT-CV server, and the servers of a login, against stand-ins that answer as RT-CV does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from sidecar_protocol.session import Credentials
from sidecar_protocol.wire_types import Secret

from sidecar.errors import (
    Forbidden,
    InvalidContent,
    NotFound,
    RemoteFailed,
    RemoteUnreachable,
    SidecarError,
    Unauthorized,
)
from sidecar.net.http_client import HttpClient
from sidecar.rtcv.servers import RtcvServer, RtcvServers, account_id_of, check_location
from tests.clocks import ManualClock
from tests.fakes import ENCRYPTION_KEY, KEY, KEY_ID, ApiKey, StandInRtcv
from tests.fakes import Secret as StoredSecret

LONG_KEY = "an encryption/key with €, % and ünïcode"
CV = b'{"referenceNumber":"a-1"}'


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    """A client whose pauses take no time."""
    client = HttpClient(5.0, ManualClock().clock)
    yield client
    await client.close()


@pytest.fixture
async def stand_in() -> AsyncIterator[StandInRtcv]:
    """A running server."""
    async with StandInRtcv() as server:
        yield server


def credentials(url: str, *, key: str = KEY, name: str = "", results: str = "/results") -> Credentials:
    """Credentials for a server."""
    return Credentials(server_location=url, api_key_id=KEY_ID, api_key=Secret(key), name=name, results_path=results)


class Login:
    """Servers of one login, the first of them the primary, and the copies that were put for the others."""

    def __init__(self, *urls: str) -> None:
        self.copies: list[tuple[str, bytes, str]] = []
        http = HttpClient(5.0, ManualClock().clock)
        results = "/api/v1/scraper/jobResult"
        servers = [RtcvServer(http, credentials(url, results=results)) for url in urls]
        self.servers = RtcvServers(http, servers, 0, lambda *copy: self.copies.append(copy))


@pytest.mark.parametrize("slash", ["", "/", "//"])
async def test_a_login_checks_health_and_key(http: HttpClient, stand_in: StandInRtcv, slash: str) -> None:
    """Two questions, at paths that a trailing slash does not change, with RT-CV's own kind of authorization."""
    await RtcvServer(http, credentials(stand_in.url + slash)).check()
    assert [request.path for request in stand_in.requests] == ["/api/v1/health", "/api/v1/auth/keyinfo"]
    digest = ApiKey().digest
    assert digest == digest.lower()
    assert {request.headers["Authorization"] for request in stand_in.requests} == {f"Basic {KEY_ID}:{digest}"}


@pytest.mark.parametrize("role", [2, 2 | 4 | 8 | 16])
async def test_a_key_has_to_be_a_scrapers(http: HttpClient, role: int) -> None:
    """Role 1 must be among the key's roles, whatever else is."""
    async with StandInRtcv(keys=[ApiKey(role=role)]) as server:
        with pytest.raises(Forbidden) as failed:
            await RtcvServer(http, credentials(server.url)).check()
    assert failed.value.message == "provided key does not have scraper role (nr 1)"


async def test_a_key_may_have_more_roles(http: HttpClient) -> None:
    """A key for everything scrapes too."""
    async with StandInRtcv(keys=[ApiKey(role=31)]) as server:
        await RtcvServer(http, credentials(server.url)).check()


async def test_a_wrong_key_is_unauthorized(http: HttpClient, stand_in: StandInRtcv) -> None:
    """A wrong key is `unauthorized` with the server's text, without the key."""
    with pytest.raises(Unauthorized, match=r"^auth header is invalid$") as failed:
        await RtcvServer(http, credentials(stand_in.url, key="another-key")).check()
    hint = "check api_key_id and api_key: the server does not know this pair"
    assert failed.value.details == {"status": 401, "hint": hint}


@pytest.mark.parametrize("path", ["health", "keyinfo"])
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("error", "injected failure"),
        ("empty_json", "server returned 500 code, with body {}"),
        ("html", "server returned 502 code, with body <html>\n<head>"),
    ],
)
async def test_a_server_that_fails_its_check(
    http: HttpClient, stand_in: StandInRtcv, path: str, kind: str, said: str
) -> None:
    """Its own words are the error."""
    stand_in.fail(path, kind)  # type: ignore[arg-type]
    with pytest.raises(RemoteFailed) as failed:
        await RtcvServer(http, credentials(stand_in.url)).check()
    assert failed.value.message.startswith(said)


@pytest.mark.parametrize("kind", ["not_json", "empty"])
@pytest.mark.parametrize("path", ["keyinfo", "scannedReferenceNrs", "scanCV", "secrets"])
async def test_a_success_without_json_is_an_error(
    http: HttpClient, stand_in: StandInRtcv, path: str, kind: str
) -> None:
    """A proxy's friendly page is no answer, and no match, no secret and no list either."""
    server = RtcvServer(http, credentials(stand_in.url))
    stand_in.fail(path, kind)  # type: ignore[arg-type]
    calls: dict[str, Callable[[], object]] = {
        "keyinfo": server.check,
        "scannedReferenceNrs": server.scanned_references,
        "scanCV": lambda: server.scan_cv(CV),
        "secrets": lambda: server.secret("user", ENCRYPTION_KEY),
    }
    with pytest.raises(RemoteFailed) as failed:
        await calls[path]()  # type: ignore[misc]
    assert failed.value.message == "server returned 200 code, with a body that is not the expected JSON"


@pytest.mark.parametrize(
    ("scanned", "given"), [(["b", "a", "é\u0000"], ["b", "a", "é\u0000"]), ([], []), (None, []), ([""], [""])]
)
async def test_scanned_references(http: HttpClient, scanned: list[str] | None, given: list[str]) -> None:
    """The server's list; Go writes an empty one as null."""
    async with StandInRtcv(keys=[ApiKey(scanned=scanned)]) as server:  # type: ignore[arg-type]
        assert await RtcvServer(http, credentials(server.url)).scanned_references() == given
        assert server.requests[0].path == "/api/v1/scraper/scannedReferenceNrs/since/days/30"


@pytest.mark.parametrize("scanned", [{"a": 1}, [1], [None], "a"])
async def test_scanned_references_of_another_shape(http: HttpClient, scanned: object) -> None:
    """Anything but a list of strings is refused."""
    async with StandInRtcv(keys=[ApiKey(scanned=scanned)]) as server:  # type: ignore[arg-type]
        with pytest.raises(RemoteFailed, match="not the expected JSON"):
            await RtcvServer(http, credentials(server.url)).scanned_references()


@pytest.mark.parametrize(
    ("key", "segment"),
    [
        ("user", "user"),
        ("a/b", "a%2Fb"),
        ("a b+c", "a%20b%2Bc"),
        ("ü€", "%C3%BC%E2%82%AC"),
        ("100%", "100%25"),
        ("q?x#y&z", "q%3Fx%23y%26z"),
        ("a\u0000", "a%00"),
        ("%2F", "%252F"),
    ],
)
async def test_a_secrets_key_is_one_segment_of_the_path(http: HttpClient, key: str, segment: str) -> None:
    """A key can't change the path around it, whatever it contains."""
    encryption_segment = "an%20encryption%2Fkey%20with%20%E2%82%AC%2C%20%25%20and%20%C3%BCn%C3%AFcode"
    stored = {segment: StoredSecret(b'{"b":12.50}', encryption_segment)}
    async with StandInRtcv(keys=[ApiKey(secrets=stored)]) as server:
        assert bytes(await RtcvServer(http, credentials(server.url)).secret(key, LONG_KEY)) == b'{"b":12.50}'
        assert server.requests[0].path == f"/api/v1/secrets/myKey/{segment}/{encryption_segment}"


async def test_a_secret_that_is_not_there(http: HttpClient, stand_in: StandInRtcv) -> None:
    """`not_found`, in the server's words."""
    with pytest.raises(NotFound, match=r"^item not found$"):
        await RtcvServer(http, credentials(stand_in.url)).secret("nothing", ENCRYPTION_KEY)


async def test_a_secret_needs_the_right_encryption_key(http: HttpClient, stand_in: StandInRtcv) -> None:
    """The server's own words for a wrong one; an empty one is refused before it is sent."""
    server = RtcvServer(http, credentials(stand_in.url))
    with pytest.raises(RemoteFailed, match=r"^cipher: message authentication failed$"):
        await server.secret("user", "another-encryption-key")
    with pytest.raises(InvalidContent, match=r"^encryption_key cannot be empty$"):
        await server.secret("user", "")
    assert len(stand_in.requests) == 1


async def test_an_error_holds_neither_key_nor_url(http: HttpClient, stand_in: StandInRtcv) -> None:
    """An error contains neither key nor URL, even if the server echoes the whole request."""
    echo = f"GET {stand_in.url}/api/v1/secrets/myKey/user/{LONG_KEY} {KEY} {ApiKey().digest}"
    stand_in.fail("secrets", "error").error = echo
    with pytest.raises(RemoteFailed) as failed:
        await RtcvServer(http, credentials(stand_in.url)).secret("user", LONG_KEY)
    authority = stand_in.url.removeprefix("http://")
    assert failed.value.message == f"GET {authority} ********** **********"


async def test_a_cv_goes_out_as_it_came(http: HttpClient, stand_in: StandInRtcv) -> None:
    """Order, numbers, escapes and duplicates: the server gets the bytes that the parent wrote."""
    cv = b'{"z":1e999, "referenceNumber":"a-1","n":123456789012345678901234567890.10,"s":"\\u00e9\\/","z":[ ]}'
    assert await RtcvServer(http, credentials(stand_in.url)).scan_cv(cv) is True
    assert stand_in.requests[0].body == b'{"cv":' + cv + b"}"
    assert stand_in.requests[0].headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("body", [b"[]", b"null", b'{"success":true}', b'{"hasMatches":null}', b'{"hasMatches":1}'])
async def test_a_match_is_a_bool(http: HttpClient, body: bytes) -> None:
    """JSON without `hasMatches` says nothing, and nothing is not false."""
    async with Fixed(body) as url:
        with pytest.raises(RemoteFailed, match="not the expected JSON"):
            await RtcvServer(http, credentials(url)).scan_cv(CV)


async def test_a_result_that_was_taken_is_not_posted_again(http: HttpClient, stand_in: StandInRtcv) -> None:
    """The status decides, though the answer breaks off."""
    stand_in.fail("jobResult", "truncated")
    server = RtcvServer(http, credentials(stand_in.url, results="/api/v1/scraper/jobResult"))
    await server.post_result(b'{"a":1}', "run-1")
    assert len(stand_in.requests) == 1


async def test_a_result_is_posted_under_its_key(http: HttpClient, stand_in: StandInRtcv) -> None:
    """A result is posted to the path of the credentials, with the idempotency key."""
    path = "/api/v1/scraper/jobResult"
    await RtcvServer(http, credentials(stand_in.url, results=path)).post_result(b'{"a":1}', "run-1")
    with pytest.raises(RemoteFailed):
        await RtcvServer(http, credentials(stand_in.url, results="/mine")).post_result(b"{}", "run-2")
    first, second = stand_in.requests
    assert (first.path, first.headers["Idempotency-Key"], first.body) == (path, "run-1", b'{"a":1}')
    assert (second.path, second.headers["Idempotency-Key"]) == ("/mine", "run-2")


async def test_servers_are_checked_at_once() -> None:
    """No server is asked after another: all of them have been asked before the first has answered."""
    async with AsyncExitStack() as stack:
        stand_ins = [await stack.enter_async_context(StandInRtcv()) for _ in range(3)]
        for server in stand_ins:
            server.fail("health", "hang")
        login = Login(*(server.url for server in stand_ins))
        checking = asyncio.create_task(login.servers.check())
        for server in stand_ins:
            await server.wait_for("health")
        for server in stand_ins:
            server.release()
        assert await checking == []
        assert [len(server.to("scannedReferenceNrs")) for server in stand_ins] == [1, 0, 0]
        await login.servers.close()


async def test_one_bad_server_fails_the_check() -> None:
    """The error is that server's, and the others are not waited for."""
    async with StandInRtcv() as good, StandInRtcv(keys=[ApiKey(role=2)]) as bad:
        good.fail("health", "hang", None)
        login = Login(good.url, bad.url)
        with pytest.raises(Forbidden, match="scraper role"):
            await login.servers.check()
        assert good.to("scannedReferenceNrs") == []
        await login.servers.close()


async def test_the_primary_answers_and_the_others_get_a_copy() -> None:
    """A secondary's opinion is not asked for; each copy has a key of its own."""
    async with StandInRtcv(matches=lambda cv: False) as primary:
        login = Login(primary.url)
        assert [await login.servers.scan_cv(CV) for _ in range(2)] == [False, False]
        await login.servers.forward(b'{"a":1}', "run-1")
        await login.servers.close()
    assert [copy[:2] for copy in login.copies] == [("cv", CV), ("cv", CV), ("result", b'{"a":1}')]
    keys = [copy[2] for copy in login.copies]
    assert keys[2] == "run-1"
    assert len(set(keys)) == 3


async def test_a_copy_is_one_attempt() -> None:
    """The outbox decides about retries, so every answer is returned unchanged."""
    async with StandInRtcv() as server:
        client = HttpClient(5.0, ManualClock().clock)
        one = RtcvServer(client, credentials(server.url, results="/api/v1/scraper/jobResult"))
        assert (await one.deliver("cv", CV, "key-1")).status == 200
        assert (await one.deliver("result", b'{"a":1}', "key-2")).status == 200
        server.fail("/", "error", status=503, retry_after=7)
        busy = await one.deliver("cv", CV, "key-1")
        assert (busy.status, busy.headers["Retry-After"]) == (503, "7")
        server.fail("/", "drop")
        with pytest.raises(RemoteUnreachable):
            await one.deliver("cv", CV, "key-1")
        await client.close()
    assert [(request.body, request.headers["Idempotency-Key"]) for request in server.requests] == [
        (b'{"cv":' + CV + b"}", "key-1"),
        (b'{"a":1}', "key-2"),
        (b'{"cv":' + CV + b"}", "key-1"),
        (b'{"cv":' + CV + b"}", "key-1"),
    ]
    assert {request.path for request in server.to("scanCV")} == {"/api/v1/scraper/scanCV"}


async def test_a_failing_primary_is_an_error() -> None:
    """The others get their copy all the same."""
    async with StandInRtcv() as primary:
        primary.fail("scanCV", "error", status=500)
        login = Login(primary.url)
        with pytest.raises(RemoteFailed, match="injected failure"):
            await login.servers.scan_cv(CV)
        primary.fail("jobResult", "error", status=400)
        with pytest.raises(RemoteFailed, match="injected failure"):
            await login.servers.forward(b"{}", "run-1")
        await login.servers.close()
    assert [copy[0] for copy in login.copies] == ["cv", "result"]


@pytest.mark.parametrize(
    "location",
    [
        "http://h",
        "https://h/",
        "http://h:4000/base/",
        "http://[::1]:80",
        "http://münchen.de/ä",
        "http://127.0.0.1:1",
    ],
)
def test_usable_locations(location: str) -> None:
    """A server may have a port, a base path and a name of its own language."""
    check_location(location)


@pytest.mark.parametrize(
    "location",
    [
        "http://",
        "http:///x",
        "http://:80",
        "http://h:99999",
        "http://h:abc",
        "http://user@h",
        "http://user:pass@h",
        "http://@h",
        "http://h?a=b",
        "http://h?",
        "http://h#x",
        "http://h/#",
        "http://h ",
        "http://h/a b",
        "http://h/\r\nX: y",
        "http://h\\@x",
        "http://[",
        "http://h\x00",
    ],
)
def test_unusable_locations(location: str) -> None:
    """Users, queries, fragments and spaces have no place in a server's location."""
    with pytest.raises(InvalidContent) as failed:
        check_location(location)
    assert failed.value.message == "server_location is not a usable http or https URL"
    hint = failed.value.details.pop("hint")
    assert str(hint).endswith("; write scheme, host and path alone, as in https://rtcv.example")
    assert "pass" not in str(hint).replace("password", "")
    assert failed.value.details == {"field": "server_location"}


async def test_a_base_path_stays(http: HttpClient, stand_in: StandInRtcv) -> None:
    """A server behind a path is asked below that path."""
    with pytest.raises(SidecarError):
        await RtcvServer(http, credentials(f"{stand_in.url}/base ü/".replace(" ", "%20"))).check()
    assert stand_in.requests[0].path == "/base%20%C3%BC/api/v1/health"


def test_one_place_has_one_scope() -> None:
    """Spellings of one server share a scope; another server, path or key has another; none is in clear."""
    same = {account_id_of(credentials(url)) for url in ("http://h.nl", "http://h.nl/", "http://H.NL:80//")}
    others = {account_id_of(credentials(url)) for url in ("https://h.nl", "http://h.nl:81", "http://h.nl/x")}
    other_key = account_id_of(Credentials(server_location="http://h.nl", api_key_id="f" * 24, api_key=Secret(KEY)))
    assert len(same) == 1
    assert len(same | others | {other_key}) == 5
    assert all("h.nl" not in scope and KEY_ID not in scope for scope in same | others)


class Fixed:
    """A server that answers everything with one JSON body."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *failure: object) -> None:
        self._server.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(self._body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + self._body)
        await writer.drain()
        writer.close()
