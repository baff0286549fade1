"""The three messages about references."""

import pytest
from sidecar_protocol.codec import NOTHING

from sidecar.errors import InvalidContent
from sidecar.server.handlers.references import has_cached_reference, set_cached_reference, set_short_cached_reference
from tests.sidecar.server.handlers.parts import Parts

HOUR = 3600


@pytest.mark.parametrize("logged_in", [True, False])
async def test_how_long_references_are_remembered(parts: Parts, logged_in: bool) -> None:
    """Three days, and twelve hours; before a login too."""
    session = await parts.logged_in() if logged_in else parts.session
    assert await set_cached_reference(session, "long") is NOTHING
    assert await set_short_cached_reference(session, "short") is NOTHING
    assert [await has_cached_reference(session, name) for name in ("long", "short", "x")] == [True, True, False]
    parts.time.advance(12 * HOUR)
    assert [await has_cached_reference(session, name) for name in ("long", "short")] == [True, False]
    parts.time.advance(60 * HOUR)
    assert not await has_cached_reference(session, "long")


@pytest.mark.parametrize("handler", [set_cached_reference, set_short_cached_reference, has_cached_reference])
async def test_a_reference_is_not_empty(parts: Parts, handler: object) -> None:
    """V1's sentence for it."""
    with pytest.raises(InvalidContent) as failed:
        await handler(parts.session, "")  # type: ignore[operator]
    assert failed.value.message == "reference number cannot be an empty string"
