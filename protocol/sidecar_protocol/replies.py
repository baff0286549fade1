"""Everything that leaves: `ready`, `ok`, `pong`, `error`, and `event` for parents that asked for it."""

from typing import Any, Literal

import msgspec

from sidecar_protocol.errors import ErrorDetail

RequestId = int | str
"""What a request is known by while it is in flight; the parent chooses it."""


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """The first line, written before anything is read."""

    content: str = "waiting for credentials"
    protocol: str
    version: str
    pid: int


class Ok(msgspec.Struct, frozen=True, tag="ok", omit_defaults=True):
    """Done. There is no `content` where there is nothing to say."""

    content: Any = msgspec.UNSET
    id: RequestId | msgspec.UnsetType = msgspec.UNSET


class Pong(msgspec.Struct, frozen=True, tag="pong", omit_defaults=True):
    """Answer to `ping`."""

    id: RequestId | msgspec.UnsetType = msgspec.UNSET


class Error(msgspec.Struct, frozen=True, tag="error", omit_defaults=True):
    """Failed: `content` is the plain sentence that v1 parents read, `error` the typed form of the same."""

    content: str
    error: ErrorDetail
    id: RequestId | msgspec.UnsetType = msgspec.UNSET


class Event(msgspec.Struct, frozen=True, tag="event", omit_defaults=True):
    """Something that happened and answers no request; `id` is the request it belongs to, if any."""

    event: Literal["job_update", "progress", "schedule_fired", "task_run", "delivery_failed"]
    content: Any
    id: RequestId | msgspec.UnsetType = msgspec.UNSET
