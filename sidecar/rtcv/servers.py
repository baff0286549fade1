"""RT-CV: one server, and the servers of one login. Source: RT-CV scraper client v1 and the server's API."""

import asyncio
import hashlib
import re
import uuid
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, Self
from urllib.parse import quote

from sidecar_protocol.models import Bound, Lenient
from sidecar_protocol.session import Credentials
from sidecar_protocol.wire_types import Raw

from sidecar.errors import Forbidden, InvalidContent, SidecarError
from sidecar.net import multipart, responses, urls
from sidecar.net.http_response import HttpResponse
from sidecar.rtcv.documents import CvDocument
from sidecar.rtcv.hints import add_login_hint, add_secret_hint
from sidecar.rtcv.scraper_users import ScraperUsers

if TYPE_CHECKING:
    from sidecar.net.http_client import HttpClient

Kind = Literal["result", "cv", "full_cv", "cvs_list"]
Copy = Callable[[Kind, bytes, str], None]
"""Takes what the secondaries have to get: its kind, its body, and its idempotency key."""

SCRAPER_ROLE: Final = 1
SEEDED_DAYS: Final = 30
_SCAN_PATH: Final = "/api/v1/scraper/scanCV"
_DOCUMENT_PATH: Final = "/api/v1/scraper/scanCVDocument"
_LIST_PATH: Final = "/api/v1/scraper/allCVs"
_NAMES: Final = {
    "?": "the query, from ? on",
    "#": "the fragment, from # on",
    "@": "user and password, up to @, for the key belongs in api_key",
    "\\": "backslashes",
}
_FORBIDDEN: Final = re.compile(r"[\s?#@\\\x00-\x1f\x7f]")
"""Forbidden characters of a server's location: those that start a query or fragment, a backslash, and users."""


class _Role(Lenient):
    role: int


class _KeyInfo(Lenient):
    roles: list[_Role]


class _Scanned(Lenient):
    has_matches: bool = Bound(alias="hasMatches")


class RtcvServer:
    """One RT-CV server and our key to it."""

    def __init__(self, http: "HttpClient", credentials: Credentials) -> None:
        self._http = http
        self._location = urls.normalize(credentials.server_location)
        self._results_path = credentials.results_path
        self._key_id = credentials.api_key_id
        self.name = credentials.name or urls.authority(self._location)
        key = credentials.api_key.reveal()
        digest = hashlib.sha512(key.encode()).hexdigest()
        self._secrets = {key, digest}
        """Values that no error may quote, whatever the server says: our key, and its encryption keys."""
        self._headers = {
            "Authorization": f"Basic {credentials.api_key_id}:{digest}",  # RT-CV's own scheme, not base64
            "Content-Type": "application/json",
        }

    async def check(self) -> None:
        """Raises RemoteFailed, with a hint, unless the server is healthy and the key may scrape."""
        try:
            await self._check()
        except SidecarError as error:
            add_login_hint(error)
            raise

    async def _check(self) -> None:
        await self._call("GET", "/api/v1/health")
        info = responses.decode_as(await self._call("GET", "/api/v1/auth/keyinfo"), _KeyInfo)
        if all(role.role != SCRAPER_ROLE for role in info.roles):
            raise Forbidden("provided key does not have scraper role (nr 1)", status=403)

    async def scanned_references(self) -> list[str]:
        """References of CVs that this key sent in the last days."""
        path = f"/api/v1/scraper/scannedReferenceNrs/since/days/{SEEDED_DAYS}"
        return responses.decode_as(await self._call("GET", path), list[str] | None) or []  # type: ignore[arg-type]

    async def secret(self, key: str, encryption_key: str) -> Raw:
        """A secret's JSON. Raises InvalidContent, NotFound, RemoteFailed."""
        if not encryption_key:
            raise InvalidContent("encryption_key cannot be empty", "encryption_key")
        path = f"/api/v1/secrets/myKey/{quote(key, safe='')}/{quote(encryption_key, safe='')}"
        self._secrets.add(encryption_key)
        try:
            return responses.raw_json(await self._call("GET", path, holds_secret=True))
        except SidecarError as error:
            add_secret_hint(error)
            raise

    async def scraper_users(self) -> ScraperUsers:
        """The logins that the server keeps for this key's scraper. Raises RemoteFailed."""
        path = f"/api/v1/scraperUsers/{quote(self._key_id, safe='')}"
        return responses.decode_as(await self._call("GET", path, holds_secret=True), ScraperUsers)

    async def scan_cv(self, cv: bytes) -> bool:
        """Whether the CV matched. The bytes go out as they are."""
        return await self._scan("cv", cv)

    async def scan_document(self, form: bytes) -> bool:
        """Whether the CV with its PDF matched."""
        return await self._scan("full_cv", form)

    async def post_cvs(self, cvs: bytes) -> None:
        """Posts a list of CVs."""
        path, content, extra = self._request("cvs_list", cvs)
        await self._call("POST", path, content, extra=extra, status_only=True)

    async def post_result(self, result: bytes, idempotency_key: str) -> None:
        """Posts a job's result."""
        extra = {"Idempotency-Key": idempotency_key}
        await self._call("POST", self._results_path, result, extra=extra, status_only=True)

    async def deliver(self, kind: Kind, body: bytes, idempotency_key: str) -> HttpResponse:
        """One attempt at a copy; an answer of any status. Raises RemoteFailed, RemoteUnreachable and TimedOut."""
        path, content, extra = self._request(kind, body)
        headers = self._headers | extra | {"Idempotency-Key": idempotency_key}
        return await self._http.request("POST", self._location + path, headers, content, attempts=1, status_only=True)

    def to_error(self, response: HttpResponse) -> SidecarError:
        """A refused attempt as an error that holds no key."""
        return responses.to_error(response, self._secrets)

    async def _scan(self, kind: Kind, body: bytes) -> bool:
        path, content, extra = self._request(kind, body)
        return responses.decode_as(await self._call("POST", path, content, extra=extra), _Scanned).has_matches

    def _request(self, kind: Kind, body: bytes) -> tuple[str, bytes, dict[str, str]]:
        """Path, body and further headers of what is sent."""
        match kind:
            case "cv":
                return _SCAN_PATH, b'{"cv":' + body + b"}", {}
            case "full_cv":
                return _DOCUMENT_PATH, body, {"Content-Type": multipart.content_type_of(body)}
            case "cvs_list":
                return _LIST_PATH, b'{"cvs":' + body + b"}", {}
        return self._results_path, body, {}

    async def _call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        extra: dict[str, str] | None = None,
        status_only: bool = False,
        holds_secret: bool = False,
    ) -> HttpResponse:
        headers, url = self._headers | (extra or {}), self._location + path
        response = await self._http.request(
            method, url, headers, body, status_only=status_only, holds_secret=holds_secret
        )
        if response.status >= 400:
            raise responses.to_error(response, self._secrets)
        return response


class RtcvServers:
    """The servers of one login: the primary answers, the others get a copy."""

    def __init__(
        self,
        http: "HttpClient",
        servers: Sequence[RtcvServer],
        primary: int,
        copy: Copy | None = None,
    ) -> None:
        """`copy` keeps what the secondaries have to get until they have got it; None where there are none."""
        self._http = http
        self._servers = servers
        self.primary = servers[primary]
        self._copy = copy or _nowhere

    @classmethod
    def connect(
        cls,
        http: "HttpClient",
        credentials: Sequence[Credentials],
        primary: int,
        copy: Copy | None = None,
    ) -> Self:
        """The servers of a login; `http` is theirs alone, and closed with them."""
        return cls(http, [RtcvServer(http, one) for one in credentials], primary, copy)

    def with_copies(self, copy: Copy | None) -> Self:
        """Returns the same servers and connections, with copies for the secondaries sent by `copy`."""
        return type(self)(self._http, self._servers, self._servers.index(self.primary), copy)

    async def check(self) -> list[str]:
        """Checks every server at once; gives the primary's scanned references. Raises what failed first."""
        await _all_of([server.check() for server in self._servers])
        return await self.primary.scanned_references()

    async def secret(self, key: str, encryption_key: str) -> Raw:
        """The primary's secret."""
        return await self.primary.secret(key, encryption_key)

    async def scan_cv(self, cv: bytes) -> bool:
        """The primary's answer; the copies for the others are stored whatever it is."""
        try:
            return await self.primary.scan_cv(cv)
        finally:
            self._copy("cv", cv, f"cv_{uuid.uuid4().hex}")

    async def scan_document(self, document: CvDocument) -> bool:
        """Sends a CV with its PDF, like `scan_cv`."""
        file = (document.filename, document.pdf, document.content_type)
        form = multipart.encode({"metadata": document.metadata}, "cv", file)
        try:
            return await self.primary.scan_document(form)
        finally:
            self._copy("full_cv", form, f"cv_{uuid.uuid4().hex}")

    async def post_cvs(self, cvs: bytes) -> None:
        """A list of CVs for every server; the primary's failure is the caller's."""
        try:
            await self.primary.post_cvs(cvs)
        finally:
            self._copy("cvs_list", cvs, f"cvs_{uuid.uuid4().hex}")

    async def forward(self, result: bytes, idempotency_key: str) -> None:
        """A job's result for every server; the primary's failure is the caller's."""
        try:
            await self.primary.post_result(result, idempotency_key)
        finally:
            self._copy("result", result, idempotency_key)

    async def close(self) -> None:
        """Closes every connection."""
        await self._http.close()


def check_location(location: str) -> None:
    """Raises InvalidContent for what is no usable http or https URL; it quotes nothing."""
    if found := _FORBIDDEN.search(location):
        what = f"leave out {_NAMES.get(found[0], 'spaces and control characters')}"
    elif not urls.is_http(location):
        what = "its host or port can't be read"
    else:
        return
    wrong = InvalidContent("server_location is not a usable http or https URL", "server_location")
    wrong.details["hint"] = f"{what}; write scheme, host and path alone, as in https://rtcv.example"
    raise wrong


def account_id_of(credentials: Credentials) -> str:
    """The id that separates the references of one server and key; contains neither in clear."""
    place = f"{urls.normalize(credentials.server_location)}\n{credentials.api_key_id}"
    return hashlib.sha256(place.encode()).hexdigest()


def _nowhere(kind: Kind, body: bytes, idempotency_key: str) -> None:
    """There are no secondaries."""


async def _all_of(checks: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Awaits them at once; the first failure ends the others, which are awaited too, and is raised as it is.

    A TaskGroup would wrap it, and `except*` can't unwrap it: before Python 3.11.4 it wraps again what is raised in it.
    """
    tasks = [asyncio.ensure_future(check) for check in checks]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
