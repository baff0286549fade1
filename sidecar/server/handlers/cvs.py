"""send_cv, send_full_cv, send_cvs_list."""

from typing import TYPE_CHECKING, Any

from sidecar_protocol.cvs import CvsListReply
from sidecar_protocol.wire_types import Raw

from sidecar.rtcv import send_cv as cvs
from sidecar.server.handlers.context import HandlerContext

if TYPE_CHECKING:
    from sidecar_protocol.cv_documents import SendFullCv


async def send_cv(context: HandlerContext, content: Raw) -> Any:
    """Sends a CV to every server, unless its reference is cached."""
    return await cvs.send_cv(context.session, context.reference_locks, content)


async def send_full_cv(context: HandlerContext, content: "SendFullCv") -> Any:
    """Sends a CV with its PDF to every server, unless its reference is cached."""
    document = await context.documents().load(content)
    return await cvs.send_full_cv(context.session, context.reference_locks, document)


async def send_cvs_list(context: HandlerContext, content: Raw) -> CvsListReply:
    """Sends a list of CVs to every server."""
    return await cvs.send_cvs_list(context.session, content)
