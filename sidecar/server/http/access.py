"""Who may ask: the token, the names under which we may be reached, the sites whose pages may call."""

import base64
import binascii
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sidecar_protocol.errors import ErrorCode
from sidecar_protocol.wire_types import Secret

from sidecar.server.http.listen_address import ListenAddress, ip_address, is_loopback
from sidecar.server.http.refusals import Refused

MAX_CREDENTIALS: Final = 4096
"""Characters of an Authorization header that are looked at."""
LONGEST_HOST: Final = 300
"""Characters of a name and a port: DNS has names of 253."""
OTHER_PAGES: Final = frozenset({"cross-site", "same-site"})
"""What browsers say of requests of other pages; another port of this machine is the same site."""
KNOWN_HOSTS: Final = 64
"""Values of Host whose check is remembered: a client sends the same one each time."""
CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="sidecar"'}
_ALLOWED_HEADERS: Final = "Authorization, Content-Type, Last-Event-ID, Prefer, X-Request-Id"
_MAX_AGE: Final = "600"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an Authorization header carries: a bearer token, or a user and a password."""

    bearer: str = ""
    user: str = ""
    password: str = ""
    is_basic: bool = False

    def __iter__(self) -> Iterator[str]:
        return iter((self.bearer, self.user, self.password))


class Access:
    """Checks requests before anything of them is read."""

    def __init__(self, address: ListenAddress, token: Secret, hosts: str, origins: str) -> None:
        """`hosts` and `origins` are separated by commas."""
        self._address = address
        self._token = token.reveal().encode()
        self._hosts = {host.lower() for host in _listed(hosts)}
        self._origins = {origin.lower().rstrip("/") for origin in _listed(origins)}
        self._is_own = lru_cache(KNOWN_HOSTS)(self._names_us)

    def without_token(self, path: str) -> tuple[str, bool]:
        """A path without the token that an address may begin it with, and whether it did."""
        if not self._token or len(path) > MAX_CREDENTIALS:
            return path, False
        first, slash, rest = path[1:].partition("/")
        if not self._is_token(first):
            return path, False
        return f"/{rest}" if slash else "/", True

    def check_site(self, headers: Mapping[str, str]) -> None:
        """Raises Refused for a request that another site's page sends, or that reached us by another site's name."""
        host = headers.get("Host", "")
        if len(host) > LONGEST_HOST or not self._is_own(host):
            raise Refused.because(
                ErrorCode.FORBIDDEN, "this Host is not served here; SIDECAR_HTTP_HOSTS names further ones"
            )
        origin = headers.get("Origin")
        if origin is not None:
            if not self.allows_origin(origin) and origin.lower().partition("://")[2] != host.lower():
                raise Refused.because(
                    ErrorCode.FORBIDDEN, "pages of this Origin may not call; SIDECAR_HTTP_ORIGINS names those that may"
                )
        elif headers.get("Sec-Fetch-Site") in OTHER_PAGES and headers.get("Sec-Fetch-Mode") != "navigate":
            raise Refused.because(ErrorCode.FORBIDDEN, "pages of other sites may not call")

    def target_of(self, target: str) -> str:
        """A target without the scheme and host that a client sends to what it takes for a proxy. Raises Refused."""
        if not target.startswith("http://"):
            return target
        host, slash, rest = target.removeprefix("http://").partition("/")
        self.check_site({"Host": host})
        return f"{slash or '/'}{rest}"

    def check_token(self, headers: Mapping[str, str]) -> None:
        """Raises Refused where a token is wanted and none, or another, is given."""
        if self._token and not any(map(self._is_token, credentials_of(headers))):
            message = "the token is missing or wrong: send it as Authorization: Bearer"
            raise Refused.because(ErrorCode.UNAUTHORIZED, message, headers=CHALLENGE)

    def allows_origin(self, origin: str) -> bool:
        """Whether a setting names this origin."""
        return origin.lower() in self._origins

    def cors_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """What an answer to a page of an origin that a setting names carries; nothing for others."""
        origin = headers.get("Origin", "")
        if not self._origins:
            return {}
        if not self.allows_origin(origin):
            return {"Vary": "Origin"}
        return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}

    def preflight_headers(self, headers: Mapping[str, str], methods: str) -> dict[str, str]:
        """What an answer to a preflight carries in addition."""
        if not self.allows_origin(headers.get("Origin", "")):
            return {}
        return {
            "Access-Control-Allow-Methods": methods,
            "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
            "Access-Control-Max-Age": _MAX_AGE,
        }

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(errors="surrogateescape"), self._token)

    def _names_us(self, host: str) -> bool:
        """Whether a Host header names us: no name that somebody else's name server may answer for."""
        if self._address.path:
            return True  # no browser reaches a unix socket
        name = _without_port(host).lower()
        if not name:
            return False
        if is_loopback(name) or name in self._hosts or host.lower() in self._hosts or name == self._address.host:
            return True
        # other machines know us by an address, or by a name of their own network: one without a dot
        return not self._address.is_local and (ip_address(name) is not None or "." not in name)


def credentials_of(headers: Mapping[str, str]) -> Credentials:
    """What the Authorization header carries; empty where it has none, or one that can't be read."""
    header = headers.get("Authorization", "")
    if len(header) > MAX_CREDENTIALS:
        return Credentials()
    scheme, _, rest = header.partition(" ")
    if scheme.lower() == "bearer":
        return Credentials(bearer=rest.strip())
    if scheme.lower() != "basic":
        return Credentials()
    try:
        user, _, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return Credentials()
    return Credentials(user=user, password=password, is_basic=True)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]
