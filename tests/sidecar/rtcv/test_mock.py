"""Mock mode's server: the configured answers, and nothing else."""

import pytest
from sidecar_protocol.decoding import decode_as
from sidecar_protocol.session import MockOptions

from sidecar.rtcv.mock import MockServer


async def test_secrets_are_given_back_byte_for_byte() -> None:
    """Secrets are returned byte for byte; unknown ones are null."""
    options = decode_as(MockOptions, b'{"secrets":{"a":{"b": 12.50,"b":1e999}}}')
    server = MockServer(options)
    assert bytes(await server.secret("a", "")) == b'{"b": 12.50,"b":1e999}'
    assert bytes(await server.secret("users", "any key")) == b"null"
    assert bytes(await MockServer(MockOptions()).secret("a", "")) == b"null"


@pytest.mark.parametrize("matches", [True, False])
async def test_every_cv_has_the_same_fate(matches: bool) -> None:
    """The one that the parent chose."""
    server = MockServer(MockOptions(cv_matches=matches))
    assert await server.scan_cv(b"{}") is matches
    await server.forward(b"{}", "run-1")
    await server.close()
