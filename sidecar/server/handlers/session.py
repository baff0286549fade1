"""hello, ping, and the three ways to start: one server, several servers, mock."""

from collections.abc import Callable
from typing import Any

from sidecar_protocol.codec import NOTHING
from sidecar_protocol.session import Credentials, Hello, HelloReply, MockOptions

from sidecar.server.session import Session


async def ping(_: None) -> Any:
    """Answered `pong`."""
    return NOTHING


async def hello(session: Session, about: Callable[[], HelloReply], content: Hello) -> HelloReply:
    """Tells what this sidecar is and can, and notes what the parent asks for."""
    if content.zone:
        from sidecar.wall_clock import zone_of  # late: few parents name their zone

        zone_of(content.zone, "zone")
    session.notifications = content.notifications
    session.zone = content.zone
    return about()


async def set_credentials(session: Session, content: Credentials | list[Credentials]) -> Any:
    """Logs in to one server, or to several: v1's README sends the list under this name."""
    await session.log_in(content if isinstance(content, list) else [content])
    return NOTHING


async def set_mock(session: Session, content: MockOptions) -> Any:
    """Switches to mock mode."""
    await session.mock(content)
    return NOTHING
