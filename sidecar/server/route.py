"""What the dispatcher knows of a message type beside its name."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from sidecar_protocol import codec
from sidecar_protocol.errors import ErrorDetail
from sidecar_protocol.replies import RequestId

Handler = Callable[..., Coroutine[Any, Any, Any]]
"""Takes a message's decoded content, gives the content of its reply. See `Route.told_id`."""


@dataclass(frozen=True, slots=True)
class Route:
    """One message type: who handles it, and how it may run beside others."""

    handler: Handler
    waits: bool = False
    """False: the handler never awaits, so it needs no task and is answered in the batch it came with."""
    barrier: bool = False
    """What was sent before finishes first, and what comes after waits."""
    accepts: bool = False
    """It puts something on disk; the reply leaves once that is committed."""
    told_id: bool = False
    """The handler takes the request's id, None where it has none, before the content."""
    number: Callable[[ErrorDetail], int] | None = None
    """Gives the number that an error of this message carries beside its code."""
    encode: Callable[[RequestId | None, Any], bytes] = codec.encode_ok
