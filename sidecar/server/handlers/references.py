"""set_cached_reference, set_short_cached_reference, has_cached_reference."""

from typing import Any

from sidecar_protocol.codec import NOTHING

from sidecar.errors import InvalidContent
from sidecar.rtcv.login import LONG_TTL, SHORT_TTL
from sidecar.server.session import Session


async def set_cached_reference(session: Session, content: str) -> Any:
    """Remembers a reference for three days."""
    session.references.remember(_checked(content), LONG_TTL)
    return NOTHING


async def set_short_cached_reference(session: Session, content: str) -> Any:
    """Remembers a reference for twelve hours."""
    session.references.remember(_checked(content), SHORT_TTL)
    return NOTHING


async def has_cached_reference(session: Session, content: str) -> bool:
    """Whether a reference is remembered."""
    return await session.references.known(_checked(content))


def _checked(reference: str) -> str:
    if not reference:
        raise InvalidContent("reference number cannot be an empty string")
    return reference
