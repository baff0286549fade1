"""Events of the session as server-sent events: the last ones are kept, each listener reads at its own pace."""

import asyncio
from collections import deque
from typing import Final

from aiohttp import web

from sidecar.clock import within
from sidecar.errors import QueueFull
from sidecar.server.http.refusals import Refused

KEPT_EVENTS: Final = 1_000
KEPT_BYTES: Final = 8 << 20
MAX_LISTENERS: Final = 256
HEARTBEAT_SECONDS: Final = 15.0
"""How often a listener hears something, so that either side notices that the other is gone."""
WRITE_SECONDS: Final = 30.0
"""How long a listener may take to read what it was sent."""
_BATCH: Final = 64 << 10
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class EventStream:
    """The last events, numbered; `instance` tells numbers of this process from those of another."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._kept: deque[bytes] = deque()
        self._bytes = 0
        self._next = 1
        self._changed = asyncio.Event()
        self._closed = False
        self._listeners = 0

    @property
    def last(self) -> int:
        """The number of the last event; 0 before the first."""
        return self._next - 1

    def add(self, name: str, line: bytes) -> None:
        """Takes an event: its name, and the line that stdout would have."""
        event = b"id: %s-%d\nevent: %s\ndata: %s\n\n" % (
            self._instance.encode(),
            self._next,
            name.encode(),
            line.rstrip(b"\n"),
        )
        self._next += 1
        self._kept.append(event)
        self._bytes += len(event)
        while len(self._kept) > KEPT_EVENTS or (self._bytes > KEPT_BYTES and len(self._kept) > 1):
            self._bytes -= len(self._kept.popleft())
        self._wake()

    def close(self) -> None:
        """Ends every listener's stream."""
        self._closed = True
        self._wake()

    async def serve(self, request: web.BaseRequest, headers: dict[str, str]) -> web.StreamResponse:
        """Sends a listener what comes, and first what came after its Last-Event-ID. Raises Refused."""
        if self._listeners >= MAX_LISTENERS:
            raise _too_many()
        position, gap = self._begin(request.headers.get("Last-Event-ID", ""))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **_HEADERS, **headers})
        self._listeners += 1
        try:
            await response.prepare(request)
            await self._write(response, gap or b": listening\n\n")
            await self._follow(response, position)
        except (ConnectionError, TimeoutError):
            if request.transport:
                request.transport.abort()
        finally:
            self._listeners -= 1
        return response

    async def _follow(self, response: web.StreamResponse, position: int) -> None:
        """Sends every event after this one, until the stream is closed."""
        while True:
            changed = self._changed
            batch, position = self._after(position)
            if batch:
                await self._write(response, batch)
            elif self._closed:
                return
            else:
                try:
                    async with within(HEARTBEAT_SECONDS):
                        await changed.wait()
                except TimeoutError:
                    await self._write(response, b": still here\n\n")

    def _after(self, position: int) -> tuple[bytes, int]:
        """Some of the events after this one, and the number of the last of them."""
        first = self._next - len(self._kept)
        parts: list[bytes] = []
        if position + 1 < first:
            parts.append(_gap(first - position - 1))
            position = first - 1
        size = 0
        while position < self.last and size < _BATCH:
            event = self._kept[position + 1 - first]
            parts.append(event)
            size += len(event)
            position += 1
        return b"".join(parts), position

    def _begin(self, last_id: str) -> tuple[int, bytes]:
        """The event after which a listener begins, and what to say of those that are lost."""
        instance, _, number = last_id.rpartition("-")
        if not last_id:
            return self.last, b""
        if (
            instance != self._instance
            or not (number.isascii() and number.isdigit())
            or len(number) > len(str(self.last))
        ):
            return self.last, _gap(None)
        return min(int(number), self.last), b""

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        async with within(WRITE_SECONDS):
            await response.write(data)


def _gap(missed: int | None) -> bytes:
    """Says that events are missing: how many, null where that is not known."""
    return b'event: gap\ndata: {"missed":%s}\n\n' % (b"null" if missed is None else b"%d" % missed)


def _too_many() -> Refused:
    return Refused.of(QueueFull(f"at most {MAX_LISTENERS} listeners to events; try again"))
