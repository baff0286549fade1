"""Visit tokens: what they open, who may issue them, and that nothing forged passes."""

import base64
import json

import jwt
import pytest

from protocol.base import Secret
from sidecar.errors import Forbidden, InvalidContent, Unauthorized
from sidecar.work.jobs.tokens import Scope, Tokens, registrable
from tests.clocks import ManualClock
from tests.sidecar.browser.parts import make_job

KEY = "a signing secret of enough bytes!"
OTHER = "another signing secret, as long !"


@pytest.fixture
def time() -> ManualClock:
    """Time that the test moves."""
    return ManualClock()


@pytest.fixture
def tokens(time: ManualClock) -> Tokens:
    """Tokens that are on."""
    return Tokens(Secret(KEY), time.clock)


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("https://www.a.co.uk/x", "a.co.uk"),
        ("http://a.b.example.com:8080", "example.com"),
        ("https://me.github.io", "me.github.io"),
        ("https://co.uk", "co.uk"),
        ("http://127.0.0.1:1", "127.0.0.1"),
        ("http://[::1]:80/", "::1"),
        ("http://LOCALHOST", "localhost"),
        ("https://www.Example.com./", "example.com"),
        ("https://www.bücher.example", "xn--bcher-kva.example"),
        ("https://user:pw@evil.example", "evil.example"),
        ("https://good.example\\@evil.example", None),
        ("data:text/html,x", None),
        ("file:///etc/passwd", None),
        ("https://", None),
        ("http://[", None),
    ],
)
def test_registrable_domains(url: str, domain: str | None) -> None:
    """The public suffix list decides; addresses and single names stand for themselves."""
    assert registrable(url) == domain


@pytest.mark.parametrize(
    ("scope", "url", "strict", "allowed"),
    [
        ("https://www.a.co.uk", "http://shop.a.co.uk:81/x", False, True),
        ("https://www.a.co.uk", "https://evil.co.uk", False, False),
        ("http://127.0.0.1", "http://10.9.0.1", False, False),
        ("https://a.example/x?y=1", "HTTPS://A.example:443/x?y=1#z", True, True),
        ("https://a.example/x?y=1", "https://a.example/x", True, False),
        ("https://a.example", "https://a.example/", True, True),
        ("https://a.example", "http://a.example/", True, False),
        ("https://a.example", "about:blank", False, False),
    ],
)
def test_scopes(scope: str, url: str, strict: bool, allowed: bool) -> None:
    """The same registrable domain, or the same URL where strict."""
    assert Scope(scope, strict).allows(url) is allowed


def test_an_issued_token_opens_its_scope_until_it_expires(tokens: Tokens, time: ManualClock) -> None:
    """Issue and check agree; an expired token is unauthorized, another domain is forbidden and named."""
    token = tokens.issue("https://www.a.example", 60, strict=False)
    assert tokens.check(make_job("https://b.a.example/", token=token)) == Scope("https://www.a.example", False)
    with pytest.raises(Forbidden) as refused:
        tokens.check(make_job("https://b.example/", token=token))
    assert refused.value.places == {"field": "steps[0].url"}
    time.advance(60)
    with pytest.raises(Unauthorized, match="has expired"):
        tokens.check(make_job("https://b.a.example/", token=token))


def test_what_is_no_token_of_ours_is_unauthorized(tokens: Tokens) -> None:
    """Missing, forged, unsigned, without an end or without a scope: refused, and never repeated in the sentence."""
    claims = {"scope": "https://a.example", "strict": False, "exp": 4_000_000_000}

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    wrong = [
        jwt.encode(claims, OTHER, "HS256"),
        f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}.",
        jwt.encode({"scope": "https://a.example"}, KEY, "HS256"),
        jwt.encode({"exp": 4_000_000_000}, KEY, "HS256"),
        jwt.encode({**claims, "exp": "later"}, KEY, "HS256"),
        tokens.issuer(),
        "not a token",
        "",
    ]
    for token in wrong:
        with pytest.raises(Unauthorized) as refused:
            tokens.check(make_job("https://a.example", token=token))
        assert not token or token not in refused.value.message
    with pytest.raises(Unauthorized, match="visit token only"):
        tokens.check(make_job("https://a.example"))


def test_only_the_issuer_token_issues(tokens: Tokens) -> None:
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
    off = Tokens(Secret(""), time.clock)
    assert off.check(make_job("https://a.example")) is None
    with pytest.raises(Forbidden, match="SIDECAR_TOKEN_SECRET"):
        off.issuer()
