"""hello, and the three ways to start: one server, several servers, mock."""

from typing import Any

from sidecar_protocol.codec import NO_CONTENT
from sidecar_protocol.session import Credentials, Hello, HelloReply, MockOptions

from sidecar.server.handlers.context import HandlerContext


def hello(context: HandlerContext, content: Hello) -> HelloReply:
    """Returns the sidecar's capabilities, and notes the parent's wishes."""
    if content.zone:
        from sidecar.wall_clock import load_zone  # late: few parents name their zone

        load_zone(content.zone, "zone")
    context.session.asked_for_events = content.notifications
    context.session.zone = content.zone
    return context.describe()


async def set_credentials(context: HandlerContext, content: Credentials | list[Credentials] | MockOptions) -> Any:
    """Logs in to one server, or to several, which v1's README sends under this name; v1.0 also asked so for a mock."""
    if isinstance(content, MockOptions):
        return await set_mock(context, content)
    await context.session.log_in(content if isinstance(content, list) else [content], context.log_in)
    return NO_CONTENT


async def set_mock(context: HandlerContext, content: MockOptions) -> Any:
    """Switches to mock mode."""
    await context.session.mock(content, context.mock)
    return NO_CONTENT
