"""set_cached_reference, set_short_cached_reference, has_cached_reference."""

from typing import Any

from sidecar_protocol.codec import NO_CONTENT

from sidecar.errors import InvalidContent
from sidecar.rtcv.login import LONG_TTL, SHORT_TTL
from sidecar.server.handlers.context import HandlerContext


def set_cached_reference(context: HandlerContext, content: str) -> Any:
    """Remembers a reference for three days."""
    context.session.references.remember(_checked(content), LONG_TTL)
    return NO_CONTENT


def set_short_cached_reference(context: HandlerContext, content: str) -> Any:
    """Remembers a reference for twelve hours."""
    context.session.references.remember(_checked(content), SHORT_TTL)
    return NO_CONTENT


def has_cached_reference(context: HandlerContext, content: str) -> bool:
    """Whether a reference is remembered."""
    return context.session.references.has(_checked(content))


async def has_shared_reference(context: HandlerContext, content: str) -> bool:
    """Whether any machine of the fleet remembers a reference."""
    return await context.session.references.known(_checked(content))


def _checked(reference: str) -> str:
    if not reference:
        raise InvalidContent("reference number cannot be an empty string")
    return reference
