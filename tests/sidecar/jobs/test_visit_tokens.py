"""Visit tokens: what they open, who may issue them, and that nothing forged passes."""

import base64
import hmac
import json

import jwt
import pytest
from sidecar_protocol.wire_types import Secret

from sidecar.errors import Forbidden, InvalidContent, Unauthorized
from sidecar.jobs.token_scope import Scope
from sidecar.jobs.token_signers import secret_signer
from sidecar.jobs.visit_tokens import VisitTokens
from tests.clocks import ManualClock
from tests.sidecar.browser.parts import make_job

KEY = "a signing secret of enough bytes!"
OTHER = "another signing secret, as long !"


@pytest.fixture
def time() -> ManualClock:
    """Time that the test moves."""
    return ManualClock()


@pytest.fixture
def tokens(time: ManualClock) -> VisitTokens:
    """Tokens that are on."""
    return VisitTokens(secret_signer(Secret(KEY)), time.clock)


def test_an_issued_token_opens_its_scope_until_it_expires(tokens: VisitTokens, time: ManualClock) -> None:
    """Issue and check agree; an expired token is unauthorized, another domain is forbidden and named."""
    token = tokens.issue("https://www.a.example", 60, strict=False)
    assert tokens.check(make_job("https://b.a.example/", token=token)) == Scope("https://www.a.example", False)
    with pytest.raises(Forbidden) as refused:
        tokens.check(make_job("https://b.example/", token=token))
    assert refused.value.details == {"field": "steps[0].url"}
    time.advance(60)
    with pytest.raises(Unauthorized, match="has expired"):
        tokens.check(make_job("https://b.a.example/", token=token))


def test_what_is_no_token_of_ours_is_unauthorized(tokens: VisitTokens) -> None:
    """Missing, forged, unsigned, without an end or without a scope: refused, and never repeated in the sentence."""
    claims = {"scope": "https://a.example", "strict": False, "exp": 4_000_000_000}

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    longer = f"{part({'alg': 'HS512', 'typ': 'JWT'})}.{part(claims)}"
    wrong = [
        jwt.encode(claims, OTHER, "HS256"),
        f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}.",
        jwt.encode({"scope": "https://a.example"}, KEY, "HS256"),
        jwt.encode({"exp": 4_000_000_000}, KEY, "HS256"),
        jwt.encode({**claims, "exp": "later"}, KEY, "HS256"),
        jwt.encode({**claims, "strict_resources": 1}, KEY, "HS256"),
        f"{longer}.{base64.urlsafe_b64encode(hmac.digest(KEY.encode(), longer.encode(), 'sha512')).decode()}",
        f"{part({'alg': 'hs256'})}.{part(claims)}.x",
        f"{base64.urlsafe_b64encode(b'[' * 100_000).decode()}.{part(claims)}.x",
        tokens.issuer(),
        "not a token",
        "",
    ]
    for token in wrong:
        with pytest.raises(Unauthorized) as refused:
            tokens.check(make_job("https://a.example", token=token))
        assert not token or token not in refused.value.message
    with pytest.raises(Unauthorized, match="visit token is required"):
        tokens.check(make_job("https://a.example"))


def signed(payload: str) -> str:
    """A token of ours whose claims are this very text, which need not be JSON that anybody else would write."""
    return jwt.api_jws.encode(payload.encode(), KEY, "HS256")


NO_TIMES = (
    *["null", "NaN", "Infinity", "-Infinity", "1e400", "-1", "true", '"4000000000"', "[]", "4000000000000"],
    "9" * 400,
)


@pytest.mark.parametrize("claim", ["exp", "nbf"])
@pytest.mark.parametrize("value", NO_TIMES)
def test_only_finite_times_are_valid_in_a_token(tokens: VisitTokens, claim: str, value: str) -> None:
    """exp has to be a finite time, and so has nbf where it is there: nothing lives for ever by being unreadable."""
    times = {"exp": "4000000000", claim: value}
    text = ",".join(f'"{name}":{one}' for name, one in times.items())
    with pytest.raises(Unauthorized, match=f"its {claim} is not a Unix time"):
        tokens.check(make_job("https://a.example", token=signed(f'{{"scope":"https://a.example",{text}}}')))
    with pytest.raises(Unauthorized, match=f"its {claim} is not a Unix time"):
        tokens.check_issuer(Secret(signed(f'{{"master":true,{text}}}')))


def test_a_token_is_not_valid_before_its_time(tokens: VisitTokens, time: ManualClock) -> None:
    """nbf counts when a job is run, or for the time at which it will be; iat, whatever it says, does not."""
    now = time.clock.now()
    claims = {"scope": "https://a.example", "exp": now + 100, "nbf": now + 10, "iat": now + 50}
    job = make_job("https://a.example", token=jwt.encode(claims, KEY, "HS256"))
    with pytest.raises(Unauthorized, match="not valid yet"):
        tokens.check(job)
    with pytest.raises(Unauthorized, match="not valid yet"):
        tokens.check(job, now + 9)
    assert tokens.check(job, now + 10)
    time.advance(10)
    assert tokens.check(job) == Scope("https://a.example", False)


def test_a_proxy_needs_leave(time: ManualClock) -> None:
    """It could answer for any site: with a token only where the setting allows it, and never with strict_resources."""
    for allowed, resources, said in ((False, False, "SIDECAR_TOKEN_PROXIES"), (True, True, "strict_resources")):
        tokens = VisitTokens(secret_signer(Secret(KEY)), time.clock, allow_proxies=allowed)
        token = tokens.issue("https://a.example", 60, strict=False, strict_resources=resources)
        job = make_job("https://a.example", token=token, context={"proxy": {"server": "http://b.example:1"}})
        with pytest.raises(Forbidden, match=said) as refused:
            tokens.check(job)
        assert refused.value.details == {"field": "context.proxy"}
    tokens = VisitTokens(secret_signer(Secret(KEY)), time.clock, allow_proxies=True)
    token = tokens.issue("https://a.example", 60, strict=False)
    job = make_job("https://a.example", token=token, context={"proxy": {"server": "http://b.example:1"}})
    assert tokens.check(job)


def test_only_the_issuer_token_issues(tokens: VisitTokens) -> None:
    """A visit token may not make others; a scope has to be a page's address."""
    tokens.check_issuer(Secret(tokens.issuer()))
    with pytest.raises(Forbidden, match="does not issue"):
        tokens.check_issuer(Secret(tokens.issue("https://a.example", 60, strict=True)))
    with pytest.raises(Unauthorized):
        tokens.check_issuer(Secret("forged"))
    with pytest.raises(InvalidContent, match="scope"):
        tokens.issue("file:///etc", 60, strict=False)


def test_without_a_secret_tokens_are_off(time: ManualClock) -> None:
    """Jobs need none, and none can be issued."""
    off = VisitTokens(secret_signer(Secret("")), time.clock)
    assert off.check(make_job("https://a.example")) is None
    with pytest.raises(Forbidden, match="SIDECAR_TOKEN_SECRET"):
        off.issuer()
