"""The client for asyncio."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, cast

from sidecar.client.async_job import AsyncJob, seen
from sidecar.client.async_messages import AsyncMessages
from sidecar.client.core import Asked, Core
from sidecar.client.job_run import JobRun
from sidecar.client.requests import SendJob
from sidecar.client.results import Event, Ready

MOST_EVENTS = 10_000
"""Events that wait for a loop over `events`; more of them, and the oldest are dropped."""


class AsyncSidecar(AsyncMessages):
    """A running sidecar. Use it in an `async with` block, or call `open` and `close`; belongs to one loop."""

    def __init__(
        self,
        command: Sequence[str] | None = None,
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        timeout: float = 300.0,
        close_timeout: float = 40.0,
        restart: bool = False,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        """As `Sidecar`; nothing is spawned before the block. `on_event` is called on the loop."""
        self.timeout = timeout
        self._core = Core(command, env=env, cwd=cwd, timeout=timeout, close_timeout=close_timeout, restart=restart)
        self._on_event = on_event
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sidecar-writer")
        self._loop: asyncio.AbstractEventLoop

    @property
    def ready(self) -> Ready:
        """The first line: `protocol`, `version` and `pid` of the sidecar."""
        return cast(Ready, self._core.ready)

    async def open(self) -> Self:
        """Spawns the sidecar and waits until it is ready. Raises SidecarEnded, TimeoutError."""
        self._loop = asyncio.get_running_loop()
        starting = self._loop.run_in_executor(self._writer, self._core.start)
        try:
            await asyncio.shield(starting)
            if self._on_event is not None:
                self._core.add_listener(self._on_loop(cast(Callable[[Any], None], self._on_event)))
                await self._ask_for_events()
        except BaseException:
            self._core.give_up()
            await asyncio.wait([starting])
            starting.exception()  # it is read, so asyncio does not report it
            await self.kill()
            raise
        return self

    async def request(self, type: str, content: Any = None, *, timeout: float | None = None) -> Any:  # noqa: A002
        """Sends any message and waits for the content of its answer (None where it has none).

        Raises SidecarFailure, SidecarEnded, or TimeoutError after `timeout` seconds; the request is then cancelled. So
        it is where the waiting task is cancelled.
        """
        asked = self._core.ask(type, content)
        self._send(asked)
        seconds = self.timeout if timeout is None else timeout
        answer = asyncio.wrap_future(asked.answer)
        answer.add_done_callback(seen)
        try:
            done, _ = await asyncio.wait([answer], timeout=seconds)
        except asyncio.CancelledError:
            self._cancel(asked)
            raise
        if not done:
            self._cancel(asked)
            raise TimeoutError(f"{type} had no answer after {seconds:g} s")
        return answer.result()

    def start(self, job: SendJob) -> AsyncJob:
        """Starts a browser job and does not wait: `async for` over it gives its events, awaiting it its reply."""
        if (hello := self._core.hello_for_events()) is not None:
            self._send(self._core.ask("hello", hello))
        return AsyncJob(lambda take: JobRun(self._core, cast(Mapping[str, Any], job), take), self._send)

    async def events(self) -> AsyncIterator[Event]:
        """Every event from now on, until the sidecar has ended."""
        waiting: asyncio.Queue[Event | None] = asyncio.Queue()

        def keep(event: Any) -> None:
            if waiting.qsize() >= MOST_EVENTS:
                waiting.get_nowait()
            waiting.put_nowait(event)

        take = self._on_loop(keep)

        def end() -> None:
            take(None)  # type: ignore[arg-type]

        self._core.add_listener(take, end)
        try:
            await self._ask_for_events()
            while (event := await waiting.get()) is not None:
                yield event
        finally:
            self._core.remove_listener(take, end)

    async def close(self) -> None:
        """Tells the sidecar to finish and waits for it; what does not finish in time is ended. May be called again."""
        await self._flush()
        await self._end(self._core.close)

    async def kill(self) -> None:
        """Ends the sidecar at once. What it holds on disk stays."""
        await self._end(self._core.kill)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt | asyncio.CancelledError)
        if interrupted:
            await self._end(self._core.interrupt)
        else:
            await self.close()

    async def _end(self, end: Callable[[], None]) -> None:
        """Ends it in a thread; a second cancellation kills it."""
        ending = asyncio.ensure_future(asyncio.to_thread(end))
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            self._core.kill()
            await asyncio.wait([ending])
            raise
        finally:
            self._writer.shutdown(wait=False)

    async def _flush(self) -> None:
        """Waits until what was asked is written, for as long as `Sidecar.close` waits for another thread's write."""
        with contextlib.suppress(RuntimeError):  # closed before
            await asyncio.wait([self._loop.run_in_executor(self._writer, lambda: None)], timeout=1)

    def _send(self, asked: Asked) -> None:
        """Has a request written, in the order of the calls."""
        with contextlib.suppress(RuntimeError):  # closed: what waits has failed, or does with the process
            self._writer.submit(self._core.send, asked)

    def _cancel(self, asked: Asked) -> None:
        if (cancel := self._core.cancel(asked)) is not None:
            self._send(cancel)

    def _on_loop(self, listener: Callable[[Any], None]) -> Callable[[dict[str, Any]], None]:
        def take(event: dict[str, Any]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                self._loop.call_soon_threadsafe(listener, event)

        return take

    async def _ask_for_events(self) -> None:
        if (hello := self._core.hello_for_events()) is not None:
            await self.request("hello", hello)

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
