"""The loop of redirects and its two rules."""

from typing import Any

import pytest
from yarl import URL

from sidecar.errors import RemoteFailed, RemoteUnreachable
from sidecar.net.http_response import HttpResponse
from sidecar.net.redirects import Hop, TooManyRedirects, as_fetch, follow_redirects, within_origin

FIRST = Hop("POST", URL("http://a.example/x"), {"Authorization": "key"}, b"body")


def response(status: int, location: str | None = None) -> HttpResponse:
    """A response; a redirect with a location."""
    return HttpResponse(status, {} if location is None else {"Location": location}, b"")


async def test_each_hop_is_sent_by_its_client() -> None:
    """What refuses a hop refuses it before it is sent, wherever in the chain it is."""
    sent: list[str] = []

    async def send(hop: Hop) -> HttpResponse:
        if hop.url.host == "refused.example":
            raise PermissionError
        sent.append(str(hop.url))
        return response(307, "http://b.example/" if len(sent) == 1 else "http://refused.example/")

    with pytest.raises(PermissionError):
        await follow_redirects(FIRST, send, as_fetch, 5)
    assert sent == ["http://a.example/x", "http://b.example/"]


async def test_a_loop_ends() -> None:
    """A loop ends after the allowed number of redirects, with the last status."""
    sent: list[Hop] = []

    async def send(hop: Hop) -> HttpResponse:
        sent.append(hop)
        return response(308, "/x")

    with pytest.raises(TooManyRedirects, match=r"^a\.example redirected more than 2 times$") as failed:
        await follow_redirects(FIRST, send, within_origin, 2)
    assert (len(sent), failed.value.status) == (3, 308)


@pytest.mark.parametrize(
    ("status", "location", "following"),
    [
        (200, "/y", None),
        (304, "/y", None),
        (302, None, None),
        (307, "/y", ("POST", "http://a.example/y", {"Authorization": "key"}, b"body")),
        (302, "/y", ("GET", "http://a.example/y", {"Authorization": "key"}, None)),
        (308, "http://b.example/", ("POST", "http://b.example/", {}, b"body")),
        (308, "https://a.example/", ("POST", "https://a.example/", {}, b"body")),
        (303, "//a.example:81/", ("GET", "http://a.example:81/", {}, None)),
    ],
)
def test_fetch_follows_as_browsers_do(status: int, location: str | None, following: Any) -> None:
    """Headers stay with their origin; only 307 and 308 keep method and body."""
    hop = as_fetch(FIRST, response(status, location))
    assert (hop and (hop.method, str(hop.url), hop.headers, hop.body)) == following


@pytest.mark.parametrize("location", ["http://[", "ftp://a.example/", "http://u:p@a.example/", "http:// /"])
def test_a_target_that_is_no_url_is_an_error(location: str) -> None:
    """Its own text may be anything, and is not repeated."""
    with pytest.raises(RemoteUnreachable, match=r"^a\.example redirected to an invalid URL$"):
        as_fetch(FIRST, response(302, location))


@pytest.mark.parametrize(
    ("status", "location"),
    [(302, "/y"), (300, "/y"), (304, None), (307, None), (307, "http://b.example/x"), (308, "https://a.example/x")],
)
def test_a_key_stays_with_its_server(status: int, location: str | None) -> None:
    """Everything but 307 and 308 on the same origin is an error."""
    with pytest.raises(RemoteFailed, match=f"^a\\.example redirected with {status}, which is not followed$"):
        within_origin(FIRST, response(status, location))
    hop = within_origin(FIRST, response(308, "http://u:p@a.example/y"))
    assert hop is not None
    assert (str(hop.url), hop.headers, hop.body) == ("http://a.example/y", FIRST.headers, FIRST.body)
