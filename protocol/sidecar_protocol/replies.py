"""Everything that leaves: `ready`, `ok`, `pong`, `error`, and `event` for parents that asked for it."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from sidecar_protocol.errors import ErrorDetail
from sidecar_protocol.wire_types import UNSET, Unset

RequestId = int | str
"""The identifier of a request while it is in flight; the parent chooses it."""
EventName = Literal["job_update", "progress", "schedule_fired", "task_run", "delivery_failed"]


class _Line:
    """An envelope: its type, and those of its members that are given. It is no model, so that `pong` needs none."""

    __slots__: ClassVar[tuple[str, ...]] = ()

    type: ClassVar[str]

    def wire_members(self) -> dict[str, Any]:
        """The members by their names on the wire."""
        given = ((name, getattr(self, name)) for name in type(self).__slots__)
        return {"type": self.type, **{name: value for name, value in given if value is not UNSET}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready(_Line):
    """The first line, written before anything is read."""

    type: ClassVar[str] = "ready"

    content: str = "waiting for credentials"
    protocol: str
    version: str
    pid: int


@dataclass(frozen=True, slots=True)
class Ok(_Line):
    """Done. There is no `content` where there is nothing to say."""

    type: ClassVar[str] = "ok"

    content: Any = UNSET
    id: RequestId | Unset = UNSET


@dataclass(frozen=True, slots=True)
class Pong(_Line):
    """Answer to `ping`."""

    type: ClassVar[str] = "pong"

    id: RequestId | Unset = UNSET


@dataclass(frozen=True, slots=True)
class Error(_Line):
    """Failed: `content` is the plain sentence that v1 parents read, `error` the typed form of the same."""

    type: ClassVar[str] = "error"

    content: str
    error: ErrorDetail
    id: RequestId | Unset = UNSET


@dataclass(frozen=True, slots=True)
class Event(_Line):
    """Something that happened and answers no request; `id` is the request it belongs to, if any."""

    type: ClassVar[str] = "event"

    event: EventName
    content: Any
    id: RequestId | Unset = UNSET
