"""ping."""

from typing import Any

from sidecar_protocol.codec import NO_CONTENT

from sidecar.server.handlers.context import HandlerContext


def ping(_: HandlerContext, content: None) -> Any:  # noqa: ARG001  every handler takes its content
    """Answered `pong`."""
    return NO_CONTENT
