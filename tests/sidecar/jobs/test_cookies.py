"""The cookies that a job brings along: which are refused and why. `test_contexts` tries that the others arrive."""

from typing import Any

import pytest
from sidecar_protocol.errors import WireError

from sidecar.errors import InvalidContent
from sidecar.jobs.browser_job_runner import validate
from tests.sidecar.browser.parts import make_job


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"path": "no-slash"}, "path", "a path begins with /"),
        ({"domain": "https://ann@shop.example:8080/cart"}, "domain", "write the host name alone: shop.example"),
        ({"domain": "//shop.example"}, "domain", "write the host name alone: shop.example"),
        ({"domain": "shop.example:80"}, "domain", "no port, no path"),
        ({"domain": "shop.example/cart"}, "domain", "no port, no path"),
        ({"domain": "*.shop.example"}, "domain", "a domain is a host name"),
        ({"domain": ".co.uk"}, "domain", "this is a public suffix"),
        ({"name": "__Secure-a"}, "secure", "needs secure: true"),
        ({"name": "__host-a"}, "secure", "needs secure: true"),
        ({"name": "__Host-a", "secure": True, "path": "/x"}, "path", "needs the path /"),
        ({"name": "__Host-a", "secure": True, "domain": ".shop.example"}, "domain", "without a dot before it"),
        ({"name": "a=b"}, "name", "control character"),
        ({"name": " a"}, "name", "a blank at an end"),
        ({"value": "s3cret\n"}, "value", "control character"),
        ({"value": "s3cret;b"}, "value", "written as %3B"),
        ({"value": "s3cret" * 700}, "value", "more than 4096 bytes"),
        ({"path": "/" + "x" * 1_100}, "path", "at most 1024 bytes"),
    ],
)
def test_a_cookie_that_a_browser_would_refuse(wrong: dict[str, Any], field: str, said: str) -> None:
    """The error names the cookie, the field and the way out, and not the value; no browser is touched."""
    fit = {"name": "ok", "value": "s3cret", "domain": "shop.example"}
    with pytest.raises(InvalidContent) as failed:
        validate(make_job("http://shop.example", cookies=[fit, {**fit, **wrong}]))
    assert failed.value.details == {"field": f"cookies[1].{field}"}
    assert said in failed.value.message
    assert "s3cret" not in failed.value.message


@pytest.mark.parametrize("expires", [0, -2, -0.5])
def test_an_invalid_expiry_is_refused(expires: float) -> None:
    """The error says what to write."""
    cookie = {"name": "a", "value": "b", "domain": "c", "expires": expires}
    with pytest.raises(WireError, match="-1"):
        make_job("http://a", cookies=[cookie])
