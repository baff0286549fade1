"""A job that was started, for asyncio: its events while it runs, its reply, and a way to stop it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any, cast

from sidecar.client.core import Asked
from sidecar.client.job import took
from sidecar.client.job_run import JobRun
from sidecar.client.results import Event, JobReply


class AsyncJob:
    """A job that `AsyncSidecar.start` started; awaiting it gives the content of its reply."""

    def __init__(self, begin: Callable[[Callable[[Any], None]], JobRun], send: Callable[[Asked], object]) -> None:
        """`send` does not wait."""
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._send = send
        self._run = begin(self._take)
        self._reply = asyncio.wrap_future(self._run.reply)
        self._reply.add_done_callback(seen)
        send(self._run.asked)

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Its events, until it has ended; each is given once."""
        while (event := await self._events.get()) is not None:
            yield cast(Event, event)
        self._events.put_nowait(None)  # for the next loop over it

    def __await__(self) -> Generator[Any, None, JobReply]:
        """The content of its reply. Raises SidecarFailure, SidecarEnded. A cancelled waiter does not stop the job."""
        reply: JobReply = yield from asyncio.shield(self._reply).__await__()
        return reply

    async def cancel(self) -> bool:
        """Stops it: whether that was in time. Awaiting it then raises SidecarFailure with code `cancelled`."""
        if self._run.is_async:
            with contextlib.suppress(Exception):  # then it was not accepted
                await asyncio.wrap_future(self._run.queued_id)
        asked = self._run.cancel()
        if asked is None:
            return False
        self._send(asked)
        return took(await asyncio.wrap_future(asked.answer))

    def done(self) -> bool:
        """Whether it has ended."""
        return self._run.reply.done()

    def _take(self, event: dict[str, Any] | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)


def seen(future: "asyncio.Future[Any]") -> None:
    """Reads the failure of a future that may never be awaited, so that asyncio does not report it."""
    if not future.cancelled():
        future.exception()
