"""Where `--http` may listen."""

import pytest

from sidecar.server.http.listen_address import ListenAddress, is_loopback, parse
from sidecar.settings import SettingsError


@pytest.mark.parametrize(
    ("text", "address", "url", "is_local"),
    [
        ("127.0.0.1:4000", ListenAddress("127.0.0.1", 4000), "http://127.0.0.1:7", True),
        ("localhost:0", ListenAddress("localhost", 0), "http://localhost:7", True),
        ("[::1]:80", ListenAddress("::1", 80), "http://[::1]:7", True),
        (":80", ListenAddress("0.0.0.0", 80), "http://0.0.0.0:7", False),
        ("sidecar.example:80", ListenAddress("sidecar.example", 80), "http://sidecar.example:7", False),
        ("[::]:80", ListenAddress("::", 80), "http://[::]:7", False),
        ("unix:/run/a.sock", ListenAddress(path="/run/a.sock"), "unix:/run/a.sock", True),
    ],
)
def test_addresses(text: str, address: ListenAddress, url: str, is_local: bool) -> None:
    """Each form, the address for its clients, and whether others can connect."""
    assert parse(text) == address
    assert (address.url(7), address.is_local) == (url, is_local)


@pytest.mark.parametrize(
    "text", ["", "4000", "a", "a:", "a:65536", "::1:80", "http://a:1", "unix:", "unix:" + "x" * 108]
)
def test_no_addresses(text: str) -> None:
    """The error says what was expected."""
    with pytest.raises(SettingsError, match="--http: "):
        parse(text)


def test_loopback() -> None:
    """Names and addresses that mean this machine, and some that only look so."""
    assert all(map(is_loopback, ("localhost", "LOCALHOST.", "a.localhost", "127.9.9.9", "::1", "[::1]")))
    assert not any(map(is_loopback, ("", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "0.0.0.0")))
