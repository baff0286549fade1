"""Stand-ins for the edges: an RT-CV server on 127.0.0.1 that records requests and fails on command.

    async with StandInRtcv() as server:
        server.fail("scanCV", "error", status=503, retry_after=1)
        ...  # a sidecar logs in to server.url with KEY_ID and KEY
        assert server.to("scanCV")[1].json["cv"]["referenceNumber"] == "abc"

It answers as RT-CV did in March 2022: endpoints, statuses and error texts. By itself, for the demo:
`python -m tests.fakes --port 0` prints one line of JSON with its URL and ends when stdin closes.
"""

import argparse
import asyncio
import hashlib
import json
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any, Final, Self

from aiohttp import web

from examples.serving import serve_until_stdin_closes
from tests.faults import NOT_HANDLED, Fault, Kind

KEY_ID: Final = "5c8a3e1f0b7d49260a1e4f73"
KEY: Final = "a-scraper's-key"
ENCRYPTION_KEY: Final = "an-encryption-key-of-some-length"
BODY_LIMIT: Final = 4 * 1024 * 1024
ROLES: Final = {1: "scraper", 2: "information-obtainer", 4: "controller", 8: "dashboard", 16: "admin"}

_AUTHORIZATION: Final = re.compile(r"Basic ([0-9a-fA-F]{24}):(.{128})")
_SECRET_PATH: Final = re.compile(r"/api/v1/secrets/myKey/([^/?]+)/([^/?]+)")


@dataclass(frozen=True)
class Secret:
    """A secret on the server: its JSON as bytes, and what decrypts it."""

    json: bytes
    encryption_key: str = ENCRYPTION_KEY


def default_secrets() -> dict[str, Secret]:
    """Secrets of every shape that the sidecar must distinguish."""
    return {
        "user": Secret(b'{"username":"demo-buyer","password":"demo-buyer"}'),
        "users": Secret(b'[{"username":"ann","password":"1"},{"username":"bob","password":"2","domain":"b.nl"}]'),
        "object": Secret(b'{"b":1,"a":[true,null]}'),
        "big_number": Secret(b"123456789012345678901234567890"),
        "null": Secret(b"null"),
        "string": Secret(b'"only a string"'),
        "no_password": Secret(b'{"username":"ann"}'),
        "number_password": Secret(b'{"username":"ann","password":1}'),
    }


@dataclass
class ApiKey:
    """A key the server knows. `role` is the sum of its roles (see ROLES)."""

    id: str = KEY_ID
    key: str = KEY
    role: int = 1
    secrets: dict[str, Secret] = field(default_factory=default_secrets)
    scanned: list[str] = field(default_factory=list)
    """Reference numbers that were sent with this key and matched."""

    @property
    def digest(self) -> str:
        """What goes over the wire in place of the key."""
        return hashlib.sha512(self.key.encode()).hexdigest()


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    method: str
    path: str
    """As on the wire: still percent-encoded, with the query."""
    headers: Mapping[str, str]
    """Names compare without case."""
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, "Part"]:
        """The parts of a multipart body, by their names, read as another program would."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts: Any = BytesParser(policy=HTTP).parsebytes(head + self.body).iter_parts()
        return {
            part["Content-Disposition"].params["name"]: Part(
                part.get_payload(decode=True), part["Content-Type"], part.get_filename()
            )
            for part in parts
        }


@dataclass(frozen=True)
class Part:
    """One part of a form."""

    content: bytes
    content_type: str | None
    filename: str | None


class Refused(Exception):
    """The server's own logic says no."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status


class StandInRtcv:
    """An RT-CV server for tests: `async with` starts and stops it."""

    def __init__(
        self,
        *,
        keys: Iterable[ApiKey] | None = None,
        matches: Callable[[dict[str, Any]], bool] = lambda cv: True,
        latency: float = 0.0,
        port: int = 0,
    ) -> None:
        """`matches` decides about each CV, `latency` is seconds before each answer."""
        self.keys = {key.id: key for key in ([ApiKey()] if keys is None else keys)}
        self.matches = matches
        self.latency = latency
        self.scraper_users: dict[str, Any] = {}
        """What later versions answer of a scraper's logins; none has an answer where this is empty."""
        self.requests: list[Received] = []
        self._port = port
        self._faults: list[Fault] = []
        self._arrived = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it listens, without a trailing slash."""
        return f"http://127.0.0.1:{self._port}"

    def app(self) -> web.Application:
        """The site, for those who serve it themselves."""
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._take)
        return app

    async def __aenter__(self) -> Self:
        self._runner = web.AppRunner(self.app(), access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *failure: object) -> None:
        self.release()
        assert self._runner is not None
        await self._runner.cleanup()

    def fail(
        self,
        path: str,
        kind: Kind,
        count: int | None = 1,
        *,
        status: int | None = None,
        retry_after: float | str | None = None,
        location: str | None = None,
    ) -> Fault:
        """Fails the next `count` requests (None: all) whose path contains `path`, in the way of `kind`."""
        fault = Fault(path, kind, count, status=status, retry_after=retry_after, location=location)
        self._faults.append(fault)
        return fault

    def release(self) -> None:
        """Lets every request that hangs have its answer, and fails no more."""
        for fault in self._faults:
            fault.left = 0
            fault.released.set()

    def to(self, path: str) -> list[Received]:
        """The requests so far whose path contains `path`."""
        return [request for request in self.requests if path in request.path]

    async def wait_for(self, path: str, count: int = 1, timeout: float = 10.0) -> list[Received]:  # noqa: ASYNC109
        """Returns once `count` requests to `path` have arrived. Raises TimeoutError."""
        async with asyncio.timeout(timeout), self._arrived:
            await self._arrived.wait_for(lambda: len(self.to(path)) >= count)
        return self.to(path)

    async def _take(self, request: web.Request) -> web.StreamResponse:
        received = Received(request.method, request.raw_path, request.headers, await request.read())
        self.requests.append(received)
        async with self._arrived:
            self._arrived.notify_all()
        fault = next((fault for fault in self._faults if fault.takes(received.path)), None)
        if self.latency:
            await asyncio.sleep(self.latency)
        if fault is not None and fault.kind in NOT_HANDLED:
            return fault.answer(request)
        try:
            answer = self._route(received)
        except Refused as refused:
            answer = web.json_response({"error": str(refused)}, status=refused.status)
        return answer if fault is None else await fault.spoil(request, answer)

    def _route(self, request: Received) -> web.Response:  # noqa: C901  a table
        path = request.path.partition("?")[0]
        if len(request.body) > BODY_LIMIT:
            raise Refused(413, "Request Entity Too Large")
        content: Any
        match request.method, path:
            case "GET", "/api/v1/health":
                content = {"status": True, "appVersion": "STAND-IN"}
            case "GET", "/api/v1/auth/keyinfo":
                content = _key_info(self._key(request))
            case "GET", "/api/v1/scraper/scannedReferenceNrs/since/days/30":
                content = self._key(request, role=1 | 8).scanned
            case "POST", "/api/v1/scraper/scanCV":
                content = self._scan_cv(self._key(request, role=1 | 8), request)
            case "POST", "/api/v1/scraper/scanCVDocument":
                content = self._scan_document(self._key(request, role=1 | 8), request)
            case "POST", "/api/v1/scraper/allCVs":
                self._key(request, role=1 | 8)
                content = _all_cvs(request)
            case "POST", "/api/v1/scraper/jobResult":
                self._key(request, role=1 | 8)
                content = {}
            case "GET", _ if secret := _SECRET_PATH.fullmatch(path):
                return web.json_response(body=_secret(self._key(request, role=31), secret[1], secret[2]))
            case _ if self.scraper_users and path == f"/api/v1/scraperUsers/{self._key(request, role=1).id}":
                content = self.scraper_users
            case _:
                return web.Response(status=404, text="<!DOCTYPE html><h1>404</h1>", content_type="text/html")
        return web.json_response(content)

    def _key(self, request: Received, role: int = 0) -> ApiKey:
        """Whose request it is; it must have one of the roles in `role`. Raises Refused."""
        header = request.headers.get("Authorization")
        if not header:
            raise Refused(400, "missing authorization header of type Basic")
        if len(header) != len("Basic ") + 24 + 1 + 128:
            raise Refused(401, "auth header has invalid length")
        if not header.startswith("Basic "):
            raise Refused(401, 'auth header expected to be "Basic ..."')
        said = _AUTHORIZATION.fullmatch(header)
        if said is None:
            raise Refused(401, 'auth header has invalid format, expect "Basic keyID:sha512(Key)"')
        key = self.keys.get(said[1].lower())
        if key is None or said[2] not in (key.digest, key.digest.upper()):
            raise Refused(401, "auth header is invalid")
        if role and not key.role & role:
            raise Refused(403, "you do not have auth roles required to access this route")
        return key

    def _scan_cv(self, key: ApiKey, request: Received) -> dict[str, Any]:
        if not request.headers.get("Content-Type", "").startswith("application/json"):
            raise Refused(500, "Unprocessable Entity")
        try:
            content = request.json
        except ValueError:
            raise Refused(500, "invalid character '\x00' looking for beginning of value") from None
        return self._matched(key, content.get("cv") if isinstance(content, dict) else None)

    def _scan_document(self, key: ApiKey, request: Received) -> dict[str, Any]:
        form = request.form
        if "metadata" not in form or "cv" not in form or form["cv"].filename is None:
            raise Refused(400, "metadata and cv must be set")
        return self._matched(key, json.loads(form["metadata"].content))

    def _matched(self, key: ApiKey, cv: Any) -> dict[str, Any]:
        if not isinstance(cv, dict) or not cv.get("referenceNumber"):
            raise Refused(400, "referenceNumber must be set")
        matched = self.matches(cv)
        if matched:
            key.scanned.append(cv["referenceNumber"])
        return {"success": True, "hasMatches": matched, "matches": []}


class StandInReceiver(StandInRtcv):
    """A receiver of webhooks: takes whatever is posted, and fails as the server does."""

    def _route(self, request: Received) -> web.Response:
        return web.json_response({})


@contextmanager
def nobody_listens() -> Iterator[str]:
    """The URL of a port that refuses connections for as long as the block lasts."""
    with socket.socket() as bound:  # bound, so no other process gets it; not listening, so the kernel refuses
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def _all_cvs(request: Received) -> dict[str, Any]:
    content = request.json
    if not isinstance(content, dict) or not all(isinstance(cv, dict) for cv in content["cvs"]):
        raise Refused(400, "cvs must be set")
    return {"success": True}


def _key_info(key: ApiKey) -> dict[str, Any]:
    roles = [{"role": role, "slug": slug, "description": ""} for role, slug in ROLES.items() if key.role & role]
    return {"id": key.id, "name": "a key", "domains": ["*"], "roles": roles, "system": False}


def _secret(key: ApiKey, name: str, encryption_key: str) -> bytes:
    """The segments are compared as they came, for the server does not unescape them."""
    secret = key.secrets.get(name)
    if secret is None:
        raise Refused(404, "item not found")
    if len(encryption_key) < 16:
        raise Refused(500, "decryptionKey must have a minimal length of 16 chars")
    if encryption_key != secret.encryption_key:
        raise Refused(500, "cipher: message authentication failed")
    return secret.json


def main() -> None:
    """Serves until stdin closes."""
    parser = argparse.ArgumentParser(description="A stand-in RT-CV server on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0)
    reported = {"key_id": KEY_ID, "key": KEY, "encryption_key": ENCRYPTION_KEY}
    asyncio.run(serve_until_stdin_closes(StandInRtcv().app(), parser.parse_args().port, reported))


if __name__ == "__main__":
    main()
