"""Scopes of visit tokens: a URL means to us what it means to a browser, or it is refused."""

import pytest

from sidecar.jobs.token_scope import Scope, registrable_domain


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("https://www.a.co.uk/x", "a.co.uk"),
        ("http://a.b.example.com:8080", "example.com"),
        ("https://me.github.io", "me.github.io"),
        ("https://co.uk", "co.uk"),
        ("http://127.0.0.1:1", "127.0.0.1"),
        ("http://[::1]:80/", "::1"),
        ("http://[0:0:0::1]/", "::1"),
        ("http://LOCALHOST", "localhost"),
        ("https://www.Example.com./", "example.com"),
        ("https://www.bücher.example", "xn--bcher-kva.example"),
        ("https://fa\u00df.example", "xn--fa-hia.example"),
        ("https://example\u3002com/", "example.com"),
        ("https://user:pw@evil.example", "evil.example"),
        ("https://good.example:80@evil.example", "evil.example"),
        ("https://evil.example#@good.example", "evil.example"),
        ("https://evil.example?@good.example", "evil.example"),
        ("http://2130706433/", "127.0.0.1"),
        ("http://0x7f.1/", "127.0.0.1"),
        ("http://0177.0.0.01/", "127.0.0.1"),
    ],
)
def test_registrable_domains(url: str, domain: str) -> None:
    """The public suffix list decides; addresses, however they are spelled, and single names stand for themselves."""
    assert registrable_domain(url) == domain


@pytest.mark.parametrize(
    "url",
    [
        *(
            "data:text/html,x",
            "file:///etc/passwd",
            "javascript:1",
            "about:blank",
            "blob:null/1",
            "ws://a.b",
        ),
        *("https://", "http://[", "http:a.example", "http:/a.example", "http:///a.example", "//a.example", ""),
        *("https://good.example\\@evil.example", "https://good.example\\.evil.example"),
        *(
            "https://a.exa\tmple",
            "https://a.example\n.evil.example",
            "https://a.example\u2028",
            "https://a.ex\u00admple",
        ),
        *("https://a%2eexample", "https://evil%2f.example", "https://a..example", "https://a.example..", "https://."),
        *("https://a.example:x", "https://a.example:65536", "https://a.example:80:80"),
        *(
            "http://1.2.3.4.5/",
            "http://256.1.1.1.1/",
            "http://4294967296/",
            "http://a.1/",
            "http://0xg.1/",
            "http://1.2.3.09/",
        ),
        *("http://[::1%25eth0]/", "http://[::1]evil.example/", "https://\uff20evil.example/"),
    ],
)
def test_ambiguous_addresses_are_refused(url: str) -> None:
    """Other schemes, hosts that are none, and spellings that browsers turn into something else are in no scope."""
    assert registrable_domain(url) is None
    for strict in (False, True):
        assert not Scope(url, strict).allows(url)
        assert not Scope("https://a.example", strict).allows(url)


@pytest.mark.parametrize(
    ("scope", "url", "strict", "allowed"),
    [
        ("https://www.a.co.uk", "http://shop.a.co.uk:81/x", False, True),
        ("https://www.a.co.uk", "https://evil.co.uk", False, False),
        ("http://127.0.0.1", "http://10.9.0.1", False, False),
        ("http://[::1]", "http://[::2]", False, False),
        ("https://a.example", "about:blank", False, False),
        ("https://fass.example", "https://fa\u00df.example", False, False),
        ("https://a.example/x?y=1", "HTTPS://A.example:443/x?y=1#z", True, True),
        ("https://a.example/x?y=1", "https://a.example/x", True, False),
        ("https://a.example", "https://a.example/", True, True),
        ("https://a.example", "https://a.example:/", True, True),
        ("https://a.example", "https://a.example:0/", True, False),
        ("https://a.example", "https://a.example:8443/", True, False),
        ("https://a.example", "http://a.example/", True, False),
        ("https://a.example", "https://a.example./", True, False),
        ("https://a.example", "https://www.a.example/", True, False),
        ("https://a.example", "https://user@a.example/", True, False),
        ("https://a.example", "https://:pw@a.example/", True, False),
        ("https://user:pw@a.example", "https://user:pw@a.example/", True, True),
        ("https://user:pw@a.example", "https://a.example/", True, True),
        ("https://user:pw@a.example", "https://other:pw@a.example/", True, False),
        ("https://a.example/ä b?ö 'x'", "https://a.example/%C3%A4%20b?%C3%B6%20%27x%27", True, True),
        ("https://a.example/x/../y/%2E/z", "https://a.example/y/z", True, True),
        ("https://a.example/x/..", "https://a.example/", True, True),
        ("https://a.example/X", "https://a.example/x", True, False),
        ("http://127.1/", "http://127.0.0.1/", True, True),
    ],
)
def test_scopes(scope: str, url: str, strict: bool, allowed: bool) -> None:
    """A scope allows its registrable domain, or if strict its URL without another user, in any spelling."""
    assert Scope(scope, strict).allows(url) is allowed


@pytest.mark.parametrize(
    ("scope", "host", "port", "strict", "allowed"),
    [
        ("https://www.a.co.uk/x", "img.a.co.uk", 8443, False, True),
        ("https://www.a.co.uk/x", "b.co.uk", 443, False, False),
        ("http://[::1]:81", "::1", 80, False, True),
        ("https://a.example/x", "a.example", 443, True, True),
        ("https://a.example/x", "www.a.example", 443, True, False),
        ("https://a.example/x", "a.example", 8443, True, False),
        ("https://a.example/x", "", 443, True, False),
        ("https://a.example/x", "a.example@b.example", 443, False, False),
        ("https://a.example/x", "b.example/.a.example", 443, False, False),
    ],
)
def test_servers_that_pages_load_from(scope: str, host: str, port: int, strict: bool, allowed: bool) -> None:
    """Resources come from the scope's registrable domain, or if strict from its own server."""
    assert Scope(scope, strict, True).allows_server(host, port) is allowed


def test_a_blob_belongs_to_the_origin_that_made_it() -> None:
    """Its address holds that origin; a strict scope is one page, and no blob is that."""
    scope = Scope("https://www.a.example/x", False)
    assert scope.allows("blob:https://b.a.example/1f0c")
    others = ("blob:https://b.example/1f0c", "blob:null/1f0c", "blob:blob:https://a.example/1", "blob:")
    assert not any(scope.allows(url) for url in others)
    assert not Scope("https://a.example/x", True).allows("blob:https://a.example/x")
