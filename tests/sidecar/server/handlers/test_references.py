"""The three messages about references."""

import pytest
from sidecar_protocol.codec import NO_CONTENT

from sidecar.errors import InvalidContent
from sidecar.server.handlers.references import has_cached_reference, set_cached_reference, set_short_cached_reference
from tests.sidecar.server.handlers.parts import Parts

HOUR = 3600


@pytest.mark.parametrize("logged_in", [True, False])
async def test_how_long_references_are_remembered(parts: Parts, logged_in: bool) -> None:
    """Three days, and twelve hours; before a login too."""
    if logged_in:
        await parts.logged_in()
    context = parts.context()
    assert set_cached_reference(context, "long") is NO_CONTENT
    assert set_short_cached_reference(context, "short") is NO_CONTENT
    assert [has_cached_reference(context, name) for name in ("long", "short", "x")] == [True, True, False]
    parts.time.advance(12 * HOUR)
    assert [has_cached_reference(context, name) for name in ("long", "short")] == [True, False]
    parts.time.advance(60 * HOUR)
    assert not has_cached_reference(context, "long")


@pytest.mark.parametrize("handler", [set_cached_reference, set_short_cached_reference, has_cached_reference])
def test_a_reference_is_not_empty(parts: Parts, handler: object) -> None:
    """V1's sentence for it."""
    with pytest.raises(InvalidContent) as failed:
        handler(parts.context(), "")  # type: ignore[operator]
    assert failed.value.message == "reference number cannot be an empty string"
