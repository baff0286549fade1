"""The exchange of messages with a sandbox: queues outgoing ones, bounds incoming ones and handles them in batches."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from sidecar_protocol.bounds import excess
from sidecar_protocol.codec import NotJson
from sidecar_protocol.encoding import encode

from sidecar.browser import lenient_json
from sidecar.browser.sandbox.sandbox import Sandbox, ScriptError
from sidecar.browser.sandbox.wire_values import CallRefused

MAX_MESSAGES: Final = 10_500
"""Messages in one exchange: as many as a sandbox's program queues, and its console lines."""
_MAX_BYTES: Final = 32 << 20
_MAX_PARTS: Final = 500_000
"""Parts in one exchange, at all levels together, counted by commas and brackets."""
_MAX_DEPTH: Final = 250
"""Levels of nesting: up to two for each level of a value, and a few around it."""
_BATCH_SIZE: Final = 250
"""Messages that are handled before the event loop serves others."""
_MAX_EXCHANGES: Final = 4
"""Exchanges that are open at once."""
_MALFORMED: Final = (ValueError, TypeError, IndexError, KeyError, AttributeError)


class MessagePump:
    """Sends queued messages to a sandbox and hands each incoming one to `handle`.

    `fail` gets the failure when the sandbox is lost or sends what can't be handled. `lost` is the reason of a loss that
    is not known otherwise. `poll_delay` is the pause, in seconds, before the sandbox is asked for messages again while
    there is nothing to send. `on_flush` is called before queued messages are sent.
    """

    def __init__(
        self,
        handle: Callable[[list[Any]], None],
        fail: Callable[[Exception], None],
        lost: str,
        poll_delay: float = 0.0,
        on_flush: Callable[[], None] = lambda: None,
    ) -> None:
        self._handle = handle
        self._fail = fail
        self._lost = lost
        self._poll_delay = poll_delay
        self._on_flush = on_flush
        self._sandbox: Sandbox | None = None
        self._outgoing: list[list[Any]] = []
        self._incoming: deque[list[Any]] = deque()
        self._flush_planned = False
        self._open_exchanges = 0

    @property
    def queued(self) -> int:
        """The number of outgoing messages that are not sent yet."""
        return len(self._outgoing)

    def attach(self, sandbox: Sandbox) -> None:
        """Sets the sandbox; messages wait until there is one."""
        self._sandbox = sandbox

    def send(self, message: list[Any]) -> None:
        """Queues a message; messages of one turn of the event loop are sent together."""
        self._outgoing.append(message)
        if not self._flush_planned:
            self._flush_planned = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Sends what is queued, and asks for what the sandbox has to say."""
        self._flush_planned = False
        sandbox = self._sandbox
        if sandbox is None or sandbox.lost.done() or self._open_exchanges >= _MAX_EXCHANGES:
            return  # the end of an open exchange flushes again
        messages, self._outgoing = self._outgoing, []
        self._on_flush()
        self._open_exchanges += 1
        sandbox.exchange(encode(messages).decode()).add_done_callback(self._receive)

    def abort(self, failure: Exception) -> None:
        """Reports the failure, closes the sandbox, and drops the messages that it has sent."""
        self._fail(failure)
        self._incoming.clear()
        if self._sandbox:
            self._sandbox.close(failure)

    def _receive(self, exchange: "asyncio.Future[str]") -> None:
        self._open_exchanges -= 1
        if exchange.cancelled() or self._sandbox is None:
            return
        if exchange.exception():
            self._fail(self._sandbox.loss(self._lost))
            return
        try:
            self._incoming.extend(decode_messages(exchange.result()))
        except CallRefused as refused:
            self.abort(ScriptError(str(refused), refused.code))
        self._handle_batch()

    def _handle_batch(self) -> None:
        if self._sandbox is None or self._sandbox.lost.done():
            self._incoming.clear()
            return
        try:
            for _ in range(min(_BATCH_SIZE, len(self._incoming))):
                if self._incoming:  # a message may abort the session
                    self._handle(self._incoming.popleft())
        except _MALFORMED as error:
            self._fail(ScriptError(f"the sandbox sent a malformed message: {error}"))
        except CallRefused as refused:
            self._fail(ScriptError(str(refused), refused.code))
        loop = asyncio.get_running_loop()
        if self._incoming:
            loop.call_soon(self._handle_batch)
        elif self._outgoing:
            self.flush()  # also messages that waited for the end of an exchange
        elif self._open_exchanges == 0:
            loop.call_later(self._poll_delay, self._poll)

    def _poll(self) -> None:
        if self._open_exchanges == 0:
            self.flush()


def decode_messages(text: str) -> list[list[Any]]:
    """The messages of one exchange; lone surrogates are replaced. Raises CallRefused.

    The bounds are checked here: scripts may have changed the sandbox's own program.
    """
    raw = text.encode(errors="replace")
    too_much = f"larger than {_MAX_BYTES >> 20} MiB" if len(raw) > _MAX_BYTES else ""
    try:
        too_much = too_much or excess(raw, _MAX_PARTS, _MAX_DEPTH)
        messages = [] if too_much else _lists(lenient_json.decode(raw))
    except NotJson as error:
        raise CallRefused(f"the sandbox sent a malformed message: {error}") from None
    if len(messages) > MAX_MESSAGES:
        too_much = f"more than {MAX_MESSAGES}"
    if too_much:
        raise CallRefused(f"the sandbox's messages exceed their limit: {too_much}")
    return messages


def decode_json(text: str) -> Any:
    """A value that a sandbox has written as JSON; lone surrogates are replaced. Raises CallRefused."""
    raw = text.encode(errors="replace")
    too_much = excess(raw)
    try:
        value = None if too_much else lenient_json.decode(raw)
    except NotJson as error:
        raise CallRefused(f"the sandbox sent a malformed value: {error}") from None
    if too_much:
        raise CallRefused(f"the value exceeds its limit: {too_much}", "limit_exceeded")
    return value


def _lists(value: Any) -> list[list[Any]]:
    if isinstance(value, list) and {list}.issuperset(map(type, value)):
        return value
    raise NotJson("it is no list of lists")
