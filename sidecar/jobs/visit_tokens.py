"""Visit tokens: HS256 JWTs that limit which pages a job may open. Source: Tourist's authentication."""

from collections.abc import Mapping
from typing import Any, Final

from sidecar_protocol.jobs import SendJob
from sidecar_protocol.wire_types import Secret

from sidecar.clock import Clock
from sidecar.errors import Forbidden, InvalidContent, Unauthorized
from sidecar.jobs.token_scope import Scope, registrable_domain
from sidecar.jobs.token_signers import TokenSigner

_LAST_SECOND: Final = 253_402_300_799
"""The end of the year 9999; later values are milliseconds or a mistake."""


class VisitTokens:
    """Issues and verifies tokens; without a signer, tokens are off."""

    def __init__(self, signer: TokenSigner | None, clock: Clock, *, allow_proxies: bool = False) -> None:
        """`allow_proxies` allows proxies in jobs with a token; a proxy sees all that they open."""
        self._signer = signer
        self._clock = clock
        self._allow_proxies = allow_proxies

    def check(self, job: SendJob, at: float | None = None) -> Scope | None:
        """The scope of a job's token at a Unix time, by default now; None if tokens are off.

        Raises Unauthorized and Forbidden.
        """
        if self._signer is None:
            return None
        if not job.token:
            raise Unauthorized("token: a visit token is required", field="token")
        scope = self.scope_of(job.token, at)
        for number, step in enumerate(job.steps):
            if not scope.allows(step.url):
                field = f"steps[{number}].url"
                raise Forbidden(f"{field}: the token's scope does not cover this address", field=field)
        if job.context and job.context.proxy:
            self._check_proxy(scope)
        return scope

    def scope_of(self, token: Secret, at: float | None = None) -> Scope:
        """The scope of a visit token that is valid at a Unix time, by default now. Raises Unauthorized."""
        return _scope(self._decode(token, "token", at))

    def _check_proxy(self, scope: Scope) -> None:
        field = "context.proxy"
        if scope.strict_resources:
            message = "not allowed with strict_resources, which uses a proxy of its own"
            raise Forbidden(f"{field}: {message}", field=field)
        if not self._allow_proxies:
            message = "not allowed with a visit token unless SIDECAR_TOKEN_PROXIES=true"
            raise Forbidden(f"{field}: {message}", field=field)

    def issue(self, scope: str, validity: int, *, strict: bool, strict_resources: bool = False) -> str:
        """A visit token that is valid for this many seconds. Raises Forbidden and InvalidContent."""
        if registrable_domain(scope) is None:
            raise InvalidContent("scope: expected an http or https URL with a host", "scope")
        claims = {"scope": scope, "strict": strict, "exp": int(self._clock.now()) + validity}
        return self._required_signer().sign(claims | ({"strict_resources": True} if strict_resources else {}))

    def issuer(self) -> str:
        """The token that issues others. Raises Forbidden if tokens are off."""
        return self._required_signer().sign({"master": True})

    def check_issuer(self, token: Secret) -> None:
        """Raises Unauthorized for a token with another signature, and Forbidden for one that may not issue others."""
        if self._decode(token, "issuer_token").get("master") is not True:
            raise Forbidden("issuer_token: does not issue tokens", field="issuer_token")

    def _decode(self, token: Secret, field: str, at: float | None = None) -> Mapping[str, Any]:
        claims = self._required_signer().read(token.reveal())
        if claims is None:
            raise Unauthorized(f"{field}: is not signed with this sidecar's secret", field=field)
        expires, begins, now = _timestamp(claims, "exp", field), _timestamp(claims, "nbf", field), self._clock.now()
        if expires is not None and expires <= now:
            raise Unauthorized(f"{field}: has expired", field=field)
        if expires is not None and at is not None and expires <= at:
            raise Unauthorized(f"{field}: will have expired when the job runs", field=field)
        if begins is not None and begins > (now if at is None else at):
            raise Unauthorized(f"{field}: is not valid yet (nbf)", field=field)
        return claims

    def _required_signer(self) -> TokenSigner:
        if self._signer is None:
            raise Forbidden("visit tokens are off; SIDECAR_TOKEN_SECRET turns them on")
        return self._signer


def _scope(claims: Mapping[str, Any]) -> Scope:
    """Raises Unauthorized."""
    url, strict, resources = claims.get("scope"), claims.get("strict", False), claims.get("strict_resources", False)
    known = isinstance(url, str) and isinstance(strict, bool) and isinstance(resources, bool)
    if not known or "exp" not in claims:
        message = "is not a visit token; its claims are scope, strict, strict_resources and exp"
        raise Unauthorized(f"token: {message}", field="token")
    return Scope(str(url), strict, resources)


def _timestamp(claims: Mapping[str, Any], name: str, field: str) -> float | None:
    """A claim that is a Unix time; None if it is missing. Raises Unauthorized for any other value."""
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LAST_SECOND:
        raise Unauthorized(f"{field}: its {name} is not a Unix time", field=field)
    return value
