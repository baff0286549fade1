"""RT-CV: one server, and the servers of one login. Source: RT-CV scraper client v1 and the server's API."""

import asyncio
import hashlib
import logging
import re
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec
from yarl import URL

from protocol.session import Credentials
from sidecar.errors import Forbidden, InvalidContent, SidecarError
from sidecar.remote import answers
from sidecar.remote.http import Answer, HttpClient

log = logging.getLogger(__name__)

SCRAPER_ROLE: Final = 1
SEEDED_DAYS: Final = 30
MAX_BACKGROUND: Final = 256
"""Deliveries to secondaries that may be under way before the next CV waits for them."""
_FORBIDDEN: Final = re.compile(r"[\s?#@\\\x00-\x1f\x7f]")
"""In a server's location: what begins a query, a fragment or a path of its own, and users, who have no place there."""


class _Role(msgspec.Struct):
    role: int


class _KeyInfo(msgspec.Struct):
    roles: list[_Role]


class _Scanned(msgspec.Struct, rename="camel"):
    has_matches: bool


class RtcvServer:
    """One RT-CV server and our key to it."""

    def __init__(self, http: HttpClient, credentials: Credentials) -> None:
        self._http = http
        self._location = _normal(credentials.server_location)
        self._results_path = credentials.results_path
        self.name = credentials.name or URL(self._location).authority
        key = credentials.api_key.reveal()
        digest = hashlib.sha512(key.encode()).hexdigest()
        self._secrets = {key, digest}
        """What no error may quote, whatever the server says: our key, and the encryption keys that it was sent."""
        self._headers = {
            "Authorization": f"Basic {credentials.api_key_id}:{digest}",  # RT-CV's own scheme, not base64
            "Content-Type": "application/json",
        }

    async def check(self) -> None:
        """Raises RemoteFailed unless the server is healthy and the key may scrape."""
        await self._call("GET", "/api/v1/health")
        info = answers.shaped(await self._call("GET", "/api/v1/auth/keyinfo"), _KeyInfo)
        if all(role.role != SCRAPER_ROLE for role in info.roles):
            raise Forbidden("provided key does not have scraper role (nr 1)", status=403)

    async def scanned_references(self) -> list[str]:
        """References of CVs that this key sent in the last days."""
        path = f"/api/v1/scraper/scannedReferenceNrs/since/days/{SEEDED_DAYS}"
        return answers.shaped(await self._call("GET", path), list[str] | None) or []  # type: ignore[arg-type]

    async def secret(self, key: str, encryption_key: str) -> msgspec.Raw:
        """A secret's JSON. Raises InvalidContent, NotFound, RemoteFailed."""
        if not encryption_key:
            raise InvalidContent("encryption_key cannot be empty", "encryption_key")
        path = f"/api/v1/secrets/myKey/{quote(key, safe='')}/{quote(encryption_key, safe='')}"
        self._secrets.add(encryption_key)
        return answers.raw(await self._call("GET", path))

    async def scan_cv(self, cv: bytes) -> bool:
        """Whether the CV matched. The bytes go out as they are."""
        answer = await self._call("POST", "/api/v1/scraper/scanCV", b'{"cv":' + cv + b"}")
        return answers.shaped(answer, _Scanned).has_matches

    async def post_result(self, result: bytes, idempotency_key: str) -> None:
        """Posts a job's result."""
        await self._call("POST", self._results_path, result, extra={"Idempotency-Key": idempotency_key})

    async def _call(
        self, method: str, path: str, body: bytes | None = None, *, extra: dict[str, str] | None = None
    ) -> Answer:
        answer = await self._http.request(method, self._location + path, self._headers | (extra or {}), body)
        if answer.status >= 400:
            raise answers.failure(answer, self._secrets)
        return answer


class RtcvServers:
    """The servers of one login: the primary answers, the others get a copy."""

    def __init__(
        self,
        http: HttpClient,
        servers: Sequence[RtcvServer],
        primary: int,
        on_delivery_failed: Callable[[str, SidecarError], None],
        grace: float,
    ) -> None:
        self._http = http
        self._servers = servers
        self.primary = servers[primary]
        self._secondaries = [server for index, server in enumerate(servers) if index != primary]
        self._on_delivery_failed = on_delivery_failed
        self._grace = grace
        self._background: set[asyncio.Task[None]] = set()

    async def check(self) -> list[str]:
        """Checks every server at once; gives the primary's scanned references. Raises what failed first."""
        try:
            async with asyncio.TaskGroup() as group:
                for server in self._servers:
                    group.create_task(server.check())
        except* SidecarError as failed:
            raise _first(failed) from None
        return await self.primary.scanned_references()

    async def secret(self, key: str, encryption_key: str) -> msgspec.Raw:
        """The primary's secret."""
        return await self.primary.secret(key, encryption_key)

    async def scan_cv(self, cv: bytes) -> bool:
        """What the primary says; a secondary that fails is told of, and fails nothing."""
        await self._copy(lambda server: server.scan_cv(cv))
        return await self.primary.scan_cv(cv)

    async def forward(self, result: bytes, idempotency_key: str) -> None:
        """A job's result for every server; the primary's failure is the caller's."""
        await self._copy(lambda server: server.post_result(result, idempotency_key))
        await self.primary.post_result(result, idempotency_key)

    async def close(self) -> None:
        """Gives copies under way their grace, in seconds, then closes every connection."""
        if self._background:
            _, late = await asyncio.wait(self._background, timeout=self._grace)
            for task in late:
                task.cancel()
            if late:
                log.warning("%d copies for secondary servers were given up", len(late))
        await self._http.close()

    async def _copy(self, send: Callable[[RtcvServer], Coroutine[Any, Any, Any]]) -> None:
        """Sends to the secondaries beside the primary, so that a slow one delays nobody."""
        for server in self._secondaries:
            task = asyncio.create_task(self._deliver(server, send(server)))
            self._background.add(task)
            task.add_done_callback(self._background.discard)
        if len(self._background) > MAX_BACKGROUND:
            await asyncio.wait(self._background, return_when=asyncio.FIRST_COMPLETED)

    async def _deliver(self, server: RtcvServer, sending: Coroutine[Any, Any, Any]) -> None:
        try:
            await sending
        except SidecarError as failure:
            log.warning("%s did not take its copy: %s", server.name, failure.message)
            self._on_delivery_failed(server.name, failure)


def check_location(location: str) -> None:
    """Raises InvalidContent for what is no usable http or https URL."""
    try:
        url = URL(location)
        usable = url.scheme in ("http", "https") and bool(url.host) and _FORBIDDEN.search(location) is None
    except ValueError:
        usable = False
    if not usable:
        raise InvalidContent("server_location is not a usable http or https URL", "server_location")


def scope_of(credentials: Credentials) -> str:
    """What keeps the references of one server and key apart; holds neither in clear."""
    place = f"{_normal(credentials.server_location)}\n{credentials.api_key_id}"
    return hashlib.sha256(place.encode()).hexdigest()


def _normal(location: str) -> str:
    """One spelling for every way to write the same place: no trailing slash, host in lower case, IDNA, encoded path."""
    return str(URL(location)).rstrip("/")


def _first(failed: BaseExceptionGroup[SidecarError]) -> SidecarError:
    first = failed.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
