"""Runs requests: in order or concurrently, barriers, limits, cancellation.

Requests without an id run one after the other, as v1 did. Requests with an id run at once, up
to a bound. A barrier runs alone. What can't start yet waits in the inbox, and then nothing more is read.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from sidecar_protocol import codec
from sidecar_protocol.codec import Request
from sidecar_protocol.errors import ErrorCode, WireError
from sidecar_protocol.replies import RequestId

from sidecar.clock import within
from sidecar.errors import Cancelled, Conflict, ShuttingDown
from sidecar.server.error_replies import commit_failed_reply, error_reply
from sidecar.server.route import Route

if TYPE_CHECKING:
    from sidecar_protocol.session import Cancel

MAX_QUEUED_BYTES: Final = 1 << 20
"""Input that may wait its turn before reading stops."""
_KEPT_PLACES: Final = 64
"""Places of cancelled requests that are not worth a clean-up of the inbox."""


class Output(Protocol):
    """The output for replies."""

    def send(self, line: bytes, on_commit_failure: Callable[[BaseException], bytes] | None = None) -> None: ...  # noqa: D102
    def flush(self) -> None: ...  # noqa: D102


class Recorder(Protocol):
    """The recorder of input, called before it is handled."""

    def record(self, lines: Sequence[bytes], requests: Sequence[Request | None], /) -> None:
        """Takes a batch of lines; a line that is no request has None."""


@dataclass(slots=True, eq=False)
class QueuedRequest:
    """A request that waits for its turn."""

    request: Request
    route: Route
    size: int
    cancelled: bool = False
    """Whether it was cancelled and answered, and only its place in the inbox is left."""


@dataclass(frozen=True, slots=True)
class QueuedReply:
    """The reply to a line without id that is known already and only has to keep its place in the order."""

    line: bytes
    size: int


class Dispatcher:
    """Runs requests by their routes and sends exactly one final reply for each."""

    def __init__(
        self,
        routes: Mapping[str, Route],
        output: Output,
        on_full: Callable[[bool], None],
        *,
        max_in_flight: int,
        max_line: int,
        recorders: Sequence[Recorder] = (),
    ) -> None:
        self._routes = routes
        self._output = output
        self._on_full = on_full
        self._max_in_flight = max_in_flight
        self._max_line = max_line
        self._recorders = recorders
        self._inbox: deque[QueuedRequest | QueuedReply] = deque()
        self._waiting: dict[RequestId, QueuedRequest] = {}
        """Queued requests with an id, which may be cancelled."""
        self._cancelled_places = 0
        """Places of the inbox whose request was."""
        self._lane: deque[QueuedRequest | QueuedReply] = deque()
        self._lane_task: asyncio.Task[None] | None = None
        self._tasks: dict[RequestId, asyncio.Task[None]] = {}
        self._barrier: asyncio.Task[None] | None = None
        self._ids: set[RequestId] = set()
        self._queued_bytes = 0
        self._full = False
        self._unclogged = asyncio.Event()
        self._unclogged.set()
        self._ending = False

    def accept(self, lines: Sequence[bytes | None]) -> None:
        """Takes a batch of lines, in order; None stands for a line over the limit."""
        items = [self._read(line) for line in lines]
        if self._recorders:
            requests = [item if type(item) is Request else None for item in items]
            for recorder in self._recorders:
                recorder.record([line or b"" for line in lines], requests)
        for line, item in zip(lines, items, strict=True):
            if type(item) is Request:
                self._admit(item, len(line or b""))
            else:
                self._refuse(codec.extract_id(line) if line else None, item)  # type: ignore[arg-type]
        self._output.flush()
        self._report_full()

    def submit(self, request: Request) -> None:
        """Takes one request with an id whose envelope has been read already. It is recorded as a line."""
        if self._recorders:
            line = codec.encode_request(request)
            for recorder in self._recorders:
                recorder.record([line], [request])
        self._admit(request, codec.size_of(request))
        self._output.flush()
        self._report_full()

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be taken in until something has ended."""
        return self._full

    def cancel(self, request_id: RequestId) -> bool:
        """Stops a request that is in flight, which is answered `cancelled`; False where there is none to stop."""
        return self._stop(request_id)

    def pause(self, clogged: bool) -> None:
        """Starts nothing while the parent does not read its replies, and resumes when it does."""
        if clogged:
            self._unclogged.clear()
        else:
            self._unclogged.set()
            self._pump()

    async def finish(self, seconds: float) -> None:
        """Lets accepted requests finish for `seconds`, then answers the rest `shutting_down`."""
        try:
            async with within(seconds):
                await self._until_idle()
        except TimeoutError:
            self._ending = True
            waiting = [*self._lane, *filter(_is_wanted, self._inbox)]
            self._lane.clear()
            self._inbox.clear()
            running = self._running()
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running, timeout=5)
            for item in waiting:  # after what was running, which came before them
                self._output.send(
                    item.line if isinstance(item, QueuedReply) else error_reply(item.request.id, ShuttingDown())
                )

    # --- taking lines in

    def _read(self, line: bytes | None) -> Request | WireError:
        if line is None:
            return WireError(ErrorCode.LINE_TOO_LONG, f"the line is longer than {self._max_line} bytes")
        try:
            return codec.decode(line)
        except WireError as error:
            error.__context__ = None  # a batch may hold thousands, and each would keep all that was on the stack
            return error.with_traceback(None)

    def _admit(self, request: Request, size: int) -> None:
        if request.id is not None and request.id in self._ids:
            return self._refuse(request.id, Conflict(f"the id {request.id!r} is still in flight"))
        if request.type == "cancel":
            return self._cancel(request)
        try:
            route = self._routes[request.type]
        except KeyError:
            return self._refuse(request.id, codec.unknown_type(request.type))
        # the ways that nearly every line takes: nothing is in the way, and its handler is a plain function, or has its
        # turn among the ordered requests
        is_free = not self._inbox and not self._barrier
        if is_free and not route.is_async and (request.id is not None or not self._lane_task):
            return self._run_now(request, route)
        item = QueuedRequest(request, route, size)
        if request.id is not None:
            self._ids.add(request.id)
        elif is_free and not route.is_barrier and self._unclogged.is_set():
            self._queued_bytes += size
            return self._join_lane(item)
        return self._enqueue(item)

    def _refuse(self, request_id: RequestId | None, error: WireError) -> None:
        self._answer(request_id, error_reply(request_id, error))

    def _answer(self, request_id: RequestId | None, line: bytes) -> None:
        if request_id is not None:
            self._output.send(line)
        else:
            self._enqueue(QueuedReply(line, len(line)))

    def _enqueue(self, item: QueuedRequest | QueuedReply) -> None:
        self._queued_bytes += item.size
        self._inbox.append(item)
        if isinstance(item, QueuedRequest) and item.request.id is not None:
            self._waiting[item.request.id] = item
        self._pump()

    def _cancel(self, request: Request) -> None:
        """Takes effect at once, without waiting for earlier requests; only its reply keeps its place."""
        try:
            wanted: Cancel = codec.decode_content(request)
        except WireError as error:
            return self._refuse(request.id, error)
        return self._answer(request.id, codec.encode_ok(request.id, self._stop(wanted.id)))

    def _stop(self, request_id: RequestId) -> bool:
        task = self._tasks.get(request_id)
        if task is not None:
            return task.cancel()
        waiting = self._waiting.pop(request_id, None)
        if waiting is None:
            return False
        waiting.cancelled = True
        self._queued_bytes -= waiting.size
        self._ids.discard(request_id)
        self._cancelled_places += 1
        if self._cancelled_places > max(
            _KEPT_PLACES, len(self._inbox) // 2
        ):  # so that one costs little, however many wait
            self._inbox = deque(filter(_is_wanted, self._inbox))
            self._cancelled_places = 0
        self._output.send(error_reply(request_id, Cancelled()))
        self._pump()  # it may have been what the others waited behind
        return True

    # --- starting what may start

    def _pump(self) -> None:
        while self._inbox and self._start(self._inbox[0]):
            self._inbox.popleft()
        self._report_full()

    def _start(self, item: QueuedRequest | QueuedReply) -> bool:
        """Starts an item, or says that it has to wait."""
        if not _is_wanted(item):
            self._cancelled_places -= 1
            return True
        if self._barrier or not self._unclogged.is_set():
            return False
        if isinstance(item, QueuedRequest) and item.route.is_barrier:
            if self._lane_task or self._tasks:
                return False
            self._barrier = self._spawn(item)
        elif isinstance(item, QueuedReply) or item.request.id is None:
            self._join_lane(item)
            return True  # still queued
        elif not item.route.is_async:
            self._ids.discard(item.request.id)
            self._run_now(item.request, item.route)
        elif len(self._tasks) >= self._max_in_flight:
            return False
        else:
            self._spawn(item)
        self._queued_bytes -= item.size
        if item.request.id is not None:
            self._waiting.pop(item.request.id, None)
        return True

    def _join_lane(self, item: QueuedRequest | QueuedReply) -> None:
        self._lane.append(item)
        if self._lane_task is None:
            self._lane_task = asyncio.create_task(self._run_lane())

    def _spawn(self, item: QueuedRequest) -> asyncio.Task[None]:
        task = asyncio.create_task(self._run(item))
        if item.request.id is not None:
            self._tasks[item.request.id] = task
        task.add_done_callback(partial(self._on_done, item.request.id))
        return task

    def _on_done(self, request_id: RequestId | None, task: asyncio.Task[None]) -> None:
        if task.cancelled():  # before its first step
            self._output.send(error_reply(request_id, self._why_cancelled()))
        if request_id is not None:
            self._ids.discard(request_id)
            del self._tasks[request_id]
        if task is self._barrier:
            self._barrier = None
        self._pump()

    # --- running

    def _run_now(self, request: Request, route: Route) -> None:
        """Runs a handler that is a plain function, and sends its reply."""
        try:
            line = route.encode(request.id, route.handler(codec.decode_content(request)))
        except Exception as error:
            line = error_reply(request.id, error)
        if route.needs_commit:
            self._output.send(line, partial(commit_failed_reply, request.id))
        else:
            self._output.send(line)

    async def _run_lane(self) -> None:
        while self._lane:
            if not self._unclogged.is_set():
                await self._unclogged.wait()
            item = self._lane.popleft()
            self._queued_bytes -= item.size
            if isinstance(item, QueuedReply):
                self._output.send(item.line)
            else:
                await self._run(item)
            if self._full:
                self._report_full()
        self._lane_task = None
        self._pump()

    async def _run(self, item: QueuedRequest) -> None:
        """Runs one handler to its end and sends its reply, whatever happens."""
        request = item.request
        try:
            line = item.route.encode(request.id, await self._handle(item))
        except asyncio.CancelledError:
            # only `cancel` and `finish` cancel these tasks, and both want the request answered
            line = error_reply(request.id, self._why_cancelled())
        except Exception as error:
            line = error_reply(request.id, error, item.route.error_number)
        self._output.send(line, partial(commit_failed_reply, request.id) if item.route.needs_commit else None)

    async def _handle(self, item: QueuedRequest) -> Any:
        """The content of a request's reply. An error about its own content names all mistakes in it."""
        request, route = item.request, item.route
        try:
            about = (request.id,) if route.takes_request_id else ()
            value = route.handler(*about, codec.decode_content(request))
            return await value if route.is_async else value
        except WireError as error:
            if route.find_mistakes and error.code is ErrorCode.INVALID_CONTENT:
                await route.find_mistakes(request.content_bytes, error)
            raise

    # --- bounds and the end

    def _why_cancelled(self) -> WireError:
        return ShuttingDown() if self._ending else Cancelled()

    def _report_full(self) -> None:
        # a barrier that waits is no reason to stop reading: the next line may be the `cancel` that it waits for
        bound = bool(self._inbox) and len(self._tasks) >= self._max_in_flight
        full = bound or self._queued_bytes > MAX_QUEUED_BYTES
        if full != self._full:
            self._full = full
            self._on_full(full)

    def _running(self) -> set[asyncio.Task[None]]:
        return {task for task in (self._lane_task, self._barrier, *self._tasks.values()) if task}

    async def _until_idle(self) -> None:
        while (running := self._running()) or self._inbox:
            if running:
                await asyncio.wait(running)
            else:  # only a parent that does not read keeps the inbox from starting
                await self._unclogged.wait()


def _is_wanted(item: QueuedRequest | QueuedReply) -> bool:
    return isinstance(item, QueuedReply) or not item.cancelled
