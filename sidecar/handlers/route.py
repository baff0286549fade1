"""What the dispatcher knows of a message type beside its name."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from protocol import codec
from protocol.replies import RequestId

Handler = Callable[[Any], Coroutine[Any, Any, Any]]
"""Takes a message's decoded content, gives the content of its reply."""


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
    encode: Callable[[RequestId | None, Any], bytes] = codec.encode_ok
