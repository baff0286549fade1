"""The stand-in RT-CV server answers as the real one, and fails on command."""

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.fakes import ENCRYPTION_KEY, KEY_ID, ApiKey, StandInRtcv, nobody_listens
from tests.faults import Kind

SCAN_CV = "/api/v1/scraper/scanCV"
SCANNED = "/api/v1/scraper/scannedReferenceNrs/since/days/30"
AUTHORIZED = {"Authorization": f"Basic {KEY_ID}:{ApiKey().digest}"}
ANN_CV = {"cv": {"referenceNumber": "ann-1"}}


@pytest.fixture
async def server() -> AsyncIterator[StandInRtcv]:
    """A server with its default key, where CVs match whose reference does not begin with `no`."""
    async with StandInRtcv(matches=lambda cv: not cv["referenceNumber"].startswith("no")) as server:
        yield server


@pytest.fixture
async def http(server: StandInRtcv) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that is logged in."""
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(server.url, headers=AUTHORIZED, timeout=timeout) as http:
        yield http


async def get(http: aiohttp.ClientSession, path: str, **options: Any) -> tuple[int, Any]:
    """Status and JSON of a page."""
    async with http.get(path, **options) as answer:
        return answer.status, await answer.json()


async def post(http: aiohttp.ClientSession, path: str, json: Any) -> tuple[int, Any]:
    """Status and JSON of what a post is answered."""
    async with http.post(path, json=json) as answer:
        return answer.status, await answer.json()


async def test_login_is_answered(http: aiohttp.ClientSession) -> None:
    """Health, roles and an empty list of references: what a login asks for."""
    assert (await get(http, "/api/v1/health"))[0] == 200
    status, info = await get(http, "/api/v1/auth/keyinfo")
    assert (status, info["id"], [role["role"] for role in info["roles"]]) == (200, KEY_ID, [1])
    assert await get(http, SCANNED) == (200, [])


@pytest.mark.parametrize(
    ("header", "status", "error"),
    [
        ("", 400, "missing authorization header of type Basic"),
        ("Basic x", 401, "auth header has invalid length"),
        (f"basic {KEY_ID}:{ApiKey().digest}", 401, 'auth header expected to be "Basic ..."'),
        (f"Basic {KEY_ID}-{ApiKey().digest}", 401, 'auth header has invalid format, expect "Basic keyID:sha512(Key)"'),
        (f"Basic {KEY_ID}:{ApiKey(key='wrong').digest}", 401, "auth header is invalid"),
        (f"Basic {'0' * 24}:{ApiKey().digest}", 401, "auth header is invalid"),
    ],
)
async def test_wrong_authorization(http: aiohttp.ClientSession, header: str, status: int, error: str) -> None:
    """Each way to get the header wrong has its own answer."""
    assert await get(http, "/api/v1/auth/keyinfo", headers={"Authorization": header}) == (status, {"error": error})


async def test_upper_case_hash_is_accepted(http: aiohttp.ClientSession) -> None:
    """The hash may be in upper case."""
    header = f"Basic {KEY_ID}:{ApiKey().digest.upper()}"
    assert (await get(http, "/api/v1/auth/keyinfo", headers={"Authorization": header}))[0] == 200


async def test_missing_role_is_forbidden() -> None:
    """A key without the scraper's role may log in and may not scrape."""
    async with StandInRtcv(keys=[ApiKey(role=2)]) as server, aiohttp.ClientSession(server.url) as http:
        assert (await get(http, "/api/v1/auth/keyinfo", headers=AUTHORIZED))[0] == 200
        assert (await get(http, SCANNED, headers=AUTHORIZED))[0] == 403


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"user/{ENCRYPTION_KEY}", (200, {"username": "demo-buyer", "password": "demo-buyer"})),
        (f"null/{ENCRYPTION_KEY}", (200, None)),
        (f"absent/{ENCRYPTION_KEY}", (404, {"error": "item not found"})),
        ("user/short", (500, {"error": "decryptionKey must have a minimal length of 16 chars"})),
        ("user/the-wrong-encryption-key", (500, {"error": "cipher: message authentication failed"})),
    ],
)
async def test_secrets(http: aiohttp.ClientSession, path: str, expected: tuple[int, Any]) -> None:
    """A secret is its bare value; the errors are the server's."""
    assert await get(http, f"/api/v1/secrets/myKey/{path}") == expected


async def test_cvs_are_matched_and_remembered(server: StandInRtcv, http: aiohttp.ClientSession) -> None:
    """A CV that matches is listed as scanned from then on."""
    assert await post(http, SCAN_CV, ANN_CV) == (200, {"success": True, "hasMatches": True, "matches": []})
    assert (await post(http, SCAN_CV, {"cv": {"referenceNumber": "no-1"}}))[1]["hasMatches"] is False
    assert await get(http, SCANNED) == (200, ["ann-1"])
    assert [request.json["cv"]["referenceNumber"] for request in server.to("scanCV")] == ["ann-1", "no-1"]
    assert await post(http, SCAN_CV, {"cv": {}}) == (400, {"error": "referenceNumber must be set"})
    assert await post(http, "/api/v1/scraper/jobResult", {"status": "success"}) == (200, {})


async def test_requests_are_kept_as_they_came(server: StandInRtcv, http: aiohttp.ClientSession) -> None:
    """Method, raw path, headers and the very bytes of the body."""
    body = b'{ "cv" : {"referenceNumber":"a", "n":123456789012345678901234567890} }'
    async with http.post(f"{SCAN_CV}?a=%26", data=body, headers={"Content-Type": "application/json"}):
        (request,) = server.requests
    assert (request.method, request.path, request.body) == ("POST", f"{SCAN_CV}?a=%26", body)
    assert request.headers["authorization"] == AUTHORIZED["Authorization"]


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        ("error", 500, b'{"error": "injected failure"}'),
        ("empty_json", 500, b"{}"),
        ("html", 502, b"<html>"),
        ("not_json", 200, b"<html>"),
        ("empty", 200, b""),
        ("redirect", 302, b""),
    ],
)
async def test_wrong_answers(
    server: StandInRtcv, http: aiohttp.ClientSession, kind: Kind, status: int, body: bytes
) -> None:
    """A fault of this kind occurs as often as requested; then the server works again."""
    server.fail("scanCV", kind, count=2)
    for _ in range(2):
        async with http.post(SCAN_CV, json=ANN_CV, allow_redirects=False) as answer:
            assert (answer.status, (await answer.read())[: len(body)]) == (status, body)
    assert (await post(http, SCAN_CV, ANN_CV))[0] == 200


async def test_status_and_headers_of_a_fault_can_be_chosen(server: StandInRtcv, http: aiohttp.ClientSession) -> None:
    """503 with Retry-After, 307 to another place."""
    server.fail("health", "error", status=503, retry_after=2)
    server.fail("health", "redirect", status=307, location="http://127.0.0.1:1/elsewhere")
    async with http.get("/api/v1/health") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    async with http.get("/api/v1/health", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (307, "http://127.0.0.1:1/elsewhere")


@pytest.mark.parametrize(("kind", "handled"), [("close", True), ("drop", False), ("truncated", True)])
async def test_broken_connections(
    server: StandInRtcv, http: aiohttp.ClientSession, kind: Kind, *, handled: bool
) -> None:
    """The client gets no whole answer; whether the server did its work depends on the kind."""
    server.fail("scanCV", kind)
    with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, ConnectionResetError)):
        await post(http, SCAN_CV, ANN_CV)
    assert server.keys[KEY_ID].scanned == (["ann-1"] if handled else [])
    assert (await post(http, SCAN_CV, ANN_CV))[0] == 200


async def test_hanging_request_is_answered_once_released(server: StandInRtcv, http: aiohttp.ClientSession) -> None:
    """A request hangs until it is released."""
    server.fail("scanCV", "hang")
    async with asyncio.TaskGroup() as tasks:
        hanging = tasks.create_task(post(http, SCAN_CV, ANN_CV))
        await server.wait_for("scanCV")
        await get(http, "/api/v1/health")
        assert not hanging.done()
        server.release()
    assert hanging.result()[0] == 200


async def test_latency_delays_each_answer(server: StandInRtcv, http: aiohttp.ClientSession) -> None:
    """No answer comes before the latency has passed."""
    server.latency = 0.05
    began = asyncio.get_running_loop().time()
    await get(http, "/api/v1/health")
    assert asyncio.get_running_loop().time() - began >= 0.05


async def test_body_over_the_limit_is_refused(http: aiohttp.ClientSession) -> None:
    """4 MiB is what the server takes."""
    async with http.post(SCAN_CV, data=io.BytesIO(b" " * (4 << 20) + b"{}")) as answer:
        assert (answer.status, await answer.json()) == (413, {"error": "Request Entity Too Large"})


async def test_unknown_path_is_a_page(http: aiohttp.ClientSession) -> None:
    """An unknown path is answered with an HTML page."""
    async with http.get("/api/v2") as answer:
        assert (answer.status, answer.content_type) == (404, "text/html")


async def test_an_unused_port_refuses_connections(http: aiohttp.ClientSession) -> None:
    """A connection to an unused port is refused."""
    with nobody_listens() as url, pytest.raises(aiohttp.ClientConnectorError):
        await http.get(f"{url}/")
