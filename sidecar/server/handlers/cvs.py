"""send_cv."""

from typing import Any

from sidecar_protocol.wire_types import Raw

from sidecar.rtcv import send_cv as cvs
from sidecar.server.handlers.context import HandlerContext


async def send_cv(context: HandlerContext, content: Raw) -> Any:
    """Sends a CV to every server, unless its reference is cached."""
    return await cvs.send_cv(context.session, context.reference_locks, content)
