"""Visit tokens: HS256 JWTs that say which pages a job may open. Source: Tourist's authentication."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from protocol.base import Secret
from protocol.jobs import SendJob
from sidecar.clock import Clock
from sidecar.errors import Forbidden, InvalidContent, Unauthorized

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

_ALGORITHM: Final = "HS256"
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Scope:
    """What a token opens."""

    url: str
    strict: bool

    def allows(self, url: str) -> bool:
        """Whether this page may be opened: the same registrable domain, or the same URL where strict."""
        if self.strict:
            wanted = _same(url)
            return wanted is not None and wanted == _same(self.url)
        domain = registrable(url)
        return domain is not None and domain == registrable(self.url)


class Tokens:
    """Signs and reads tokens with the secret of the settings; without one, nothing is asked for."""

    def __init__(self, secret: Secret, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    def check(self, job: SendJob, at: float | None = None) -> Scope | None:
        """The scope that a job's token gives it at a Unix time, by default now; None where tokens are off.

        Raises Unauthorized and Forbidden.
        """
        if not self._secret:
            return None
        if not job.token:
            raise Unauthorized("token: this sidecar opens pages with a visit token only", field="token")
        claims = self._read(job.token, "token", at)
        url, strict = claims.get("scope"), claims.get("strict", False)
        if not isinstance(url, str) or not isinstance(strict, bool) or "exp" not in claims:
            raise Unauthorized("token: is not a visit token: scope, strict and exp are its claims", field="token")
        scope = Scope(url, strict)
        for number, step in enumerate(job.steps):
            if not scope.allows(step.url):
                field = f"steps[{number}].url"
                raise Forbidden(f"{field}: the token's scope does not cover this address", field=field)
        return scope

    def issue(self, scope: str, validity: int, *, strict: bool) -> str:
        """A visit token that is good for so many seconds. Raises Forbidden and InvalidContent."""
        if registrable(scope) is None:
            raise InvalidContent("scope: expected an http or https URL with a host", "scope")
        return self._sign({"scope": scope, "strict": strict, "exp": int(self._clock.now()) + validity})

    def issuer(self) -> str:
        """The token that issues others. Raises Forbidden where tokens are off."""
        return self._sign({"master": True})

    def check_issuer(self, token: Secret) -> None:
        """Raises Unauthorized for a token that is not ours, and Forbidden for one that may not issue others."""
        if self._read(token, "issuer_token").get("master") is not True:
            raise Forbidden("issuer_token: does not issue tokens", field="issuer_token")

    def _sign(self, claims: dict[str, Any]) -> str:
        import jwt  # late: only where tokens are used

        return jwt.encode(claims, self._key(), algorithm=_ALGORITHM)

    def _read(self, token: Secret, field: str, at: float | None = None) -> Mapping[str, Any]:
        import jwt

        options: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
        try:
            claims: dict[str, Any] = jwt.decode(token.reveal(), self._key(), algorithms=[_ALGORITHM], options=options)
        except jwt.InvalidTokenError:
            raise Unauthorized(f"{field}: is not signed with this sidecar's secret", field=field) from None
        expires, now = claims.get("exp"), self._clock.now()
        if expires is not None and (not isinstance(expires, int | float) or expires <= now):
            raise Unauthorized(f"{field}: has expired", field=field)
        if expires is not None and at is not None and expires <= at:
            raise Unauthorized(f"{field}: will have expired when the job runs", field=field)
        return claims

    def _key(self) -> str:
        if not self._secret:
            raise Forbidden("visit tokens are off; SIDECAR_TOKEN_SECRET turns them on")
        return self._secret.reveal()


def registrable(url: str) -> str | None:
    """The registrable domain of an http or https URL; addresses, single names and public suffixes stand for themselves.

    `https://www.a.co.uk` gives `a.co.uk`; ports don't matter. None for everything else.
    """
    host = _host(url)
    if host is None:
        return None
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return _suffixes().privatesuffix(host) or host


def _host(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".") if parts.scheme in _PORTS else ""
        # browsers take a backslash for a slash: what stands before it would be another host to them
        if not host or "\\" in url or not url.isprintable():
            return None
        return host if host.isascii() else host.encode("idna").decode()
    except ValueError:  # UnicodeError is one
        return None


def _same(url: str) -> tuple[str, str, int | None, str, str] | None:
    """A URL as a browser spells it, its fragment left out."""
    host = _host(url)
    if host is None:
        return None
    parts = urlsplit(url)
    try:
        port = parts.port or _PORTS[parts.scheme]
    except ValueError:
        return None
    return parts.scheme, host, port, parts.path or "/", parts.query


@lru_cache(maxsize=1)
def _suffixes() -> "PublicSuffixList":
    from publicsuffixlist import PublicSuffixList  # late: it reads 15,000 rules

    return PublicSuffixList()
