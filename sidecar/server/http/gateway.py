"""From an HTTP request to the dispatcher and back: one message, one answer."""

import asyncio
import itertools
import json
from typing import Any, Final, Protocol

from sidecar_protocol import codec
from sidecar_protocol.codec import Request
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import ErrorCode, WireError
from sidecar_protocol.replies import RequestId

from sidecar.errors import Conflict, QueueFull, ShuttingDown
from sidecar.server.http.refusals import Refused
from sidecar.server.http.reply_router import ReplyRouter, without_id

_ERROR: Final = b'{"type":"error"'
_CONTENT: Final = b'{"type":"ok","content":'
UNSENT_BYTES: Final = 64 << 20
"""Bytes of answers on their way to clients beyond which nothing more is taken in."""


class Dispatcher(Protocol):
    """What runs messages. See server.dispatcher."""

    @property
    def is_full(self) -> bool: ...  # noqa: D102
    def submit(self, request: Request) -> None: ...  # noqa: D102
    def cancel(self, request_id: RequestId) -> bool: ...  # noqa: D102


class Answer:
    """An `ok` or a `pong`: the line that stdout would have, without the id that the front gave it."""

    __slots__ = ("line",)

    def __init__(self, line: bytes) -> None:
        self.line = line

    @property
    def raw(self) -> bytes:
        """Its content as JSON; `null` where it has none."""
        return self.line[len(_CONTENT) : -1] if self.line.startswith(_CONTENT) else b"null"

    @property
    def content(self) -> Any:
        """Its content."""
        return codec.plain(self.raw)


class Gateway:
    """Asks the dispatcher, within the bounds that stdin has."""

    def __init__(self, dispatcher: Dispatcher, replies: ReplyRouter) -> None:
        self._dispatcher = dispatcher
        self._replies = replies
        self._numbers = itertools.count(1)
        self.unsent = 0
        """Bytes of answers that are being written."""
        self.ending = False
        """Whether nothing more is taken in."""

    @property
    def is_full(self) -> bool:
        """Whether stdin would not be read now."""
        return self._dispatcher.is_full or self.unsent > UNSENT_BYTES

    def check_room(self, kind: str) -> None:
        """Raises Refused where a message of this type can't be taken in now; a `cancel` makes room."""
        if self.ending:
            raise Refused.of(ShuttingDown())
        if self.is_full and kind != "cancel":
            raise Refused.of(QueueFull("as many requests as may be in flight are; try again"))

    async def ask(
        self, kind: str, content: bytes | None, *, request_id: str | None = None, detached: bool = False
    ) -> Answer:
        """The answer to a message, its content as JSON. Raises Refused.

        A caller that is cancelled cancels its request, unless `detached`.
        """
        self.check_room(kind)
        number: RequestId = next(self._numbers) if request_id is None else request_id
        if request_id is not None and self._replies.expects(number):
            raise Refused.of(Conflict(f"the id {number!r} is still in flight"))
        try:
            request = codec.request_of(kind, number, content)
        except WireError as wrong:
            raise Refused.of(wrong) from None
        reply = self._replies.expect(number)
        self._dispatcher.submit(request)
        try:
            line = await reply
        except asyncio.CancelledError:
            self._replies.forget(number)
            if not detached:
                self._dispatcher.cancel(number)
            raise
        if line.startswith(_ERROR):
            raise Refused(json.loads(line)["error"])
        return Answer(line if request_id is not None else without_id(line))

    async def send(self, kind: str, content: Any = codec.NO_CONTENT, *, detached: bool = False) -> Answer:
        """The answer to a message whose content is a value. Raises Refused."""
        return await self.ask(kind, None if content is codec.NO_CONTENT else encode(content), detached=detached)


def not_found(message: str) -> Refused:
    """A path that leads nowhere."""
    return Refused.because(ErrorCode.NOT_FOUND, message)
