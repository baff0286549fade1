"""Routes: how the dispatcher handles a message type."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sidecar_protocol import codec
from sidecar_protocol.errors import ErrorDetail, WireError
from sidecar_protocol.replies import RequestId

Handler = Callable[..., Any]
"""Takes a message's decoded content; gives the content of its reply, or a coroutine of it."""


@dataclass(frozen=True, slots=True)
class Route:
    """One message type: its handler, and how it may run concurrently."""

    handler: Handler
    is_async: bool = False
    """False: the handler is a plain function. It needs no task and is answered in the batch that it came with."""
    is_barrier: bool = False
    """Earlier requests finish first, later ones wait."""
    needs_commit: bool = False
    """Whether it stores something; the reply leaves once that is on disk."""
    takes_request_id: bool = False
    """The handler takes the request's id, None for a line without one, before the content."""
    error_number: Callable[[ErrorDetail], int] | None = None
    """Gives the number that an error of this message has in addition to its code."""
    encode: Callable[[RequestId | None, Any], bytes] = codec.encode_ok
    find_mistakes: Callable[[bytes, WireError], Awaitable[None]] | None = None
    """Adds all further mistakes of a content to the error about its first."""
