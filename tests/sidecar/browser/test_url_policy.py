"""Which addresses a job may open."""

import pytest

from sidecar.browser.url_policy import check_url
from sidecar.errors import InvalidContent


@pytest.mark.parametrize(
    "url",
    ["http://example.test", "HTTPS://example.test:8443/a?b#c", "about:blank", "data:text/html,<p>x", "http://[::1]/"],
)
def test_pages_can_be_opened(url: str) -> None:
    """Web pages, data and the blank page pass."""
    check_url(url, "steps[0].url")


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        " file:///etc/passwd",
        "\x01http://example.test",
        "java\nscript:alert(1)",
        "javascript:alert(1)",
        "chrome://crash",
        "chrome-extension://a/b",
        "view-source:http://example.test",
        "blob:http://example.test/1",
        "ftp://example.test",
        "about:version",
        "http://",
        "http:///path",
        "http://host:port/",
        "http://[::1/",
        "example.test",
        "/second.html",
    ],
)
def test_everything_else_is_refused(url: str) -> None:
    """Files, the browser's own pages, scripts and an invalid URL are refused by name of the field."""
    with pytest.raises(InvalidContent) as failed:
        check_url(url, "steps[0].url")
    assert failed.value.details == {"field": "steps[0].url"}


def test_files_only_where_they_are_allowed() -> None:
    """Then by their path; another machine's never."""
    check_url("file:///etc/hostname", "steps[0].url", files=True)
    for url in ("file://server/share", "chrome://crash", "javascript:alert(1)"):
        with pytest.raises(InvalidContent):
            check_url(url, "steps[0].url", files=True)
